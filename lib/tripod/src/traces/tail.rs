//! Keeping failed and slow requests that the sampler did not choose, by deciding at the end of the local root.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::SpanData;

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
    Open { spans: Vec<Arc<SpanData>>, bytes: usize },
    Kept,
    Discarded,
}

impl Default for State {
    fn default() -> Self {
        Self::Open { spans: Vec::new(), bytes: 0 }
    }
}

/// What is to be done with a span that ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It waits for its local root.
    Waits,
    /// It goes out.
    Goes,
    /// Nobody wants it.
    Discarded,
    /// It is wanted but there is no room to wait.
    NoRoom,
}

impl Tail {
    /// Takes a span that ended before its local root, or after.
    pub(crate) fn span_ended(&self, span: &Arc<SpanData>) -> Ended {
        if span.is_error() {
            self.failed.store(true, Relaxed);
        }
        match &mut *self.state.lock() {
            State::Kept => Ended::Goes,
            State::Discarded => Ended::Discarded,
            State::Open { spans, bytes } => {
                let size = span.size();
                let held = HELD_BYTES.fetch_add(size, Relaxed);
                if spans.len() >= MAX_SPANS || held + size > MAX_BYTES {
                    HELD_BYTES.fetch_sub(size, Relaxed);
                    return Ended::NoRoom;
                }
                spans.push(span.clone());
                *bytes += size;
                Ended::Waits
            }
        }
    }

    /// Decides. Gives what waited if it is kept, in the order in which it ended, the local root last.
    pub(crate) fn root_ended(&self, keep: &Keep, root: &Arc<SpanData>) -> Vec<Arc<SpanData>> {
        let failed = root.is_error() || self.failed.load(Relaxed);
        let slow = keep.slower_than.is_some_and(|least| root.duration() >= least);
        let kept = (keep.errors && failed) || slow;
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut *state, if kept { State::Kept } else { State::Discarded });
        let mut waited = match before {
            State::Open { spans, bytes } => {
                HELD_BYTES.fetch_sub(bytes, Relaxed);
                spans
            }
            _ => Vec::new(),
        };
        if kept {
            waited.push(root.clone());
            waited
        } else {
            Vec::new()
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if let State::Open { bytes, .. } = self.state.get_mut() {
            HELD_BYTES.fetch_sub(*bytes, Relaxed);
        }
    }
}
