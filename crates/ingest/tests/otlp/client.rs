//! Servers on free ports, and an HTTP/1.1 client that sends exactly the bytes that a test wants.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tripod_ingest::prometheus::otlp::{OtlpSeriesSettings, SeriesTarget};
use tripod_ingest::{Ingest, Settings, otlp};
use tripod_storage::Store;
use tripod_storage::series::MemorySeriesStore;

use crate::stores::PATIENCE;

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

/// Serves a router until the runtime ends.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

pub(crate) fn ingest(store: Arc<dyn Store>, settings: Settings) -> Arc<Ingest> {
    assert_eq!(settings.check(), Ok(()));
    Ingest::new(store, settings)
}

/// Where metrics go in tests that send none.
pub(crate) fn no_series() -> SeriesTarget {
    series_in(Arc::new(MemorySeriesStore::default()))
}

/// Where metrics go that a test looks at.
pub(crate) fn series_in(store: Arc<MemorySeriesStore>) -> SeriesTarget {
    SeriesTarget::new(store, OtlpSeriesSettings::default())
}

pub(crate) async fn http_server(store: Arc<dyn Store>, settings: Settings) -> SocketAddr {
    serve(otlp::http_router(ingest(store, settings), no_series())).await
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some(JSON), "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The message of a `google.rpc.Status` in JSON.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }
}

/// A request, its head as text lines.
pub(crate) struct Call {
    head: String,
    body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n"), body: Vec::new() }
    }

    pub(crate) fn post(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).header("content-type", content_type).body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    /// A body with its length.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Self { body, ..self.header("content-length", &length) }
    }

    /// A body in chunks, whose whole length is not announced.
    pub(crate) fn chunked(self, chunks: &[&[u8]]) -> Self {
        let mut body = Vec::new();
        for chunk in chunks {
            write!(body, "{:x}\r\n", chunk.len()).unwrap();
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        Self { body, ..self.header("transfer-encoding", "chunked") }
    }

    /// Sends head and body and gives the open connection.
    pub(crate) async fn begin(self, server: SocketAddr) -> Pending {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(format!("{}\r\n", self.head).as_bytes()).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(&self.body).await;
        Pending { stream }
    }

    pub(crate) async fn send(self, server: SocketAddr) -> Answer {
        self.begin(server).await.answer().await
    }
}

/// A connection on which a request was sent. Dropping it closes the connection.
pub(crate) struct Pending {
    stream: TcpStream,
}

impl Pending {
    pub(crate) async fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("an answer arrives").unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Answer { status, headers, body: bytes[end + 4..].to_vec() }
    }
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}
