//! What the receivers count about themselves.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use prost::Message;
use tripod_ingest::{Settings, describe, otlp};
use tripod_storage::memory::MemoryStore;

use crate::client::{Call, JSON, PROTOBUF, gzip, ingest, no_series, serve};
use crate::samples::{TRACES_JSON, partly_good, undecodable};

#[tokio::test]
async fn requests_bytes_and_records_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Metrics are taken from the recorder when receivers are made; requests need none.
    let router = metrics::with_local_recorder(&recorder, || {
        describe();
        otlp::http_router(ingest(Arc::new(MemoryStore::default()), Settings::default()), no_series())
    });
    let server = serve(router).await;
    let compressed = gzip(TRACES_JSON.as_bytes());
    let partly_good = partly_good().encode_to_vec();
    let received = TRACES_JSON.len() + compressed.len() + partly_good.len();
    let decompressed = TRACES_JSON.len() * 2 + partly_good.len();
    let undecodable = undecodable().encode_to_vec();
    let received = received + undecodable.len();
    for (call, status) in [
        (Call::post("/v1/traces", JSON, TRACES_JSON), 200),
        (Call::post("/v1/traces", JSON, compressed).header("content-encoding", "gzip"), 200),
        (Call::post("/v1/traces", PROTOBUF, partly_good), 200),
        (Call::post("/v1/traces", PROTOBUF, undecodable), 400),
        (Call::post("/v1/traces", "text/plain", ""), 415),
    ] {
        assert_eq!(call.send(server).await.status, status);
    }
    let text = handle.render();
    let value = |series: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(series))
            .unwrap_or_else(|| panic!("{series} is not in\n{text}"))
            .trim()
            .parse::<f64>()
            .unwrap() as usize
    };
    let http = r#"protocol="otlp_http",signal="spans""#;
    assert_eq!(value(&format!("tripod_ingest_requests_total{{{http},code=\"200\"}}")), 3);
    assert_eq!(value(&format!("tripod_ingest_requests_total{{{http},code=\"400\"}}")), 1);
    assert_eq!(value(&format!("tripod_ingest_requests_total{{{http},code=\"415\"}}")), 1);
    assert_eq!(value(&format!("tripod_ingest_bytes_total{{{http}}}")), received);
    assert_eq!(value(&format!("tripod_ingest_decompressed_bytes_total{{{http}}}")), decompressed);
    assert_eq!(value(r#"tripod_ingest_accepted_total{signal="spans"}"#), 3);
    assert_eq!(value(r#"tripod_ingest_refused_total{signal="spans",reason="invalid"}"#), 1);
    assert_eq!(value(r#"tripod_ingest_refused_total{signal="spans",reason="unsupported_format"}"#), 1);
    assert_eq!(value(r#"tripod_ingest_refused_total{signal="spans",reason="overloaded"}"#), 0);
    assert_eq!(value(r#"tripod_ingest_dropped_total{signal="spans",reason="invalid"}"#), 1);
    assert_eq!(value(r#"tripod_ingest_request_duration_seconds_count{signal="spans"}"#), 5);
    assert_eq!(value("tripod_ingest_in_flight_bytes"), 0);
    assert!(text.contains("# HELP tripod_ingest_accepted_total Records"), "{text}");
}
