//! Keeping failed and slow requests that the sampler did not choose, by deciding at the end of the local root.

#![expect(clippy::vec_box, reason = "spans are moved from hand to hand as pointers")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::{SpanData, pool};

/// Spans that one local root holds back at most.
const MAX_SPANS: usize = 512;
/// Bytes that all local roots together hold back at most.
const MAX_BYTES: usize = 16 << 20;

static HELD_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Which requests are kept although the sampler did not choose them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Those in which a span failed.
    pub errors: bool,
    /// Those whose local root took at least this long.
    pub slower_than: Option<Duration>,
}

impl Keep {
    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.errors || self.slower_than.is_some()
    }
}

/// What the spans below one local root wait in until it ends.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    failed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open { spans: Vec<Box<SpanData>>, bytes: usize },
    Kept,
    Discarded,
}

impl Default for State {
    fn default() -> Self {
        Self::Open { spans: Vec::new(), bytes: 0 }
    }
}

/// What is to be done with a span that ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It waits for its local root.
    Waits,
    /// It goes out.
    Goes(Box<SpanData>),
    /// Nobody wants it.
    Discarded(Box<SpanData>),
    /// It is wanted but there is no room to wait.
    NoRoom(Box<SpanData>),
}

impl Tail {
    /// Takes a span that ended before its local root, or after.
    pub(crate) fn span_ended(&self, span: Box<SpanData>) -> Ended {
        if span.is_error() {
            self.failed.store(true, Relaxed);
        }
        match &mut *self.state.lock() {
            State::Kept => Ended::Goes(span),
            State::Discarded => Ended::Discarded(span),
            State::Open { spans, bytes } => {
                let size = span.size();
                let held = HELD_BYTES.fetch_add(size, Relaxed);
                if spans.len() >= MAX_SPANS || held + size > MAX_BYTES {
                    HELD_BYTES.fetch_sub(size, Relaxed);
                    return Ended::NoRoom(span);
                }
                spans.push(span);
                *bytes += size;
                Ended::Waits
            }
        }
    }

    /// Decides. Gives what waited, in the order in which it ended, if the request is kept.
    pub(crate) fn root_ended(&self, keep: &Keep, root: &SpanData) -> Option<Vec<Box<SpanData>>> {
        let failed = root.is_error() || self.failed.load(Relaxed);
        let slow = keep.slower_than.is_some_and(|least| root.duration() >= least);
        let kept = (keep.errors && failed) || slow;
        let next = if kept { State::Kept } else { State::Discarded };
        let before = std::mem::replace(&mut *self.state.lock(), next);
        let State::Open { spans, bytes } = before else { return kept.then(Vec::new) };
        HELD_BYTES.fetch_sub(bytes, Relaxed);
        if kept {
            return Some(spans);
        }
        spans.into_iter().for_each(pool::give);
        None
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if let State::Open { bytes, .. } = self.state.get_mut() {
            HELD_BYTES.fetch_sub(*bytes, Relaxed);
        }
    }
}
