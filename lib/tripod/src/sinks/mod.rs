//! Where log events and spans go.

use std::time::Instant;

use crate::logs::LogEvent;

#[cfg(test)]
mod canary;
mod console;
pub mod file;
pub mod loki;
pub mod otlp;
mod stdout;
mod writer;

pub use console::{ConsoleMetrics, ConsoleSpans};
pub use stdout::WriteSink;

/// Takes log events. Events come redacted and with their context.
pub trait Sink: Send + Sync + 'static {
    /// Takes one event. Never blocks and never fails: what cannot be kept is counted in the sink's
    /// [`Account`](crate::accounts::Account).
    fn emit(&self, event: &LogEvent);

    /// Waits until everything that was emitted before is written, or until the deadline. True when all was written.
    fn flush(&self, deadline: Instant) -> bool;
}
