use super::arithmetic::{common_bounds, common_index};
use super::bounds::exponential_bound;
use super::buckets::{Indexed, coarsened, merged};
use super::{CounterResetHint, FloatHistogram};
use crate::series::is_stale;

impl FloatHistogram {
    /// Whether the counts began anew since the previous sample of the series.
    ///
    /// The hint decides when it knows. Otherwise there was a reset when a count became smaller, a populated bucket is
    /// gone, the schema became finer, or the bucket around zero became narrower or now ends within a populated bucket of
    /// the previous sample. The sum does not count.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::CounterReset => return true,
            CounterResetHint::NotCounterReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        let (own, before) = (
            Indexed::new(&self.positive_spans, &self.positive_buckets),
            Indexed::new(&previous.positive_spans, &previous.positive_buckets),
        );
        match (self.uses_custom_buckets(), previous.uses_custom_buckets()) {
            (true, true) if self.custom_values == previous.custom_values => return lost(own, before),
            (true, true) => {
                let common = common_bounds(&self.custom_values, &previous.custom_values);
                let common = &common;
                return lost(
                    merged(own.map(|(index, count)| (common_index(common, &self.custom_values, index), count))),
                    merged(before.map(|(index, count)| (common_index(common, &previous.custom_values, index), count))),
                );
            }
            (true, false) | (false, true) => return true,
            (false, false) => {}
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold, _) = previous.zero_count_within(self.zero_threshold, None);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let shift = self.schema.abs_diff(previous.schema);
        // Told by each one's own bounds, as when histograms are added.
        let in_zero = |schema| move |(index, _): &(i32, f64)| exponential_bound(*index, schema) <= self.zero_threshold;
        let negative = Indexed::new(&self.negative_spans, &self.negative_buckets);
        let negative_before = Indexed::new(&previous.negative_spans, &previous.negative_buckets);
        [(own, before), (negative, negative_before)].into_iter().any(|(own, before)| {
            let before = before.skip_while(in_zero(previous.schema));
            lost(own.skip_while(in_zero(self.schema)), coarsened(before, shift))
        })
    }

    /// What a store can say of a reset between the previous sample of the series and this one.
    ///
    /// A hint that the sample came with stays. Otherwise it is known that there was none, or nothing is known, also after
    /// a reset: where samples are read that are not neighbours in the store, the resets between them have to be looked
    /// for. As Prometheus' storage answers.
    pub fn hint_after(&self, previous: &Self) -> CounterResetHint {
        let comparable = previous.counter_reset_hint != CounterResetHint::Gauge
            && !is_stale(previous.sum)
            && !is_stale(self.sum)
            && self.schema == previous.schema
            && self.zero_threshold == previous.zero_threshold
            && self.custom_values == previous.custom_values;
        match self.counter_reset_hint {
            CounterResetHint::Unknown if comparable && !self.detect_reset(previous) => {
                CounterResetHint::NotCounterReset
            }
            hint => hint,
        }
    }

    /// As [`FloatHistogram::detect_reset`], as a hint.
    pub fn detected_hint(&self, previous: &Self) -> CounterResetHint {
        match self.counter_reset_hint {
            CounterResetHint::Unknown if self.detect_reset(previous) => CounterResetHint::CounterReset,
            CounterResetHint::Unknown => CounterResetHint::NotCounterReset,
            hint => hint,
        }
    }
}

/// Whether a bucket holds less than before.
fn lost(now: impl Iterator<Item = (i32, f64)>, before: impl Iterator<Item = (i32, f64)>) -> bool {
    let mut now = now.peekable();
    for (index, count) in before {
        while now.next_if(|(own, _)| *own < index).is_some() {}
        let held = now.peek().filter(|(own, _)| *own == index).map(|(_, held)| *held);
        if held.map_or(count != 0.0, |held| held < count) {
            return true;
        }
    }
    false
}
