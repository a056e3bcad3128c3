use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower::ServiceExt;
use tripod_model::series::{
    DroppedTarget, Labels, MetricType, RelabelStep, SeriesExemplar, SeriesMetadata, TargetHealth, TargetStatus, Targets,
};
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

#[derive(Debug)]
struct TwoTargets;

impl Targets for TwoTargets {
    fn pools(&self) -> Vec<String> {
        vec!["web".to_owned(), "api".to_owned()]
    }

    fn active(&self) -> Vec<TargetStatus> {
        let metadata = SeriesMetadata { metric_type: MetricType::Gauge, unit: "s".into(), help: "h".into() };
        let other = SeriesMetadata { help: "other".into(), ..metadata.clone() };
        let target = TargetStatus {
            pool: "api".to_owned(),
            discovered_labels: Labels::from_pairs([("__address__", "a:1")]),
            labels: Labels::from_pairs([("job", "api")]),
            url: "http://a:1/metrics".to_owned(),
            health: TargetHealth::Down,
            last_error: "refused".to_owned(),
            last_scrape: Some(1_500),
            last_duration: Duration::from_millis(250),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            metadata: Arc::new(HashMap::from([("up".to_owned(), metadata)])),
        };
        let second = TargetStatus {
            pool: "web".to_owned(),
            labels: Labels::from_pairs([("job", "web")]),
            metadata: Arc::new(HashMap::from([("up".to_owned(), other.clone()), ("requests".to_owned(), other)])),
            ..target.clone()
        };
        vec![target.clone(), second, target]
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        let discovered_labels = Labels::from_pairs([("__address__", "b:1")]);
        vec![DroppedTarget { pool: "web".to_owned(), discovered_labels }]
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        let step = RelabelStep { rule: r#"{"action":"keep"}"#.to_owned(), output: labels.clone(), keep: true };
        (pool == "web").then(|| vec![step])
    }
}

#[tokio::test]
async fn targets_are_shown() {
    let settings = PrometheusSettings::default();
    let engine = Engine::new(store().await, settings.engine());
    let router = router(Prometheus::new(engine, settings, about()).with_targets(Arc::new(TwoTargets)));
    assert_eq!(data(&router, "/api/v1/scrape_pools").await, json!({"scrapePools": ["api", "web"]}));
    let target = json!({"discoveredLabels": {"__address__": "a:1"}, "labels": {"job": "api"}, "scrapePool": "api",
        "scrapeUrl": "http://a:1/metrics", "globalUrl": "http://a:1/metrics", "lastError": "refused",
        "lastScrape": "1970-01-01T00:00:01.500Z", "lastScrapeDuration": 0.25, "health": "down",
        "scrapeInterval": "15s", "scrapeTimeout": "10s"});
    let dropped = json!([{"discoveredLabels": {"__address__": "b:1"}, "scrapePool": "web"}]);
    assert_eq!(
        data(&router, "/api/v1/targets?scrapePool=api").await,
        json!({"activeTargets": [target, target], "droppedTargets": [], "droppedTargetCounts": {"web": 1}})
    );
    assert_eq!(data(&router, "/api/v1/targets").await["droppedTargets"], dropped);
    let only = data(&router, "/api/v1/targets?state=active&scrapePool=none").await;
    assert_eq!(only, json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": null}));
    let said_of_up = json!({"target": {"job": "api"}, "metric": "up", "type": "gauge", "help": "h", "unit": "s"});
    assert_eq!(
        data(&router, "/api/v1/targets/metadata?match_target=%7Bjob%3D%22api%22%7D").await,
        json!([said_of_up, said_of_up])
    );
    assert_eq!(data(&router, "/api/v1/targets/metadata?metric=down").await, json!([]));
    assert_eq!(
        data(&router, "/api/v1/targets/relabel_steps?scrapePool=web&labels=%7B%22a%22:%22b%22%7D").await,
        json!({"steps": [{"rule": {"action": "keep"}, "output": {"a": "b"}, "keep": true}]})
    );
    // What targets say of one name is all shown, each once, and goes before what was stored.
    let said = |help: &str| json!({"type": "gauge", "help": help, "unit": "s"});
    let up = json!({"up": [said("h"), said("other")]});
    assert_eq!(data(&router, "/api/v1/metadata?metric=up").await, up);
    let all = json!({"requests": [said("other")], "up": [said("h"), said("other")]});
    assert_eq!(data(&router, "/api/v1/metadata").await, all);
    let fewer = json!({"requests": [said("other")], "up": [said("h")]});
    assert_eq!(data(&router, "/api/v1/metadata?limit_per_metric=1").await, fewer);
    assert_eq!(data(&router, "/api/v1/metadata?limit=1").await, json!({"requests": [said("other")]}));
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

/// Paths of Prometheus' contract that are not served here, each with the reason.
const NOT_SERVED: [(&str, &str); 5] = [
    ("/admin/tsdb/snapshot", "the tables are files that can be copied while the server runs"),
    ("/otlp/v1/metrics", "a receiver's"),
    ("/scrape_pools/config", "not yet: a job is kept without its defaults and with its secrets"),
    ("/status/self_metrics", "not yet: /metrics of the front door has them, as text"),
    ("/write", "a receiver's"),
];

#[tokio::test]
async fn the_contract_is_served() {
    let contract = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/conformance/exposition/http_api/openapi_3.1_golden.yaml");
    let Ok(text) = std::fs::read_to_string(&contract) else {
        eprintln!("NOT RUN: the contract is not at {}", contract.display());
        return;
    };
    let router = router_of_defaults().await;
    let mut paths: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines().skip_while(|line| *line != "paths:").skip(1).take_while(|line| line.starts_with(' ')) {
        if let Some(path) = line.strip_prefix("    /").and_then(|path| path.strip_suffix(':')) {
            paths.push((format!("/{path}"), Vec::new()));
        } else if let (Some(method), Some((_, methods))) =
            (line.strip_prefix("        ").and_then(|line| line.strip_suffix(':')), paths.last_mut())
            && ["get", "post", "put", "delete"].contains(&method)
        {
            methods.push(method.to_uppercase());
        }
    }
    assert_eq!(paths.len(), 36);
    let mut missing = Vec::new();
    for (path, methods) in &paths {
        for method in methods {
            let uri = format!("/api/v1{}", path.replace("{name}", "job"));
            let request = Request::builder().method(method.as_str()).uri(uri).body(Body::empty()).unwrap();
            let status = send(&router, request).await.0;
            if (status == 404 || status == 405) && !missing.contains(path) {
                missing.push(path.clone());
            }
        }
    }
    missing.sort();
    for path in &missing {
        let reason = NOT_SERVED.iter().find(|(each, _)| each == path).map(|(_, reason)| *reason);
        println!("not served: {path}: {}", reason.unwrap_or("NO REASON"));
        assert!(reason.is_some(), "{path} is not served");
    }
    assert_eq!(missing.len(), NOT_SERVED.len(), "{missing:?}");
}

/// Prometheus' own command line client, where it is installed.
#[tokio::test]
async fn promtool_gets_its_answers() {
    let program = "promtool";
    if tokio::process::Command::new(program).arg("--version").output().await.is_err() {
        eprintln!("NOT RUN: there is no promtool");
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().nest("/prometheus", router_of_defaults().await);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://{address}/prometheus");
    for (arguments, output) in [
        (
            vec!["query", "instant", "--time=60", &url, "requests * 2"],
            "{code=\"200\", job=\"api\"} => 30 @[60]\n{code=\"500\", job=\"api\"} => 60 @[60]\n",
        ),
        (
            vec!["query", "range", "--start=60", "--end=120", "--step=1m", &url, "sum(requests)"],
            "{} =>\n45 @[60]\n90 @[120]\n",
        ),
        (vec!["query", "labels", "--start=0", "--end=600", &url, "code"], "200\n500\n"),
        (
            vec!["query", "series", "--start=0", "--end=600", "--match=requests{code=\"200\"}", &url],
            "{__name__=\"requests\", code=\"200\", job=\"api\"}\n",
        ),
    ] {
        let ran = tokio::process::Command::new(program).args(&arguments).output().await.unwrap();
        let (out, error) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{arguments:?}: {out}{error}");
        assert_eq!(out, output, "{arguments:?}: {error}");
    }
    let wrong = tokio::process::Command::new(program).args(["query", "instant", &url, "foo("]).output().await.unwrap();
    assert!(!wrong.status.success());
    let error = String::from_utf8_lossy(&wrong.stderr);
    assert!(error.contains("1:5: parse error: unclosed left parenthesis"), "{error}");
    server.abort();
}
