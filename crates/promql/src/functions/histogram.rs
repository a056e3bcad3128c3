//! Arithmetic on native histograms as operators and functions need it: results are compact, and remarks are made.

use std::sync::Arc;

use tripod_model::series::{
    CounterResetHint, FloatHistogram, HistogramMean, HistogramSum, IncompatibleSchemas, Reconciled, Trim,
};

use crate::engine::{HistogramOperation, Note, Notes, Outcome};

/// The histogram times -1.
pub(crate) fn negated(histogram: &FloatHistogram) -> Arc<FloatHistogram> {
    let mut result = histogram.clone();
    result.mul(-1.0);
    Arc::new(result)
}

/// The histogram times a number.
pub(crate) fn multiplied(histogram: &FloatHistogram, factor: f64) -> Arc<FloatHistogram> {
    let mut result = histogram.clone();
    result.mul(factor).compact(0);
    Arc::new(result)
}

/// The histogram divided by a number.
pub(crate) fn divided(histogram: &FloatHistogram, divisor: f64) -> Arc<FloatHistogram> {
    let mut result = histogram.clone();
    result.div(divisor).compact(0);
    Arc::new(result)
}

/// The observations below a bound (`upper`) or above it.
pub(crate) fn trimmed(histogram: &FloatHistogram, bound: f64, upper: bool) -> Arc<FloatHistogram> {
    let mut result = histogram.clone();
    result.trim(bound, if upper { Trim::KeepBelow } else { Trim::KeepAbove });
    Arc::new(result)
}

/// `left + right`
pub(crate) fn sum(left: &FloatHistogram, right: &FloatHistogram, position: usize) -> Outcome {
    combined(left, right, "+", position)
}

/// `left - right`, which is a gauge.
pub(crate) fn difference(left: &FloatHistogram, right: &FloatHistogram, position: usize) -> Outcome {
    combined(left, right, "-", position)
}

fn combined(left: &FloatHistogram, right: &FloatHistogram, operator: &str, position: usize) -> Outcome {
    let mut result = left.clone();
    let (reconciled, operation) = match operator {
        "+" => (result.add(right), HistogramOperation::Addition),
        _ => (result.sub(right), HistogramOperation::Subtraction),
    };
    let Ok(reconciled) = reconciled else {
        return Outcome::error(Note::incompatible_bucket_layout(position, operator));
    };
    if reconciled.counter_reset_collision {
        return Outcome::error(Note::counter_reset_collision(position, operation));
    }
    if operator == "-" {
        result.counter_reset_hint = CounterResetHint::Gauge;
    }
    result.compact(0);
    let mut outcome = Outcome::histogram(Arc::new(result), true);
    outcome.info = reconciled.custom_bounds.then(|| Note::mismatched_custom_buckets(position, operation));
    outcome
}

/// The histogram as a label's value.
pub(crate) fn text(histogram: &FloatHistogram) -> String {
    histogram.to_string()
}

/// The histogram without what it knows of a reset before it; gauges stay gauges.
pub(crate) fn without_reset_hint(histogram: Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    match histogram.counter_reset_hint {
        CounterResetHint::Unknown | CounterResetHint::Gauge => histogram,
        CounterResetHint::CounterReset | CounterResetHint::NotCounterReset => {
            Arc::new(FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..(*histogram).clone() })
        }
    }
}

/// A sum or mean of histograms.
#[derive(Debug)]
pub(crate) struct Total {
    sum: Sum,
    reset: bool,
    no_reset: bool,
}

#[derive(Debug)]
enum Sum {
    Sum(HistogramSum),
    Mean(HistogramMean),
}

impl Total {
    pub(crate) fn new(first: &FloatHistogram, mean: bool) -> Self {
        let sum = if mean { Sum::Mean(HistogramMean::new(first)) } else { Sum::Sum(HistogramSum::new(first)) };
        let mut total = Self { sum, reset: false, no_reset: false };
        total.note_hint(first);
        total
    }

    pub(crate) fn add(&mut self, histogram: &FloatHistogram) -> Result<Reconciled, IncompatibleSchemas> {
        self.note_hint(histogram);
        match &mut self.sum {
            Sum::Sum(sum) => sum.add(histogram),
            Sum::Mean(mean) => mean.add(histogram),
        }
    }

    /// Whether one histogram was marked as reset and another as not reset.
    pub(crate) fn contradicting_resets(&self) -> bool {
        self.reset && self.no_reset
    }

    /// Without empty buckets.
    pub(crate) fn finish(self) -> Arc<FloatHistogram> {
        let mut result = self.whole();
        result.compact(0);
        Arc::new(result)
    }

    /// With all buckets that came up.
    pub(crate) fn finish_as_is(self) -> Arc<FloatHistogram> {
        Arc::new(self.whole())
    }

    fn whole(self) -> FloatHistogram {
        match self.sum {
            Sum::Sum(sum) => sum.finish(),
            Sum::Mean(mean) => mean.finish(),
        }
    }

    fn note_hint(&mut self, histogram: &FloatHistogram) {
        match histogram.counter_reset_hint {
            CounterResetHint::CounterReset => self.reset = true,
            CounterResetHint::NotCounterReset => self.no_reset = true,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
    }
}

/// The histogram at a moment, from those before and after it, for `smoothed`.
pub(crate) fn interpolate(
    times: &[i64],
    histograms: &[Arc<FloatHistogram>],
    moment: i64,
    position: usize,
    metric: &str,
    notes: &mut Notes,
) -> Option<Arc<FloatHistogram>> {
    let next = times.partition_point(|time| *time < moment);
    match (next.checked_sub(1), times.get(next)) {
        (_, Some(time)) if *time == moment => Some(histograms[next].clone()),
        (Some(before), Some(time)) => {
            let (left, right) = (&histograms[before], &histograms[next]);
            if left.uses_custom_buckets() != right.uses_custom_buckets() {
                notes.add(Note::mixed_exponential_custom(position, metric));
                return None;
            }
            let gauge = CounterResetHint::Gauge;
            let counter = left.counter_reset_hint != gauge || right.counter_reset_hint != gauge;
            let sides = ((times[before], &**left), (*time, &**right));
            match between(sides.0, sides.1, moment, counter, position, notes) {
                Ok(histogram) => Some(Arc::new(histogram)),
                Err(IncompatibleSchemas) => {
                    notes.add(Note::mixed_exponential_custom(position, metric));
                    None
                }
            }
        }
        (Some(before), None) => {
            let hint = CounterResetHint::Unknown;
            Some(Arc::new(FloatHistogram { counter_reset_hint: hint, ..(*histograms[before]).clone() }))
        }
        (None, _) => None,
    }
}

/// The histogram between two. A counter that was reset began again at zero.
pub(crate) fn between(
    (before, left): (i64, &FloatHistogram),
    (after, right): (i64, &FloatHistogram),
    moment: i64,
    counter: bool,
    position: usize,
    notes: &mut Notes,
) -> Result<FloatHistogram, IncompatibleSchemas> {
    if moment == before {
        return Ok(left.clone());
    }
    if moment == after {
        return Ok(right.clone());
    }
    let fraction = (moment - before) as f64 / (after - before) as f64;
    let mut result = right.clone();
    if counter && right.detect_reset(left) {
        result.mul(fraction);
        return Ok(result);
    }
    if result.sub(left)?.custom_bounds {
        notes.add(Note::mismatched_custom_buckets(position, HistogramOperation::Subtraction));
    }
    result.mul(fraction);
    if result.add(left)?.custom_bounds {
        notes.add(Note::mismatched_custom_buckets(position, HistogramOperation::Addition));
    }
    Ok(result)
}
