//! Why a query gave no answer, or only a part of one.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use datafusion::error::DataFusionError;
use http::{HeaderValue, StatusCode, header};
use thiserror::Error;
use tripod_storage::SelectError;

/// Why a query gave no answer, or only a part of one. The text is for the person who wrote the query.
#[derive(Debug, Error)]
pub(crate) enum QueryError {
    /// The request or the query is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The query's text is longer than allowed.
    #[error("the query has more than {max_bytes} bytes (setting sql.max_query_bytes)")]
    TooLong { max_bytes: usize },
    /// As many queries run as may.
    #[error("{running} queries are running already (setting sql.max_concurrent); try again in a moment")]
    Busy { running: usize },
    /// The query ran out of time.
    #[error(
        "the query took longer than {seconds}s; narrow its time range, or ask for more with timeout_seconds (at most \
         setting sql.timeout_seconds)"
    )]
    Timeout { seconds: u64 },
    /// The query ran out of memory.
    #[error(
        "the query needs more memory than there is for all queries, {max_bytes} bytes (setting sql.max_memory_bytes); \
         narrow its time range, or group or sort fewer rows"
    )]
    Memory { max_bytes: usize },
    /// The `Accept` header names no format that there is.
    #[error(
        "none of the accepted types can be given; there are application/json, application/x-ndjson, \
         application/jsonl, text/csv and application/vnd.apache.arrow.stream"
    )]
    NotAcceptable,
    /// The store or the engine failed.
    #[error("the query failed: {0}")]
    Failed(String),
}

impl QueryError {
    /// From an error of planning or running.
    pub(super) fn new(error: &DataFusionError, max_memory_bytes: usize) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory { max_bytes: max_memory_bytes },
            DataFusionError::External(cause) => match cause.downcast_ref::<SelectError>() {
                Some(SelectError::Failed(cause)) => Self::Failed(cause.to_string()),
                Some(SelectError::Invalid(reason)) => Self::Failed(reason.clone()),
                None => Self::Failed(cause.to_string()),
            },
            root @ (DataFusionError::Internal(_)
            | DataFusionError::ExecutionJoin(_)
            | DataFusionError::IoError(_)
            | DataFusionError::ParquetError(_)
            | DataFusionError::ObjectStore(_)) => Self::Failed(clean(root)),
            root => Self::Invalid(clean(root)),
        }
    }

    /// 408 would be the client's slowness and is repeated unasked by browsers; 503 asks for a repetition that would
    /// only cost the same again. So a query that takes too long is 504.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Memory { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.to_string() }).to_string();
        let mut response = (self.status(), [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if matches!(self, Self::Busy { .. }) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The engine's words without what only its developers need.
fn clean(error: &DataFusionError) -> String {
    let message: Cow<'_, str> = match error {
        DataFusionError::SQL(cause, _) => Cow::Owned(cause.to_string()),
        DataFusionError::ArrowError(cause, _) => Cow::Owned(cause.to_string()),
        DataFusionError::SchemaError(cause, _) => Cow::Owned(cause.to_string()),
        other => other.message(),
    };
    let message = message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
    let message = message.split("\nThis issue was likely caused by a bug").next().unwrap_or_default();
    // Our tables have some eighty columns; the nearest one stands before the list, DESCRIBE gives them all.
    let message = message.split("\nValid fields are").next().unwrap_or_default();
    message.trim().to_owned()
}
