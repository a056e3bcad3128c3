//! The API over HTTP, against stores in memory.

use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use axum::Router;
use axum::body::Body;
use http::Request;
use serde_json::{Value as Json, json};
use tower::ServiceExt;
use tripod_model::series::{FloatHistogram, Labels, MetricType, NativeSpan, STALE_NAN, SeriesMetadata};
use tripod_model::{Attribute, Scope, Span, SpanEvent, SpanKind, Status, StatusCode};
use tripod_storage::memory::MemoryStore;
use tripod_storage::series::{FloatSample, HistogramSample, MemorySeriesStore, SeriesBatch, SeriesStore};
use tripod_storage::{Matcher, Predicate, Scalar, Select, Store, TimeRange};

use super::{SqlEngine, router};
use crate::SqlSettings;
use crate::testing::{
    Ending, Misbehaving, Received, Recorder, T0, logs, memory, resource, send, span_id, spans, trace_id,
};

/// Three spans of two services, one with an error; two logs.
async fn store() -> Arc<MemoryStore> {
    let shop = resource([
        Attribute::new("service.name", "shop"),
        Attribute::new("deployment.environment.name", "prod"),
        Attribute::new("host.name", "h1"),
    ]);
    let cart = resource([Attribute::new("service.name", "cart")]);
    let span = |n: u8, name: &'static str, attributes: Vec<Attribute<'static>>| Span {
        trace_id: trace_id(0xab),
        span_id: span_id(n),
        name: name.into(),
        kind: SpanKind::SERVER,
        start_time_unix_nano: T0 + u64::from(n) * 1_000_000_000,
        end_time_unix_nano: T0 + u64::from(n) * 1_000_000_000 + 5_000_000,
        attributes,
        ..Span::default()
    };
    let one = span(
        1,
        "GET /cart",
        vec![
            Attribute::new("http.route", "/cart"),
            Attribute::new("http.response.status_code", 200i64),
            Attribute::new("user_id", 42i64),
            Attribute::new("retries", 3i64),
            Attribute::new("tags", tripod_model::Value::Array(vec!["a".into(), "b".into()])),
        ],
    );
    let two = Span {
        parent_span_id: span_id(1),
        events: vec![SpanEvent { time_unix_nano: T0, name: "retry".into(), ..SpanEvent::default() }],
        status: Status { code: StatusCode::ERROR, message: "no \"stock\"".into() },
        ..span(0xc2, "load, cart", vec![Attribute::new("user_id", "u7"), Attribute::new("retries", 0i64)])
    };
    let three = Span { trace_id: trace_id(3), ..span(3, "GET /", vec![Attribute::new("http.route", "/")]) };
    let scope = Scope::default;
    memory([spans([(&shop, scope(), one), (&cart, scope(), two), (&shop, scope(), three)]), logs()]).await
}

fn over(store: Arc<dyn Store>, settings: &SqlSettings) -> Router {
    router(SqlEngine::new(store, Arc::new(MemorySeriesStore::default()), settings).unwrap())
}

async fn api() -> Router {
    over(store().await, &SqlSettings::default())
}

fn post(accept: &str, body: &Json) -> Request<Body> {
    Request::post("/api/v1/sql").header("accept", accept).body(Body::from(body.to_string())).unwrap()
}

async fn ask(router: &Router, query: &str) -> Received {
    send(router, post("application/json", &json!({ "query": query }))).await
}

/// The rows of a good answer.
async fn rows(router: &Router, query: &str) -> Json {
    let received = ask(router, query).await;
    assert_eq!(received.status, 200, "{query}: {}", received.text());
    let json = received.json();
    assert_eq!(json.get("error"), None, "{query}");
    json["rows"].clone()
}

/// Status and message of a refusal.
async fn refused(router: &Router, query: &str) -> (u16, String) {
    let received = ask(router, query).await;
    (received.status.as_u16(), received.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn answers_in_json() {
    let api = api().await;
    let received = ask(
        &api,
        "select name, start_time, duration_ns, duration_ns / 2.0 as half, status_code = 'error' as failed, events \
         from spans order by start_time desc limit 1",
    )
    .await;
    assert_eq!(received.headers["content-type"], "application/json");
    assert_eq!(
        received.json(),
        json!({
            "columns": [
                {"name": "name", "type": "text"},
                {"name": "start_time", "type": "timestamp"},
                {"name": "duration_ns", "type": "bigint"},
                {"name": "half", "type": "double"},
                {"name": "failed", "type": "boolean"},
                {"name": "events", "type": "json"},
            ],
            "rows": [[
                "load, cart", "2026-01-01T00:03:14.000000000Z", 5_000_000, 2_500_000.0, true,
                [{"time": "2026-01-01T00:00:00.000000000Z", "name": "retry", "attributes": null, "dropped_attributes_count": 0}],
            ]],
        })
    );
    assert_eq!(rows(&api, "select name from spans where false").await, json!([]));
    let nan = "select value from (values (0.5), (cast('NaN' as double))) as numbers(value) order by 1";
    assert_eq!(rows(&api, nan).await, json!([[0.5], ["NaN"]]));
    assert_eq!(rows(&api, "select count(*) from spans").await, json!([[3]]));
    assert_eq!(rows(&api, "select count(*) from logs where body = ''").await, json!([[1]]));
}

#[tokio::test]
async fn answers_in_the_other_formats() {
    let api = api().await;
    let query = json!({"query": "select name, status_message, http_response_status_code as code from spans order by start_time"});
    for accept in ["application/x-ndjson", "application/jsonl"] {
        let received = send(&api, post(accept, &query)).await;
        let lines: Vec<Json> = received.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], json!({"name": "GET /cart", "status_message": null, "code": 200}));
        assert_eq!(lines[2], json!({"name": "load, cart", "status_message": "no \"stock\"", "code": null}));
    }
    let received = send(&api, post("text/csv", &query)).await;
    assert_eq!(
        received.text(),
        "name,status_message,code\nGET /cart,,200\nGET /,,\n\"load, cart\",\"no \"\"stock\"\"\",\n"
    );
    let received = send(&api, post("application/vnd.apache.arrow.stream", &query)).await;
    let batches: Vec<_> = StreamReader::try_new(received.body.as_slice(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
    assert_eq!(batches[0].schema().field(2).name(), "code");

    // Without rows every format is still complete.
    let none = json!({"query": "select name from spans where false"});
    assert_eq!(send(&api, post("text/csv", &none)).await.text(), "name\n");
    assert_eq!(send(&api, post("application/jsonl", &none)).await.text(), "");
    let received = send(&api, post("application/vnd.apache.arrow.stream", &none)).await;
    assert_eq!(StreamReader::try_new(received.body.as_slice(), None).unwrap().count(), 0);

    let received = send(&api, post("image/png", &none)).await;
    assert_eq!(received.status, 406);
    assert!(received.text().contains("application/x-ndjson"));
}

#[tokio::test]
async fn times_and_empty_texts_in_csv() {
    let api = api().await;
    let query =
        json!({"query": "select time, body, 'NaN'::double as x, make_array(1, 2) as l from logs order by time"});
    assert_eq!(
        send(&api, post("text/csv", &query)).await.text(),
        "time,body,x,l\n\
         2026-01-01T00:00:00.000000000Z,\"started, \"\"well\"\"\",NaN,\"[1,2]\"\n\
         2026-01-01T00:00:00.000000001Z,\"\",NaN,\"[1,2]\"\n"
    );
}

#[tokio::test]
async fn requests_are_checked() {
    let api = api().await;
    let received = crate::testing::get(&api, "/api/v1/sql?query=select%201%20as%20one&limit=5").await;
    assert_eq!(received.json()["rows"], json!([[1]]));
    for (body, message) in [
        (json!({"sql": "select 1"}), "unknown field `sql`"),
        (json!({"query": "select 1", "limit": -1}), "invalid value"),
        (json!([]), "the body must be"),
    ] {
        let received = send(&api, post("*/*", &body)).await;
        assert_eq!(received.status, 400);
        assert!(received.json()["error"].as_str().unwrap().contains(message), "{}", received.text());
    }
    assert_eq!(crate::testing::get(&api, "/api/v1/sql?query=select+1&q=2").await.status, 400);
    let long = format!("select '{}'", "x".repeat(65_536));
    assert_eq!(ask(&api, &long).await.status, 413);
    assert_eq!(ask(&api, &long.repeat(9)).await.status, 413);
}

#[tokio::test]
async fn only_reading_statements_run() {
    let api = api().await;
    for statement in [
        "set datafusion.execution.batch_size = 1",
        "reset datafusion.execution.batch_size",
        "copy spans to '/tmp/out.csv'",
        "copy (select 1) to '/tmp/out.parquet' stored as parquet",
        "create external table t (a int) stored as csv location '/etc/passwd'",
        "create table t as select 1",
        "create view v as select 1",
        "drop table spans",
        "insert into spans values (1)",
        "update spans set name = 'x'",
        "delete from spans",
        "truncate table spans",
        "prepare p as select 1",
        "begin",
        "explain insert into spans select * from spans",
        "explain copy spans to '/tmp/out.csv'",
        "select 1 into t",
        "select 1; select 2",
        "select * from '/etc/passwd'",
        "select * from 'file:///etc/hosts.csv'",
        "select * from read_csv('/etc/passwd')",
        "select * from parquet_metadata('/etc/passwd')",
    ] {
        let (status, message) = refused(&api, statement).await;
        assert_eq!(status, 400, "{statement}: {message}");
        assert!(!message.is_empty() && !message.contains("bug"), "{statement}: {message}");
    }
    let (_, message) = refused(&api, "insert into spans values (1)").await;
    assert_eq!(message, "INSERT INTO is refused: queries only read; there are SELECT, EXPLAIN, DESCRIBE and SHOW");
    assert_eq!(rows(&api, "select count(*) from spans").await, json!([[3]]));
}

#[tokio::test]
async fn the_schema_can_be_looked_at() {
    let api = api().await;
    let tables = rows(&api, "show tables").await;
    for table in ["spans", "logs", "series", "labels"] {
        assert!(tables.as_array().unwrap().iter().any(|row| row[2] == table), "{tables}");
    }
    let columns = rows(&api, "describe spans").await;
    assert_eq!(columns[0][0], "start_time");
    assert!(rows(&api, "show columns from logs").await.as_array().unwrap().len() > 20);
    let plan = rows(&api, "explain select name from spans where service_name = 'shop'").await.to_string();
    assert!(plan.contains("ScanExec: spans, columns=[name], service_name Eq(Text(\\\"shop\\\"))"), "{plan}");
    assert!(rows(&api, "explain analyze select count(*) from spans").await.to_string().contains("ScanExec"));
}

#[tokio::test]
async fn errors_are_the_users_own() {
    let api = api().await;
    let (status, message) = refused(&api, "select nme from spans").await;
    assert_eq!((status, message.as_str()), (400, "No field named nme. Did you mean 'spans.name'?"));
    let (status, message) = refused(&api, "select * from span").await;
    assert_eq!(status, 400);
    assert!(message.contains("span") && message.contains("not found"), "{message}");
    let (status, message) = refused(&api, "selec 1").await;
    assert_eq!(status, 400);
    assert!(message.contains("Expected"), "{message}");
    let (status, message) = refused(&api, "select 1 / (duration_ns - duration_ns) from spans").await;
    assert_eq!(status, 400, "{message}");
    assert!(message.contains("ivide by zero"), "{message}");
    assert_eq!(refused(&api, "").await.0, 400);
}

#[tokio::test]
async fn ids_compare_in_either_case() {
    let api = api().await;
    let id = "AB".repeat(16);
    for query in [
        format!("select count(*) from spans where trace_id = '{id}'"),
        format!("select count(*) from spans where '{id}' = trace_id"),
        format!("select count(*) from spans where trace_id in ('{id}', 'x')"),
        "select count(*) from spans where span_id = 'C2C2C2C2C2C2C2C2' or span_id = '0101010101010101'".to_owned(),
        format!("with s as (select trace_id as t from spans) select count(*) from s where t = '{id}'"),
        format!(
            "select count(*) from spans s where exists (select 1 from logs l where l.trace_id = '{id}' and l.trace_id = s.trace_id)"
        ),
    ] {
        assert_eq!(rows(&api, &query).await, json!([[2]]), "{query}");
    }
    let query = format!("select count(*) from spans where upper(trace_id) = '{id}' and name <> 'ABC'");
    assert_eq!(rows(&api, &query).await, json!([[2]]));
    assert_eq!(rows(&api, &format!("select count(*) from spans where trace_id <> '{id}'")).await, json!([[1]]));
}

#[tokio::test]
async fn attributes_are_found_wherever_they_are_kept() {
    let api = api().await;
    for (query, expected) in [
        ("select attributes->>'http.route' from spans order by start_time", json!([["/cart"], ["/"], [null]])),
        ("select attributes->>'http.response.status_code' from spans order by start_time limit 1", json!([["200"]])),
        ("select (attributes->'http.response.status_code') + 1 from spans order by start_time limit 1", json!([[201]])),
        // 42 was sent as a number: it is in the JSON, not in the text column.
        ("select attributes->>'user_id' from spans order by start_time", json!([["42"], [null], ["u7"]])),
        ("select s.attributes->>'http.route' from spans s where s.attributes->>'http.route' = '/'", json!([["/"]])),
        (
            "select resource_attributes->>'deployment.environment.name' from spans order by start_time limit 1",
            json!([["prod"]]),
        ),
        ("select resource_attributes->>'host.name' from spans order by start_time limit 1", json!([["h1"]])),
        ("select attributes->'retries' from spans order by start_time", json!([[3], [null], [0]])),
        ("select attributes->'tags' from spans where attributes ? 'tags'", json!([[["a", "b"]]])),
        ("select count(*) from spans where attributes ? 'http.route'", json!([[2]])),
        ("select name from spans where attributes->>'retries' = '3'", json!([["GET /cart"]])),
        ("select name from spans where (attributes->'retries')::bigint > 1", json!([["GET /cart"]])),
        ("select name from spans where json_get_int(attributes, 'retries') = 0", json!([["load, cart"]])),
        ("select attributes->>'request_id' from logs limit 1", json!([["r1"]])),
    ] {
        assert_eq!(rows(&api, query).await, expected, "{query}");
    }
    let received = ask(&api, "select attributes->>'http.route', attributes->'retries' from spans").await.json();
    assert_eq!(received["columns"][0], json!({"name": "attributes ->> 'http.route'", "type": "text"}));
    assert_eq!(received["columns"][1], json!({"name": "attributes -> 'retries'", "type": "json"}));
}

#[tokio::test]
async fn functions_joins_and_recursion_work() {
    let api = api().await;
    for (query, expected) in [
        (
            "select upper(left(name, 3)), regexp_like(name, '^GET') from spans order by start_time limit 1",
            json!([["GET", true]]),
        ),
        (
            "select date_trunc('minute', start_time), count(*) from spans group by 1 order by 1 limit 1",
            json!([["2026-01-01T00:00:00.000000000Z", 2]]),
        ),
        (
            "select p.name, c.name from spans c join spans p on p.trace_id = c.trace_id and p.span_id = c.parent_span_id",
            json!([["GET /cart", "load, cart"]]),
        ),
        (
            "with recursive tree as (select span_id, name, 0 as depth from spans where parent_span_id is null \
             union all select s.span_id, s.name, t.depth + 1 from spans s join tree t on s.parent_span_id = t.span_id) \
             select name, depth from tree order by depth desc, name limit 2",
            json!([["load, cart", 1], ["GET /", 0]]),
        ),
        ("select count(*) from spans where start_time > now() - interval '1 hour'", json!([[0]])),
        (
            "select * exclude (trace_id) from (select trace_id, name from spans order by start_time limit 1)",
            json!([["GET /cart"]]),
        ),
        ("select events[1]['name'] from spans where events is not null", json!([["retry"]])),
        ("select (select max(duration_ns) from spans), (select count(*) from logs)", json!([[5_000_000, 2]])),
    ] {
        assert_eq!(rows(&api, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn answers_are_cut_at_the_limit() {
    let api = over(store().await, &SqlSettings { max_rows: 2, ..SqlSettings::default() });
    let received = ask(&api, "select name from spans").await.json();
    assert_eq!((received["rows"].as_array().unwrap().len(), &received["truncated"]), (2, &json!(true)));
    let received = ask(&api, "select name from spans limit 2").await.json();
    assert_eq!((received["rows"].as_array().unwrap().len(), received.get("truncated")), (2, None));
    let query = json!({"query": "select name from spans", "limit": 1});
    let received = send(&api, post("application/jsonl", &query)).await;
    assert_eq!(received.text().lines().count(), 2);
    assert_eq!(received.text().lines().last(), Some("{\"truncated\":true}"));
    let received = send(&api, post("text/csv", &json!({"query": "select span_id from spans", "limit": 0}))).await;
    assert_eq!(received.text(), "span_id\n");
    let received = send(&api, post("*/*", &json!({"query": "select 1", "limit": 9}))).await.json();
    assert_eq!((&received["rows"], received.get("truncated")), (&json!([[1]]), None));
}

#[tokio::test]
async fn memory_is_bounded() {
    let store = Misbehaving::new(store().await, Ending::Repeat);
    let api = over(store, &SqlSettings { max_memory_bytes: 1 << 20, ..SqlSettings::default() });
    let (status, message) = refused(&api, "select name, row_number() over (order by start_time) from spans").await;
    assert_eq!(status, 422, "{message}");
    assert!(message.contains("sql.max_memory_bytes"), "{message}");
}

#[tokio::test]
async fn a_query_is_stopped_when_its_time_is_over() {
    let store = Misbehaving::new(store().await, Ending::Hang);
    let api = over(Arc::clone(&store) as Arc<dyn Store>, &SqlSettings::default());
    let query = json!({"query": "select count(*) from spans", "timeout_seconds": 0});
    let received = send(&api, post("*/*", &query)).await;
    assert_eq!(received.status, 504, "{}", received.text());
    assert!(received.text().contains("sql.timeout_seconds"));
    store.closed().await;
}

#[tokio::test]
async fn a_query_that_never_ends_is_stopped_when_its_time_is_over() {
    let store = Misbehaving::new(store().await, Ending::Repeat);
    let api = over(Arc::clone(&store) as Arc<dyn Store>, &SqlSettings { timeout_seconds: 1, ..SqlSettings::default() });
    assert_eq!(ask(&api, "select count(*) from spans").await.status, 504);
    store.closed().await;
}

#[tokio::test]
async fn a_query_is_dropped_when_its_client_is_gone() {
    let store = Misbehaving::new(store().await, Ending::Hang);
    let api = over(Arc::clone(&store) as Arc<dyn Store>, &SqlSettings { max_concurrent: 1, ..SqlSettings::default() });
    let query = json!({"query": "select name from spans"});
    // The head of the answer is there, with the first rows; then the client goes.
    let response = api.clone().oneshot(post("*/*", &query)).await.unwrap();
    assert_eq!((response.status().as_u16(), store.open()), (200, 1));
    let busy = send(&api, post("*/*", &query)).await;
    assert_eq!((busy.status.as_u16(), busy.headers["retry-after"].to_str().unwrap()), (429, "1"));
    drop(response);
    store.closed().await;
    // Its slot is free again; this client goes before there is any answer.
    let waiting = api.clone().oneshot(post("*/*", &json!({"query": "select count(*) from spans"})));
    assert!(futures::poll!(Box::pin(waiting)).is_pending());
    store.closed().await;
    assert_eq!(send(&api, post("*/*", &json!({"query": "select 1"}))).await.status, 200);
}

#[tokio::test]
async fn a_failure_on_the_way_is_told_as_far_as_the_format_can() {
    let settings = SqlSettings::default();
    let api = over(Misbehaving::new(store().await, Ending::Fail), &settings);
    let query = json!({"query": "select name from spans"});
    let received = send(&api, post("application/json", &query)).await;
    assert_eq!((received.status.as_u16(), received.complete), (200, true));
    let json = received.json();
    assert_eq!(
        (json["rows"].as_array().unwrap().len(), &json["error"]),
        (3, &json!("the query failed: the disk is gone"))
    );
    let received = send(&api, post("application/x-ndjson", &query)).await;
    assert_eq!(received.text().lines().last(), Some("{\"error\":\"the query failed: the disk is gone\"}"));
    for accept in ["text/csv", "application/vnd.apache.arrow.stream"] {
        assert!(!send(&api, post(accept, &query)).await.complete, "{accept}");
    }
    let (status, message) = refused(&api, "select count(*) from spans").await;
    assert_eq!((status, message.as_str()), (500, "the query failed: the disk is gone"));
}

/// What a query selects.
async fn selected(condition: &str) -> Select {
    let recorder = Recorder::new(store().await);
    let api = over(Arc::clone(&recorder) as Arc<dyn Store>, &SqlSettings::default());
    rows(&api, &format!("select span_id from spans where {condition}")).await;
    let mut selects = recorder.take();
    assert_eq!(selects.len(), 1, "{condition}");
    selects.remove(0)
}

#[tokio::test]
async fn conditions_become_matchers() {
    let text = |text: &str| Scalar::Text(text.to_owned());
    let one = |column: &str, predicate| vec![Matcher::new(column, predicate)];
    for (condition, matchers) in [
        ("service_name = 'shop'", one("service_name", Predicate::Eq(text("shop")))),
        ("'shop' = service_name", one("service_name", Predicate::Eq(text("shop")))),
        ("service_name <> 'shop'", one("service_name", Predicate::NotEq(text("shop")))),
        ("duration_ns > 5", one("duration_ns", Predicate::Gt(Scalar::Int(5)))),
        ("5 > duration_ns", one("duration_ns", Predicate::Lt(Scalar::Int(5)))),
        ("http_response_status_code >= 500", one("http_response_status_code", Predicate::GtEq(Scalar::Int(500)))),
        ("name in ('a', 'b')", one("name", Predicate::In(vec![text("a"), text("b")]))),
        ("name = 'a' or name = 'b'", one("name", Predicate::In(vec![text("a"), text("b")]))),
        ("http_route is null", one("http_route", Predicate::IsNull)),
        ("http_route is not null", one("http_route", Predicate::IsNotNull)),
        ("name like '%cart%'", one("name", Predicate::Contains("cart".to_owned()))),
        ("contains(name, 'cart')", one("name", Predicate::Contains("cart".to_owned()))),
        ("name like '%c_rt%'", vec![]),
        ("name like 'cart%'", vec![]),
        ("name ilike '%cart%'", vec![]),
        ("upper(name) = 'A'", vec![]),
        ("name = 'a' or kind = 'b'", vec![]),
        ("trace_id = 'ABCDEF'", one("trace_id", Predicate::Eq(text("abcdef")))),
        ("attributes->>'retries' = '3'", vec![Matcher::attribute("attributes", "retries", Predicate::Eq(text("3")))]),
        ("attributes->>'retries' = '3.0'", vec![]),
        ("attributes->>'retries' is null", vec![]),
        (
            "json_get_str(resource_attributes, 'host.name') = 'h1'",
            vec![Matcher::attribute("resource_attributes", "host.name", Predicate::Eq(text("h1")))],
        ),
        (
            "duration_ns between 1 and 2",
            vec![
                Matcher::new("duration_ns", Predicate::GtEq(Scalar::Int(1))),
                Matcher::new("duration_ns", Predicate::LtEq(Scalar::Int(2))),
            ],
        ),
        (
            "name not in ('a', 'b')",
            vec![Matcher::new("name", Predicate::NotEq(text("a"))), Matcher::new("name", Predicate::NotEq(text("b")))],
        ),
    ] {
        let select = selected(condition).await;
        assert_eq!(select.matchers, matchers, "{condition}");
        assert_eq!(select.time, TimeRange::ALL, "{condition}");
    }
}

#[tokio::test]
async fn comparisons_with_the_time_become_a_range() {
    let second = 1_767_225_601_000_000_000;
    let (min, max) = (i64::MIN, i64::MAX);
    for (condition, start, end) in [
        ("start_time >= '2026-01-01T00:00:01Z'", second, max),
        ("start_time > '2026-01-01 00:00:01'", second + 1, max),
        ("start_time < timestamp '2026-01-01 00:00:01'", min, second),
        ("start_time <= '2026-01-01T01:00:01+01:00'", min, second + 1),
        ("start_time = '2026-01-01T00:00:01Z'", second, second + 1),
        ("start_time between '2026-01-01T00:00:00Z' and '2026-01-01T00:00:01Z'", second - 1_000_000_000, second + 1),
        ("start_time >= to_timestamp_nanos(1767225601000000000)", second, max),
        ("start_time > arrow_cast(9223372036854775806, 'Timestamp(ns, \"UTC\")')", max, max),
    ] {
        let select = selected(condition).await;
        assert_eq!(select.time, TimeRange { start, end }, "{condition}");
        assert_eq!(select.matchers, [], "{condition}");
    }
    // There is no moment after the last one: the bound stays a matcher.
    let select = selected("start_time <= arrow_cast(9223372036854775807, 'Timestamp(ns, \"UTC\")')").await;
    assert_eq!(select.time, TimeRange::ALL);
    let select = selected("start_time > now() - interval '1 hour'").await;
    assert!(select.time.start > second && select.time.end == max, "{select:?}");
}

#[tokio::test]
async fn only_what_is_needed_is_selected() {
    let recorder = Recorder::new(store().await);
    let api = over(Arc::clone(&recorder) as Arc<dyn Store>, &SqlSettings::default());
    rows(&api, "select name from spans where service_name = 'shop' limit 1").await;
    let select = recorder.take().remove(0);
    assert_eq!(select.columns, Some(vec!["name".to_owned()]));
    assert_eq!(select.limit, Some(1));
    rows(&api, "select count(*) from logs where time > '2020-01-01'").await;
    assert_eq!(recorder.take().remove(0).columns, Some(vec!["time".to_owned()]));
    // Not exact: the filter is evaluated again, on its column, so the store may not count rows itself.
    rows(&api, "select name from spans where attributes->>'retries' = '3' limit 1").await;
    let select = recorder.take().remove(0);
    assert_eq!((select.limit, select.columns.unwrap().contains(&"attributes".to_owned())), (None, true));
}

/// A counter in two series, one of them with a histogram beside it.
async fn with_series() -> Router {
    let series = MemorySeriesStore::default();
    let labels = [
        Labels::from_pairs([("__name__", "requests_total"), ("job", "api"), ("code", "200")]),
        Labels::from_pairs([("__name__", "requests_total"), ("job", "api"), ("code", "500")]),
        Labels::from_pairs([("__name__", "latency_seconds"), ("job", "api")]),
    ];
    let mut batch = SeriesBatch { labels: labels.to_vec(), ..SeriesBatch::default() };
    let sample = |series, timestamp, value| FloatSample { series, timestamp, start: 500, value };
    batch.floats.extend((1..=3).map(|minute| sample(0, minute * 60_000, minute as f64)));
    batch.floats.extend([sample(1, 60_000, 7.0), sample(1, 120_000, STALE_NAN)]);
    let value = Arc::new(FloatHistogram {
        count: 3.0,
        sum: 1.5,
        positive_spans: vec![NativeSpan { offset: 0, length: 1 }],
        positive_buckets: vec![3.0],
        ..FloatHistogram::default()
    });
    batch.histograms.push(HistogramSample { series: 2, timestamp: 90_000, start: 0, value });
    let known = SeriesMetadata { metric_type: MetricType::Counter, unit: String::new(), help: "Requests.".into() };
    batch.metadata.push(("requests_total".to_owned(), known));
    series.append_series(batch).await.unwrap();
    router(SqlEngine::new(Arc::new(MemoryStore::default()), Arc::new(series), &SqlSettings::default()).unwrap())
}

#[tokio::test]
async fn points_of_a_selector_are_rows() {
    let api = with_series().await;
    let all = rows(&api, r#"select * from points('requests_total{job="api"}') order by time, value desc"#).await;
    let (labels, start) = (r#"{"code":"200","job":"api"}"#, "1970-01-01T00:00:00.500000000Z");
    assert_eq!(all[1], json!(["1970-01-01T00:01:00.000000000Z", start, "requests_total", labels, 1.0, null]));
    // A stale marker is no measurement.
    assert_eq!(all.as_array().unwrap().len(), 4, "{all}");
    let per_code = "select labels->>'code' as code, max(value) from points('requests_total') group by 1 order by 1";
    assert_eq!(rows(&api, per_code).await, json!([["200", 3.0], ["500", 7.0]]));
    let between = "select value from points('{__name__=~\".+\"}') where time > timestamp '1970-01-01T00:01:00Z' \
                   and time <= '1970-01-01T00:03:00Z' and labels->>'code' = '200' and name = 'requests_total' order by 1";
    assert_eq!(rows(&api, between).await, json!([[2.0], [3.0]]));
    assert_eq!(rows(&api, "select count(*) from points('requests_total') limit 1").await, json!([[4]]));
    assert_eq!(rows(&api, "select count(*) from points('absent')").await, json!([[0]]));
    let native = rows(&api, "select start_time, value, histogram->>'sum' from points('latency_seconds')").await;
    assert_eq!(native, json!([[null, null, "1.5"]]));
}

#[tokio::test]
async fn a_long_series_comes_in_batches() {
    let series = MemorySeriesStore::default();
    let mut batch = SeriesBatch { labels: vec![Labels::from_pairs([("__name__", "long")])], ..SeriesBatch::default() };
    let sample = |timestamp| FloatSample { series: 0, timestamp, start: 0, value: timestamp as f64 };
    batch.floats.extend((0..20_000).map(sample));
    series.append_series(batch).await.unwrap();
    let store = Arc::new(MemoryStore::default());
    let api = router(SqlEngine::new(store, Arc::new(series), &SqlSettings::default()).unwrap());
    let found = rows(&api, "select count(*), sum(value), count(distinct time), min(name) from points('long')").await;
    assert_eq!(found, json!([[20_000, 199_990_000.0, 20_000, "long"]]));
}

#[tokio::test]
async fn series_and_labels_are_tables() {
    let api = with_series().await;
    assert_eq!(
        rows(&api, "select * from series where labels->>'code' = '500'").await,
        json!([["requests_total", r#"{"code":"500","job":"api"}"#, "counter", null, "Requests."]])
    );
    let names = "select name, type, count(*) from series group by 1, 2 order by 1";
    assert_eq!(rows(&api, names).await, json!([["latency_seconds", null, 1], ["requests_total", "counter", 2]]));
    let codes = "select value from labels where name = 'code' order by value desc";
    assert_eq!(rows(&api, codes).await, json!([["500"], ["200"]]));
    let both = "select count(distinct p.labels) from points('requests_total') p join series s on s.labels = p.labels";
    assert_eq!(rows(&api, both).await, json!([[2]]));
}

#[tokio::test]
async fn points_says_what_it_takes() {
    let api = with_series().await;
    for (call, mistake) in [
        ("points()", "it takes one text"),
        ("points(1)", "its argument is no text"),
        ("points('rate(x[5m])')", "points takes a PromQL selector"),
        ("points('{')", "unexpected end of input inside braces"),
    ] {
        let (status, message) = refused(&api, &format!("select * from {call}")).await;
        assert_eq!(status, 400, "{call}: {message}");
        assert!(message.contains(mistake), "{call}: {message}");
    }
}
