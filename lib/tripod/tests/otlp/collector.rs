//! A collector made of `tonic`, `axum` and `opentelemetry-proto`: nothing of it is ours.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use parking_lot::Mutex;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tonic::codec::CompressionEncoding;
use tripod::sinks::otlp::{OtlpSettings, Protocol};

use super::Signal;

/// What a request is answered with, instead of success.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Http(u16),
    Grpc(tonic::Status),
    /// So many items are rejected.
    Partial(i64),
}

#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Inner>);

#[derive(Default)]
struct Inner {
    pub(crate) spans: Mutex<Vec<ExportTraceServiceRequest>>,
    pub(crate) logs: Mutex<Vec<ExportLogsServiceRequest>>,
    pub(crate) metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
    headers: Mutex<Vec<HeaderMap>>,
    troubles: Mutex<VecDeque<Trouble>>,
}

impl Collector {
    /// Starts on a port of its own, on a thread of its own.
    pub(crate) fn start(tls: Option<ServerConfig>, troubles: Vec<Trouble>) -> (Self, SocketAddr) {
        let collector = Self::default();
        collector.0.troubles.lock().extend(troubles);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let router = collector.router();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { serve(tokio::net::TcpListener::from_std(listener).unwrap(), router, tls).await });
        });
        (collector, address)
    }

    fn router(&self) -> Router {
        let gzip = CompressionEncoding::Gzip;
        let routes = tonic::service::Routes::new(TraceServiceServer::new(self.clone()).accept_compressed(gzip))
            .add_service(LogsServiceServer::new(self.clone()).accept_compressed(gzip))
            .add_service(MetricsServiceServer::new(self.clone()).accept_compressed(gzip));
        let http = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/logs", post(logs))
            .route("/v1/metrics", post(metrics))
            .with_state(self.clone());
        http.merge(routes.into_axum_router())
    }

    pub(crate) fn spans(&self) -> Vec<ExportTraceServiceRequest> {
        self.0.spans.lock().clone()
    }

    pub(crate) fn logs(&self) -> Vec<ExportLogsServiceRequest> {
        self.0.logs.lock().clone()
    }

    pub(crate) fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.0.metrics.lock().clone()
    }

    pub(crate) fn span_count(&self) -> usize {
        let scopes = |request: &ExportTraceServiceRequest| {
            request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum::<usize>()
        };
        self.spans().iter().map(scopes).sum()
    }

    /// Spans, log records, or snapshots of metrics.
    pub(crate) fn count(&self, signal: Signal) -> usize {
        let records = |request: &ExportLogsServiceRequest| {
            request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len()).sum::<usize>()
        };
        match signal {
            Signal::Spans => self.span_count(),
            Signal::Logs => self.logs().iter().map(records).sum(),
            Signal::Metrics => {
                self.metrics().iter().map(|request| request.resource_metrics[0].scope_metrics.len()).sum()
            }
        }
    }

    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.0.headers.lock().clone()
    }

    fn trouble(&self) -> Option<Trouble> {
        self.0.troubles.lock().pop_front()
    }
}

pub(crate) fn settings(protocol: Protocol, scheme: &str, address: SocketAddr, path: &str) -> OtlpSettings {
    let path = if protocol == Protocol::Grpc { "" } else { path };
    OtlpSettings::new(format!("{scheme}://localhost:{}{path}", address.port()).parse().unwrap(), protocol)
}

async fn serve(listener: tokio::net::TcpListener, router: Router, tls: Option<ServerConfig>) {
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (router, tls) = (router.clone(), tls.clone());
        tokio::spawn(async move {
            let (builder, service) = (auto::Builder::new(TokioExecutor::new()), TowerToHyperService::new(router));
            let _ = match tls {
                None => builder.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => builder.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
            };
        });
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers["content-type"] == "application/json"
}

fn decode<M: Message + Default + DeserializeOwned>(headers: &HeaderMap, body: Bytes) -> M {
    assert!(is_json(headers) || headers["content-type"] == "application/x-protobuf");
    let mut bytes = body.to_vec();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut plain).unwrap();
        bytes = plain;
    }
    if is_json(headers) {
        return serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{e} in {}", String::from_utf8_lossy(&bytes)));
    }
    M::decode(bytes.as_slice()).unwrap()
}

fn encode<M: Message + Serialize>(headers: &HeaderMap, answer: M) -> Vec<u8> {
    if is_json(headers) { serde_json::to_vec(&answer).unwrap() } else { answer.encode_to_vec() }
}

/// What a request is answered with: a status, or how many items are rejected.
fn http_trouble(trouble: Option<Trouble>) -> Result<i64, StatusCode> {
    match trouble {
        Some(Trouble::Http(status)) => Err(StatusCode::from_u16(status).unwrap()),
        Some(Trouble::Partial(rejected)) => Ok(rejected),
        _ => Ok(0),
    }
}

fn grpc_trouble(trouble: Option<Trouble>) -> Result<i64, tonic::Status> {
    match trouble {
        Some(Trouble::Grpc(status)) => Err(status),
        Some(Trouble::Partial(rejected)) => Ok(rejected),
        _ => Ok(0),
    }
}

const ERROR_MESSAGE: &str = "some are not wanted";

/// A signal's handlers, alike but for their types.
macro_rules! handlers {
    ($http:ident, $service:ident, $request:ident, $response:ident, $partial:ident, $rejected:ident, $kept:ident) => {
        async fn $http(
            State(collector): State<Collector>,
            headers: HeaderMap,
            body: Bytes,
        ) -> Result<Vec<u8>, StatusCode> {
            collector.0.headers.lock().push(headers.clone());
            let rejected = http_trouble(collector.trouble())?;
            collector.0.$kept.lock().push(decode(&headers, body));
            Ok(encode(&headers, $http::answer(rejected)))
        }

        mod $http {
            use super::*;

            pub(super) fn answer(rejected: i64) -> $response {
                let partial = $partial { $rejected: rejected, error_message: ERROR_MESSAGE.to_owned() };
                $response { partial_success: (rejected > 0).then_some(partial) }
            }
        }

        #[tonic::async_trait]
        impl $service for Collector {
            async fn export(
                &self,
                request: tonic::Request<$request>,
            ) -> Result<tonic::Response<$response>, tonic::Status> {
                self.0.headers.lock().push(request.metadata().clone().into_headers());
                let rejected = grpc_trouble(self.trouble())?;
                self.0.$kept.lock().push(request.into_inner());
                Ok(tonic::Response::new($http::answer(rejected)))
            }
        }
    };
}

handlers!(
    traces,
    TraceService,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    ExportTracePartialSuccess,
    rejected_spans,
    spans
);
handlers!(
    logs,
    LogsService,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
    ExportLogsPartialSuccess,
    rejected_log_records,
    logs
);
handlers!(
    metrics,
    MetricsService,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
    ExportMetricsPartialSuccess,
    rejected_data_points,
    metrics
);
