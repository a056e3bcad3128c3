//! Prometheus remote write 1.0 and 2.0, as a receiver.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>,
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>. Samples that break a rule are refused one by one: the
//! others are kept and the answer is a 400 that says how many, so that the sender does not send the request again. A
//! request that cannot be kept for now is refused with 503 rather than 429, because Prometheus throws away what gets a
//! 429 unless it is told otherwise (`retry_on_http_429`). A request that is sent twice does no harm: a store takes an
//! exact duplicate as kept.

mod collect;
mod encode;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tripod_storage::series::{SeriesAppended, SeriesBatch, SeriesStore};

pub use self::encode::encode;

use self::collect::Collected;
use super::store::keep;
use crate::compression::Encoding;
use crate::meters::Meters;
use crate::refusal::{Reason, Refusal};
use crate::{Ingest, body};

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// `POST /api/v1/write`.
pub fn router(ingest: Arc<Ingest>, store: Arc<dyn SeriesStore>) -> Router {
    let meters = Meters::new("prometheus_remote_write", "metrics", |reason| {
        reason.map_or(StatusCode::NO_CONTENT, status).as_u16().to_string()
    });
    Router::new().route("/api/v1/write", post(answer)).with_state(Endpoint { ingest, store, meters: Arc::new(meters) })
}

#[derive(Clone)]
struct Endpoint {
    ingest: Arc<Ingest>,
    store: Arc<dyn SeriesStore>,
    meters: Arc<Meters>,
}

/// Which of the two messages a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// Reads a decompressed request of at most so many samples; what of it cannot be kept is left out.
///
/// # Errors
/// Why it is no such message, in words.
pub fn decode(version: Version, body: &[u8], max_samples: usize) -> Result<SeriesBatch, String> {
    collect(version, body, max_samples).map(|collected| collected.batch).map_err(|refusal| refusal.message.into_owned())
}

fn collect(version: Version, body: &[u8], max_samples: usize) -> Result<Collected, Refusal> {
    match version {
        Version::V1 => v1::decode(body, max_samples),
        Version::V2 => v2::decode(body, max_samples),
    }
}

/// What became of a request that was read.
struct Written {
    appended: SeriesAppended,
    /// What was wrong with what was not kept, in words; empty when all was kept.
    problems: String,
}

async fn answer(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let start = Instant::now();
    let (head, mut body) = request.into_parts();
    let result = serve(&endpoint, &head.headers, &mut body).await;
    let refused = match &result {
        Ok(written) if written.problems.is_empty() => None,
        Ok(_) => Some(Reason::Invalid),
        Err(refusal) => Some(refusal.reason),
    };
    if result.is_err() && refused != Some(Reason::TimedOut) {
        body::discard(&mut body).await;
    }
    endpoint.meters.answered(refused, start.elapsed());
    match result {
        Ok(written) => written_response(&written),
        Err(refusal) => refused_response(&refusal),
    }
}

async fn serve(endpoint: &Endpoint, headers: &HeaderMap, body: &mut Body) -> Result<Written, Refusal> {
    let Endpoint { ingest, store, meters } = endpoint;
    let mut permit = ingest.admit(headers)?;
    let version = version(headers)?;
    let encoding = encoding(headers)?;
    let limit = ingest.settings.max_request_bytes;
    let received = body::receive(body, limit, ingest.settings.read_timeout(), &mut permit).await?;
    meters.received(received.len());
    let max_samples = ingest.settings.max_records_per_request;
    let decode = move |body: &[u8]| collect(version, body, max_samples);
    let decoded = ingest.decoding.decode(encoding, received, permit, decode).await?;
    meters.decompressed(decoded.decompressed_bytes);
    let Collected { batch, mut problems, mut refused, .. } = decoded.value;
    let is_empty = batch.floats.is_empty()
        && batch.histograms.is_empty()
        && batch.exemplars.is_empty()
        && batch.metadata.is_empty();
    let appended = if is_empty { SeriesAppended::default() } else { keep(store, batch).await? };
    drop(decoded.permit);
    for sample in &appended.rejected {
        problems.push(format!("{} for series {} at {}", sample.reason, sample.labels, sample.timestamp));
    }
    refused += appended.refused;
    meters.kept((appended.floats + appended.histograms) as u64, refused as u64);
    if refused > problems.len() {
        problems.push(format!("{refused} samples were refused in all"));
    }
    Ok(Written { appended, problems: problems.join("\n") })
}

/// The message that `Content-Type` names; without one it is that of version 1.
fn version(headers: &HeaderMap) -> Result<Version, Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Version::V1) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let mut parts = text.split(';').map(str::trim);
    let unsupported = || {
        let message = format!(
            "the Content-Type {text} is not supported; accepted are application/x-protobuf with \
             proto=prometheus.WriteRequest (or none) and proto=io.prometheus.write.v2.Request"
        );
        Err(Refusal::new(Reason::UnsupportedFormat, message))
    };
    if !parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/x-protobuf")) {
        return unsupported();
    }
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("proto", "prometheus.WriteRequest")) => return Ok(Version::V1),
            Some(("proto", "io.prometheus.write.v2.Request")) => return Ok(Version::V2),
            Some(("proto", _)) => return unsupported(),
            _ => {}
        }
    }
    Ok(Version::V1)
}

/// Snappy is what the specifications demand, and what is meant when nothing is said; some agents send Zstandard.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"snappy") => Ok(Encoding::Snappy),
        Some(b"zstd") => Ok(Encoding::Zstd),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            let message =
                format!("the Content-Encoding {other} is not supported; accepted are snappy (blocks) and zstd");
            Err(Refusal::new(Reason::UnsupportedEncoding, message))
        }
    }
}

fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::Unauthorized => StatusCode::UNAUTHORIZED,
        Reason::UnsupportedFormat | Reason::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::Framing | Reason::Malformed | Reason::Invalid => StatusCode::BAD_REQUEST,
        // A sender repeats what gets a 5xx and nothing else.
        Reason::TimedOut | Reason::Overloaded | Reason::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn written_response(written: &Written) -> Response {
    let mut response = if written.problems.is_empty() {
        plain(StatusCode::NO_CONTENT, String::new())
    } else {
        plain(StatusCode::BAD_REQUEST, written.problems.clone())
    };
    set_counts(&mut response, &written.appended);
    response
}

fn refused_response(refusal: &Refusal) -> Response {
    let mut response = plain(status(refusal.reason), refusal.message.clone().into_owned());
    set_counts(&mut response, &SeriesAppended::default());
    if let Some(delay) = refusal.retry_after {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if refusal.reason == Reason::Unauthorized {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A sender of version 2 takes a missing header for "nothing was written"; for version 1 they do no harm.
fn set_counts(response: &mut Response, appended: &SeriesAppended) {
    let headers = response.headers_mut();
    headers.insert(SAMPLES, HeaderValue::from(appended.floats));
    headers.insert(HISTOGRAMS, HeaderValue::from(appended.histograms));
    headers.insert(EXEMPLARS, HeaderValue::from(appended.exemplars));
}

fn plain(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}
