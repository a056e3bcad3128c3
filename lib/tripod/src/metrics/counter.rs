//! A number that only goes up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::exemplar::{Exemplar, ExemplarSlot, Exemplars};
use super::family::{Instrument, InstrumentOptions};
use super::snapshot::{Kind, SeriesValue};
use super::stripe::{self, STRIPES};

/// Up to this count, each addition may bring an exemplar; then one in [`ASKED_EVERY`].
const ASKED_FIRST: u64 = 64;
const ASKED_EVERY: u64 = 64;

/// A bound counter. Cloning is cheap and shares the series.
///
/// Whole and fractional additions are kept apart, so that [`inc`](Self::inc) is an addition to the thread's own stripe
/// instead of a compare-and-swap loop over a floating point number.
#[derive(Clone)]
pub struct Counter(Arc<Cell>);

struct Cell {
    /// Each written by the one thread that owns the stripe.
    stripes: [AtomicU64; STRIPES],
    /// Written by all other threads.
    shared: AtomicU64,
    /// The bits of an `f64`.
    fraction: AtomicU64,
    refused: AtomicU64,
    exemplars: Arc<Exemplars>,
    slot: ExemplarSlot,
}

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds a whole number. When a sampled trace is running, the series may keep its id as an exemplar.
    #[inline]
    pub fn add(&self, count: u64) {
        let before = match stripe::of_this_thread().and_then(|stripe| self.0.stripes.get(stripe)) {
            Some(stripe) => {
                let before = stripe.load(Relaxed);
                stripe.store(before.wrapping_add(count), Relaxed);
                before
            }
            None => self.0.shared.fetch_add(count, Relaxed),
        };
        // To ask for the running trace costs many times an addition: a busy counter asks now and then.
        if before < ASKED_FIRST || before % ASKED_EVERY < count {
            self.0.exemplars.offer(&self.0.slot, count as f64);
        }
    }

    /// Adds any amount, such as seconds or money. Negative and non-finite amounts are refused and counted in
    /// `tripod_self_metrics_refused_total`: a counter never goes down.
    pub fn add_f64(&self, amount: f64) {
        if !(amount >= 0.0 && amount.is_finite()) {
            self.0.refused.fetch_add(1, Relaxed);
            return;
        }
        add_float(&self.0.fraction, amount);
        self.0.exemplars.offer(&self.0.slot, amount);
    }

    /// What it stands at.
    pub fn value(&self) -> f64 {
        let stripes = self.0.stripes.iter().fold(0u64, |sum, stripe| sum.wrapping_add(stripe.load(Relaxed)));
        let whole = stripes.wrapping_add(self.0.shared.load(Relaxed));
        whole as f64 + f64::from_bits(self.0.fraction.load(Relaxed))
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

    fn new(options: &InstrumentOptions) -> Self {
        Self(Arc::new(Cell {
            stripes: Default::default(),
            shared: AtomicU64::new(0),
            fraction: AtomicU64::new(0f64.to_bits()),
            refused: AtomicU64::new(0),
            exemplars: options.exemplars.clone(),
            slot: ExemplarSlot::default(),
        }))
    }

    fn observe(&self) -> SeriesValue {
        SeriesValue::Counter(self.value())
    }

    fn exemplar(&self) -> Option<Exemplar> {
        self.0.slot.get()
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
