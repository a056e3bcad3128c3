use std::sync::atomic::{AtomicU64, Ordering};

use super::{Level, LogEvent};

/// What a processor decides about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The line goes on to the next processor and then to the sinks.
    Keep,
    /// The line goes nowhere; it is counted as dropped by a processor.
    Drop,
}

/// Looks at every line before it is redacted and written: adds fields, changes them, or drops the line.
///
/// A closure `Fn(&mut LogEvent) -> Verdict` is a processor. Processors run in the thread that logs, in the order in which
/// they were added, and must not block. What they add is redacted as everything else. One that panics is counted and
/// the line goes on without it.
pub trait Processor: Send + Sync {
    /// Looks at one line.
    fn process(&self, event: &mut LogEvent) -> Verdict;
}

impl<F: Fn(&mut LogEvent) -> Verdict + Send + Sync> Processor for F {
    fn process(&self, event: &mut LogEvent) -> Verdict {
        self(event)
    }
}

/// Adds the same field to every line that does not have it.
#[derive(Clone, Debug)]
pub struct AddField {
    name: &'static str,
    value: String,
}

impl AddField {
    /// A processor that adds this field.
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }
}

impl Processor for AddField {
    fn process(&self, event: &mut LogEvent) -> Verdict {
        if event.get(self.name).is_none() {
            event.set(self.name, self.value.clone());
        }
        Verdict::Keep
    }
}

/// Keeps one line in `n` of those below warning whose event has this name: for events that come in floods.
#[derive(Debug)]
pub struct SampleEvent {
    event: String,
    one_in: u64,
    seen: AtomicU64,
}

impl SampleEvent {
    /// A processor that keeps the first, the `one_in + 1`-th … of the lines of this event. 0 and 1 keep all.
    pub fn new(event: impl Into<String>, one_in: u64) -> Self {
        Self { event: event.into(), one_in: one_in.max(1), seen: AtomicU64::new(0) }
    }
}

impl Processor for SampleEvent {
    fn process(&self, event: &mut LogEvent) -> Verdict {
        if event.level >= Level::Warning || event.event != self.event {
            return Verdict::Keep;
        }
        if self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_in) {
            Verdict::Keep
        } else {
            Verdict::Drop
        }
    }
}
