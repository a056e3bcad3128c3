use super::bounds::{coarser_index, exponential_bound};
use super::buckets::Indexed;
use super::layout::Side;
use super::sum::{Errors, add_up};
use super::{CounterResetHint, FloatHistogram, NativeSpan};

/// Histograms with custom bounds and such with a standard schema have no common buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncompatibleSchemas;

impl std::fmt::Display for IncompatibleSchemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")
    }
}

impl std::error::Error for IncompatibleSchemas {}

/// What had to be settled to add or subtract two histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// One was marked as reset, the other as not reset; the result is marked as unknown.
    pub counter_reset_collision: bool,
    /// Their custom bounds differed; the result has those that both have.
    pub custom_bounds: bool,
}

impl FloatHistogram {
    /// Adds another histogram; of different resolutions the coarser one counts.
    ///
    /// # Errors
    /// [`IncompatibleSchemas`] when one has custom bounds and the other has not; then nothing changed.
    pub fn add(&mut self, other: &Self) -> Result<Reconciled, IncompatibleSchemas> {
        self.combine(other, 1.0, &mut Errors::none(self))
    }

    /// Subtracts another histogram; of different resolutions the coarser one counts.
    ///
    /// # Errors
    /// As [`FloatHistogram::add`].
    pub fn sub(&mut self, other: &Self) -> Result<Reconciled, IncompatibleSchemas> {
        self.combine(other, -1.0, &mut Errors::none(self))
    }

    /// Multiplies all counts and the sum. A negative factor makes a gauge of it.
    pub fn mul(&mut self, factor: f64) -> &mut Self {
        self.scale(|value| value * factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
        self
    }

    /// Divides all counts and the sum. Zero leaves no buckets; a negative divisor makes a gauge of it.
    pub fn div(&mut self, divisor: f64) -> &mut Self {
        self.scale(|value| value / divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        } else if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
        self
    }

    fn scale(&mut self, scaled: impl Fn(f64) -> f64) {
        for value in [&mut self.count, &mut self.sum] {
            *value = scaled(*value);
        }
        // With custom bounds there is no bucket around zero, and dividing by zero does not make one.
        if !self.uses_custom_buckets() {
            self.zero_count = scaled(self.zero_count);
        }
        for value in self.positive_buckets.iter_mut().chain(&mut self.negative_buckets) {
            *value = scaled(*value);
        }
    }

    /// Whether any total, bucket or custom bound is infinite.
    pub fn has_overflow(&self) -> bool {
        let lists = [&self.positive_buckets, &self.negative_buckets, &self.custom_values];
        [self.count, self.sum, self.zero_count].iter().chain(lists.into_iter().flatten()).any(|part| part.is_infinite())
    }

    /// Adds `sign` times the other histogram and keeps account of rounding.
    pub(super) fn combine(
        &mut self,
        other: &Self,
        sign: f64,
        errors: &mut Errors,
    ) -> Result<Reconciled, IncompatibleSchemas> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let mut reconciled =
            Reconciled { counter_reset_collision: self.combine_hints(other.counter_reset_hint), custom_bounds: false };
        if !self.uses_custom_buckets() {
            let zero_count = self.reconcile_zero_buckets(other, errors);
            add_up(sign * zero_count, &mut self.zero_count, &mut errors.zero_count);
        }
        add_up(sign * other.count, &mut self.count, &mut errors.count);
        add_up(sign * other.sum, &mut self.sum, &mut errors.sum);

        if self.uses_custom_buckets() {
            if self.custom_values == other.custom_values {
                if self.positive_spans == other.positive_spans {
                    add_in_place(&mut self.positive_buckets, &mut errors.positive, &other.positive_buckets, sign);
                    return Ok(reconciled);
                }
                self.combine_positive(other, sign, errors, |index| index, |index| index, |_| false);
            } else {
                reconciled.custom_bounds = true;
                let common = common_bounds(&self.custom_values, &other.custom_values);
                let own = std::mem::take(&mut self.custom_values);
                let to_common = |bounds: &[f64], index| common_index(&common, bounds, index);
                self.combine_positive(
                    other,
                    sign,
                    errors,
                    |index| to_common(&own, index),
                    |index| to_common(&other.custom_values, index),
                    |_| false,
                );
                self.custom_values = common;
            }
            return Ok(reconciled);
        }

        let schema = self.schema.min(other.schema);
        let (own_shift, other_shift) = (self.schema.abs_diff(schema), other.schema.abs_diff(schema));
        let own = |index| coarser_index(index, own_shift);
        let theirs = |index| coarser_index(index, other_shift);
        // What lies within the bucket around zero was counted there. Told by the other's own bounds: a coarser bucket may
        // reach beyond the bucket around zero, and Prometheus, which looks at that one, counts observations twice then.
        let threshold = self.zero_threshold;
        let in_zero = |index| exponential_bound(index, other.schema) <= threshold;
        self.schema = schema;
        // The common case, two samples of one series: no bucket is new and none lies in the one around zero.
        if own_shift == 0
            && other_shift == 0
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && !other.positive_spans.first().is_some_and(|span| in_zero(span.offset))
            && !other.negative_spans.first().is_some_and(|span| in_zero(span.offset))
        {
            add_in_place(&mut self.positive_buckets, &mut errors.positive, &other.positive_buckets, sign);
            add_in_place(&mut self.negative_buckets, &mut errors.negative, &other.negative_buckets, sign);
            return Ok(reconciled);
        }
        self.combine_positive(other, sign, errors, own, theirs, in_zero);
        if !other.negative_buckets.is_empty() || own_shift > 0 {
            let left = (&self.negative_spans[..], &self.negative_buckets[..], &errors.negative[..]);
            let right = (&other.negative_spans[..], &other.negative_buckets[..]);
            let side = combined(left, right, sign, own, theirs, in_zero);
            errors.set_negative(side, self);
        }
        Ok(reconciled)
    }

    fn combine_positive(
        &mut self,
        other: &Self,
        sign: f64,
        errors: &mut Errors,
        own: impl Fn(i32) -> i32,
        theirs: impl Fn(i32) -> i32,
        in_zero: impl Fn(i32) -> bool,
    ) {
        let (spans, counts) = (&other.positive_spans[..], &other.positive_buckets[..]);
        let left = (&self.positive_spans[..], &self.positive_buckets[..], &errors.positive[..]);
        let side = combined(left, (spans, counts), sign, own, theirs, in_zero);
        errors.set_positive(side, self);
    }

    /// Settles what is known of resets; whether the two contradict each other.
    fn combine_hints(&mut self, other: CounterResetHint) -> bool {
        use CounterResetHint::{Gauge, Unknown};
        let own = self.counter_reset_hint;
        let collision = own != other && ![own, other].iter().any(|hint| matches!(hint, Gauge | Unknown));
        if own != other {
            self.counter_reset_hint = if own == Gauge || other == Gauge { Gauge } else { Unknown };
        }
        collision
    }
}

/// Adds counts that stand at the same places.
fn add_in_place(counts: &mut [f64], errors: &mut [f64], others: &[f64], sign: f64) {
    for ((count, error), other) in counts.iter_mut().zip(errors).zip(others) {
        add_up(sign * other, count, error);
    }
}

/// Merges the buckets of two sides, after each got its index in the common layout.
fn combined(
    left: (&[NativeSpan], &[f64], &[f64]),
    right: (&[NativeSpan], &[f64]),
    sign: f64,
    own: impl Fn(i32) -> i32,
    theirs: impl Fn(i32) -> i32,
    in_zero: impl Fn(i32) -> bool,
) -> Side {
    let mut side = Side::with_capacity(left.1.len().max(right.1.len()));
    let mut left =
        Indexed::new(left.0, left.1).zip(left.2).map(|((index, count), error)| (own(index), count, *error)).peekable();
    let mut right = Indexed::new(right.0, right.1)
        .skip_while(|(index, _)| in_zero(*index))
        .map(|(index, count)| (theirs(index), count));
    let mut next = right.next();
    while let Some((index, count)) = next {
        while let Some((own, count, error)) = left.next_if(|(own, ..)| *own <= index) {
            side.push(own, count, error);
        }
        side.push(index, sign * count, 0.0);
        next = right.next();
    }
    for (own, count, error) in left {
        side.push(own, count, error);
    }
    side
}

/// The bounds that two lists share.
pub(super) fn common_bounds(left: &[f64], right: &[f64]) -> Vec<f64> {
    let mut rest = right;
    left.iter()
        .filter(|bound| {
            let smaller = rest.iter().take_while(|other| *other < *bound).count();
            rest = &rest[smaller..];
            rest.first() == Some(*bound)
        })
        .copied()
        .collect()
}

/// Where the bucket of an index into `bounds` lies among the common bounds.
pub(super) fn common_index(common: &[f64], bounds: &[f64], index: i32) -> i32 {
    let bound = usize::try_from(index).ok().and_then(|index| bounds.get(index)).copied().unwrap_or(f64::INFINITY);
    common.partition_point(|each| *each < bound) as i32
}
