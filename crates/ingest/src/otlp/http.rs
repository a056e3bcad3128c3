use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use tonic::Code;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::export::{Endpoint, Format};
use super::grpc;
use super::response::{Exported, status_to_json, status_to_protobuf};
use super::signal::Signal;
use crate::meters::Meters;
use crate::prometheus::otlp::SeriesTarget;
use crate::refusal::{Reason, Refusal};
use crate::{Ingest, body, compression};

const PATHS: [(&str, Signal); 3] =
    [("/v1/traces", Signal::Traces), ("/v1/logs", Signal::Logs), ("/v1/metrics", Signal::Metrics)];

/// How long a browser may remember what a preflight allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// OTLP/HTTP: `POST` to `/v1/traces`, `/v1/logs` and `/v1/metrics`, protobuf or JSON. Metrics go to `series`.
pub fn http_router(ingest: Arc<Ingest>, series: SeriesTarget) -> Router {
    let cors = cors(&ingest.settings.cors_allowed_origins);
    let mut router = Router::new();
    for (path, signal) in PATHS {
        router = router.merge(route(path, signal, Arc::clone(&ingest), series.clone()));
    }
    let router = router.fallback(not_found);
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// `POST` to `/v1/metrics` alone, for a place under other paths.
pub fn metrics_router(ingest: Arc<Ingest>, series: SeriesTarget) -> Router {
    route("/v1/metrics", Signal::Metrics, ingest, series)
}

fn route(path: &str, signal: Signal, ingest: Arc<Ingest>, series: SeriesTarget) -> Router {
    let meters = Arc::new(Meters::new("otlp_http", signal.name(), |reason| {
        reason.map_or(StatusCode::OK, status).as_u16().to_string()
    }));
    let endpoint = Endpoint { ingest, signal, meters, series };
    Router::new().route(path, post(answer).fallback(method_not_allowed).with_state(endpoint))
}

async fn answer(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let start = Instant::now();
    let (head, mut body) = request.into_parts();
    let format = format(&head.headers);
    let result = serve(&endpoint, &head.headers, format, &mut body).await;
    let refused = result.as_ref().err().map(|refusal| refusal.reason);
    if refused.is_some_and(|reason| reason != Reason::TimedOut) && is_still_sending(&head) {
        body::discard(&mut body).await;
    }
    let response = match result {
        Ok(exported) => accepted(&exported, format.unwrap_or(Format::Json)),
        Err(refusal) => refused_response(&refusal, format.unwrap_or(Format::Json)),
    };
    endpoint.meters.answered(refused, start.elapsed());
    response
}

/// A sender over HTTP/1 that is cut off while it still writes may never read why. With `Expect: 100-continue` it has not
/// begun to write; over HTTP/2 a stream is given up without harm to the others.
fn is_still_sending(head: &Parts) -> bool {
    head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT)
}

async fn serve(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    format: Option<Format>,
    body: &mut Body,
) -> Result<Exported, Refusal> {
    let Endpoint { ingest, .. } = endpoint;
    let mut permit = ingest.admit(headers)?;
    let format = format.ok_or_else(|| unsupported_format(headers))?;
    let encoding = compression::Encoding::from_headers(headers, &CONTENT_ENCODING)?;
    let limit = ingest.settings.max_request_bytes;
    if declared_length(headers).is_some_and(|length| length > limit as u64) {
        return Err(body::too_large(limit));
    }
    let received = endpoint.receive(body, limit, &mut permit).await?;
    endpoint.export(format, encoding, received, permit).await
}

/// The format that `Content-Type` names, whatever its parameters.
fn format(headers: &HeaderMap) -> Option<Format> {
    let essence = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
    if ["application/x-protobuf", "application/protobuf"].iter().any(|name| essence.eq_ignore_ascii_case(name)) {
        Some(Format::Protobuf)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(Format::Json)
    } else {
        None
    }
}

#[cold]
fn unsupported_format(headers: &HeaderMap) -> Refusal {
    let accepted = "accepted are application/x-protobuf and application/json";
    let message = match headers.get(CONTENT_TYPE) {
        None => format!("the Content-Type is missing; {accepted}"),
        Some(value) => {
            let value = String::from_utf8_lossy(value.as_bytes());
            if value.trim_start().starts_with("application/grpc") {
                format!("the Content-Type {value} belongs to OTLP/gRPC, which has a port of its own; here {accepted}")
            } else {
                format!("the Content-Type {value} is not supported; {accepted}")
            }
        }
    };
    Refusal::new(Reason::UnsupportedFormat, message)
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn accepted(exported: &Exported, format: Format) -> Response {
    let body = match format {
        Format::Protobuf => exported.to_protobuf(),
        Format::Json => exported.to_json(),
    };
    respond(StatusCode::OK, format, body.into())
}

fn refused_response(refusal: &Refusal, format: Format) -> Response {
    let status = status(refusal.reason);
    let mut response = error(status, grpc::code(refusal.reason), &refusal.message, format);
    let headers = response.headers_mut();
    if let Some(delay) = refusal.retry_after {
        // Whole seconds, rounded up: coming back too early is refused again.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    match refusal.reason {
        Reason::Unauthorized => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Reason::UnsupportedEncoding => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(compression::ACCEPTED));
        }
        _ => {}
    }
    response
}

/// The status of a refusal, such that senders repeat what can succeed later (429, 503; 408 by HTTP's own rule) and
/// nothing else.
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

fn error(status: StatusCode, code: Code, message: &str, format: Format) -> Response {
    let body = match format {
        Format::Protobuf => status_to_protobuf(code, message),
        Format::Json => status_to_json(code, message),
    };
    respond(status, format, body.into())
}

fn respond(status: StatusCode, format: Format, body: Body) -> Response {
    let content_type = match format {
        Format::Protobuf => "application/x-protobuf",
        Format::Json => "application/json",
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

async fn method_not_allowed(request: Request) -> Response {
    let message = format!("{} is not allowed here; send telemetry with POST", request.method());
    let format = format(request.headers()).unwrap_or(Format::Json);
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, &message, format);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    let message = if path.starts_with("/opentelemetry.proto.collector.") {
        format!("{path} is a path of OTLP/gRPC, which has a port of its own; this is OTLP/HTTP")
    } else {
        format!("there is no {path} here; POST traces to /v1/traces, logs to /v1/logs, metrics to /v1/metrics")
    };
    error(StatusCode::NOT_FOUND, Code::NotFound, &message, format(request.headers()).unwrap_or(Format::Json))
}

/// Lets pages of the allowed origins send, or nothing when there is none. It answers preflights itself, before any
/// token is asked for: browsers send none with them.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
        if origins.is_empty() {
            return None;
        }
        AllowOrigin::list(origins)
    };
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::POST, Method::OPTIONS])
            // Browser SDKs let their users add headers of any name, so the list of what is needed is not known here.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([RETRY_AFTER])
            .max_age(PREFLIGHT_AGE),
    )
}
