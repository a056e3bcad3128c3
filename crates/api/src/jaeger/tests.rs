//! The API over HTTP, against a store in memory.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value as Json, json};
use tripod_model::{Attribute, Scope, Span, SpanEvent, SpanKind, SpanLink, Status, StatusCode, Value};
use tripod_storage::memory::MemoryStore;
use tripod_storage::{Predicate, Scalar, Store, TimeRange};

use super::router;
use crate::JaegerSettings;
use crate::testing::{Ending, Misbehaving, Received, Recorder, T0, get, memory, resource, span_id, spans, trace_id};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// Before every span, and after, in microseconds.
const WINDOW: &str = "start=1767225500000000&end=1767225900000000";

fn span(trace: u8, id: u8, parent: u8, name: &'static str, start: u64, duration: u64) -> Span<'static> {
    Span {
        trace_id: trace_id(trace),
        span_id: span_id(id),
        parent_span_id: span_id(parent),
        name: name.into(),
        start_time_unix_nano: T0 + start,
        end_time_unix_nano: T0 + start + duration,
        ..Span::default()
    }
}

/// Three traces: a request through two services to a database that fails, a message that is consumed later, and a
/// span without a service whose clock went back.
async fn store() -> Arc<MemoryStore> {
    let frontend = resource([Attribute::new("service.name", "frontend"), Attribute::new("host.name", "h1")]);
    let cart = resource([
        Attribute::new("service.name", "cart"),
        Attribute::new("deployment.environment.name", "prod"),
        Attribute::new("cpus", 8i64),
    ]);
    let nobody = resource([]);
    let scope = || Scope { name: "http-lib".into(), version: "1.2".into(), ..Scope::default() };
    let request = Span {
        kind: SpanKind::SERVER,
        trace_state: "vendor=1".into(),
        flags: 0x301,
        attributes: vec![
            Attribute::new("http.route", "/cart"),
            Attribute::new("http.response.status_code", 500i64),
            Attribute::new("big", 1i64 << 60),
            Attribute::new("ratio", 0.5),
            Attribute::new("cached", false),
            Attribute::new("raw", Value::Bytes(vec![1, 2, 255].into())),
            Attribute::new("list", Value::Array(vec!["a".into(), 1i64.into(), Value::Bytes(vec![1].into())])),
        ],
        status: Status { code: StatusCode::ERROR, message: "no \"cart\"".into() },
        events: vec![
            SpanEvent {
                time_unix_nano: T0 + 5 * MILLI + 999,
                name: "exception".into(),
                attributes: vec![Attribute::new("exception.type", "Timeout"), Attribute::new("attempt", 2i64)],
                ..SpanEvent::default()
            },
            SpanEvent {
                time_unix_nano: T0 + 6 * MILLI,
                name: "hidden".into(),
                attributes: vec![Attribute::new("event", "named")],
                ..SpanEvent::default()
            },
        ],
        links: vec![
            SpanLink { trace_id: trace_id(2), span_id: span_id(0x21), ..SpanLink::default() },
            SpanLink {
                trace_id: trace_id(9),
                span_id: span_id(0x99),
                attributes: vec![Attribute::new("opentracing.ref_type", "child_of")],
                ..SpanLink::default()
            },
        ],
        ..span(1, 0x11, 0, "GET /cart", 0, 100 * MILLI)
    };
    let call = Span { kind: SpanKind::CLIENT, ..span(1, 0x12, 0x11, "POST /load", 10 * MILLI, 80 * MILLI) };
    let load = Span { kind: SpanKind::SERVER, ..span(1, 0x13, 0x12, "POST /load", 20 * MILLI, 60 * MILLI) };
    let query = Span {
        kind: SpanKind::CLIENT,
        attributes: vec![Attribute::new("db.system.name", "postgresql"), Attribute::new("error", true)],
        status: Status { code: StatusCode(1), message: "".into() },
        ..span(1, 0x14, 0x13, "SELECT", 30 * MILLI, 1_500)
    };
    let consume = Span { kind: SpanKind(5), ..span(2, 0x21, 0, "consume", 60 * SECOND, 5 * MILLI) };
    let mut back = span(3, 0x31, 0, "tick", 120 * SECOND, 0);
    back.end_time_unix_nano -= SECOND;
    memory([
        spans([
            (&cart, scope(), query),
            (&cart, scope(), load),
            (&frontend, scope(), request),
            (&frontend, Scope::default(), call),
        ]),
        spans([(&cart, Scope::default(), consume), (&nobody, Scope::default(), back)]),
    ])
    .await
}

async fn api() -> Router {
    router(store().await, &JaegerSettings::default())
}

async fn ask(router: &Router, path: &str) -> Json {
    let received = get(router, path).await;
    assert_eq!(received.status, 200, "{path}: {}", received.text());
    assert_eq!(received.headers["content-type"], "application/json");
    received.json()
}

/// The first byte of the trace ids that a search gives, in its order.
async fn found(router: &Router, query: &str) -> Vec<u8> {
    let answer = ask(router, &format!("/api/traces?{WINDOW}&{query}")).await;
    let traces = answer["data"].as_array().unwrap();
    assert_eq!(answer["total"], traces.len());
    let id = |trace: &Json| u8::from_str_radix(&trace["traceID"].as_str().unwrap()[..2], 16).unwrap();
    traces.iter().map(id).collect()
}

async fn refused(router: &Router, path: &str, status: u16) -> String {
    let received: Received = get(router, path).await;
    assert_eq!(received.status.as_u16(), status, "{path}: {}", received.text());
    let json = received.json();
    assert_eq!((&json["data"], &json["errors"][0]["code"]), (&Json::Null, &json!(status)));
    json["errors"][0]["msg"].as_str().unwrap().to_owned()
}

fn tag(key: &str, kind: &str, value: impl Into<Json>) -> Json {
    json!({"key": key, "type": kind, "value": value.into()})
}

#[tokio::test]
async fn a_trace_has_everything() {
    let api = api().await;
    let answer = ask(&api, &format!("/api/traces/{}?prettyPrint=true&raw=true", "01".repeat(16))).await;
    assert_eq!(
        (&answer["total"], &answer["limit"], &answer["offset"], &answer["errors"]),
        (&json!(1), &json!(0), &json!(0), &Json::Null)
    );
    let trace = &answer["data"][0];
    let (trace_one, start) = ("01".repeat(16), T0 / 1_000);
    assert_eq!(trace["traceID"], trace_one);
    assert_eq!(trace["warnings"], Json::Null);
    assert_eq!(
        trace["processes"][trace["spans"][0]["processID"].as_str().unwrap()],
        json!({"serviceName": "frontend", "tags": [tag("host.name", "string", "h1")]})
    );
    assert_eq!(trace["processes"].as_object().unwrap().len(), 2);
    let mut request = trace["spans"][0].clone();
    request.as_object_mut().unwrap().remove("processID");
    assert_eq!(
        request,
        json!({
            "traceID": trace_one,
            "spanID": "11".repeat(8),
            "flags": 1,
            "operationName": "GET /cart",
            "references": [
                {"refType": "FOLLOWS_FROM", "traceID": "02".repeat(16), "spanID": "21".repeat(8)},
                {"refType": "CHILD_OF", "traceID": "09".repeat(16), "spanID": "99".repeat(8)},
            ],
            "startTime": start,
            "duration": 100_000,
            "tags": [
                tag("otel.scope.name", "string", "http-lib"),
                tag("otel.scope.version", "string", "1.2"),
                tag("http.response.status_code", "int64", 500),
                tag("http.route", "string", "/cart"),
                tag("big", "int64", "1152921504606846976"),
                tag("ratio", "float64", 0.5),
                tag("cached", "bool", false),
                tag("raw", "binary", "AQL/"),
                tag("list", "string", "[\"a\",1,\"AQ==\"]"),
                tag("span.kind", "string", "server"),
                tag("otel.status_code", "string", "ERROR"),
                tag("error", "bool", true),
                tag("otel.status_description", "string", "no \"cart\""),
                tag("w3c.tracestate", "string", "vendor=1"),
            ],
            "logs": [
                {
                    "timestamp": start + 5_000,
                    "fields": [
                        tag("event", "string", "exception"),
                        tag("exception.type", "string", "Timeout"),
                        tag("attempt", "int64", 2),
                    ],
                },
                {"timestamp": start + 6_000, "fields": [tag("event", "string", "named")]},
            ],
            "warnings": null,
        })
    );
    let names: Vec<_> = trace["spans"].as_array().unwrap().iter().map(|span| &span["operationName"]).collect();
    assert_eq!(names, ["GET /cart", "POST /load", "POST /load", "SELECT"]);
    let query = &trace["spans"][3];
    assert_eq!(query["references"], json!([{"refType": "CHILD_OF", "traceID": trace_one, "spanID": "13".repeat(8)}]));
    assert_eq!(
        (&query["duration"], &query["startTime"], query.get("flags")),
        (&json!(1), &json!(start + 30_000), None)
    );
    assert_eq!(query["tags"].as_array().unwrap().last().unwrap(), &tag("otel.status_code", "string", "OK"));
    assert_eq!(
        trace["processes"][query["processID"].as_str().unwrap()],
        json!({
            "serviceName": "cart",
            "tags": [tag("deployment.environment.name", "string", "prod"), tag("cpus", "int64", 8)],
        })
    );
}

#[tokio::test]
async fn a_span_without_service_and_with_a_clock_that_went_back() {
    let trace = &ask(&api().await, &format!("/api/traces/{}", "03".repeat(16))).await["data"][0];
    assert_eq!(trace["processes"], json!({"p1": {"serviceName": "OTLPResourceNoServiceName", "tags": []}}));
    assert_eq!((&trace["spans"][0]["duration"], &trace["spans"][0]["tags"]), (&json!(0), &json!([])));
    assert!(trace["spans"][0]["warnings"][0].as_str().unwrap().contains("ends before it starts"));
}

#[tokio::test]
async fn traces_by_id() {
    let store = memory([spans([(&resource([]), Scope::default(), {
        let mut short = span(0, 1, 0, "short", 0, 0);
        short.trace_id.0[15] = 0xab;
        short
    })])])
    .await;
    let padded = router(store, &JaegerSettings::default());
    assert_eq!(ask(&padded, "/api/traces/AB").await["data"][0]["spans"][0]["operationName"], "short");

    let api = api().await;
    let (one, two) = ("01".repeat(16), "02".repeat(16));
    assert_eq!(refused(&api, "/api/traces/ffff", 404).await, "trace not found");
    assert!(refused(&api, "/api/traces/xyz", 400).await.contains("1 to 32 hexadecimal digits"));
    assert_eq!(refused(&api, &format!("/api/traces/{one}?start=1767225700000000"), 404).await, "trace not found");
    let end = T0 / 1_000 + 10_000;
    let part = ask(&api, &format!("/api/traces/{one}?start=0&end={end}")).await;
    assert_eq!(part["data"][0]["spans"].as_array().unwrap().len(), 2);

    let both = ask(&api, &format!("/api/traces?traceID={two}&traceID={one}&traceID=ffff&traceID={two}")).await;
    assert_eq!((&both["data"][0]["traceID"], &both["data"][1]["traceID"]), (&json!(two), &json!(one)));
    assert_eq!(both["total"], 2);
    assert_eq!(both["errors"], json!([{"msg": "trace not found", "traceID": format!("{:0>32}", "ffff")}]));
}

#[tokio::test]
async fn services_and_operations() {
    let api = api().await;
    let services = ask(&api, "/api/services").await;
    assert_eq!(services["data"], json!(["OTLPResourceNoServiceName", "cart", "frontend"]));
    assert_eq!(services["total"], 3);
    let names = ask(&api, "/api/services/cart/operations").await;
    assert_eq!(names["data"], json!(["POST /load", "SELECT", "consume"]));
    assert_eq!(ask(&api, "/api/services/nobody%2Fhere/operations").await["data"], json!([]));
    assert_eq!(
        ask(&api, "/api/operations?service=cart").await["data"],
        json!([
            {"name": "POST /load", "spanKind": "server"},
            {"name": "SELECT", "spanKind": "client"},
            {"name": "consume", "spanKind": "consumer"},
        ])
    );
    assert_eq!(
        ask(&api, "/api/operations?service=cart&spanKind=client").await["data"],
        json!([{"name": "SELECT", "spanKind": "client"}])
    );
    assert_eq!(
        ask(&api, "/api/operations?service=OTLPResourceNoServiceName").await["data"],
        json!([{"name": "tick", "spanKind": ""}])
    );
    assert_eq!(refused(&api, "/api/operations", 400).await, "parameter 'service' is required");
}

#[tokio::test]
async fn names_are_read_once_for_all_who_ask_together() {
    let recorder = Recorder::new(store().await);
    let api = router(Arc::clone(&recorder) as Arc<dyn Store>, &JaegerSettings::default());
    futures::join!(ask(&api, "/api/services"), ask(&api, "/api/services"), ask(&api, "/api/services"));
    let selects = recorder.take();
    assert_eq!(selects.len(), 1);
    assert_eq!(selects[0].columns, Some(vec!["service_name".to_owned()]));
}

#[tokio::test]
async fn a_search_finds_by_each_parameter() {
    let api = api().await;
    for (query, traces) in [
        ("service=cart", vec![2, 1]),
        ("service=frontend", vec![1]),
        ("service=OTLPResourceNoServiceName", vec![3]),
        ("service=Cart", vec![]),
        ("service=cart&limit=1", vec![2]),
        ("service=cart&limit=0", vec![]),
        ("service=cart&operation=SELECT", vec![1]),
        ("service=cart&operation=select", vec![]),
        ("service=cart&minDuration=6ms", vec![1]),
        ("service=cart&minDuration=5ms&maxDuration=5ms", vec![2]),
        ("service=cart&maxDuration=1us", vec![]),
        ("service=cart&maxDuration=1.5us", vec![1]),
        // Span attributes: promoted text and number, and each type in the JSON.
        ("service=frontend&tag=http.route:/cart", vec![1]),
        ("service=frontend&tag=http.response.status_code:500", vec![1]),
        ("service=frontend&tag=http.response.status_code:0500", vec![]),
        ("service=frontend&tag=big:1152921504606846976", vec![1]),
        ("service=frontend&tag=ratio:0.5", vec![1]),
        ("service=frontend&tag=cached:false", vec![1]),
        ("service=frontend&tag=cached:true", vec![]),
        // Process tags, promoted and not, and log fields.
        ("service=cart&tag=deployment.environment.name:prod", vec![2, 1]),
        ("service=cart&tag=cpus:8", vec![2, 1]),
        ("service=frontend&tag=host.name:h1", vec![1]),
        ("service=frontend&tag=exception.type:Timeout", vec![1]),
        ("service=frontend&tag=attempt:2", vec![1]),
        ("service=frontend&tag=event:exception", vec![1]),
        ("service=cart&tag=event:exception", vec![]),
        // What the translation makes.
        ("service=frontend&tag=error:true", vec![1]),
        ("service=cart&tag=error:true", vec![1]),
        ("service=cart&tag=error:true&operation=consume", vec![]),
        ("service=cart&tag=span.kind:consumer", vec![2]),
        ("service=cart&tag=otel.status_code:OK", vec![1]),
        ("service=frontend&tag=otel.status_code:ERROR", vec![1]),
        ("service=cart&tag=otel.scope.name:http-lib", vec![1]),
        ("service=frontend&tag=w3c.tracestate:vendor=1", vec![1]),
        // Several conditions hold for one span.
        ("service=frontend&tag=span.kind:client&tag=http.route:/cart", vec![]),
        ("service=frontend&tags=%7B%22http.route%22:%22/cart%22,%22error%22:%22true%22%7D", vec![1]),
        ("service=frontend&tags=%7B%22http.response.status_code%22:500,%22cached%22:false%7D", vec![1]),
    ] {
        assert_eq!(found(&api, query).await, traces, "{query}");
    }
}

#[tokio::test]
async fn a_search_is_within_its_time_and_gives_traces_whole() {
    let api = api().await;
    let start = T0 / 1_000;
    let search = |query: String| {
        let api = api.clone();
        async move { ask(&api, &format!("/api/traces?service=cart&{query}")).await }
    };
    // Both ends belong to the range.
    let one = search(format!("start={0}&end={0}", start + 30_000)).await;
    assert_eq!(one["data"][0]["spans"].as_array().unwrap().len(), 4);
    assert_eq!(one["limit"], 20);
    assert_eq!(search(format!("start={}&end={}", start + 30_001, start + 40_000)).await["total"], 0);
    assert_eq!(search(format!("end={}&lookback=1m", start + 60_000_000)).await["total"], 2);
    assert_eq!(search(format!("end={}&lookback=59s", start + 60_000_000)).await["total"], 1);
    assert_eq!(search("lookback=1h".to_owned()).await["total"], 0);
    let message = refused(&api, "/api/traces?limit=5", 400).await;
    assert_eq!(message, "parameter 'service' is required");
}

#[tokio::test]
async fn a_search_pushes_down_what_it_can() {
    let recorder = Recorder::new(store().await);
    let api = router(Arc::clone(&recorder) as Arc<dyn Store>, &JaegerSettings::default());
    found(&api, "service=cart&operation=SELECT&minDuration=1us&tag=span.kind:client&tag=db.system.name:postgresql")
        .await;
    let selects = recorder.take();
    assert_eq!(selects.len(), 2);
    let columns: Vec<_> = selects[0].matchers.iter().map(|matcher| matcher.column.as_str()).collect();
    assert_eq!(columns, ["service_name", "name", "duration_ns", "kind"]);
    let columns = selects[0].columns.as_ref().unwrap();
    assert_eq!(columns, &["start_time", "trace_id", "db_system_name", "attributes", "resource_attributes", "events"]);
    assert_eq!(
        selects[0].time,
        TimeRange { start: 1_767_225_500 * SECOND as i64, end: 1_767_225_900 * SECOND as i64 + 1_000 }
    );
    let predicate = Predicate::Eq(Scalar::Text("01".repeat(16)));
    assert_eq!((&selects[1].matchers[0].predicate, selects[1].time), (&predicate, TimeRange::ALL));
}

#[tokio::test]
async fn large_traces_are_cut_and_say_so() {
    let settings = JaegerSettings { max_spans_per_trace: 3, ..JaegerSettings::default() };
    let api = router(store().await, &settings);
    let trace = &ask(&api, &format!("/api/traces/{}", "01".repeat(16))).await["data"][0];
    assert_eq!(trace["spans"].as_array().unwrap().len(), 3);
    assert!(trace["warnings"][0].as_str().unwrap().starts_with("1 more spans"));
    let api = router(store().await, &JaegerSettings { max_spans: 2, max_traces: 1, ..JaegerSettings::default() });
    assert_eq!(found(&api, "service=cart&limit=100").await, [2]);
    let both = format!("/api/traces?traceID={}&traceID={}", "01".repeat(16), "02".repeat(16));
    assert!(refused(&api, &both, 400).await.contains("jaeger.max_traces"));
}

#[tokio::test]
async fn dependencies_count_calls_between_services() {
    let api = api().await;
    let end = T0 / MILLI + 1_000_000;
    let answer = ask(&api, &format!("/api/dependencies?endTs={end}&lookback=3600000")).await;
    assert_eq!(answer["data"], json!([{"parent": "frontend", "child": "cart", "callCount": 1}]));
    let answer = ask(&api, &format!("/api/dependencies?endTs={end}&lookback=1000")).await;
    assert_eq!(answer["data"], json!([]));
    let answer = ask(&api, &format!("/api/dependencies?endTs={end}&lookback=3600000&service=other")).await;
    assert_eq!(answer["data"], json!([]));
    assert!(refused(&api, "/api/dependencies?endTs=now", 400).await.contains("'endTs'"));
}

#[tokio::test]
async fn a_store_that_hangs_or_fails_gives_an_error() {
    let settings = JaegerSettings { timeout_seconds: 0, ..JaegerSettings::default() };
    let store_ = Misbehaving::new(store().await, Ending::Hang);
    let api = router(Arc::clone(&store_) as Arc<dyn Store>, &settings);
    assert!(refused(&api, "/api/services", 504).await.contains("jaeger.timeout_seconds"));
    store_.closed().await;
    let api = router(Misbehaving::new(store().await, Ending::Fail), &JaegerSettings::default());
    assert!(refused(&api, "/api/services", 500).await.contains("the disk is gone"));
    assert!(refused(&api, "/api/traces?service=cart", 500).await.contains("the disk is gone"));
    assert_eq!(get(&api, "/api/metrics/calls").await.status, 404);
}
