//! Spans that ended lend their memory to those that begin, thread by thread.

use std::cell::RefCell;

use super::{SpanData, SpanKind, Status};
use crate::context::SpanContext;
use crate::field::{Fields, Name};

/// Spans that one thread keeps at most.
const MAX_SPANS: usize = 64;

/// Lists of attributes and events with room for more than this are not kept.
const MAX_ROOM: usize = 128;

thread_local! {
    #[expect(clippy::vec_box, reason = "spans are moved from hand to hand as pointers")]
    static FREE: RefCell<Vec<Box<SpanData>>> = const { RefCell::new(Vec::new()) };
}

/// An empty span.
pub(crate) fn take() -> Box<SpanData> {
    let free = FREE.try_with(|free| free.try_borrow_mut().ok()?.pop()).ok().flatten();
    free.unwrap_or_else(|| {
        Box::new(SpanData {
            context: SpanContext::default(),
            parent: None,
            parent_is_remote: false,
            name: Name::Borrowed(""),
            kind: SpanKind::Internal,
            scope: Name::Borrowed(""),
            start: 0,
            end: 0,
            attributes: Fields::new(),
            dropped_attributes: 0,
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
            status: Status::Unset,
        })
    })
}

/// Takes a span back that nobody needs any more.
pub(crate) fn give(mut span: Box<SpanData>) {
    span.name = Name::Borrowed("");
    span.scope = Name::Borrowed("");
    span.context = SpanContext::default();
    (span.parent, span.parent_is_remote, span.kind, span.status) = (None, false, SpanKind::Internal, Status::Unset);
    (span.start, span.end) = (0, 0);
    (span.dropped_attributes, span.dropped_events, span.dropped_links) = (0, 0, 0);
    span.attributes.clear();
    span.events.clear();
    span.links.clear();
    if span.attributes.capacity() > MAX_ROOM || span.events.capacity() > MAX_ROOM || span.links.capacity() > 0 {
        return;
    }
    // While the thread ends there is no place to keep it.
    let _ = FREE.try_with(|free| {
        if let Ok(mut free) = free.try_borrow_mut()
            && free.len() < MAX_SPANS
        {
            free.push(span);
        }
    });
}
