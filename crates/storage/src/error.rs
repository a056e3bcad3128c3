use std::time::Duration;

use thiserror::Error;

/// Why a batch was not kept.
#[derive(Debug, Error)]
pub enum AppendError {
    /// The store takes no more just now: memory, queue or disk is full. The sender keeps the data and tries again.
    #[error("{reason}; try again in {}s", retry_after.as_secs().max(1))]
    Overloaded {
        /// What is exhausted, in words for the sender.
        reason: String,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The store is stopping; another attempt reaches its successor.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The batch does not have its signal's schema: a bug of the caller.
    #[error("invalid batch: {0}")]
    Invalid(String),
    /// The store failed in a way that the sender cannot mend.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Why a query gave no rows or stopped.
#[derive(Debug, Error)]
pub enum SelectError {
    /// The select names a column that the signal does not have, or compares it with a value of another type.
    #[error("invalid select: {0}")]
    Invalid(String),
    /// Reading failed.
    #[error("the store could not be read: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<arrow::error::ArrowError> for SelectError {
    fn from(error: arrow::error::ArrowError) -> Self {
        SelectError::Failed(Box::new(error))
    }
}
