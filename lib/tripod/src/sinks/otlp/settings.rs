//! Where an exporter sends and how.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::network::http::Tls;

/// OTLP over gRPC or over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`, by custom on port 4317.
    Grpc,
    /// `http/protobuf`, by custom on port 4318.
    HttpProtobuf,
    /// `http/json`, on the same port: three times the bytes, for collectors that take nothing else.
    HttpJson,
}

/// One exporter of one signal.
#[derive(Clone)]
pub struct OtlpSettings {
    /// For HTTP the whole address, with `/v1/traces`; for gRPC the server's.
    pub endpoint: Uri,
    /// gRPC or HTTP.
    pub protocol: Protocol,
    /// Headers, or metadata of gRPC, for every request. Values may be secrets and are not printed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// One attempt takes no longer.
    pub timeout: Duration,
    /// Whom to trust and how to show who this is.
    pub tls: Tls,
}

impl std::fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OtlpSettings")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("gzip", &self.gzip)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl OtlpSettings {
    /// Without compression, headers and certificates, with ten seconds for an attempt. An `http` address is not
    /// encrypted.
    pub fn new(endpoint: Uri, protocol: Protocol) -> Self {
        Self {
            endpoint,
            protocol,
            headers: Vec::new(),
            gzip: false,
            timeout: Duration::from_secs(10),
            tls: Tls::default(),
        }
    }
}
