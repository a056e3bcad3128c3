//! Telemetry in, and back by every way that there is.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::program::{Server, run};
use crate::telemetry::{json_gauge, json_log, json_span, send_grpc, span};

#[tokio::test(flavor = "multi_thread")]
async fn every_signal_is_taken_and_answered() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let http = reqwest::Client::new();

    send_grpc(&server.urls["otlp_grpc"], None, span("shop", "GET /cart", 1)).await.unwrap();
    for (listener, path, body) in [
        ("otlp_http", "/v1/logs", json_log("shop", "the cart is empty")),
        ("otlp_http", "/v1/metrics", json_gauge("shop", "cart.size", 2.5)),
        ("front_door", "/otlp/v1/traces", json_span("bank", "POST /pay", 2)),
    ] {
        let answer = http.post(server.url(listener, path)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }

    let rows = server.query("select service_name, name, kind, duration_ns from spans order by 1 desc");
    assert_eq!(rows, json!([["shop", "GET /cart", "server", 5_000_000], ["bank", "POST /pay", "server", 5_000_000]]));
    assert_eq!(server.query("select severity_number, body from logs"), json!([[17, "the cart is empty"]]));
    assert_eq!(server.query("select name, value from points('cart_size_ratio')"), json!([["cart_size_ratio", 2.5]]));

    for url in [server.url("jaeger", "/api/services"), server.url("front_door", "/jaeger/api/services")] {
        let services: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
        assert_eq!(services["data"], json!(["bank", "shop"]), "{url}");
    }
    let trace = server.url("jaeger", &format!("/api/traces/{}", "01".repeat(16)));
    let trace: Value = http.get(trace).send().await.unwrap().json().await.unwrap();
    assert_eq!(trace["data"][0]["spans"][0]["operationName"], "GET /cart");

    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = http.get(server.url("front_door", path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let metrics = http.get(server.url("front_door", "/metrics")).send().await.unwrap().text().await.unwrap();
    for metric in [
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
        "tripod_build_info{version=",
        "tripod_connections{listener=\"front_door\"} ",
        "tripod_query_duration_seconds_bucket{api=\"sql\",le=",
        "tripod_ingest_accepted_total{signal=\"spans\"} 2",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in\n{metrics}");
    }
    let status: Value =
        http.get(server.url("front_door", "/api/v1/status")).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["listeners"].as_array().map(Vec::len), Some(5), "{status}");
    assert_eq!(status["store"]["tables"].as_array().map(Vec::len), Some(2), "{status}");
}

#[test]
fn the_doctor_finds_a_healthy_server_healthy() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let (code, out, error) = run(&mut server.command(&["doctor"]));
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.ends_with("all is well\n"), "{out}");
    let (code, out, _) = run(&mut server.command(&["doctor", "--format", "json"]));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["ok"]), (0, &Value::Bool(true)));
    let checks: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    for check in [
        "health",
        "disk",
        "read span by SQL",
        "read trace by the Jaeger API",
        "read log record by SQL",
        "read metric point by SQL",
        "OTLP/gRPC",
        "OTLP/HTTP",
        "Jaeger API",
    ] {
        assert!(checks.contains(&check), "{check} is not in {checks:?}");
    }
    // Both examinations are in the tables.
    assert_eq!(server.query("select count(*) from spans where service_name = 'tripod-doctor'"), json!([[2]]));
}

#[test]
fn the_doctor_says_what_is_wrong() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--set", "ingest.bearer_token=secret"]);
    let (code, out, _) = run(&mut server.command(&["doctor", "--ingest-token", "wrong"]));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("✓ health") && out.contains("✗ send span") && out.contains("→ "), "{out}");
    let (code, out, _) = run(&mut server.command(&["doctor", "--ingest-token", "secret"]));
    assert_eq!(code, 0, "{out}");
}
