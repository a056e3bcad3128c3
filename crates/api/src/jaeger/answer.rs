//! The envelope of every answer.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use tripod_model::TraceId;
use tripod_storage::SelectError;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct JaegerError {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl JaegerError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "trace not found")
    }
}

impl From<SelectError> for JaegerError {
    fn from(error: SelectError) -> Self {
        tracing::error!(%error, "reading for the Jaeger API failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<arrow::error::ArrowError> for JaegerError {
    fn from(error: arrow::error::ArrowError) -> Self {
        SelectError::from(error).into()
    }
}

impl IntoResponse for JaegerError {
    fn into_response(self) -> Response {
        let error = serde_json::json!([{ "code": self.status.as_u16(), "msg": self.message }]);
        let body = format!("{{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":{error}}}");
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// A good answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// A JSON array.
    pub(super) data: Vec<u8>,
    /// How many elements it has.
    pub(super) total: usize,
    /// How many were asked for; 0 when no limit applies.
    pub(super) limit: usize,
    /// Traces that were asked for by id and are not there.
    pub(super) missing: Vec<TraceId>,
    /// How many rows the answer was made from, for the metrics.
    pub(super) rows: u64,
}

impl Answer {
    /// An array of whatever serializes.
    pub(super) fn of<T: serde::Serialize>(elements: &[T], rows: u64) -> Result<Self, JaegerError> {
        let data = serde_json::to_vec(elements)
            .map_err(|error| JaegerError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        Ok(Self { data, total: elements.len(), rows, ..Self::default() })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(self.data.len() + 128);
        body.extend_from_slice(b"{\"data\":");
        body.extend_from_slice(&self.data);
        let errors = match self.missing.is_empty() {
            true => serde_json::Value::Null,
            false => {
                let error = |id: &TraceId| serde_json::json!({ "msg": "trace not found", "traceID": id.to_string() });
                self.missing.iter().map(error).collect()
            }
        };
        let rest = format!(",\"total\":{},\"limit\":{},\"offset\":0,\"errors\":{errors}}}", self.total, self.limit);
        body.extend_from_slice(rest.as_bytes());
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
