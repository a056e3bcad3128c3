use http::StatusCode;
use tripod_promql::engine::{QueryError, QueryErrorKind};
use tripod_promql::literal::quote;
use tripod_storage::{AppendError, SelectError};

/// Why a request got no answer, in Prometheus' types and words.
#[derive(Debug)]
pub(super) struct ApiError {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    BadData,
    Execution,
    Timeout,
    Canceled,
    Internal,
    Unavailable,
}

impl ApiError {
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self { kind: Kind::BadData, message: message.into() }
    }

    /// A parameter has a value that cannot be.
    pub(super) fn invalid(parameter: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {}: {reason}", quote(parameter)))
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unavailable, message: message.into() }
    }

    /// A query that could not be answered.
    pub(super) fn query(error: QueryError) -> Self {
        let kind = match error.kind {
            QueryErrorKind::BadData => return Self::invalid("query", error.message),
            QueryErrorKind::Execution => Kind::Execution,
            QueryErrorKind::Timeout => Kind::Timeout,
            QueryErrorKind::Canceled => Kind::Canceled,
            QueryErrorKind::Internal => Kind::Internal,
        };
        Self { kind, message: error.message }
    }

    /// `errorType`
    pub(super) fn kind(&self) -> &'static str {
        match self.kind {
            Kind::BadData => "bad_data",
            Kind::Execution => "execution",
            Kind::Timeout => "timeout",
            Kind::Canceled => "canceled",
            Kind::Internal => "internal",
            Kind::Unavailable => "unavailable",
        }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn status(&self) -> StatusCode {
        match self.kind {
            Kind::BadData => StatusCode::BAD_REQUEST,
            Kind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            // nginx' code for a client that is gone; 499 is a valid one.
            Kind::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Kind::Internal | Kind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<SelectError> for ApiError {
    fn from(error: SelectError) -> Self {
        Self { kind: Kind::Execution, message: error.to_string() }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        Self { kind: Kind::Internal, message: error.to_string() }
    }
}
