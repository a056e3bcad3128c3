//! A range query gives at each step what an instant query gives at that moment, bit for bit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use tripod_model::series::{FloatHistogram, Labels, NativeSpan, STALE_NAN};
use tripod_promql::engine::{Engine, Options, QueryOptions, SampleValue, Value};
use tripod_storage::series::{FloatSample, HistogramSample, MemorySeriesStore, SeriesBatch, SeriesStore};

/// What is asked; `{r}` is a range, `{o}` an offset.
const QUERIES: &[&str] = &[
    "requests_total",
    "requests_total offset {o}",
    "-requests_total",
    "requests_total @ 100",
    "rate(requests_total[{r}])",
    "increase(requests_total[{r}] offset {o})",
    "rate(requests_total[{r}] anchored)",
    "increase(requests_total[{r}] smoothed)",
    "requests_total smoothed",
    "irate(requests_total[{r}])",
    "idelta(requests_total[{r}])",
    "changes(requests_total[{r}])",
    "resets(requests_total[{r}])",
    "deriv(requests_total[{r}])",
    "predict_linear(requests_total[{r}], 60)",
    "double_exponential_smoothing(requests_total[{r}], 0.5, 0.1)",
    "avg_over_time(requests_total[{r}])",
    "sum_over_time(requests_total[{r}])",
    "min_over_time(requests_total[{r}])",
    "max_over_time(requests_total[{r}])",
    "count_over_time(requests_total[{r}])",
    "stddev_over_time(requests_total[{r}])",
    "quantile_over_time(0.3, requests_total[{r}])",
    "mad_over_time(requests_total[{r}])",
    "ts_of_max_over_time(requests_total[{r}])",
    "last_over_time(requests_total[{r}])",
    "first_over_time(requests_total[{r}])",
    "absent_over_time(requests_total{zone=\"a\"}[{r}])",
    "absent(requests_total{zone=\"b\"})",
    "timestamp(requests_total)",
    "sum by (zone) (requests_total)",
    "avg without (instance) (requests_total)",
    "stddev by (zone) (requests_total)",
    "quantile by (zone) (0.4, requests_total)",
    "topk(2, requests_total)",
    "bottomk by (zone) (1, requests_total)",
    "limitk(2, requests_total)",
    "limit_ratio(0.5, requests_total)",
    "count_values(\"value\", requests_total)",
    "count(requests_total) or vector(0)",
    "requests_total > 10",
    "requests_total > bool 10",
    "10 < requests_total",
    "requests_total / on (instance, zone) other",
    "requests_total * on (zone) group_left () sum by (zone) (other)",
    "requests_total + on (instance, zone) fill (3) other",
    "requests_total and on (zone) (other > 5)",
    "(requests_total > 10) or requests_total",
    "requests_total unless other",
    "max_over_time(rate(requests_total[{r}])[5m:1m])",
    "sum_over_time((requests_total > 10)[4m:30s] offset {o})",
    "clamp(requests_total, 2, scalar(sum(other)))",
    "label_replace(requests_total, \"zone\", \"$1\", \"instance\", \"(.).*\")",
    "scalar(requests_total{instance=\"i0\"})",
    "hour(requests_total * 1000)",
    "time() + minute()",
    "latency",
    "rate(latency[{r}])",
    "sum(rate(latency[{r}]))",
    "avg_over_time(latency[{r}])",
    "histogram_quantile(0.9, latency)",
    "histogram_count(latency) + histogram_sum(latency)",
    "{__name__=~\"latency|other\"} * 2",
    "count({__name__=~\".+\"}) by (zone)",
];

const INTERVAL: i64 = 15_000;

#[derive(Clone, Debug)]
struct Data {
    /// What was found at each scrape, by series.
    counters: Vec<Vec<Option<f64>>>,
    gauges: Vec<Vec<Option<f64>>>,
    histograms: Vec<Vec<Option<u8>>>,
}

fn data() -> impl Strategy<Value = Data> {
    let value = prop_oneof![
        6 => (0..40u32).prop_map(|value| Some(f64::from(value))),
        1 => Just(None),
        1 => prop_oneof![Just(STALE_NAN), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(1e308)].prop_map(Some),
    ];
    let series = prop::collection::vec(prop::collection::vec(value, 0..40), 0..5);
    let histogram = prop_oneof![5 => (0..30u8).prop_map(Some), 1 => Just(None)];
    let histograms = prop::collection::vec(prop::collection::vec(histogram, 0..40), 0..3);
    (series.clone(), series, histograms).prop_map(|(counters, gauges, histograms)| Data {
        counters,
        gauges,
        histograms,
    })
}

fn labels(name: &str, index: usize) -> Labels {
    let (instance, zone) = (format!("i{index}"), ["a", "b"][index % 2]);
    Labels::from_pairs([("__name__", name), ("instance", &instance), ("zone", zone)])
}

fn histogram(count: u8) -> FloatHistogram {
    let count = f64::from(count);
    FloatHistogram {
        count: count * 3.0,
        sum: count * 4.0,
        zero_threshold: 0.001,
        zero_count: count,
        positive_spans: vec![NativeSpan { offset: 1, length: 2 }],
        positive_buckets: vec![count, count],
        ..FloatHistogram::default()
    }
}

async fn store(data: &Data) -> Arc<MemorySeriesStore> {
    let mut batch = SeriesBatch::default();
    for (name, all) in [("requests_total", &data.counters), ("other", &data.gauges)] {
        for (index, values) in all.iter().enumerate() {
            let series = batch.labels.len() as u32;
            batch.labels.push(labels(name, index));
            for (scrape, value) in values.iter().enumerate() {
                let timestamp = scrape as i64 * INTERVAL + index as i64;
                batch.floats.extend(value.map(|value| FloatSample { series, timestamp, start: 0, value }));
            }
        }
    }
    for (index, values) in data.histograms.iter().enumerate() {
        let series = batch.labels.len() as u32;
        batch.labels.push(labels("latency", index));
        for (scrape, value) in values.iter().enumerate() {
            let timestamp = scrape as i64 * INTERVAL;
            let sample = |count| HistogramSample { series, timestamp, start: 0, value: Arc::new(histogram(count)) };
            batch.histograms.extend(value.map(sample));
        }
    }
    let store = Arc::new(MemorySeriesStore::new());
    store.append_series(batch).await.expect("a store in memory takes samples");
    store
}

/// Values by labels and time; floats by their bits, with NaN as one.
type Samples = BTreeMap<(String, i64), String>;

fn text(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) if value.is_nan() => "NaN".to_owned(),
        SampleValue::Float(value) => format!("{value:?} {:x}", value.to_bits()),
        SampleValue::Histogram(histogram) => format!("{histogram:?}"),
    }
}

fn samples(value: &Value) -> Samples {
    let mut samples = Samples::new();
    let mut add = |labels: String, time: i64, value: &SampleValue| {
        assert!(samples.insert((labels.clone(), time), text(value)).is_none(), "{labels} twice at {time}");
    };
    match value {
        Value::Scalar { timestamp, value } => add("{}".to_owned(), *timestamp, &SampleValue::Float(*value)),
        Value::Vector(vector) => {
            vector.iter().for_each(|sample| add(sample.labels.to_string(), sample.timestamp, &sample.value));
        }
        Value::Matrix(matrix) => {
            for series in matrix {
                let (floats, histograms) = (&series.samples.floats, &series.samples.histograms);
                for (time, value) in floats.timestamps.iter().zip(&floats.values) {
                    add(series.labels.to_string(), *time, &SampleValue::Float(*value));
                }
                for (time, value) in histograms.timestamps.iter().zip(&histograms.values) {
                    add(series.labels.to_string(), *time, &SampleValue::Histogram(value.clone()));
                }
            }
        }
        Value::String { .. } => {}
    }
    samples
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_range_query_is_many_instant_queries(
        data in data(),
        query in prop::sample::select(QUERIES),
        range in prop_oneof![Just("15s"), Just("1m"), Just("2m10s"), Just("6m")],
        offset in prop_oneof![Just("30s"), Just("-45s"), Just("3m")],
        start in -200_000i64..500_000,
        step in prop_oneof![Just(1_000i64), Just(15_000), Just(17_123), Just(60_000), Just(400_000)],
        steps in 1i64..12,
        delayed in any::<bool>(),
    ) {
        let query = query.replace("{r}", range).replace("{o}", offset);
        let options = Options { delayed_name_removal: delayed, ..Options::experimental() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = Engine::new(store(&data).await, options);
            let end = start + (steps - 1) * step;
            let whole = engine.range(&query, start, end, step, QueryOptions::default()).await;
            let mut expected = Samples::new();
            let mut notes = BTreeSet::new();
            for time in (0..steps).map(|index| start + index * step) {
                match engine.instant(&query, time, QueryOptions::default()).await {
                    Ok(answer) => {
                        expected.extend(samples(&answer.value));
                        notes.extend(answer.annotations.warnings);
                        notes.extend(answer.annotations.infos);
                    }
                    Err(error) => {
                        prop_assert!(whole.is_err(), "{query} at {time}: {error}");
                        return Ok(());
                    }
                }
            }
            let whole = whole.map_err(|error| TestCaseError::fail(format!("{query}: {error}")))?;
            prop_assert_eq!(samples(&whole.value), expected, "{}", &query);
            let remarks = whole.annotations.warnings.into_iter().chain(whole.annotations.infos);
            prop_assert_eq!(remarks.collect::<BTreeSet<String>>(), notes, "{}", &query);
            Ok(())
        })?;
    }
}
