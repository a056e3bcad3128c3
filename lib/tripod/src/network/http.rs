//! A small HTTP client for sinks: one server, one connection that is kept, HTTP/1.1 or 2, TLS, nothing else.
//!
//! `reqwest` was turned down here: it brings a pool, redirects, proxies and cookies that no sink needs, and is the largest
//! part of what an application would have to compile.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Delivery;

/// Bytes of an answer that are read; the rest is of no interest to a sink.
const MAX_ANSWER: usize = 64 * 1024;

/// What an `https` server is trusted by, and how this side shows who it is.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Certificates in PEM form that are trusted instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// This side's certificates and private key, both in PEM form.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// The configuration of a client.
    ///
    /// # Errors
    /// When a certificate or key cannot be read, or there is nothing to trust.
    pub fn client_config(&self) -> io::Result<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        match &self.ca {
            Some(pem) => {
                for certificate in certificates(pem)? {
                    roots.add(certificate).map_err(invalid)?;
                }
            }
            None => {
                // Some systems hold a few broken ones among the good.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(invalid("no certificate to trust: neither given nor found on the system"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_root_certificates(roots);
        match &self.identity {
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| invalid(error.to_string()))?;
                builder.with_client_auth_cert(certificates(chain)?, key).map_err(invalid)
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

fn certificates(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| invalid(error.to_string()))?;
    if certificates.is_empty() { Err(invalid("no certificate in the PEM text")) } else { Ok(certificates) }
}

fn invalid(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, cause)
}

/// A client of one server. Used by one sink, on the network thread.
pub struct HttpClient {
    host: String,
    port: u16,
    host_header: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// HTTP/2, as gRPC needs it, without asking.
    http2: bool,
    connection: Option<Connection>,
}

enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<http::Response<hyper::body::Incoming>> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => sender.send_request(request).await,
        }
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty when it is longer than 64 KiB.
    pub body: Bytes,
    /// What came after the body; gRPC has its status there.
    pub trailers: HeaderMap,
}

impl Answer {
    /// The pause that the server asks for in `Retry-After`, in seconds; dates are not read.
    pub fn retry_after(&self) -> Option<Duration> {
        self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
    }

    /// What the status code means for a batch: 2xx has arrived; 408, 429 and 5xx may work later; all else never will.
    pub fn delivery(&self) -> Delivery {
        match self.status.as_u16() {
            200..=299 => Delivery::Delivered,
            408 | 429 | 500..=599 => Delivery::Retry { after: self.retry_after() },
            _ => Delivery::Refused,
        }
    }
}

impl HttpClient {
    /// A client of the server of this address, which is not contacted yet.
    ///
    /// # Errors
    /// When the address has no host or another scheme than `http` and `https`, or the certificates cannot be used.
    pub fn new(address: &Uri, tls: &Tls) -> io::Result<Self> {
        Self::with_protocol(address, tls, false)
    }

    /// As [`HttpClient::new`], but speaks HTTP/2 without asking whether the server does.
    ///
    /// # Errors
    /// As there.
    pub fn http2(address: &Uri, tls: &Tls) -> io::Result<Self> {
        Self::with_protocol(address, tls, true)
    }

    fn with_protocol(address: &Uri, tls: &Tls, http2: bool) -> io::Result<Self> {
        let host = address.host().ok_or_else(|| invalid("the address has no host"))?;
        let (tls, default_port) = match address.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let name = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(name).map_err(|error| invalid(error.to_string()))?;
                let mut config = tls.client_config()?;
                config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
                (Some((TlsConnector::from(Arc::new(config)), name)), 443)
            }
            _ => return Err(invalid("the address must begin with http:// or https://")),
        };
        let port = address.port_u16().unwrap_or(default_port);
        let host_header = if port == default_port { host.to_owned() } else { format!("{host}:{port}") };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            host_header: host_header.parse().map_err(|_| invalid("the host is none"))?,
            tls,
            http2,
            connection: None,
        })
    }

    /// Sends a request and reads the answer. A connection that broke before is made anew; so is one whose answer was not
    /// waited for.
    ///
    /// # Errors
    /// When the server cannot be reached or speaks no HTTP.
    pub async fn send(&mut self, mut request: Request<Bytes>) -> io::Result<Answer> {
        if !self.http2 {
            // HTTP/2 has the host in the address.
            request.headers_mut().insert(header::HOST, self.host_header.clone());
            let path = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
            *request.uri_mut() = path.parse().map_err(invalid)?;
        }
        // Taken out: when this future is dropped half way, the connection goes with it.
        let mut connection = match self.kept().await {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let answer = connection.send(request.map(Full::new)).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let (body, trailers) = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => {
                self.connection = Some(connection);
                let trailers = body.trailers().cloned().unwrap_or_default();
                (body.to_bytes(), trailers)
            }
            // Too long or broken off: the connection cannot be used again.
            Err(_) => Default::default(),
        };
        Ok(Answer { status: head.status, headers: head.headers, body, trailers })
    }

    /// The connection of the last request, if it still stands.
    async fn kept(&mut self) -> Option<Connection> {
        let mut kept = self.connection.take()?;
        kept.ready().await.is_ok().then_some(kept)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => self.handshake(TokioIo::new(stream)).await,
            Some((connector, name)) => {
                self.handshake(TokioIo::new(connector.connect(name.clone(), stream).await?)).await
            }
        }
    }

    async fn handshake<T>(&self, stream: T) -> io::Result<Connection>
    where
        T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        // How a connection ends shows in the next request.
        if self.http2 {
            let handshake = http2::handshake(TokioExecutor::new(), stream);
            let (sender, connection) = handshake.await.map_err(io::Error::other)?;
            tokio::spawn(async move { _ = connection.await });
            Ok(Connection::Http2(sender))
        } else {
            let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(async move { _ = connection.await });
            Ok(Connection::Http1(sender))
        }
    }
}
