//! SQL over the tables `spans` and `logs` and over [`series`]: `POST` and `GET /api/v1/sql`.
//!
//! DataFusion plans and runs a query; the tables are read through [`tripod_storage::Store::select`], which gets the
//! filters that it can answer itself ([`pushdown`]). Queries only read: the plan of every other statement is refused,
//! and the engine has no file formats, object stores or table factories that a query could reach.
//!
//! A request is `{"query":"…","limit":n,"timeout_seconds":n}`, or the same as parameters of a `GET`; the formats of
//! the answer are in [`format`].

mod attributes;
mod dialect;
mod engine;
#[cfg(test)]
mod equivalence;
mod error;
mod format;
mod ids;
mod pushdown;
mod series;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{Stream, stream};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;

pub use engine::{EngineError, SqlEngine};

use crate::self_metrics;
use engine::{Answer, Limits};
use error::QueryError;
use format::{Format, Writer};

/// `POST` and `GET /api/v1/sql`.
pub fn router(engine: Arc<SqlEngine>) -> Router {
    // A byte of the query may take six in JSON, and the other members need a little.
    let body_limit = engine.settings().max_query_bytes.saturating_mul(6).saturating_add(1024);
    Router::new()
        .route("/api/v1/sql", post(answer).get(answer))
        .layer(DefaultBodyLimit::max(body_limit))
        .with_state(engine)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    query: String,
    limit: Option<usize>,
    timeout_seconds: Option<u64>,
}

async fn answer(State(engine): State<Arc<SqlEngine>>, headers: HeaderMap, request: Request) -> Response {
    let count = Count { started: Instant::now(), rows: 0, code: StatusCode::INTERNAL_SERVER_ERROR };
    match start(&engine, &headers, request).await {
        Ok((answer, format, writer)) => {
            let content_type = [(header::CONTENT_TYPE, format.content_type())];
            let count = Count { code: StatusCode::OK, ..count };
            (content_type, Body::from_stream(body(answer, writer, count))).into_response()
        }
        Err(error) => {
            if matches!(error, QueryError::Failed(_)) {
                tracing::error!(%error, "SQL query failed");
            }
            drop(Count { code: error.status(), ..count });
            error.into_response()
        }
    }
}

async fn start(
    engine: &SqlEngine,
    headers: &HeaderMap,
    request: Request,
) -> Result<(Answer, Format, Writer), QueryError> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accept: Vec<_> = accept.collect();
    let format = Format::accepted(Some(&accept.join(","))).ok_or(QueryError::NotAcceptable)?;
    let asked = read(engine, request).await?;
    let limits = Limits { rows: asked.limit, timeout_seconds: asked.timeout_seconds };
    let answer = engine.query(&asked.query, limits).await?;
    let writer = Writer::new(format, answer.schema()).map_err(|error| QueryError::Failed(error.to_string()))?;
    Ok((answer, format, writer))
}

async fn read(engine: &SqlEngine, request: Request) -> Result<Asked, QueryError> {
    if request.method() == Method::POST {
        let body = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => QueryError::TooLong { max_bytes: engine.settings().max_query_bytes },
            _ => QueryError::Invalid(rejection.body_text()),
        })?;
        return serde_json::from_slice(&body).map_err(|error| {
            QueryError::Invalid(format!(
                "the body must be {{\"query\":\"…\",\"limit\":n,\"timeout_seconds\":n}}: {error}"
            ))
        });
    }
    Query::try_from_uri(request.uri())
        .map(|Query(asked)| asked)
        .map_err(|rejection| QueryError::Invalid(rejection.body_text()))
}

/// Counts the request when its answer has been sent, or given up.
struct Count {
    started: Instant,
    rows: u64,
    code: StatusCode,
}

impl Drop for Count {
    fn drop(&mut self) {
        self_metrics::record("sql", self.code, self.started, self.rows);
    }
}

/// Ends the connection without the end of the answer, which is the only way left to tell of a failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(QueryError);

/// The answer's bytes. Dropping the stream, as a server does when the client is gone, drops the query.
fn body(answer: Answer, writer: Writer, count: Count) -> impl Stream<Item = Result<Bytes, Broken>> {
    stream::try_unfold(Some((answer, writer, count)), |state| async {
        let Some((mut answer, mut writer, mut count)) = state else { return Ok(None) };
        let failed = |error: arrow::error::ArrowError| QueryError::Failed(error.to_string());
        let next = match answer.next().await {
            Ok(Some(rows)) => {
                count.rows += rows.num_rows() as u64;
                writer.rows(&rows).map(Some).map_err(failed)
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match next {
            Ok(Some(bytes)) => Ok(Some((bytes, Some((answer, writer, count))))),
            Ok(None) => match writer.finish(answer.truncated()) {
                Ok(bytes) => Ok(Some((bytes, None))),
                Err(error) => Err(Broken(failed(error))),
            },
            Err(error) => {
                tracing::warn!(%error, "SQL query failed after its answer had begun");
                count.code = error.status();
                match writer.fail(&error.to_string()) {
                    Some(bytes) => Ok(Some((bytes, None))),
                    None => Err(Broken(error)),
                }
            }
        }
    })
}
