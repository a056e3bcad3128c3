//! The layer that makes spans and log events out of what `tracing` reports.

use crate::context::SpanContext;

/// The ids of the innermost `tracing` span.
pub(crate) fn current_span() -> Option<SpanContext> {
    None
}
