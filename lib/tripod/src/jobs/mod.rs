//! Background jobs and who watches them.

/// Watches jobs.
#[derive(Clone, Debug)]
pub struct JobObserver {}
