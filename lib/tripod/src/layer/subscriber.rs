//! The subscriber of a process that has no other layers.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

use super::slab::Slab;
use super::{Live, OpenSpans, TripodLayer};
use crate::context::{self, Parent};

/// A [`TripodLayer`] as a subscriber by itself: what [`init`](crate::init) installs. A span costs a third of what it costs on
/// a [`Registry`](tracing_subscriber::Registry).
///
/// Layers that store nothing with spans can be put on it by `with`. Others need a registry: put the
/// [layer](crate::Tripod::layer) beside them there.
#[derive(Debug)]
pub struct TripodSubscriber {
    layer: TripodLayer,
    spans: Slab,
    number: u64,
}

/// A span that a thread is in.
#[derive(Debug)]
struct Entered {
    /// The subscriber's: in tests one thread may have several in turn.
    subscriber: u64,
    id: Id,
}

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

impl TripodSubscriber {
    /// A subscriber that does what the layer says.
    pub fn new(layer: TripodLayer) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { layer, spans: Slab::default(), number: NEXT.fetch_add(1, Relaxed) }
    }

    pub(super) fn layer(&self) -> &TripodLayer {
        &self.layer
    }

    /// The live part of an open span. Nothing of the application's may run meanwhile.
    pub(super) fn look<R>(&self, id: &Id, look: impl FnOnce(&mut Live) -> R) -> Option<R> {
        self.spans.look(id, look)
    }

    pub(super) fn current_id(&self) -> Option<Id> {
        ENTERED
            .try_with(|entered| {
                let entered = entered.try_borrow().ok()?;
                entered.iter().rev().find(|entered| entered.subscriber == self.number).map(|entered| entered.id.clone())
            })
            .ok()
            .flatten()
    }

    pub(super) fn current_parent(&self) -> Option<Parent> {
        self.spans.nearest(&self.current_id()?, Live::as_parent)
    }
}

impl OpenSpans for TripodSubscriber {
    fn current(&self) -> Option<Id> {
        self.current_id()
    }

    fn look<R>(&self, id: &Id, look: impl FnOnce(&mut Live) -> R) -> Option<R> {
        self.spans.look(id, look)
    }

    fn nearest<R>(&self, id: &Id, look: impl FnOnce(&Live) -> R) -> Option<R> {
        self.spans.nearest(id, look)
    }

    fn view<R>(&self, id: &Id, view: impl FnOnce(&Live, &'static Metadata<'static>) -> R) -> Option<R> {
        self.spans.view(id, view)
    }
}

impl Subscriber for TripodSubscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.layer.interest(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.layer.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.layer.max_level())
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let above = match attributes.parent() {
            Some(parent) => Some(parent.clone()),
            None if attributes.is_contextual() => self.current_id(),
            None => None,
        };
        let (parent, above) = above.map_or((None, None), |above| self.spans.share(&above, Live::as_parent));
        let live = (!context::is_silent()).then(|| {
            // What a context brought along counts before the span that is entered.
            let carried = match attributes.is_contextual() {
                true => context::parent_over(above.as_ref().map(Id::into_u64)),
                false => None,
            };
            self.layer.begin(attributes, carried.or(parent))
        });
        self.spans.open(attributes.metadata(), above, live)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.layer.record(self, id, values);
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        self.layer.follows_from(self, id, follows);
    }

    fn event(&self, event: &Event<'_>) {
        self.layer.event(self, event);
    }

    fn enter(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| {
            if let Ok(mut entered) = entered.try_borrow_mut() {
                entered.push(Entered { subscriber: self.number, id: id.clone() });
            }
        });
    }

    fn exit(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| {
            if let Ok(mut entered) = entered.try_borrow_mut()
                && let Some(at) =
                    entered.iter().rposition(|entered| entered.subscriber == self.number && entered.id == *id)
            {
                entered.remove(at);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.spans.hold(id);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let Some(closed) = self.spans.release(&id) else { return false };
        let mut above = closed.above;
        self.layer.close(closed.live);
        // A chain of spans whose handles are gone ends from below, one by one.
        while let Some(closed) = above.and_then(|id| self.spans.release(&id)) {
            above = closed.above;
            self.layer.close(closed.live);
        }
        true
    }

    fn current_span(&self) -> Current {
        let current = self.current_id().and_then(|id| Some((self.spans.metadata(&id)?, id)));
        current.map_or_else(Current::none, |(metadata, id)| Current::new(id, metadata))
    }
}
