//! Pushes of batch jobs, as a Pushgateway takes them.
//!
//! <https://github.com/prometheus/pushgateway#api>: `PUT` replaces a group of metrics, `POST` those of the same names,
//! `DELETE` removes the group. A group is kept and its values are appended again every interval, as if a Pushgateway were
//! scraped with `honor_labels: true`; what is replaced or removed is marked stale. Groups live in memory: after a restart
//! a job's metrics are there again with its next push.

mod groups;
mod path;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::put;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tripod_model::series::Labels;
use tripod_storage::series::{SeriesBatch, SeriesStore};

use self::groups::{Group, PushSink};
use self::path::grouping;
use super::exposition::{Format, ParseOptions, parse};
use super::store::{keep, now_millis};
use crate::compression::Encoding;
use crate::meters::Meters;
use crate::refusal::{Reason, Refusal};
use crate::{Ingest, body};

/// How pushes are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushSettings {
    /// How often the values of all groups are appended again, in seconds.
    pub interval_seconds: u64,
    /// How many groups there may be.
    pub max_groups: usize,
    /// How many series all groups may have together.
    pub max_series: usize,
}

impl Default for PushSettings {
    /// 15 seconds, ten thousand groups, a hundred thousand series.
    fn default() -> Self {
        Self { interval_seconds: 15, max_groups: 10_000, max_series: 100_000 }
    }
}

/// The groups that were pushed.
#[derive(Debug)]
pub struct Pushes {
    store: Arc<dyn SeriesStore>,
    settings: PushSettings,
    /// The time of the last append: two of them never share one, or the second would be refused.
    last: AtomicI64,
    // Held over an append, so that a stale marker never comes before the value that it ends.
    groups: Mutex<HashMap<Labels, Group>>,
}

impl Pushes {
    /// No groups yet.
    pub fn new(store: Arc<dyn SeriesStore>, settings: PushSettings) -> Arc<Self> {
        Arc::new(Self { store, settings, last: AtomicI64::new(0), groups: Mutex::default() })
    }

    /// Appends the values of all groups again and again, until the future is dropped.
    pub async fn run(&self) {
        let interval = Duration::from_secs(self.settings.interval_seconds.max(1));
        loop {
            tokio::time::sleep(interval).await;
            self.append_again().await;
        }
    }

    /// Called with the groups locked.
    fn now(&self) -> i64 {
        let now = now_millis().max(self.last.load(Ordering::Relaxed) + 1);
        self.last.store(now, Ordering::Relaxed);
        now
    }

    async fn append_again(&self) {
        let groups = self.groups.lock().await;
        let mut batch = SeriesBatch::default();
        let now = self.now();
        for (grouping, group) in groups.iter() {
            group.append(grouping, &mut batch, now);
        }
        if !batch.labels.is_empty()
            && let Err(refusal) = keep(&self.store, batch).await
        {
            tracing::warn!(reason = %refusal.message, "pushed metrics could not be stored this time");
        }
    }

    async fn push(&self, grouping: &Labels, format: Format, body: &[u8], replace_all: bool) -> Result<usize, Refusal> {
        let mut sink = PushSink::new(grouping);
        let parsed = parse(format, body, &ParseOptions::default(), &mut sink).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|()| sink.error.take().map_or(Ok(()), Err));
        let mut groups = self.groups.lock().await;
        let now = self.now();
        if let Err(message) = parsed {
            if let Some(group) = groups.get_mut(grouping) {
                *group = group.failed(now);
            }
            return Err(Refusal::new(Reason::Invalid, message));
        }
        let before = groups.get(grouping).cloned().unwrap_or_default();
        let metadata = std::mem::take(&mut sink.metadata);
        let next = before.pushed(sink, replace_all, now);
        self.check_room(&groups, grouping, &next)?;
        let mut batch = SeriesBatch { metadata: metadata.into_iter().collect(), ..SeriesBatch::default() };
        next.append(grouping, &mut batch, now);
        before.append_stale(grouping, Some(&next), &mut batch, now);
        let kept = next.len();
        keep(&self.store, batch).await?;
        groups.insert(grouping.clone(), next);
        Ok(kept)
    }

    fn check_room(&self, groups: &HashMap<Labels, Group>, grouping: &Labels, next: &Group) -> Result<(), Refusal> {
        let too_many = |what: &str, limit: usize| {
            Refusal::new(
                Reason::TooLarge,
                format!("there would be more than {limit} {what} that were pushed, the limit"),
            )
        };
        if !groups.contains_key(grouping) && groups.len() >= self.settings.max_groups {
            return Err(too_many("groups", self.settings.max_groups));
        }
        let others: usize = groups.iter().filter(|(each, _)| *each != grouping).map(|(_, group)| group.len()).sum();
        if others + next.len() > self.settings.max_series {
            return Err(too_many("series", self.settings.max_series));
        }
        Ok(())
    }

    async fn delete(&self, grouping: &Labels) -> Result<(), Refusal> {
        let mut groups = self.groups.lock().await;
        let Some(group) = groups.get(grouping) else { return Ok(()) };
        let mut batch = SeriesBatch::default();
        group.append_stale(grouping, None, &mut batch, self.now());
        keep(&self.store, batch).await?;
        groups.remove(grouping);
        Ok(())
    }
}

/// `PUT`, `POST` and `DELETE` of `/metrics/job/<job>{/<label>/<value>}`.
pub fn router(ingest: Arc<Ingest>, pushes: Arc<Pushes>) -> Router {
    let meters =
        Meters::new("prometheus_push", "metrics", |reason| reason.map_or(StatusCode::OK, status).as_u16().to_string());
    let endpoint = Endpoint { ingest, pushes, meters: Arc::new(meters) };
    let methods = || put(answer).post(answer).delete(answer);
    // The job's name may be written in base64, and then stands behind another first part of the path.
    Router::new()
        .route("/metrics/job/{*path}", methods())
        .route("/metrics/job@base64/{*path}", methods())
        .with_state(endpoint)
}

#[derive(Clone)]
struct Endpoint {
    ingest: Arc<Ingest>,
    pushes: Arc<Pushes>,
    meters: Arc<Meters>,
}

async fn answer(State(endpoint): State<Endpoint>, Path(_): Path<String>, request: Request) -> Response {
    let start = Instant::now();
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().strip_prefix("/metrics/").unwrap_or("").to_owned();
    let result = serve(&endpoint, &head.method, &path, &head.headers, &mut body).await;
    let refused = result.as_ref().err().map(|refusal| refusal.reason);
    if refused.is_some_and(|reason| reason != Reason::TimedOut) {
        body::discard(&mut body).await;
    }
    endpoint.meters.answered(refused, start.elapsed());
    match result {
        Ok(status) => plain(status, String::new()),
        Err(refusal) => {
            let mut response = plain(status(refusal.reason), format!("{}\n", refusal.message));
            if let Some(delay) = refusal.retry_after {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
            }
            response
        }
    }
}

async fn serve(
    endpoint: &Endpoint,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<StatusCode, Refusal> {
    let Endpoint { ingest, pushes, meters } = endpoint;
    let mut permit = ingest.admit(headers)?;
    let grouping = grouping(path).map_err(|message| Refusal::new(Reason::Invalid, message))?;
    if method == Method::DELETE {
        pushes.delete(&grouping).await?;
        return Ok(StatusCode::ACCEPTED);
    }
    let format = match headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?")) {
        None | Some("" | "application/x-www-form-urlencoded") => Format::Text,
        Some(name) => Format::from_content_type(name).ok_or_else(|| {
            let message = format!(
                "the Content-Type {name} is not supported; accepted are text/plain, application/openmetrics-text and \
                 application/vnd.google.protobuf"
            );
            Refusal::new(Reason::UnsupportedFormat, message)
        })?,
    };
    let encoding = Encoding::from_headers(headers, &CONTENT_ENCODING)?;
    let limit = ingest.settings.max_request_bytes;
    let received = body::receive(body, limit, ingest.settings.read_timeout(), &mut permit).await?;
    meters.received(received.len());
    let decoded = ingest.decoding.decode(encoding, received, permit, |body| Ok(body.to_vec())).await?;
    meters.decompressed(decoded.decompressed_bytes);
    let kept = pushes.push(&grouping, format, &decoded.value, method == Method::PUT).await?;
    meters.kept(kept as u64, 0);
    Ok(StatusCode::OK)
}

fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Unauthorized => StatusCode::UNAUTHORIZED,
        Reason::UnsupportedFormat | Reason::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::Framing | Reason::Malformed | Reason::Invalid => StatusCode::BAD_REQUEST,
        Reason::TimedOut => StatusCode::REQUEST_TIMEOUT,
        Reason::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        Reason::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
