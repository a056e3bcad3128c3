//! The layer that makes spans and log events out of what `tracing` reports.
