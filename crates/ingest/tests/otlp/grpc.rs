//! OTLP/gRPC: what is kept, and every code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, IntoRequest, Request, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;
use tripod_ingest::{Settings, otlp};
use tripod_storage::memory::MemoryStore;
use tripod_storage::series::MemorySeriesStore;
use tripod_storage::{Signal, Store};

use crate::client::{gzip, ingest, no_series, series_in, serve, zstd};
use crate::samples::{
    UNDECODABLE_FIELD, assert_kept, assert_point_kept, logs, metrics, partly_good, span, traces, undecodable,
};
use crate::stores::{Blocking, PATIENCE, Refusing, count};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

async fn grpc_server(store: Arc<dyn Store>, settings: Settings) -> SocketAddr {
    serve(otlp::grpc_router(ingest(store, settings), no_series())).await
}

fn channel(server: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{server}")).unwrap().timeout(PATIENCE).connect_lazy()
}

async fn refused(server: SocketAddr, request: impl IntoRequest<ExportTraceServiceRequest>) -> Status {
    TraceServiceClient::new(channel(server)).export(request).await.unwrap_err()
}

fn sample() -> ExportTraceServiceRequest {
    traces(vec![span()])
}

#[tokio::test]
async fn what_is_sent_is_kept_with_and_without_compression() {
    let (store, series) = (Arc::new(MemoryStore::default()), Arc::new(MemorySeriesStore::default()));
    let router = otlp::grpc_router(ingest(store.clone(), Settings::default()), series_in(Arc::clone(&series)));
    let channel = channel(serve(router).await);
    let mut traces = TraceServiceClient::new(channel.clone());
    let mut logs_client = LogsServiceClient::new(channel.clone());
    let mut metrics_client = MetricsServiceClient::new(channel);
    for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        if let Some(compression) = compression {
            traces = traces.send_compressed(compression).accept_compressed(compression);
            logs_client = logs_client.send_compressed(compression).accept_compressed(compression);
            metrics_client = metrics_client.send_compressed(compression).accept_compressed(compression);
        }
        assert_eq!(traces.export(sample()).await.unwrap().into_inner().partial_success, None);
        assert_eq!(logs_client.export(logs()).await.unwrap().into_inner().partial_success, None);
        assert_eq!(metrics_client.export(metrics()).await.unwrap().into_inner().partial_success, None);
    }
    for signal in Signal::ALL {
        assert_kept(store.as_ref(), signal, 3).await;
    }
    assert_point_kept(series.as_ref()).await;
}

#[tokio::test]
async fn partial_success_says_how_many_and_why_also_compressed() {
    let store = Arc::new(MemoryStore::default());
    let channel = channel(grpc_server(store.clone(), Settings::default()).await);
    for compression in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = TraceServiceClient::new(channel.clone()).accept_compressed(compression);
        let answer = client.export(partly_good()).await.unwrap();
        assert!(answer.metadata().get("grpc-encoding").is_some(), "{compression:?}");
        let partial = answer.into_inner().partial_success.unwrap();
        assert_eq!(partial.rejected_spans, 1);
        assert!(partial.error_message.contains("trace id"), "{}", partial.error_message);
    }
    assert_kept(store.as_ref(), Signal::Spans, 2).await;
}

#[tokio::test]
async fn large_and_empty_requests_are_accepted() {
    let store = Arc::new(MemoryStore::default());
    let channel = channel(grpc_server(store.clone(), Settings::default()).await);
    let mut client = TraceServiceClient::new(channel).send_compressed(CompressionEncoding::Zstd);
    client.export(ExportTraceServiceRequest::default()).await.unwrap();
    client.export(traces(vec![span(); 10_000])).await.unwrap();
    assert_kept(store.as_ref(), Signal::Spans, 10_000).await;
}

#[tokio::test]
async fn what_cannot_be_decoded_is_invalid_argument_and_names_the_field() {
    let store = Arc::new(MemoryStore::default());
    let status = refused(grpc_server(store.clone(), Settings::default()).await, undecodable()).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with(UNDECODABLE_FIELD), "{}", status.message());
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(), [UNDECODABLE_FIELD]);
    assert!(status.get_details_retry_info().is_none());
    assert_eq!(count(store.as_ref(), Signal::Spans).await, 0);
}

#[tokio::test]
async fn a_token_is_asked_for_when_it_is_set() {
    let store = Arc::new(MemoryStore::default());
    let settings = Settings { bearer_token: Some("secret".to_owned()), ..Settings::default() };
    let server = grpc_server(store.clone(), settings).await;
    assert_eq!(refused(server, sample()).await.code(), Code::Unauthenticated);
    let with_token = |token: &'static str| {
        let mut request = Request::new(sample());
        request.metadata_mut().insert("authorization", token.parse().unwrap());
        request
    };
    assert_eq!(refused(server, with_token("Bearer wrong")).await.code(), Code::Unauthenticated);
    TraceServiceClient::new(channel(server)).export(with_token("Bearer secret")).await.unwrap();
    assert_kept(store.as_ref(), Signal::Spans, 1).await;
}

#[tokio::test]
async fn what_the_store_refuses_has_the_right_code_and_retry_info() {
    let overloaded = refused(grpc_server(Refusing::overloaded(), Settings::default()).await, sample()).await;
    assert_eq!(overloaded.code(), Code::ResourceExhausted);
    let delay = overloaded.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_millis(2500)));

    let stopping = refused(grpc_server(Refusing::shutting_down(), Settings::default()).await, sample()).await;
    assert_eq!(stopping.code(), Code::Unavailable);
    assert!(stopping.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));

    let failed = refused(grpc_server(Refusing::failed(), Settings::default()).await, sample()).await;
    assert_eq!(failed.code(), Code::Internal);
    assert!(failed.get_details_retry_info().is_none());
}

#[tokio::test]
async fn while_shutting_down_calls_are_unavailable() {
    let ingest = ingest(Arc::new(MemoryStore::default()), Settings::default());
    let server = serve(otlp::grpc_router(ingest.clone(), no_series())).await;
    ingest.begin_shutdown();
    let status = refused(server, sample()).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn too_many_calls_at_once_are_resource_exhausted_with_retry_info() {
    let store = Blocking::new();
    let settings = Settings { max_concurrent_requests: 1, ..Settings::default() };
    let server = grpc_server(store.clone(), settings).await;
    let channel = channel(server);
    let first = tokio::spawn(TraceServiceClient::new(channel.clone()).export_owned());
    store.entered().await;
    let status = TraceServiceClient::new(channel.clone()).export(sample()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    // The caller gives up: its place is free and nothing was kept.
    first.abort();
    store.left().await;
    assert_eq!(count(&store.kept, Signal::Spans).await, 0);
    store.release();
    TraceServiceClient::new(channel).export(sample()).await.unwrap();
    assert_kept(&store.kept, Signal::Spans, 1).await;
}

/// A call whose future borrows nothing.
trait ExportOwned {
    fn export_owned(self) -> impl Future<Output = Result<(), Status>> + Send + 'static;
}

impl ExportOwned for TraceServiceClient<Channel> {
    async fn export_owned(mut self) -> Result<(), Status> {
        self.export(sample()).await.map(|_| ())
    }
}

#[tokio::test]
async fn what_is_too_large_must_not_be_repeated() {
    let settings = || Settings { max_request_bytes: 1000, max_decompressed_bytes: 5000, ..Settings::default() };
    let store = Arc::new(MemoryStore::default());
    let server = grpc_server(store.clone(), settings()).await;
    let large = || traces(vec![span(); 20]);
    let medium = || traces(vec![span(); 100]);
    assert!(large().encoded_len() > 1000 && large().encoded_len() < 5000 && medium().encoded_len() > 5000);
    let as_received = refused(server, large()).await;
    assert_eq!(as_received.code(), Code::InvalidArgument);
    assert!(as_received.message().contains("max_request_bytes"), "{}", as_received.message());
    for compression in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = TraceServiceClient::new(channel(server)).send_compressed(compression);
        let decompressed = client.export(medium()).await.unwrap_err();
        assert_eq!(decompressed.code(), Code::InvalidArgument);
        assert!(decompressed.message().contains("max_decompressed_bytes"), "{}", decompressed.message());
        assert!(decompressed.get_details_retry_info().is_none());
        client.export(large()).await.unwrap();
    }
    assert_kept(store.as_ref(), Signal::Spans, 40).await;
}

/// Calls the router without a socket, with the bytes that a test wants.
async fn raw(path: &str, content_type: &str, encoding: Option<&str>, body: Vec<u8>) -> (u16, Option<Code>, String) {
    let router = otlp::grpc_router(ingest(Arc::new(MemoryStore::default()), Settings::default()), no_series());
    let mut request = http::Request::post(path).header("content-type", content_type);
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let response = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let accepted = headers.get("grpc-accept-encoding").map(|value| value.to_str().unwrap().to_owned());
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let grpc = Status::from_header_map(&headers).or_else(|| Status::from_header_map(&trailers));
    let text = String::from_utf8_lossy(&collected.to_bytes()).into_owned();
    let message = grpc.as_ref().map_or(text, |grpc| grpc.message().to_owned());
    (status, grpc.map(|grpc| grpc.code()), accepted.unwrap_or(message))
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[flag], &length.to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn unknown_services_and_methods_are_unimplemented() {
    for path in ["/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/grpc.health.v1.Health/Check", "/"] {
        let (status, code, message) = raw(path, "application/grpc", None, framed(0, b"")).await;
        assert_eq!((status, code), (200, Some(Code::Unimplemented)), "{path}");
        assert!(message.contains("TraceService"), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so() {
    for content_type in ["application/json", "application/x-protobuf", "application/grpc-web", "application/grpc+json"]
    {
        let (status, code, message) = raw(TRACES, content_type, None, b"{}".to_vec()).await;
        assert_eq!((status, code), (415, None), "{content_type}");
        assert!(message.contains("OTLP/HTTP has a port of its own"), "{message}");
    }
}

#[tokio::test]
async fn broken_framing_is_refused() {
    let message = sample().encode_to_vec();
    let whole = framed(0, &message);
    assert_eq!(raw(TRACES, "application/grpc+proto", None, whole.clone()).await.1, Some(Code::Ok));
    let two = [whole.clone(), whole.clone()].concat();
    let cut = whole[..whole.len() - 1].to_vec();
    for (body, encoding, expected) in [
        (Vec::new(), None, Code::Internal),
        (whole[..4].to_vec(), None, Code::Internal),
        (cut, None, Code::Internal),
        (two, None, Code::Internal),
        (framed(1, &message), None, Code::Internal),
        (framed(2, &message), None, Code::Internal),
        (framed(1, &message), Some("gzip"), Code::InvalidArgument),
        (framed(1, &gzip(&message)[..30]), Some("gzip"), Code::InvalidArgument),
        (framed(1, &zstd(&message)[..30]), Some("zstd"), Code::InvalidArgument),
    ] {
        let (status, code, message) = raw(TRACES, "application/grpc", encoding, body).await;
        assert_eq!((status, code), (200, Some(expected)), "{message}");
        assert!(!message.is_empty());
    }
    assert_eq!(raw(TRACES, "application/grpc", Some("gzip"), framed(0, &message)).await.1, Some(Code::Ok));
}

#[tokio::test]
async fn an_unknown_compression_is_told_the_known_ones() {
    let (_, code, accepted) = raw(TRACES, "application/grpc", Some("snappy"), framed(1, b"x")).await;
    assert_eq!((code, accepted.as_str()), (Some(Code::Unimplemented), "identity,gzip,zstd,deflate"));
}

#[tokio::test]
async fn a_zip_bomb_is_refused() {
    let zeros = Bytes::from(zstd(&vec![0; 65 << 20]));
    let (_, code, message) = raw(TRACES, "application/grpc", Some("zstd"), framed(1, &zeros)).await;
    assert_eq!(code, Some(Code::InvalidArgument));
    assert!(message.contains("67108864"), "{message}");
}
