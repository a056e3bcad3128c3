use std::io;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Method, Request, header};

use crate::accounts::Reason;
use crate::network::http::HttpClient;
use crate::network::{Delivery, Transport};

use super::super::WriteSink;
use super::payload::{Line, Streams};
use super::settings::{Encoding, LokiSettings};

/// Pushes batches of lines.
pub(super) struct LokiTransport {
    client: HttpClient,
    settings: LokiSettings,
    fallback: Option<Arc<WriteSink>>,
    /// The failure was reported; said once, until a batch arrives again.
    failing: bool,
}

/// An encoded batch, and its lines for the fallback.
pub(super) struct Push {
    body: Bytes,
    lines: Vec<u8>,
}

impl LokiTransport {
    pub(super) fn new(settings: LokiSettings, fallback: Option<Arc<WriteSink>>) -> io::Result<Self> {
        let client = HttpClient::new(&settings.url, &settings.tls)?;
        Ok(Self { client, settings, fallback, failing: false })
    }

    fn request(&self, push: &Push) -> Request<Bytes> {
        let (content_type, content_encoding) = match self.settings.encoding {
            Encoding::Snappy => ("application/x-protobuf", Some("snappy")),
            Encoding::GzipJson => ("application/json", Some("gzip")),
            Encoding::Json => ("application/json", None),
        };
        let mut request = Request::new(push.body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.settings.url.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("tripod/", env!("CARGO_PKG_VERSION"))));
        if let Some(encoding) = content_encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if let Some(tenant) = &self.settings.tenant {
            headers.insert("x-scope-orgid", tenant.clone());
        }
        if let Some(authorization) = &self.settings.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        request
    }
}

impl Transport<Line> for LokiTransport {
    type Request = Push;

    fn encode(&mut self, batch: Vec<Line>) -> Option<Push> {
        let streams = Streams::new(&self.settings.labels, batch);
        let body = match self.settings.encoding {
            Encoding::Snappy => snap::raw::Encoder::new().compress_vec(&streams.protobuf()).ok()?,
            Encoding::Json => streams.json(),
            Encoding::GzipJson => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&streams.json()).ok()?;
                encoder.finish().ok()?
            }
        };
        let lines = if self.fallback.is_some() { streams.text() } else { Vec::new() };
        Some(Push { body: body.into(), lines })
    }

    async fn send(&mut self, push: &Push) -> Delivery {
        let request = self.request(push);
        let delivery = match self.client.send(request).await {
            Ok(answer) => answer.delivery(),
            Err(_) => Delivery::Retry { after: None },
        };
        if delivery == Delivery::Delivered {
            self.failing = false;
        }
        delivery
    }

    fn given_up(&mut self, push: Push, reason: Reason) {
        let Some(fallback) = &self.fallback else { return };
        if !std::mem::replace(&mut self.failing, true) {
            let notice =
                format!("Loki at {} takes no lines ({}); they follow here\n", self.settings.url, reason.as_str());
            fallback.lines(notice.as_bytes());
        }
        fallback.lines(&push.lines);
    }
}
