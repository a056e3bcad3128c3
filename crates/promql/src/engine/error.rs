/// Why a query gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// The kind, as Prometheus' HTTP API tells them apart.
    pub kind: QueryErrorKind,
    /// What is wrong, in Prometheus' words.
    pub message: String,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryErrorKind {
    /// The query is no valid PromQL, or uses what is switched off.
    BadData,
    /// The query is valid, but the data or a limit does not allow to evaluate it.
    Execution,
    /// It took longer than it may.
    Timeout,
    /// Whoever asked no longer waits, or the server stops.
    Canceled,
    /// The store could not be read.
    Internal,
}

impl QueryErrorKind {
    /// The name in Prometheus' HTTP API (`errorType`).
    pub fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Internal => "internal",
        }
    }
}

impl QueryError {
    pub(crate) fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::BadData, message)
    }

    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::Execution, message)
    }
}
