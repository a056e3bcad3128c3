mod contract;
mod targets;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower::ServiceExt;
use tripod_model::series::{Labels, MetricType, SeriesExemplar, SeriesMetadata};
use tripod_promql::engine::Engine;
use tripod_storage::series::{FloatSample, MemorySeriesStore, SeriesBatch, SeriesStore};

use super::*;

/// Two series of `requests` and one with an unusual name, a sample a minute for ten minutes from the epoch.
async fn store() -> Arc<dyn SeriesStore> {
    let store = MemorySeriesStore::default();
    let labels = [
        Labels::from_pairs([("__name__", "requests"), ("job", "api"), ("code", "200")]),
        Labels::from_pairs([("__name__", "requests"), ("job", "api"), ("code", "500")]),
        Labels::from_pairs([("__name__", "my.metric"), ("http.method", "GET")]),
    ];
    let mut batch = SeriesBatch { labels: labels.to_vec(), ..SeriesBatch::default() };
    for minute in 0..=10i64 {
        for series in 0..3u32 {
            let value = (minute * i64::from(series + 1) * 60) as f64 / 4.0;
            batch.floats.push(FloatSample { series, timestamp: minute * 60_000, start: 0, value });
        }
    }
    let exemplar = SeriesExemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 0.25, timestamp: 60_500 };
    batch.exemplars.push((0, exemplar));
    let known =
        SeriesMetadata { metric_type: MetricType::Counter, unit: String::new(), help: "All \"of\" them".into() };
    batch.metadata.push(("requests".to_owned(), known));
    store.append_series(batch).await.unwrap();
    Arc::new(store)
}

fn about() -> About {
    About {
        version: "1.2.3",
        config: "a: 1\n".to_owned(),
        flags: BTreeMap::from([("web.listen".to_owned(), "x".to_owned())]),
        retention: "15d".to_owned(),
        started: SystemTime::UNIX_EPOCH,
    }
}

async fn router_with(settings: PrometheusSettings) -> Router {
    let engine = Engine::new(store().await, settings.engine());
    router(Prometheus::new(engine, settings, about()))
}

async fn router_of_defaults() -> Router {
    router_with(PrometheusSettings::default()).await
}

async fn send(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Vec<u8>) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get(router: &Router, path: &str) -> (u16, Json) {
    let (status, _, body) = send(router, Request::get(path).body(Body::empty()).unwrap()).await;
    let json = serde_json::from_slice(&body).unwrap_or(Json::Null);
    (status.as_u16(), json)
}

async fn data(router: &Router, path: &str) -> Json {
    let (status, json) = get(router, path).await;
    assert_eq!((status, &json["status"]), (200, &json!("success")), "{path}: {json}");
    json["data"].clone()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn queries_are_answered_as_by_prometheus() {
    let router = router_of_defaults().await;
    assert_eq!(
        data(&router, "/api/v1/query?query=requests&time=60.5").await,
        json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "requests", "code": "200", "job": "api"}, "value": [60.5, "15"]},
            {"metric": {"__name__": "requests", "code": "500", "job": "api"}, "value": [60.5, "30"]},
        ]})
    );
    assert_eq!(
        data(&router, "/api/v1/query?query=1e21&time=1970-01-01T00:00:05Z").await,
        json!({"resultType": "scalar", "result": [5, "1000000000000000000000"]})
    );
    assert_eq!(
        data(&router, "/api/v1/query?query=%22a%5C%22b%22&time=0").await,
        json!({"resultType": "string", "result": [0, "a\"b"]})
    );
    assert_eq!(
        data(&router, "/api/v1/query?query=vector(1e-9)&time=1").await["result"][0]["value"],
        json!([1, "1e-09"])
    );
    let path = "/api/v1/query_range?query=sum(rate(requests%5B2m%5D))&start=120&end=240&step=1m";
    assert_eq!(
        data(&router, path).await,
        json!({"resultType": "matrix", "result": [
            {"metric": {}, "values": [[120, "0.75"], [180, "0.75"], [240, "0.75"]]},
        ]})
    );
    let samples = data(&router, "/api/v1/query?query=requests%5B2m%5D&time=130").await;
    assert_eq!(samples["resultType"], "matrix");
    assert_eq!(samples["result"][0]["values"], json!([[60, "15"], [120, "30"]]));
}

#[tokio::test]
async fn forms_are_read_before_the_query_string() {
    let router = router_of_defaults().await;
    let request = Request::post("/api/v1/query?query=2&time=9")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("query=vector(1)%2B1"))
        .unwrap();
    let (status, _, body) = send(&router, request).await;
    assert_eq!(status, 200);
    let json: Json = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["data"]["result"], json!([{"metric": {}, "value": [9, "2"]}]));
}

#[tokio::test]
async fn mistakes_have_prometheus_types_and_words() {
    let router = router_of_defaults().await;
    let long = "/api/v1/query_range?query=1&start=0&end=11001&step=1";
    for (path, status, kind, message) in [
        (
            "/api/v1/query?query=foo(",
            400,
            "bad_data",
            r#"invalid parameter "query": 1:5: parse error: unclosed left parenthesis"#,
        ),
        (
            "/api/v1/query?query=",
            400,
            "bad_data",
            r#"invalid parameter "query": unknown position: parse error: no expression found in input"#,
        ),
        (
            "/api/v1/query?query=1&time=x",
            400,
            "bad_data",
            r#"invalid parameter "time": invalid time value for 'time': cannot parse "x" to a valid timestamp"#,
        ),
        (
            "/api/v1/query?query=1&timeout=x",
            400,
            "bad_data",
            r#"invalid parameter "timeout": cannot parse "x" to a valid duration"#,
        ),
        (
            "/api/v1/query?query=1&limit=x",
            400,
            "bad_data",
            r#"invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax"#,
        ),
        ("/api/v1/query?query=1&limit=-1", 400, "bad_data", r#"invalid parameter "limit": limit must be non-negative"#),
        (
            "/api/v1/query?query=1&lookback_delta=x",
            400,
            "bad_data",
            r#"error parsing lookback delta duration: cannot parse "x" to a valid duration"#,
        ),
        (
            "/api/v1/query_range?query=1",
            400,
            "bad_data",
            r#"invalid parameter "start": cannot parse "" to a valid timestamp"#,
        ),
        (
            "/api/v1/query_range?query=1&start=2&end=1&step=1",
            400,
            "bad_data",
            r#"invalid parameter "end": end timestamp must not be before start time"#,
        ),
        (
            "/api/v1/query_range?query=1&start=1&end=2&step=0",
            400,
            "bad_data",
            r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#,
        ),
        (
            long,
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        (
            "/api/v1/series?match[]=%7B%7D",
            400,
            "bad_data",
            r#"invalid parameter "match[]": match[] must contain at least one non-empty matcher"#,
        ),
        ("/api/v1/labels?match[]=%7B", 400, "bad_data", "1:2: parse error: unexpected end of input inside braces"),
        ("/api/v1/label/U__/values", 400, "bad_data", r#"invalid label name: """#),
        ("/api/v1/metadata?limit=x", 400, "bad_data", "limit must be a number"),
        ("/api/v1/scrape_pools/config?scrapePool=", 400, "bad_data", "no scrapePool parameter provided"),
        (
            "/api/v1/scrape_pools/config?scrapePool=a",
            400,
            "bad_data",
            "error retrieving scrape config: scrape pool \"a\" not found",
        ),
        ("/api/v1/targets/relabel_steps", 400, "bad_data", "no scrapePool parameter provided"),
        ("/api/v1/targets/relabel_steps?scrapePool=a", 400, "bad_data", "no labels parameter provided"),
        (
            "/api/v1/targets/relabel_steps?scrapePool=a&labels=%7B%7D",
            400,
            "bad_data",
            "error retrieving scrape config: scrape pool \"a\" not found",
        ),
        ("/api/v1/search/metric_names?search[]=up", 500, "unavailable", "search API disabled"),
        ("/api/v1/rules?type=x", 400, "bad_data", r#"invalid parameter "type": not supported value "x""#),
        ("/api/v1/status/tsdb?limit=0", 400, "bad_data", "limit must be a positive number"),
    ] {
        let (found, json) = get(&router, path).await;
        let expected = json!({"status": "error", "errorType": kind, "error": message});
        assert_eq!((found, json), (status, expected), "{path}");
    }
    // Many on both sides.
    let query = encoded("requests + on(job) requests");
    let (status, json) = get(&router, &format!("/api/v1/query?query={query}&time=60")).await;
    assert_eq!((status, &json["errorType"]), (422, &json!("execution")), "{json}");
    let (status, json) = get(&router, "/api/v1/query?query=requests&time=60&timeout=0").await;
    assert_eq!((status, &json["errorType"]), (503, &json!("timeout")), "{json}");
}

#[tokio::test]
async fn limits_warn_and_stats_are_told() {
    let router = router_of_defaults().await;
    let (_, json) = get(&router, "/api/v1/query?query=requests&time=60&limit=1&stats=all").await;
    assert_eq!(json["data"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(json["warnings"], json!(["results truncated due to limit"]));
    let stats = &json["data"]["stats"];
    assert!(stats["timings"]["execTotalTime"].is_number(), "{json}");
    assert_eq!(stats["samples"]["totalQueryableSamples"], 2);
    let (_, json) = get(&router, "/api/v1/query?query=rate(requests)&time=60").await;
    assert_eq!(json["errorType"], "bad_data");
    let (_, json) = get(&router, "/api/v1/query?query=1&stats=yes").await;
    assert!(json["warnings"][0].as_str().unwrap().starts_with(r#"value "yes" for parameter "stats""#), "{json}");
    let query = encoded("rate({\"my.metric\"}[5m])");
    let (_, json) = get(&router, &format!("/api/v1/query?query={query}&time=300")).await;
    assert!(json["infos"][0].as_str().unwrap().contains("might not be a counter"), "{json}");
    let (_, json) = get(&router, "/api/v1/labels?limit=2").await;
    assert_eq!(
        (&json["data"], &json["warnings"][0]),
        (&json!(["__name__", "code"]), &json!("results truncated due to limit"))
    );
}

#[tokio::test]
async fn series_and_labels_are_listed() {
    let router = router_of_defaults().await;
    assert_eq!(data(&router, "/api/v1/labels").await, json!(["__name__", "code", "http.method", "job"]));
    assert_eq!(data(&router, "/api/v1/labels?match[]=requests").await, json!(["__name__", "code", "job"]));
    assert_eq!(data(&router, "/api/v1/label/code/values").await, json!(["200", "500"]));
    assert_eq!(data(&router, "/api/v1/label/U__http_2e_method/values").await, json!(["GET"]));
    assert_eq!(data(&router, "/api/v1/label/none/values").await, json!([]));
    assert_eq!(data(&router, "/api/v1/label/code/values?match[]=nothing").await, json!([]));
    let path =
        format!("/api/v1/series?match[]={}&match[]={}", encoded("requests{code=\"500\"}"), encoded("{\"my.metric\"}"));
    assert_eq!(
        data(&router, &path).await,
        json!([{"__name__": "my.metric", "http.method": "GET"}, {"__name__": "requests", "code": "500", "job": "api"}])
    );
    assert_eq!(data(&router, "/api/v1/series?match[]=requests&start=99999&end=100000").await, json!([]));
    let known = json!({"requests": [{"type": "counter", "help": "All \"of\" them", "unit": ""}]});
    assert_eq!(data(&router, "/api/v1/metadata").await, known);
    assert_eq!(data(&router, "/api/v1/metadata?metric=none").await, json!({}));
    assert_eq!(
        data(&router, "/api/v1/query_exemplars?query=rate(requests%5B5m%5D)&start=0&end=600").await,
        json!([{"seriesLabels": {"__name__": "requests", "code": "200", "job": "api"},
            "exemplars": [{"labels": {"trace_id": "abc"}, "value": "0.25", "timestamp": 60.5}]}])
    );
}

#[tokio::test]
async fn queries_are_formatted_and_parsed() {
    let router = router_of_defaults().await;
    assert_eq!(data(&router, "/api/v1/format_query?query=sum(foo)by(bar)").await, "sum by (bar) (foo)");
    assert_eq!(data(&router, "/api/v1/parse_query?query=-pi()").await["type"], "unaryExpr");
    // Off unless switched on.
    let (status, json) = get(&router, "/api/v1/query?query=mad_over_time(foo%5B5m%5D)").await;
    assert_eq!(status, 400, "{json}");
    let settings = PrometheusSettings { experimental_functions: true, ..PrometheusSettings::default() };
    let router = router_with(settings).await;
    data(&router, "/api/v1/query?query=mad_over_time(foo%5B5m%5D)").await;
    assert_eq!(data(&router, "/api/v1/features").await["promql_functions"]["mad_over_time"], true);
}

#[tokio::test]
async fn deletion_needs_its_switch() {
    let router = router_of_defaults().await;
    let delete = || Request::post("/api/v1/admin/tsdb/delete_series?match[]=requests").body(Body::empty()).unwrap();
    let (status, _, body) = send(&router, delete()).await;
    assert_eq!(status, 500);
    assert_eq!(body, br#"{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}"#);
    let router = router_with(PrometheusSettings { enable_admin_api: true, ..PrometheusSettings::default() }).await;
    assert_eq!(send(&router, delete()).await.0, 204);
    assert_eq!(data(&router, "/api/v1/query?query=requests&time=60").await["result"], json!([]));
    let clean = Request::put("/api/v1/admin/tsdb/clean_tombstones").body(Body::empty()).unwrap();
    assert_eq!(send(&router, clean).await.0, 204);
    for (query, status, message) in [
        ("", 500, "this store keeps nothing on disk"),
        (
            "?skip_head=x",
            400,
            "invalid parameter \\\"skip_head\\\": unable to parse boolean: strconv.ParseBool: parsing \\\"x\\\": invalid syntax",
        ),
    ] {
        let uri = format!("/api/v1/admin/tsdb/snapshot{query}");
        let (found, _, body) = send(&router, Request::post(uri).body(Body::empty()).unwrap()).await;
        let body = String::from_utf8(body).unwrap();
        assert!(found.as_u16() == status && body.contains(message), "{found}: {body}");
    }
}

#[tokio::test]
async fn only_named_sites_may_ask() {
    let settings = PrometheusSettings { cors_origin: "https?://(grafana|perses)".to_owned(), ..Default::default() };
    assert!(settings.check().is_ok());
    let router = router_with(settings).await;
    for (origin, allowed) in [("https://perses", true), ("http://grafana.evil", false)] {
        let request = Request::get("/api/v1/query?query=1").header("origin", origin).body(Body::empty()).unwrap();
        let (status, headers, _) = send(&router, request).await;
        let answered = headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
        assert_eq!((status.as_u16(), answered), (200, allowed.then_some(origin)));
    }
    let wrong = PrometheusSettings { cors_origin: "(".to_owned(), ..Default::default() };
    assert!(wrong.check().unwrap_err()[0].starts_with("cors_origin: "));
}

#[tokio::test]
async fn answers_are_compressed_and_open_to_other_sites() {
    let router = router_of_defaults().await;
    let request = Request::get("/api/v1/query?query=requests&time=60")
        .header("accept-encoding", "gzip")
        .header("origin", "http://grafana")
        .body(Body::empty())
        .unwrap();
    let (status, headers, body) = send(&router, request).await;
    assert_eq!((status.as_u16(), &headers["content-encoding"]), (200, &"gzip".parse().unwrap()));
    assert_eq!(headers["access-control-allow-origin"], "http://grafana");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(json["data"]["result"].as_array().unwrap().len(), 2);
    let preflight = Request::options("/api/v1/query").header("origin", "http://grafana").body(Body::empty()).unwrap();
    let (status, headers, _) = send(&router, preflight).await;
    assert_eq!(
        (status.as_u16(), &headers["access-control-allow-methods"]),
        (204, &"GET, POST, OPTIONS".parse().unwrap())
    );
}

#[tokio::test]
async fn long_answers_come_in_pieces() {
    let store = MemorySeriesStore::default();
    let mut batch = SeriesBatch::default();
    for number in 0..5_000u32 {
        let text = number.to_string();
        batch.labels.push(Labels::from_pairs([("__name__", "many"), ("number", text.as_str())]));
        batch.floats.push(FloatSample { series: number, timestamp: 1_000, start: 0, value: f64::from(number) });
    }
    store.append_series(batch).await.unwrap();
    let settings = PrometheusSettings::default();
    let router = router(Prometheus::new(Engine::new(Arc::new(store), settings.engine()), settings, about()));
    let request = Request::get("/api/v1/query?query=many&time=1").body(Body::empty()).unwrap();
    let mut body = router.clone().oneshot(request).await.unwrap().into_body();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.push(frame.unwrap().into_data().unwrap());
    }
    assert!(pieces.len() > 3, "{}", pieces.len());
    let json: Json = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(json["data"]["result"].as_array().unwrap().len(), 5_000);
}

#[tokio::test]
async fn federation_gives_the_newest_samples() {
    let store = MemorySeriesStore::default();
    let now = parameters::now();
    let mut batch = SeriesBatch {
        labels: vec![
            Labels::from_pairs([("__name__", "b"), ("x", "a\"\n")]),
            Labels::from_pairs([("__name__", "a.b"), ("instance", "i")]),
        ],
        ..SeriesBatch::default()
    };
    for (series, ago, value) in [(0, 20_000, 1.0), (0, 10_000, 2.5e9), (1, 10_000, f64::INFINITY)] {
        batch.floats.push(FloatSample { series, timestamp: now - ago, start: 0, value });
    }
    store.append_series(batch).await.unwrap();
    let settings = PrometheusSettings::default();
    let router = router(Prometheus::new(Engine::new(Arc::new(store), settings.engine()), settings, about()));
    let path = format!("/federate?match[]={}", encoded("{__name__=~\".+\"}"));
    let time = now - 10_000;
    for (accept, text) in [
        (
            "text/plain",
            format!(
                "# TYPE a_b untyped\na_b{{instance=\"i\"}} +Inf {time}\n# TYPE b untyped\nb{{x=\"a\\\"\\n\",instance=\"\"}} 2.5e+09 {time}\n"
            ),
        ),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            format!(
                "# TYPE \"a.b\" untyped\n{{\"a.b\",instance=\"i\"}} +Inf {time}\n# TYPE b untyped\nb{{x=\"a\\\"\\n\",instance=\"\"}} 2.5e+09 {time}\n"
            ),
        ),
    ] {
        let request = Request::get(&path).header("accept", accept).body(Body::empty()).unwrap();
        let (status, _, body) = send(&router, request).await;
        assert_eq!((status.as_u16(), String::from_utf8(body).unwrap()), (200, text));
    }
    let request = Request::get("/federate?match[]=%7B").body(Body::empty()).unwrap();
    assert_eq!(send(&router, request).await.0, 400);
}

#[tokio::test]
async fn the_server_tells_about_itself() {
    let router = router_of_defaults().await;
    assert_eq!(data(&router, "/api/v1/status/config").await, json!({"yaml": "a: 1\n"}));
    assert_eq!(data(&router, "/api/v1/status/flags").await, json!({"web.listen": "x"}));
    assert_eq!(data(&router, "/api/v1/status/buildinfo").await["revision"], "tripod-1.2.3");
    assert_eq!(data(&router, "/api/v1/status/runtimeinfo").await["startTime"], "1970-01-01T00:00:00.000Z");
    let tsdb = data(&router, "/api/v1/status/tsdb").await;
    assert_eq!(tsdb["headStats"]["numSeries"], 3);
    assert_eq!(tsdb["seriesCountByMetricName"][0], json!({"name": "requests", "value": 2}));
    assert_eq!(data(&router, "/api/v1/rules").await, json!({"groups": []}));
    assert_eq!(data(&router, "/api/v1/alerts").await, json!({"alerts": []}));
    for (method, path, status) in [
        ("GET", "/-/healthy", 200),
        ("HEAD", "/-/ready", 200),
        ("POST", "/-/reload", 403),
        ("PUT", "/-/quit", 403),
        ("GET", "/-/reload", 405),
        ("GET", "/api/v1/nothing", 404),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn the_configuration_is_loaded_anew() {
    let settings = PrometheusSettings::default();
    let engine = Engine::new(store().await, settings.engine());
    let mut outcomes = vec![Err("line 3".to_owned()), Ok(())];
    let outcomes = Arc::new(parking_lot::Mutex::new(std::mem::take(&mut outcomes)));
    let reload: Reload = Arc::new(move || outcomes.lock().pop().unwrap());
    let router = router(Prometheus::new(engine, settings, about()).with_reload(reload));
    for (status, text) in [(200, ""), (500, "failed to reload config: line 3\n")] {
        let request = Request::post("/-/reload").body(Body::empty()).unwrap();
        let (found, _, body) = send(&router, request).await;
        assert_eq!((found.as_u16(), String::from_utf8(body).unwrap()), (status, text.to_owned()));
    }
}
