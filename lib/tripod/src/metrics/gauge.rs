//! A number that goes up and down.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::counter::add_float;
use super::family::{Instrument, InstrumentOptions};
use super::snapshot::{Kind, SeriesValue};

/// A bound gauge. Cloning is cheap and shares the series.
#[derive(Clone)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Takes one away.
    pub fn dec(&self) {
        self.add(-1.0);
    }

    /// Adds any amount, negative ones too.
    pub fn add(&self, amount: f64) {
        add_float(&self.0, amount);
    }

    /// Adds one until the guard is dropped: for what is in flight, however it ends.
    #[must_use = "dropping the guard takes the one away again"]
    pub fn track(&self) -> GaugeGuard {
        self.inc();
        GaugeGuard(self.clone())
    }

    /// What it stands at.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// Takes one away from a gauge when it is dropped.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Instrument for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn new(_options: &InstrumentOptions) -> Self {
        Self(Arc::new(AtomicU64::new(0f64.to_bits())))
    }

    fn observe(&self) -> SeriesValue {
        SeriesValue::Gauge(self.value())
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.value()).finish()
    }
}
