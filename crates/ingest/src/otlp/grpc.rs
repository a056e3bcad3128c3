use std::borrow::Cow;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::{Buf, BufMut, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body_util::Full;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::export::{Endpoint, Format};
use super::response::Exported;
use super::signal::Signal;
use crate::Ingest;
use crate::compression::Encoding;
use crate::meters::Meters;
use crate::prometheus::otlp::SeriesTarget;
use crate::refusal::{Reason, Refusal};

const METHODS: [(&str, Signal); 3] = [
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
];

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED_ENCODINGS: &str = "identity,gzip,zstd,deflate";

/// A message's prefix: one byte says whether it is compressed, four give its length, big-endian.
const PREFIX: usize = 5;

/// An empty message, not compressed.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; PREFIX]);

/// How long a text of a status may be: it travels in headers, whose sum clients bound, often at 8 KiB.
const MAX_TEXT: usize = 1024;

/// OTLP/gRPC: `Export` of the trace, logs and metrics services. Metrics go to `series`.
///
/// Request messages are read here and not by tonic, which would buffer and decompress up to its limit per request on
/// the connection's thread before anything counts it: the limits of bytes in flight and of received bytes would not
/// hold. Answers are tonic's.
pub fn grpc_router(ingest: Arc<Ingest>, series: SeriesTarget) -> Router {
    let mut router = Router::new();
    for (path, signal) in METHODS {
        let meters =
            Arc::new(Meters::new("otlp_grpc", signal.name(), |reason| code_name(reason.map_or(Code::Ok, code))));
        let endpoint = Endpoint { ingest: Arc::clone(&ingest), signal, meters, series: series.clone() };
        router = router.route(path, any(answer).with_state(endpoint));
    }
    router.fallback(unimplemented)
}

async fn answer(State(endpoint): State<Endpoint>, request: Request) -> Response {
    if let Some(response) = not_grpc(&request) {
        return response;
    }
    let start = Instant::now();
    let (mut head, mut body) = request.into_parts();
    let result = serve(&endpoint, &head.headers, &mut body).await;
    let refused = result.as_ref().err().map(|refusal| refusal.reason);
    let answer = match result {
        Ok(exported) => Ok(tonic::Response::new(exported.to_protobuf())),
        Err(refusal) => Err(status(&refusal)),
    };
    // tonic frames, compresses and ends the answer; of the request it needs the headers only.
    head.headers.remove(GRPC_ENCODING);
    let mut answer = Some(answer);
    let service = tower::service_fn(move |_: tonic::Request<()>| {
        ready(answer.take().unwrap_or_else(|| Err(Status::internal("a unary call has one answer"))))
    });
    let response = tonic::server::Grpc::new(ResponseCodec)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Zstd)
        .unary(service, http::Request::from_parts(head, Full::<Bytes>::new(EMPTY_MESSAGE)))
        .await;
    endpoint.meters.answered(refused, start.elapsed());
    response.map(Body::new)
}

async fn serve(endpoint: &Endpoint, headers: &HeaderMap, body: &mut Body) -> Result<Exported, Refusal> {
    let mut permit = endpoint.ingest.admit(headers)?;
    let encoding = Encoding::from_headers(headers, &GRPC_ENCODING)?;
    let limit = endpoint.ingest.settings.max_request_bytes.saturating_add(PREFIX);
    let received = endpoint.receive(body, limit, &mut permit).await?;
    let (encoding, message) = unframe(received, encoding)?;
    endpoint.export(Format::Protobuf, encoding, message, permit).await
}

/// The one message of a unary call.
fn unframe(mut received: Bytes, encoding: Encoding) -> Result<(Encoding, Bytes), Refusal> {
    if received.len() < PREFIX {
        return Err(misframed("the call ends before its message begins"));
    }
    let encoding = match (received.get_u8(), encoding) {
        (0, _) => Encoding::Identity,
        (1, Encoding::Identity) => {
            return Err(misframed("the message's compressed-flag is set but there is no grpc-encoding"));
        }
        (1, encoding) => encoding,
        (flag, _) => {
            return Err(misframed(format!("the message's compressed-flag is {flag}; it must be 0 or 1")));
        }
    };
    let length = received.get_u32() as usize;
    if received.len() < length {
        return Err(misframed(format!("the message has {} bytes of the {length} that it announces", received.len())));
    }
    if received.len() > length {
        return Err(misframed("the call has more than one message"));
    }
    Ok((encoding, received))
}

fn misframed(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::Framing, message)
}

/// The code of a refusal, such that senders repeat what can succeed later and nothing else.
///
/// Oversize is `INVALID_ARGUMENT`, although tonic and grpc-go say `RESOURCE_EXHAUSTED` or `OUT_OF_RANGE`: exporters
/// repeat `OUT_OF_RANGE` by the specification, and several repeat `RESOURCE_EXHAUSTED` even without retry info.
pub(super) fn code(reason: Reason) -> Code {
    match reason {
        Reason::Unauthorized => Code::Unauthenticated,
        Reason::UnsupportedFormat | Reason::UnsupportedEncoding => Code::Unimplemented,
        Reason::TooLarge | Reason::Malformed | Reason::Invalid => Code::InvalidArgument,
        Reason::TimedOut => Code::DeadlineExceeded,
        Reason::Overloaded => Code::ResourceExhausted,
        Reason::ShuttingDown => Code::Unavailable,
        // What gRPC's own specification demands of framing errors (compression.md), odd as it reads.
        Reason::Framing | Reason::Failed => Code::Internal,
    }
}

/// The code as the specification writes it, for example `INVALID_ARGUMENT`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn status(refusal: &Refusal) -> Status {
    let mut details = ErrorDetails::new();
    if let Some(delay) = refusal.retry_after {
        details.set_retry_info(Some(delay.max(Duration::from_millis(1))));
    }
    if let Some(field) = &refusal.field {
        details.add_bad_request_violation(shorten(&field.path), shorten(&field.description));
    }
    let mut status = Status::with_error_details(code(refusal.reason), shorten(&refusal.message), details);
    if refusal.reason == Reason::UnsupportedEncoding {
        status.metadata_mut().insert("grpc-accept-encoding", MetadataValue::from_static(ACCEPTED_ENCODINGS));
    }
    status
}

fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT)])
}

async fn unimplemented(request: Request) -> Response {
    if let Some(response) = not_grpc(&request) {
        return response;
    }
    let path = request.uri().path();
    let hint = "there is Export of opentelemetry.proto.collector.trace.v1.TraceService, logs.v1.LogsService and \
                metrics.v1.MetricsService";
    let status = Status::unimplemented(format!("{} is not implemented; {hint}", shorten(path)));
    status.into_http::<tonic::body::Body>().map(Body::new)
}

/// What to tell a client that does not speak gRPC.
fn not_grpc(request: &Request) -> Option<Response> {
    let is_grpc = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        essence == b"application/grpc" || essence == b"application/grpc+proto"
    });
    if is_grpc && request.method() == Method::POST {
        return None;
    }
    let text = "this port speaks OTLP/gRPC (POST over HTTP/2 with Content-Type application/grpc); OTLP/HTTP has a port \
                of its own\n";
    Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response())
}

/// Messages as bytes. Requests reach tonic empty.
struct ResponseCodec;

impl Codec for ResponseCodec {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for ResponseCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for ResponseCodec {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}
