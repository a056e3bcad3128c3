//! OTLP/HTTP: what is kept, and every status.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic_types::pb;
use tripod_ingest::{Settings, otlp};
use tripod_storage::Signal;
use tripod_storage::memory::MemoryStore;
use tripod_storage::series::MemorySeriesStore;

use crate::client::{Call, JSON, PROTOBUF, gzip, http_server, ingest, no_series, series_in, serve, zstd};
use crate::samples::{
    LOGS_JSON, METRICS_JSON, TRACES_JSON, UNDECODABLE_FIELD, assert_kept, assert_point_kept, logs, metrics,
    partly_good, span, traces, undecodable,
};
use crate::stores::{Refusing, count};

/// Path, table if there is one, and the two forms of a request.
fn signals() -> [(&'static str, Option<Signal>, Vec<u8>, &'static str); 3] {
    [
        ("/v1/traces", Some(Signal::Spans), traces(vec![span()]).encode_to_vec(), TRACES_JSON),
        ("/v1/logs", Some(Signal::Logs), logs().encode_to_vec(), LOGS_JSON),
        ("/v1/metrics", None, metrics().encode_to_vec(), METRICS_JSON),
    ]
}

#[tokio::test]
async fn what_is_sent_is_kept_in_every_form() {
    let (store, series) = (Arc::new(MemoryStore::default()), Arc::new(MemorySeriesStore::default()));
    let router = otlp::http_router(ingest(store.clone(), Settings::default()), series_in(Arc::clone(&series)));
    let server = serve(router).await;
    for (path, signal, protobuf, json) in signals() {
        let mut sent = 0;
        for (content_type, body) in [
            (PROTOBUF, protobuf.as_slice()),
            ("application/protobuf", &protobuf),
            (JSON, json.as_bytes()),
            ("Application/JSON; charset=utf-8", json.as_bytes()),
        ] {
            let calls = [
                Call::post(path, content_type, body),
                Call::post(path, content_type, gzip(body)).header("content-encoding", "gzip"),
                Call::post(path, content_type, zstd(body)).header("content-encoding", "zstd"),
                Call::new("POST", path).header("content-type", content_type).chunked(&[&body[..7], &body[7..]]),
            ];
            for call in calls {
                let answer = call.send(server).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                if content_type.to_ascii_lowercase().starts_with(JSON) {
                    assert_eq!(answer.json(), serde_json::json!({}));
                } else {
                    assert_eq!((answer.header("content-type"), answer.body.len()), (Some(PROTOBUF), 0));
                }
                sent += 1;
            }
        }
        match signal {
            Some(signal) => assert_kept(store.as_ref(), signal, sent).await,
            None => assert_point_kept(series.as_ref()).await,
        }
    }
}

#[tokio::test]
async fn a_large_request_is_decoded_beside_and_kept_whole() {
    let store = Arc::new(MemoryStore::default());
    let server = http_server(store.clone(), Settings::default()).await;
    let body = traces(vec![span(); 10_000]).encode_to_vec();
    assert!(body.len() > 512 * 1024);
    for (encoding, body) in [("identity", body.clone()), ("gzip", gzip(&body)), ("zstd", zstd(&body))] {
        let answer = Call::post("/v1/traces", PROTOBUF, body).header("content-encoding", encoding).send(server).await;
        assert_eq!(answer.status, 200, "{encoding}: {answer:?}");
    }
    assert_kept(store.as_ref(), Signal::Spans, 30_000).await;
}

#[tokio::test]
async fn an_empty_message_is_accepted_and_nothing_is_appended() {
    // The store refuses every append, so an answer of 200 says that there was none.
    let server = http_server(Refusing::failed(), Settings::default()).await;
    for (path, ..) in signals() {
        assert_eq!(Call::post(path, PROTOBUF, "").send(server).await.status, 200);
        assert_eq!(Call::post(path, JSON, "{}").send(server).await.status, 200);
    }
}

#[tokio::test]
async fn partial_success_says_how_many_and_why() {
    let store = Arc::new(MemoryStore::default());
    let server = http_server(store.clone(), Settings::default()).await;
    let answer = Call::post("/v1/traces", PROTOBUF, partly_good().encode_to_vec()).send(server).await;
    assert_eq!(answer.status, 200);
    let partial = ExportTraceServiceResponse::decode(answer.body.as_slice()).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.starts_with("1 of 2 spans were not kept"), "{}", partial.error_message);
    assert!(partial.error_message.contains("trace id"), "{}", partial.error_message);

    let json = TRACES_JSON.replace("5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b", "");
    let answer = Call::post("/v1/traces", JSON, json).send(server).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "1");
    assert_kept(store.as_ref(), Signal::Spans, 1).await;
}

#[tokio::test]
async fn what_cannot_be_decoded_is_400_and_names_the_field() {
    let store = Arc::new(MemoryStore::default());
    let server = http_server(store.clone(), Settings::default()).await;
    let answer = Call::post("/v1/traces", PROTOBUF, undecodable().encode_to_vec()).send(server).await;
    assert_eq!((answer.status, answer.header("content-type")), (400, Some(PROTOBUF)));
    let status = pb::Status::decode(answer.body.as_slice()).unwrap();
    assert_eq!(status.code, i32::from(tonic::Code::InvalidArgument));
    assert!(status.message.starts_with(UNDECODABLE_FIELD), "{}", status.message);

    let json = TRACES_JSON.replace("EEEEEEEEEEEEEEEE", "EEEE");
    let answer = Call::post("/v1/traces", JSON, json).send(server).await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (400, Some(3)));
    assert!(answer.message().contains("resourceSpans[0].scopeSpans[0].spans[0].spanId"), "{}", answer.message());

    for (content_type, body) in [(PROTOBUF, &b"\xff\xff"[..]), (JSON, b"{\"resourceSpans\": ["), (JSON, b"")] {
        assert_eq!(Call::post("/v1/traces", content_type, body).send(server).await.status, 400, "{body:?}");
    }
    assert_eq!(count(store.as_ref(), Signal::Spans).await, 0);
}

#[tokio::test]
async fn broken_bodies_are_400() {
    let server = http_server(Refusing::failed(), Settings::default()).await;
    let body = traces(vec![span()]).encode_to_vec();
    for (encoding, whole) in [("gzip", gzip(&body)), ("zstd", zstd(&body))] {
        let cut = &whole[..whole.len() - 5];
        let answer = Call::post("/v1/traces", JSON, cut).header("content-encoding", encoding).send(server).await;
        assert_eq!(answer.status, 400, "{encoding}");
        assert!(answer.message().contains(encoding), "{}", answer.message());
        let answer = Call::post("/v1/traces", JSON, &body[..]).header("content-encoding", encoding).send(server).await;
        assert_eq!(answer.status, 400, "{encoding}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_when_it_is_set() {
    let store = Arc::new(MemoryStore::default());
    let settings = Settings { bearer_token: Some("secret".to_owned()), ..Settings::default() };
    let server = http_server(store.clone(), settings).await;
    let call = || Call::post("/v1/traces", JSON, TRACES_JSON);
    for call in [call(), call().header("authorization", "Bearer wrong"), call().header("authorization", "Basic secret")]
    {
        let answer = call.send(server).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(answer.json()["code"], 16);
    }
    assert_eq!(call().header("authorization", "Bearer secret").send(server).await.status, 200);
    assert_kept(store.as_ref(), Signal::Spans, 1).await;
}

#[tokio::test]
async fn other_paths_and_methods_are_told_the_right_ones() {
    let server = http_server(Refusing::failed(), Settings::default()).await;
    for path in ["/", "/v1/trace", "/v1/traces/"] {
        let answer = Call::post(path, JSON, "{}").send(server).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.message().contains("/v1/traces, logs to /v1/logs"), "{}", answer.message());
    }
    let grpc = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert!(Call::post(grpc, JSON, "").send(server).await.message().contains("OTLP/gRPC"));
    for (path, ..) in signals() {
        for method in ["GET", "PUT", "OPTIONS", "DELETE"] {
            let answer = Call::new(method, path).send(server).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
            assert!(answer.message().contains(method));
        }
    }
}

#[tokio::test]
async fn other_formats_and_encodings_are_415_and_told_the_right_ones() {
    let server = http_server(Refusing::failed(), Settings::default()).await;
    let calls = [
        Call::post("/v1/logs", "text/plain", "{}"),
        Call::post("/v1/logs", "application/grpc", "{}"),
        Call::new("POST", "/v1/logs").body("{}"),
    ];
    for call in calls {
        let answer = call.send(server).await;
        assert_eq!(answer.status, 415);
        assert!(answer.message().contains("application/x-protobuf and application/json"), "{}", answer.message());
    }
    for encoding in ["br", "gzip, gzip", "snappy"] {
        let answer = Call::post("/v1/logs", JSON, "{}").header("content-encoding", encoding).send(server).await;
        assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("gzip, zstd, deflate, identity")));
        assert!(answer.message().contains("content-encoding"), "{}", answer.message());
    }
}

#[tokio::test]
async fn what_the_store_refuses_has_the_right_status() {
    let call = || Call::post("/v1/traces", JSON, TRACES_JSON);
    let overloaded = call().send(http_server(Refusing::overloaded(), Settings::default()).await).await;
    assert_eq!((overloaded.status, overloaded.header("retry-after")), (429, Some("3")));
    assert!(overloaded.message().contains("the disk is full"));
    assert_eq!(overloaded.json()["code"], 8);

    let stopping = call().send(http_server(Refusing::shutting_down(), Settings::default()).await).await;
    assert_eq!(stopping.status, 503);
    assert!(stopping.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().unwrap() >= 1));

    let failed = call().send(http_server(Refusing::failed(), Settings::default()).await).await;
    assert_eq!((failed.status, failed.header("retry-after")), (500, None));
    assert!(!failed.message().contains("secret"), "the log's business: {}", failed.message());
}

#[tokio::test]
async fn while_shutting_down_requests_are_503() {
    let store = Arc::new(MemoryStore::default());
    let ingest = ingest(store.clone(), Settings::default());
    let server = serve(otlp::http_router(ingest.clone(), no_series())).await;
    assert_eq!(Call::post("/v1/traces", JSON, TRACES_JSON).send(server).await.status, 200);
    ingest.begin_shutdown();
    let answer = Call::post("/v1/traces", JSON, TRACES_JSON).send(server).await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (503, Some(14)));
    assert!(answer.header("retry-after").is_some());
    assert_kept(store.as_ref(), Signal::Spans, 1).await;
}
