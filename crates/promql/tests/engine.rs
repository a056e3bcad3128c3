//! Limits, errors and counts of the engine through its public face.

use std::sync::Arc;
use std::time::Duration;

use tripod_model::series::Labels;
use tripod_promql::engine::{Engine, Options, QueryErrorKind, QueryOptions, SampleValue, Value};
use tripod_storage::series::{FloatSample, MemorySeriesStore, SeriesBatch, SeriesStore};

/// Series `name{index="0"}` and so on, each counting up by one every 10 s from 0 to 100 s.
async fn engine(name: &str, series: usize, options: Options) -> Engine {
    let mut batch = SeriesBatch::default();
    for index in 0..series {
        batch.labels.push(Labels::from_pairs([("__name__", name), ("index", &index.to_string())]));
        for sample in 0..11 {
            let series = index as u32;
            batch.floats.push(FloatSample { series, timestamp: sample * 10_000, start: 0, value: sample as f64 });
        }
    }
    let store = Arc::new(MemorySeriesStore::new());
    store.append_series(batch).await.unwrap();
    Engine::new(store, options)
}

async fn error(engine: &Engine, query: &str) -> (QueryErrorKind, String) {
    let error = engine.instant(query, 50_000, QueryOptions::default()).await.unwrap_err();
    (error.kind, error.message)
}

#[tokio::test]
async fn a_query_may_hold_so_many_samples() {
    let message = "query processing would load too many samples into memory in query execution";
    let engine = engine("metric", 10, Options { max_samples: 50, ..Options::default() }).await;
    assert!(engine.instant("metric", 50_000, QueryOptions::default()).await.is_ok());
    assert!(engine.range("metric", 0, 20_000, 10_000, QueryOptions::default()).await.is_ok());
    let error = engine.range("metric", 0, 100_000, 10_000, QueryOptions::default()).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (QueryErrorKind::Execution, message));
    // Steps without end are refused before anything is read.
    let error = engine.range("1", 0, i64::MAX, 1, QueryOptions::default()).await.unwrap_err();
    assert_eq!(error.message, message);
    let error = engine.instant("sum_over_time(metric[1h:1ms])", 0, QueryOptions::default()).await.unwrap_err();
    assert_eq!(error.message, message);
}

#[tokio::test]
async fn a_query_may_take_so_long() {
    let engine = engine("metric", 1, Options { timeout: Duration::ZERO, ..Options::default() }).await;
    let (kind, message) = error(&engine, "metric").await;
    assert_eq!(kind, QueryErrorKind::Timeout, "{message}");
    assert!(message.starts_with("query timed out in "), "{message}");
}

#[tokio::test]
async fn errors_are_of_prometheus_kinds_and_words() {
    let engine = engine("metric", 2, Options::experimental()).await;
    let bad = QueryErrorKind::BadData;
    assert_eq!(error(&engine, "metric{").await.0, bad);
    assert_eq!(error(&engine, "metric[0s * 5]").await, (bad, "7:13: duration must be greater than 0".to_owned()));
    let failed = QueryErrorKind::Execution;
    let (kind, message) = error(&engine, "metric + on () metric").await;
    assert_eq!(kind, failed);
    assert_eq!(
        message,
        "found duplicate series for the match group {} on the right hand-side of the operation: \
         [{__name__=\"metric\", index=\"0\"}, {__name__=\"metric\", index=\"1\"}];many-to-many matching not allowed: \
         matching labels must be unique on one side"
    );
    let (kind, message) = error(&engine, "metric + on () sum(metric)").await;
    assert_eq!(kind, failed);
    assert_eq!(message, "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
    let (_, message) = error(&engine, "label_replace(metric, \"index\", \"\", \"index\", \".*\")").await;
    assert_eq!(message, "vector cannot contain metrics with the same labelset");
    let error = engine.range("metric[1m]", 0, 1, 1, QueryOptions::default()).await.unwrap_err();
    let message = "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
    assert_eq!((error.kind, error.message.as_str()), (bad, message));
    assert_eq!(engine.range("metric", 0, 1, 0, QueryOptions::default()).await.unwrap_err().kind, bad);
}

#[tokio::test]
async fn names_are_dropped_at_once_or_at_the_end() {
    for delayed_name_removal in [false, true] {
        let engine = engine("metric", 1, Options { delayed_name_removal, ..Options::default() }).await;
        let answer = engine.instant("metric * 1", 50_000, QueryOptions::default()).await.unwrap();
        let Value::Vector(vector) = answer.value else { panic!("a vector") };
        assert_eq!(vector[0].labels, Labels::from_pairs([("index", "0")]));
        assert_eq!(vector[0].value, SampleValue::Float(5.0));
        // The name is still there to be looked at, but is gone in the end.
        let query = "label_replace(abs(metric), \"was\", \"$1\", \"__name__\", \"(.*)\")";
        let answer = engine.instant(query, 50_000, QueryOptions::default()).await.unwrap();
        let Value::Vector(vector) = answer.value else { panic!("a vector") };
        let was = if delayed_name_removal { "metric" } else { "" };
        assert_eq!(vector[0].labels, Labels::from_pairs([("index", "0"), ("was", was)]));
    }
}

#[tokio::test]
async fn samples_are_counted_by_step() {
    let engine = engine("metric", 3, Options::default()).await;
    let options = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
    let stats = engine.range("metric", 0, 20_000, 10_000, options.clone()).await.unwrap().stats;
    assert_eq!((stats.total_samples, stats.samples_read), (9, 9));
    assert_eq!(stats.samples_per_step, [(0, 3), (10_000, 3), (20_000, 3)]);
    // Three samples in each window, of which one is new.
    let stats = engine.range("rate(metric[30s])", 50_000, 70_000, 10_000, options.clone()).await.unwrap().stats;
    assert_eq!((stats.total_samples, stats.samples_read), (27, 15));
    // What is the same at all steps is read once and counts for each.
    let stats = engine.range("metric @ 50", 50_000, 70_000, 10_000, options.clone()).await.unwrap().stats;
    assert_eq!((stats.total_samples, stats.samples_read), (9, 3));
    assert_eq!(stats.samples_per_step, [(50_000, 3), (60_000, 3), (70_000, 3)]);
    // A subquery's results are looked at, not what they were computed from.
    let stats = engine.instant("sum_over_time(metric[30s:10s])", 50_000, options).await.unwrap().stats;
    assert_eq!((stats.total_samples, stats.samples_read), (9, 9));
}

#[tokio::test]
async fn remarks_tell_the_place_and_come_once() {
    let engine = engine("metric", 3, Options::default()).await;
    let query = "1 +\n rate(metric[30s])";
    let answer = engine.range(query, 50_000, 70_000, 10_000, QueryOptions::default()).await.unwrap();
    let text = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
    assert_eq!(answer.annotations.infos, [format!("{text} \"metric\" (2:7)")]);
    assert!(answer.annotations.warnings.is_empty());
}

#[tokio::test]
async fn strings_and_ranges_are_answers_of_instant_queries() {
    let engine = engine("metric", 1, Options::default()).await;
    let answer = engine.instant("\"text\"", 5, QueryOptions::default()).await.unwrap();
    assert_eq!(answer.value, Value::String { timestamp: 5, value: "text".to_owned() });
    let answer = engine.instant("metric[20s]", 50_000, QueryOptions::default()).await.unwrap();
    let Value::Matrix(matrix) = answer.value else { panic!("a matrix") };
    // The left border is open.
    assert_eq!(matrix[0].samples.floats.timestamps, [40_000, 50_000]);
    let answer = engine.instant("metric[20s:5s]", 52_000, QueryOptions::default()).await.unwrap();
    let Value::Matrix(matrix) = answer.value else { panic!("a matrix") };
    assert_eq!(matrix[0].samples.floats.timestamps, [35_000, 40_000, 45_000, 50_000]);
    assert_eq!(matrix[0].samples.floats.values, [3.0, 4.0, 4.0, 5.0]);
}

#[tokio::test]
async fn strings_that_are_no_utf8_are_judged_where_they_are_used() {
    let engine = engine("metric", 1, Options::default()).await;
    for (query, message) in [
        (r#"count_values("a\xc5z", metric)"#, r#"invalid label name "a\xc5z""#),
        (
            r#"label_replace(metric, "\xff", "x", "", "")"#,
            "invalid destination label name in label_replace(): \u{fffd}",
        ),
        (r#"label_replace(metric, "a", "x", "", "\xff")"#, "invalid regular expression in label_replace(): \u{fffd}"),
        (r#"label_join(metric, "a", "", "\xff")"#, "invalid source label name in label_join(): \u{fffd}"),
    ] {
        let error = engine.instant(query, 5, QueryOptions::default()).await.unwrap_err();
        assert_eq!(error.to_string(), message, "{query}");
    }
    let replaced = r#"label_replace(metric, "a", "\xff\xe6", "\xff", "")"#;
    let Value::Vector(vector) = engine.instant(replaced, 5, QueryOptions::default()).await.unwrap().value else {
        panic!("a vector")
    };
    assert_eq!(vector[0].labels.get("a"), Some("\u{fffd}\u{fffd}"));
}

#[tokio::test]
async fn the_deepest_queries_fit_on_the_stack() {
    let engine = engine("metric", 1, Options::experimental()).await;
    let chain = tripod_promql::parser::MAX_DEPTH - 10;
    // A hundred levels may lie inside one another.
    let nested =
        |open: &str, close: &str, levels: usize| format!("{}metric{}", open.repeat(levels), close.repeat(levels));
    let queries = [
        nested("abs(", ")", 99),
        nested("(", ")", 99),
        nested("sum(", ")", 99),
        nested("-", "", 99),
        nested("1 + (", ")", 49),
        nested("metric * on (index) (", ")", 49),
        nested("clamp(", ", 1, 2)", 99),
        nested("max_over_time(", "[1m:30s])", 49),
        nested("histogram_quantile(0.9, ", ")", 99),
        format!("metric{}", " + metric".repeat(chain)),
        format!("metric @ 5{}", " or metric @ 5".repeat(chain)),
    ];
    for query in queries {
        let answer = engine.range(&query, 0, 50_000, 10_000, QueryOptions::default()).await;
        assert!(answer.is_ok(), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn an_evaluation_ends_when_nobody_waits_for_it() {
    let options = Options { max_concurrency: 1, max_samples: 2_000_000_000, ..Options::default() };
    let engine = engine("metric", 1, options).await;
    // Would look at some 4 * 10^10 samples.
    let endless = "sum_over_time(sum_over_time(vector(1)[200000s:1s])[200000s:1s])";
    let endless = engine.instant(endless, 50_000, QueryOptions::default());
    let waited = tokio::time::timeout(Duration::from_millis(50), endless).await;
    assert!(waited.is_err(), "it takes longer");
    // It has the only turn until it has ended.
    let answer = engine.instant("1", 50_000, QueryOptions::default()).await;
    assert!(answer.is_ok(), "{answer:?}");
}
