//! Exemplars: the trace behind one of the values in a bucket, or one of a counter's additions.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::context::{self, SpanContext, SpanId, TraceId};

/// Gives the span that is running, when its trace is sampled: an exemplar must lead to a trace that exists.
pub type ExemplarSource = fn() -> Option<SpanContext>;

/// One recorded value and the trace in which it was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The value, in the unit of the metric.
    pub value: f64,
    /// When it was recorded: nanoseconds since the Unix epoch.
    pub time: u64,
}

impl Exemplar {
    /// An exemplar of this moment.
    pub fn now(context: &SpanContext, value: f64) -> Self {
        Self { trace_id: context.trace_id, span_id: context.span_id, value, time: now() }
    }
}

/// Nanoseconds since the Unix epoch.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// What all counters and histograms of a registry share about exemplars.
pub(super) struct Exemplars {
    source: Option<ExemplarSource>,
    /// Grows with every collection. A bucket keeps the first exemplar after each collection, so that a busy bucket
    /// pays for the clock and the lock once per scrape and not once per value.
    collection: AtomicU64,
}

/// The exemplar of one bucket or counter.
#[derive(Default)]
pub(super) struct ExemplarSlot {
    collection: AtomicU64,
    exemplar: Mutex<Option<Exemplar>>,
}

impl ExemplarSlot {
    pub(super) fn get(&self) -> Option<Exemplar> {
        *self.exemplar.lock()
    }
}

impl Exemplars {
    pub(super) fn new(source: Option<ExemplarSource>) -> Self {
        Self { source, collection: AtomicU64::new(1) }
    }

    pub(super) fn collected(&self) {
        self.collection.fetch_add(1, Relaxed);
    }

    /// Keeps the running trace as the bucket's exemplar, when the bucket has none since the last collection.
    #[inline]
    pub(super) fn offer(&self, slot: &ExemplarSlot, value: f64) {
        let Some(source) = self.source else { return };
        if slot.collection.load(Relaxed) == self.collection.load(Relaxed) {
            return;
        }
        if let Some(context) = source() {
            self.put(slot, Exemplar::now(&context, value));
        }
    }

    pub(super) fn put(&self, slot: &ExemplarSlot, exemplar: Exemplar) {
        // A reader or another writer is at the slot: that one's exemplar is as good as this one.
        if let Some(mut place) = slot.exemplar.try_lock() {
            *place = Some(exemplar);
            slot.collection.store(self.collection.load(Relaxed), Relaxed);
        }
    }
}

impl fmt::Debug for Exemplars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exemplars").finish_non_exhaustive()
    }
}

/// The running span, when its trace is sampled: the source that `tripod::init` gives a registry.
pub fn sampled_span() -> Option<SpanContext> {
    context::current_span().filter(|span| span.flags.is_sampled())
}
