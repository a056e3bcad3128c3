//! A stand-in for a collector: takes OTLP over gRPC, counts, and says yes.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::TcpListener;

/// What came in so far.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    bytes: AtomicU64,
    spans: AtomicU64,
    records: AtomicU64,
}

/// What had come in at some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Bytes of the messages, without the frames of HTTP/2.
    pub(crate) bytes: u64,
    /// Spans.
    pub(crate) spans: u64,
    /// Log records.
    pub(crate) records: u64,
}

impl Received {
    /// What came since then.
    pub(crate) fn since(self, then: Self) -> Self {
        Self { bytes: self.bytes - then.bytes, spans: self.spans - then.spans, records: self.records - then.records }
    }
}

impl Collector {
    /// Listens on a port of the system's choice.
    pub(crate) async fn start() -> Result<(Arc<Self>, SocketAddr)> {
        let collector = Arc::new(Self::default());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(shared.clone(), request));
                    // A client that leaves is the end of a measurement, not an error.
                    _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok((collector, address))
    }

    /// What came in so far.
    pub(crate) fn received(&self) -> Received {
        Received {
            bytes: self.bytes.load(Relaxed),
            spans: self.spans.load(Relaxed),
            records: self.records.load(Relaxed),
        }
    }

    fn count(&self, path: &str, body: &Bytes) {
        self.bytes.fetch_add(body.len() as u64, Relaxed);
        // Five bytes say that the message is not compressed and how long it is.
        let Some(message) = body.get(5..) else { return };
        if path.ends_with("TraceService/Export")
            && let Ok(request) = ExportTraceServiceRequest::decode(message)
        {
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            self.spans.fetch_add(scopes.map(|scope| scope.spans.len() as u64).sum(), Relaxed);
        }
        if path.ends_with("LogsService/Export")
            && let Ok(request) = ExportLogsServiceRequest::decode(message)
        {
            let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            self.records.fetch_add(scopes.map(|scope| scope.log_records.len() as u64).sum(), Relaxed);
        }
    }
}

type Answer = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(collector: Arc<Collector>, request: Request<Incoming>) -> Result<Response<Answer>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    collector.count(&path, &body);
    let trailers = async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Some(Ok(trailers))
    };
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(trailers).boxed();
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}
