//! One exporter's way to a collector: gRPC or HTTP, gzip, and what the answer means.

use std::io::{self, Write as _};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Method, Request, Uri, header};

use super::protobuf::{Field, Fields, Message};
use super::settings::{OtlpSettings, Protocol};
use crate::network::http::{Answer, HttpClient};
use crate::network::{Delivery, Transport};

/// How a signal is encoded, and the service that takes it.
pub(super) trait Encode: Send + 'static {
    type Item: Send + 'static;
    const SERVICE: &'static str;

    fn encode(&mut self, resource: &[u8], batch: Vec<Self::Item>, out: &mut Message);
}

pub(super) struct OtlpTransport<E> {
    client: HttpClient,
    settings: OtlpSettings,
    address: Uri,
    /// An encoded `Resource`.
    resource: Vec<u8>,
    encode: E,
    /// As large as the last request: the next one will hardly be larger.
    capacity: usize,
}

impl<E: Encode> OtlpTransport<E> {
    pub(super) fn new(settings: OtlpSettings, resource: Vec<u8>, encode: E) -> io::Result<Self> {
        let (client, address) = match settings.protocol {
            Protocol::HttpProtobuf => (HttpClient::new(&settings.endpoint, &settings.tls)?, settings.endpoint.clone()),
            Protocol::Grpc => {
                let mut parts = settings.endpoint.clone().into_parts();
                parts.path_and_query = Some(format!("/{}/Export", E::SERVICE).parse().map_err(io::Error::other)?);
                let address = Uri::from_parts(parts).map_err(io::Error::other)?;
                (HttpClient::http2(&settings.endpoint, &settings.tls)?, address)
            }
        };
        Ok(Self { client, settings, address, resource, encode, capacity: 0 })
    }

    fn request(&self, body: Bytes) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address.clone();
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("tripod/", env!("CARGO_PKG_VERSION"))));
        match self.settings.protocol {
            Protocol::HttpProtobuf => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                if self.settings.gzip {
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
            }
            Protocol::Grpc => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
                if self.settings.gzip {
                    headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
                }
            }
        }
        for (name, value) in &self.settings.headers {
            headers.insert(name.clone(), value.clone());
        }
        request
    }
}

impl<E: Encode> Transport<E::Item> for OtlpTransport<E> {
    type Request = Bytes;

    fn encode(&mut self, batch: Vec<E::Item>) -> Option<Bytes> {
        // gRPC has five bytes before each message: whether it is compressed, and its length.
        let prefix = match self.settings.protocol {
            Protocol::HttpProtobuf => 0,
            Protocol::Grpc => 5,
        };
        let mut message = Message(Vec::with_capacity(self.capacity));
        message.0.resize(prefix, 0);
        self.encode.encode(&self.resource, batch, &mut message);
        self.capacity = message.0.len() + message.0.len() / 8;
        let mut body = message.0;
        if self.settings.gzip {
            let mut out = Vec::with_capacity(body.len() / 4);
            out.resize(prefix, 0);
            let mut encoder = GzEncoder::new(out, Compression::fast());
            encoder.write_all(body.get(prefix..)?).ok()?;
            body = encoder.finish().ok()?;
        }
        let length = u32::try_from(body.len() - prefix).ok()?;
        if let Some((flag, size)) = body.get_mut(..prefix).and_then(<[u8]>::split_first_mut) {
            *flag = u8::from(self.settings.gzip);
            size.copy_from_slice(&length.to_be_bytes());
        }
        Some(body.into())
    }

    async fn send(&mut self, body: &Bytes) -> Delivery {
        let request = self.request(body.clone());
        match self.client.send(request).await {
            Ok(answer) => match self.settings.protocol {
                Protocol::HttpProtobuf => http_delivery(&answer),
                Protocol::Grpc => grpc_delivery(&answer),
            },
            Err(_) => Delivery::Retry { after: None },
        }
    }
}

/// OTLP specification, OTLP/HTTP Response: only 429, 502, 503 and 504 may be tried again.
fn http_delivery(answer: &Answer) -> Delivery {
    match answer.status.as_u16() {
        200..=299 => accepted(&answer.body),
        429 | 502 | 503 | 504 => Delivery::Retry { after: answer.retry_after() },
        _ => Delivery::Refused,
    }
}

/// OTLP specification, OTLP/gRPC Response: which codes may be tried again.
fn grpc_delivery(answer: &Answer) -> Delivery {
    // Without a body the status is in the headers.
    let find = |name: &str| answer.trailers.get(name).or_else(|| answer.headers.get(name));
    let status = find("grpc-status").and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u32>().ok());
    let details = || find("grpc-status-details-bin").and_then(|value| retry_delay(value.as_bytes()));
    match status {
        Some(0) => accepted(answer.body.get(5..).unwrap_or_default()),
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        Some(1 | 4 | 10 | 11 | 14 | 15) => Delivery::Retry { after: details() },
        // RESOURCE_EXHAUSTED: only if the server says when.
        Some(8) => details().map_or(Delivery::Refused, |after| Delivery::Retry { after: Some(after) }),
        Some(_) => Delivery::Refused,
        // A proxy in between answered.
        None if matches!(answer.status.as_u16(), 429 | 502 | 503 | 504) => {
            Delivery::Retry { after: answer.retry_after() }
        }
        None if answer.status.is_success() => Delivery::Retry { after: None },
        None => Delivery::Refused,
    }
}

/// `partial_success = 1 { rejected = 1 }`, alike in all signals.
fn accepted(body: &[u8]) -> Delivery {
    let partial =
        Fields(body).find_map(|field| if let (1, Field::Bytes(partial)) = field { Some(partial) } else { None });
    let rejected = partial.and_then(|partial| {
        Fields(partial).find_map(|field| if let (1, Field::Varint(count)) = field { Some(count) } else { None })
    });
    match rejected {
        None | Some(0) => Delivery::Delivered,
        Some(refused) => Delivery::Partial { refused },
    }
}

/// `google.rpc.Status.details = 3`: `Any { type_url = 1, value = 2 }` with `RetryInfo { retry_delay = 1 { seconds = 1,
/// nanos = 2 } }`.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let engine = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );
    let status = engine.decode(details).ok()?;
    let bytes = |message: &'_ [u8], wanted: u64| {
        let mut found = Vec::new();
        for (number, field) in Fields(message) {
            if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
                found.push(bytes.to_vec());
            }
        }
        found
    };
    for any in bytes(&status, 3) {
        if bytes(&any, 1).first().is_some_and(|url| url.ends_with(b"google.rpc.RetryInfo")) {
            let delay = bytes(bytes(&any, 2).first()?, 1);
            let (mut seconds, mut nanos) = (0, 0);
            for field in Fields(delay.first()?) {
                match field {
                    (1, Field::Varint(value)) => seconds = value,
                    (2, Field::Varint(value)) => nanos = value,
                    _ => {}
                }
            }
            return Some(Duration::new(seconds, u32::try_from(nanos).unwrap_or_default().min(999_999_999)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
            let _ = accepted(&body);
            let _ = retry_delay(text.as_bytes());
            let _ = retry_delay(base64::engine::general_purpose::STANDARD.encode(&body).as_bytes());
        }
    }
}
