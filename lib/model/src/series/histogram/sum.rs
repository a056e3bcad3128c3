//! Sums and means of histograms that do not lose small counts to rounding (Kahan's summation, Neumaier's variant).

use super::layout::{Side, compact};
use super::{FloatHistogram, IncompatibleSchemas, Reconciled};

/// Adds to a sum and keeps what rounding took away.
pub(super) fn add_up(more: f64, sum: &mut f64, error: &mut f64) {
    let total = *sum + more;
    if total.is_infinite() {
        *error = 0.0;
    } else if sum.abs() >= more.abs() {
        *error += (*sum - total) + more;
    } else {
        *error += (more - total) + *sum;
    }
    *sum = total;
}

/// What rounding took from each part of a histogram; the buckets' errors stand as the histogram's buckets do.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) zero_count: f64,
    pub(super) positive: Vec<f64>,
    pub(super) negative: Vec<f64>,
}

impl Errors {
    pub(super) fn none(histogram: &FloatHistogram) -> Self {
        Self {
            positive: vec![0.0; histogram.positive_buckets.len()],
            negative: vec![0.0; histogram.negative_buckets.len()],
            ..Self::default()
        }
    }

    fn scale(&mut self, factor: f64) {
        for error in [&mut self.count, &mut self.sum, &mut self.zero_count] {
            *error *= factor;
        }
        self.positive.iter_mut().chain(&mut self.negative).for_each(|error| *error *= factor);
    }

    pub(super) fn compact(&mut self, histogram: &mut FloatHistogram) {
        compact(&mut histogram.positive_spans, &mut histogram.positive_buckets, &mut self.positive, 0);
        compact(&mut histogram.negative_spans, &mut histogram.negative_buckets, &mut self.negative, 0);
    }

    pub(super) fn set_positive(&mut self, side: Side, histogram: &mut FloatHistogram) {
        (histogram.positive_spans, histogram.positive_buckets, self.positive) = (side.spans, side.counts, side.errors);
    }

    pub(super) fn set_negative(&mut self, side: Side, histogram: &mut FloatHistogram) {
        (histogram.negative_spans, histogram.negative_buckets, self.negative) = (side.spans, side.counts, side.errors);
    }

    /// The histogram with its errors made good.
    fn apply(self, mut histogram: FloatHistogram) -> FloatHistogram {
        histogram.count += self.count;
        histogram.sum += self.sum;
        histogram.zero_count += self.zero_count;
        for (count, error) in histogram.positive_buckets.iter_mut().zip(self.positive) {
            *count += error;
        }
        for (count, error) in histogram.negative_buckets.iter_mut().zip(self.negative) {
            *count += error;
        }
        histogram
    }
}

/// The sum of histograms.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    sum: FloatHistogram,
    errors: Errors,
}

impl HistogramSum {
    /// A sum of one.
    pub fn new(first: &FloatHistogram) -> Self {
        Self { sum: first.clone(), errors: Errors::none(first) }
    }

    /// Adds another.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`] when one has custom bounds and the other has not; the sum is as before.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Reconciled, IncompatibleSchemas> {
        self.sum.combine(other, 1.0, &mut self.errors)
    }

    /// The sum.
    pub fn finish(self) -> FloatHistogram {
        self.errors.apply(self.sum)
    }
}

/// The mean of histograms: their sum divided by their number as long as the sum stays finite, a running mean after that.
#[derive(Clone, Debug)]
pub struct HistogramMean {
    /// The sum, or the mean of those added so far.
    value: FloatHistogram,
    errors: Errors,
    number: f64,
    running: bool,
    /// Not less than any part of the sum; while it is finite, no part can be infinite.
    magnitude: f64,
}

impl HistogramMean {
    /// A mean of one.
    pub fn new(first: &FloatHistogram) -> Self {
        Self {
            value: first.clone(),
            errors: Errors::none(first),
            number: 1.0,
            running: false,
            magnitude: magnitude(first),
        }
    }

    /// Takes another in.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`] when one has custom bounds and the other has not; the mean is as before.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Reconciled, IncompatibleSchemas> {
        let number = self.number + 1.0;
        if !self.running {
            let magnitude = self.magnitude + magnitude(other);
            if magnitude.is_finite() {
                let reconciled = self.value.combine(other, 1.0, &mut self.errors)?;
                (self.number, self.magnitude) = (number, magnitude);
                return Ok(reconciled);
            }
            let (mut value, mut errors) = (self.value.clone(), self.errors.clone());
            let reconciled = value.combine(other, 1.0, &mut errors)?;
            if !value.has_overflow() {
                (self.value, self.errors, self.number, self.magnitude) = (value, errors, number, magnitude);
                return Ok(reconciled);
            }
            self.running = true;
            self.value.div(self.number);
            self.errors.scale(1.0 / self.number);
        }
        if self.value.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let kept = self.number / number;
        self.value.mul(kept);
        self.errors.scale(kept);
        let mut share = other.clone();
        share.div(number);
        self.number = number;
        self.value.combine(&share, 1.0, &mut self.errors)
    }

    /// The mean.
    pub fn finish(mut self) -> FloatHistogram {
        if !self.running {
            self.value.div(self.number);
            self.errors.scale(1.0 / self.number);
        }
        self.errors.apply(self.value)
    }
}

fn magnitude(histogram: &FloatHistogram) -> f64 {
    let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
    [histogram.count, histogram.sum, histogram.zero_count].iter().chain(buckets).map(|part| part.abs()).sum()
}
