//! A connection that sends encoded requests and tells what became of each.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Buf, BufMut, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{Protocol, Signal};

/// How long an answer may take before the request counts as lost.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait when a refusal does not say.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Acknowledged, but for so many items that the answer names as rejected.
    Accepted { rejected: u64 },
    /// Refused for now; it may be sent again after this time.
    Refused { retry_after: Duration, reason: String },
    /// Refused for good, or nobody knows.
    Failed(String),
}

/// One connection.
pub(crate) struct Sender {
    kind: Kind,
    gzip: bool,
}

enum Kind {
    Grpc { client: Grpc<Channel>, path: PathAndQuery },
    Http { client: reqwest::Client, url: String },
}

impl Sender {
    /// Connects to `target`, for example `http://127.0.0.1:4317`.
    ///
    /// # Errors
    /// When the target is no URL or, with gRPC, when nobody listens there.
    pub(crate) async fn connect(target: &str, protocol: Protocol, signal: Signal, gzip: bool) -> Result<Self> {
        let kind = match protocol {
            Protocol::Grpc => {
                let channel = Endpoint::from_shared(target.to_owned())
                    .with_context(|| format!("\"{target}\" is no URL"))?
                    .timeout(TIMEOUT)
                    .connect()
                    .await
                    .with_context(|| format!("nobody answers gRPC at {target}"))?;
                let mut client = Grpc::new(channel);
                if gzip {
                    client = client.send_compressed(CompressionEncoding::Gzip);
                }
                Kind::Grpc { client, path: PathAndQuery::from_static(signal.grpc_method()) }
            }
            Protocol::Http => Kind::Http {
                client: reqwest::Client::builder().timeout(TIMEOUT).pool_max_idle_per_host(1).build()?,
                url: format!("{}{}", target.trim_end_matches('/'), signal.http_path()),
            },
        };
        Ok(Self { kind, gzip })
    }

    /// Sends one encoded request.
    pub(crate) async fn send(&mut self, body: Bytes) -> Outcome {
        match &mut self.kind {
            Kind::Grpc { client, path } => {
                if let Err(error) = client.ready().await {
                    return Outcome::Failed(format!("the connection is gone: {error}"));
                }
                match client.unary(Request::new(body), path.clone(), Encoded).await {
                    Ok(response) => accepted(&response.into_inner()),
                    Err(status) => refused_by_grpc(&status),
                }
            }
            Kind::Http { client, url } => {
                let mut request = client.post(url.as_str()).header(header::CONTENT_TYPE, "application/x-protobuf");
                let body = match self.gzip {
                    true => {
                        request = request.header(header::CONTENT_ENCODING, "gzip");
                        match compress(&body) {
                            Ok(body) => body,
                            Err(error) => return Outcome::Failed(format!("cannot be compressed: {error}")),
                        }
                    }
                    false => body,
                };
                match request.body(body).send().await {
                    Err(error) => Outcome::Failed(format!("the connection is gone: {error}")),
                    Ok(response) => {
                        let (status, headers) = (response.status(), response.headers().clone());
                        match response.bytes().await {
                            Ok(body) if status.is_success() => accepted(&body),
                            Ok(body) => refused_by_http(status, &headers, &body),
                            Err(error) => Outcome::Failed(format!("the answer broke off: {error}")),
                        }
                    }
                }
            }
        }
    }
}

/// Gzip at the level that SDKs use.
pub(crate) fn compress(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::default());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}

/// Reads an acknowledgement; those of all three services have the same shape.
pub(crate) fn accepted(body: &[u8]) -> Outcome {
    match ExportTraceServiceResponse::decode(body) {
        Ok(response) => {
            let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
            Outcome::Accepted { rejected: u64::try_from(rejected).unwrap_or(0) }
        }
        Err(error) => Outcome::Failed(format!("the answer is no OTLP: {error}")),
    }
}

/// Reads a refusal of gRPC.
pub(crate) fn refused_by_grpc(status: &Status) -> Outcome {
    let reason = format!("{:?}: {}", status.code(), status.message());
    let advice = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        Code::ResourceExhausted => Outcome::Refused { retry_after: advice.unwrap_or(PAUSE), reason },
        // A broken connection has the same code, but a cause on this side.
        Code::Unavailable if status.source().is_none() => {
            Outcome::Refused { retry_after: advice.unwrap_or(PAUSE), reason }
        }
        _ => Outcome::Failed(reason),
    }
}

/// Reads a refusal of OTLP/HTTP.
pub(crate) fn refused_by_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Outcome {
    // The body is a `google.rpc.Status` by the specification; whatever else it is may still be read.
    let message = match tonic_types::Status::decode(body) {
        Ok(answer) => answer.message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned(),
    };
    let reason = format!("{status}: {message}");
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let advice = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Outcome::Refused { retry_after: advice.map_or(PAUSE, Duration::from_secs), reason }
        }
        _ => Outcome::Failed(reason),
    }
}

/// Passes encoded messages through as they are.
#[derive(Clone, Copy, Default)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
