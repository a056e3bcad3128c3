//! A distribution over buckets.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::counter::add_float;
use super::exemplar::{Exemplar, ExemplarSlot, Exemplars};
use super::family::{Instrument, InstrumentOptions};
use super::snapshot::{HistogramValue, Kind, SeriesValue};

/// The upper bounds that the Prometheus clients use by default; meant for seconds.
pub const DEFAULT_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A bound histogram. Cloning is cheap and shares the series.
///
/// The count is the sum of the buckets, so `_count` and the `+Inf` bucket always agree. The sum is kept beside them: a
/// reader may see it without the observations that are being made at that very moment.
#[derive(Clone)]
pub struct Histogram(Arc<Cell>);

struct Cell {
    bounds: Arc<[f64]>,
    /// One count for each bound and one above them all; not cumulative.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
    refused: AtomicU64,
    exemplars: Arc<Exemplars>,
    slots: Box<[ExemplarSlot]>,
}

impl Histogram {
    /// Records a value, in the unit of the metric. When a sampled trace is running, the bucket may keep its id as an
    /// exemplar. Not-a-number is refused and counted in `tripod_self_metrics_refused_total`.
    pub fn observe(&self, value: f64) {
        let Some(bucket) = self.record(value) else { return };
        self.0.exemplars.offer(&self.0.slots[bucket], value);
    }

    /// Records a duration in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    /// Records a value with an exemplar of the caller's choice, whatever the bucket held before.
    pub fn observe_with(&self, value: f64, exemplar: Exemplar) {
        let Some(bucket) = self.record(value) else { return };
        self.0.exemplars.put(&self.0.slots[bucket], exemplar);
    }

    /// Records the seconds until the timer is dropped.
    #[must_use = "dropping the timer stops it"]
    pub fn start_timer(&self) -> Timer {
        Timer { histogram: self.clone(), start: Instant::now() }
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// The sum of all values.
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Relaxed))
    }

    fn record(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            self.0.refused.fetch_add(1, Relaxed);
            return None;
        }
        // A bound is inclusive: `le`.
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        add_float(&self.0.sum, value);
        self.0.counts[bucket].fetch_add(1, Relaxed);
        Some(bucket)
    }
}

/// Records the seconds since its start into a histogram when it is dropped.
#[derive(Debug)]
pub struct Timer {
    histogram: Histogram,
    start: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.histogram.observe_duration(self.start.elapsed());
    }
}

impl Instrument for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn new(options: &InstrumentOptions) -> Self {
        let buckets = options.bounds.len() + 1;
        Self(Arc::new(Cell {
            bounds: options.bounds.clone(),
            counts: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
            refused: AtomicU64::new(0),
            exemplars: options.exemplars.clone(),
            slots: (0..buckets).map(|_| ExemplarSlot::default()).collect(),
        }))
    }

    fn observe(&self) -> SeriesValue {
        SeriesValue::Histogram(HistogramValue {
            bounds: self.0.bounds.clone(),
            counts: self.0.counts.iter().map(|count| count.load(Relaxed)).collect(),
            sum: self.sum(),
            exemplars: self.0.slots.iter().map(ExemplarSlot::get).collect(),
        })
    }

    fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("count", &self.count()).field("sum", &self.sum()).finish()
    }
}
