//! Observing background jobs.
