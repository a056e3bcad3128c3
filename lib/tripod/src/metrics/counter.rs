//! A number that only goes up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::family::{Instrument, InstrumentOptions};
use super::snapshot::{Kind, SeriesValue};

/// A bound counter. Cloning is cheap and shares the series.
///
/// Whole and fractional additions are kept apart, so that [`inc`](Self::inc) is one atomic addition instead of a
/// compare-and-swap loop over a floating point number.
#[derive(Clone)]
pub struct Counter(Arc<Cell>);

struct Cell {
    whole: AtomicU64,
    /// The bits of an `f64`.
    fraction: AtomicU64,
    refused: AtomicU64,
}

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.0.whole.fetch_add(1, Relaxed);
    }

    /// Adds a whole number.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.whole.fetch_add(count, Relaxed);
    }

    /// Adds any amount, such as seconds or money. Negative and non-finite amounts are refused and counted in
    /// `tripod_self_metrics_refused_total`: a counter never goes down.
    pub fn add_f64(&self, amount: f64) {
        if !(amount >= 0.0 && amount.is_finite()) {
            self.0.refused.fetch_add(1, Relaxed);
            return;
        }
        add_float(&self.0.fraction, amount);
    }

    /// What it stands at.
    pub fn value(&self) -> f64 {
        self.0.whole.load(Relaxed) as f64 + f64::from_bits(self.0.fraction.load(Relaxed))
    }
}

/// Adds to a floating point number that is kept as bits.
pub(super) fn add_float(bits: &AtomicU64, amount: f64) {
    let mut current = bits.load(Relaxed);
    loop {
        let next = (f64::from_bits(current) + amount).to_bits();
        match bits.compare_exchange_weak(current, next, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(seen) => current = seen,
        }
    }
}

impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;

    fn new(_options: &InstrumentOptions) -> Self {
        let zero = || AtomicU64::new(0);
        Self(Arc::new(Cell { whole: zero(), fraction: AtomicU64::new(0f64.to_bits()), refused: zero() }))
    }

    fn observe(&self) -> SeriesValue {
        SeriesValue::Counter(self.value())
    }

    fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.value()).finish()
    }
}
