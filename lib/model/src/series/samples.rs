use std::sync::Arc;

use super::{CounterResetHint, FloatHistogram};

/// The NaN that marks a series as gone from a moment on. Only these exact bits; any other NaN is a value.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the stale marker, by its bits.
#[inline]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// Samples of one series in columns: floats and native histograms apart, each by ascending time.
///
/// A series may hold both, but never two samples of the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// The float samples.
    pub floats: FloatSamples,
    /// The native histograms.
    pub histograms: HistogramSamples,
}

/// Float samples: columns of equal length, ascending in time.
#[derive(Clone, Debug, Default)]
pub struct FloatSamples {
    /// Milliseconds since the Unix epoch, strictly ascending.
    pub timestamps: Vec<i64>,
    /// The values; stale markers are among them.
    pub values: Vec<f64>,
    /// When the counter began, milliseconds since the Unix epoch, 0 where unknown; empty when unknown for all.
    pub start_timestamps: Vec<i64>,
}

/// Native histograms: columns of equal length, ascending in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSamples {
    /// Milliseconds since the Unix epoch, strictly ascending.
    pub timestamps: Vec<i64>,
    /// The histograms; a stale marker is a histogram whose sum is [`STALE_NAN`].
    pub values: Vec<Arc<FloatHistogram>>,
    /// As in [`FloatSamples::start_timestamps`].
    pub start_timestamps: Vec<i64>,
}

impl PartialEq for FloatSamples {
    /// By bits, so that a stale marker equals itself and no other NaN.
    fn eq(&self, other: &Self) -> bool {
        self.timestamps == other.timestamps
            && self.start_timestamps == other.start_timestamps
            && self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(a, b)| a.to_bits() == b.to_bits())
    }
}

impl Samples {
    /// How many samples there are of both kinds.
    pub fn len(&self) -> usize {
        self.floats.timestamps.len() + self.histograms.timestamps.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FloatSamples {
    /// Adds a sample at a place where it keeps the order of time; `start` is 0 when unknown.
    pub fn insert(&mut self, place: usize, timestamp: i64, value: f64, start: i64) {
        if start != 0 || !self.start_timestamps.is_empty() {
            self.start_timestamps.resize(self.timestamps.len(), 0);
            self.start_timestamps.insert(place, start);
        }
        self.timestamps.insert(place, timestamp);
        self.values.insert(place, value);
    }

    /// Adds a sample that is later than all before; `start` is 0 when unknown.
    pub fn push(&mut self, timestamp: i64, value: f64, start: i64) {
        fill_start(&mut self.start_timestamps, self.timestamps.len(), start);
        self.timestamps.push(timestamp);
        self.values.push(value);
    }
}

impl HistogramSamples {
    /// Adds a sample at a place where it keeps the order of time; `start` is 0 when unknown.
    pub fn insert(&mut self, place: usize, timestamp: i64, value: Arc<FloatHistogram>, start: i64) {
        if start != 0 || !self.start_timestamps.is_empty() {
            self.start_timestamps.resize(self.timestamps.len(), 0);
            self.start_timestamps.insert(place, start);
        }
        self.timestamps.insert(place, timestamp);
        self.values.insert(place, value);
    }

    /// Adds a sample at a place where it keeps the order of time. It is compared with the one that it follows, to know
    /// whether there was a reset ([`FloatHistogram::hint_after`]); the one that follows it has a new neighbour.
    pub fn insert_compared(&mut self, place: usize, timestamp: i64, mut value: Arc<FloatHistogram>, start: i64) {
        if let Some(before) = place.checked_sub(1) {
            let hint = value.hint_after(&self.values[before]);
            if hint != value.counter_reset_hint {
                Arc::make_mut(&mut value).counter_reset_hint = hint;
            }
        }
        self.insert(place, timestamp, value, start);
        self.forget_neighbour(place + 1);
    }

    /// Says of the histogram at a place, if there is one, that nothing is known of a reset before it, because another
    /// sample is its neighbour now than the one it was compared with.
    pub fn forget_neighbour(&mut self, place: usize) {
        if let Some(histogram) = self.values.get_mut(place)
            && histogram.counter_reset_hint == CounterResetHint::NotCounterReset
        {
            Arc::make_mut(histogram).counter_reset_hint = CounterResetHint::Unknown;
        }
    }

    /// Adds a histogram that is later than all before; `start` is 0 when unknown.
    pub fn push(&mut self, timestamp: i64, value: Arc<FloatHistogram>, start: i64) {
        fill_start(&mut self.start_timestamps, self.timestamps.len(), start);
        self.timestamps.push(timestamp);
        self.values.push(value);
    }
}

impl Samples {
    /// Puts a float at its time, where none is; `start` is 0 when unknown.
    pub fn insert_float(&mut self, timestamp: i64, value: f64, start: i64) {
        let place = self.floats.timestamps.partition_point(|time| *time < timestamp);
        self.floats.insert(place, timestamp, value, start);
        let next = self.histograms.timestamps.partition_point(|time| *time < timestamp);
        self.histograms.forget_neighbour(next);
    }

    /// Puts a histogram at its time, where none is; `start` is 0 when unknown. It is compared with the histogram that it
    /// follows, once and for all queries, to know whether there was a reset ([`FloatHistogram::hint_after`]).
    pub fn insert_histogram(&mut self, timestamp: i64, value: Arc<FloatHistogram>, start: i64) {
        let place = self.histograms.timestamps.partition_point(|time| *time < timestamp);
        let float_before = self.floats.timestamps.partition_point(|time| *time < timestamp).checked_sub(1);
        if let Some(before) = place.checked_sub(1)
            && float_before.is_none_or(|float| self.floats.timestamps[float] < self.histograms.timestamps[before])
        {
            return self.histograms.insert_compared(place, timestamp, value, start);
        }
        self.histograms.insert(place, timestamp, value, start);
        self.histograms.forget_neighbour(place + 1);
    }

    /// Removes the samples from `first` to `last`, both included.
    pub fn remove(&mut self, first: i64, last: i64) {
        let place = |times: &[i64]| {
            let from = times.partition_point(|time| *time < first);
            from..times.partition_point(|time| *time <= last).max(from)
        };
        let floats = place(&self.floats.timestamps);
        self.floats.values.drain(floats.clone());
        self.floats.timestamps.drain(floats.clone());
        if !self.floats.start_timestamps.is_empty() {
            self.floats.start_timestamps.drain(floats);
        }
        let histograms = place(&self.histograms.timestamps);
        self.histograms.values.drain(histograms.clone());
        self.histograms.timestamps.drain(histograms.clone());
        if !self.histograms.start_timestamps.is_empty() {
            self.histograms.start_timestamps.drain(histograms.clone());
        }
        if !histograms.is_empty() {
            self.histograms.forget_neighbour(histograms.start);
        }
    }
}

/// The column of start times stays empty until one is known.
fn fill_start(starts: &mut Vec<i64>, samples: usize, start: i64) {
    if start != 0 || !starts.is_empty() {
        starts.resize(samples, 0);
        starts.push(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_marker_is_told_by_its_bits() {
        assert!(is_stale(STALE_NAN));
        assert!(!is_stale(f64::NAN));
        assert!(STALE_NAN.is_nan());
    }

    #[test]
    fn start_times_take_no_room_until_one_is_known() {
        let mut samples = FloatSamples::default();
        samples.push(1, 1.0, 0);
        assert!(samples.start_timestamps.is_empty());
        samples.push(2, 2.0, 1);
        samples.push(3, 3.0, 0);
        assert_eq!(samples.start_timestamps, [0, 1, 0]);
    }

    #[test]
    fn what_is_known_of_resets_holds_between_neighbours_only() {
        use CounterResetHint::{NotCounterReset, Unknown};
        let histogram = |count| Arc::new(FloatHistogram { count, ..FloatHistogram::default() });
        let hints = |samples: &Samples| {
            samples.histograms.values.iter().map(|histogram| histogram.counter_reset_hint).collect::<Vec<_>>()
        };
        let mut samples = Samples::default();
        for (time, count) in [(0, 1.0), (10, 2.0), (20, 3.0), (30, 1.0), (40, 2.0), (60, 3.0), (70, 3.0)] {
            samples.insert_histogram(time, histogram(count), 0);
        }
        let known = NotCounterReset;
        assert_eq!(hints(&samples), [Unknown, known, known, Unknown, known, known, known]);
        samples.insert_histogram(15, histogram(2.0), 0);
        assert_eq!(hints(&samples), [Unknown, known, known, Unknown, Unknown, known, known, known]);
        samples.insert_float(50, 1.0, 0);
        assert_eq!(hints(&samples), [Unknown, known, known, Unknown, Unknown, known, Unknown, known]);
        samples.insert_histogram(55, histogram(2.0), 0);
        assert_eq!(hints(&samples)[6], Unknown, "a float stands between");
        samples.remove(10, 60);
        assert_eq!(hints(&samples), [Unknown, Unknown]);
    }
}
