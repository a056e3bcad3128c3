//! The tests that every store of series must pass; as [`crate::suite`] for rows.

use std::sync::Arc;

use futures::future::BoxFuture;
use tripod_model::series::{
    CounterResetHint, FloatHistogram, Labels, MetricType, NativeSpan, STALE_NAN, Samples, SeriesExemplar,
    SeriesMetadata, is_stale,
};

use super::{
    FloatSample, HistogramSample, LabelMatcher, LabelQuery, MatchOp, MillisRange, Rejection, SelectSeries,
    SeriesAppended, SeriesBatch, SeriesStore,
};

/// The store to go on with after it was given the chance to move samples.
pub type Between<'a> = &'a dyn Fn(Arc<dyn SeriesStore>) -> BoxFuture<'a, Arc<dyn SeriesStore>>;

/// Runs every test, each after the other on the same store, which must be empty and take samples in any order.
/// `between` is called at moments where a store may move samples about (flush, compact, restart).
///
/// # Panics
/// When a promise is broken.
pub async fn run(store: Arc<dyn SeriesStore>, between: Between<'_>) {
    an_empty_store_answers(&store).await;
    let store = samples_come_back_as_they_were(store, between).await;
    let store = duplicates_are_kept_once(store, between).await;
    let store = samples_come_in_any_order(store, between).await;
    let store = floats_and_histograms_share_a_series(store, between).await;
    let store = matchers_find_what_they_say(store, between).await;
    let store = exemplars_and_metadata_come_back(store, between).await;
    let store = deleted_samples_are_gone(store, between).await;
    churn_is_survived(store, between).await;
}

async fn an_empty_store_answers(store: &Arc<dyn SeriesStore>) {
    assert_eq!(store.series(LabelQuery::ALL).await.unwrap(), []);
    assert_eq!(store.label_names(LabelQuery::ALL).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.label_values("job", LabelQuery::ALL).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.exemplars(LabelQuery::ALL).await.unwrap(), []);
    assert_eq!(store.metadata(None).await.unwrap(), []);
    let appended = store.append_series(SeriesBatch::default()).await.unwrap();
    assert_eq!((appended.floats, appended.histograms, appended.refused), (0, 0, 0));
    let nameless = floats(&[], &[(1, 1.0)]);
    let appended = store.append_series(nameless).await.unwrap();
    assert!(matches!(appended.rejected[0].reason, Rejection::Invalid(_)), "a series without a label");
    let mut unknown = floats(&[("a", "b")], &[(1, 1.0)]);
    unknown.floats[0].series = 1;
    assert!(store.append_series(unknown).await.is_err(), "a sample of no series");
    assert_eq!(store.series(LabelQuery::ALL).await.unwrap(), []);
}

async fn samples_come_back_as_they_were(store: Arc<dyn SeriesStore>, between: Between<'_>) -> Arc<dyn SeriesStore> {
    let odd = [
        (i64::MIN / 2, 0.0),
        (-1, -0.0),
        (0, f64::NAN),
        (1, f64::from_bits(0xfff8_0000_0000_0001)),
        (2, STALE_NAN),
        (3, f64::INFINITY),
        (4, f64::NEG_INFINITY),
        (5, f64::MIN_POSITIVE / 2.0),
        (6, f64::MAX),
        (1_700_000_000_000, 0.1 + 0.2),
        (1_700_000_015_001, -1e300),
        (i64::MAX / 2, 42.0),
    ];
    let steady: Vec<_> = (0..1000).map(|index| (1_700_000_000_000 + index * 15_000, (index * 7) as f64)).collect();
    let mut sent = floats(&[("__name__", "odd"), ("test", "as_they_were")], &odd);
    add(&mut sent, &[("__name__", "steady"), ("test", "as_they_were")], &steady);
    for (index, sample) in sent.floats.iter_mut().enumerate().filter(|(_, sample)| sample.series == 1) {
        sample.start = if index % 3 == 0 { 0 } else { 1_699_999_999_000 + (index as i64 / 100) };
    }
    keep_all(&store, sent.clone()).await;
    let store = between(store).await;
    // The rest of a series may lie elsewhere than its beginning.
    let later: Vec<_> =
        (1000..1010).map(|index| (1_700_000_000_000 + index * 15_000, f64::from(index as i32))).collect();
    let later = floats(&[("__name__", "steady"), ("test", "as_they_were")], &later);
    keep_all(&store, later.clone()).await;
    let found = select(&store, &[("test", MatchOp::Equal, "as_they_were")], MillisRange::ALL).await;
    assert_eq!(found.len(), 2);
    for (series, (labels, samples)) in found.iter().enumerate() {
        assert_eq!(labels, &sent.labels[series]);
        let mut expected = Samples::default();
        for sample in sent.floats.iter().filter(|sample| sample.series == series as u32) {
            expected.floats.push(sample.timestamp, sample.value, sample.start);
        }
        for sample in later.floats.iter().filter(|_| series == 1) {
            expected.floats.push(sample.timestamp, sample.value, sample.start);
        }
        assert_eq!(samples, &expected, "{labels}");
    }
    let range = MillisRange { start: 0, end: 3 };
    let found = select(&store, &[("__name__", MatchOp::Equal, "odd")], range).await;
    assert_eq!(found[0].1.floats.timestamps, [0, 1, 2, 3], "both ends are in the range");
    store
}

async fn duplicates_are_kept_once(store: Arc<dyn SeriesStore>, between: Between<'_>) -> Arc<dyn SeriesStore> {
    let labels = [("__name__", "duplicates")];
    keep_all(&store, floats(&labels, &[(10, 1.0), (20, f64::NAN)])).await;
    keep_all(&store, floats(&labels, &[(20, f64::NAN), (20, f64::NAN)])).await;
    for other in [2.0, f64::from_bits(f64::NAN.to_bits() ^ 1), STALE_NAN] {
        let refused = store.append_series(floats(&labels, &[(20, other), (30, 3.0)])).await.unwrap();
        assert_eq!((refused.floats, refused.refused), (1, 1));
        assert_eq!(refused.rejected[0].reason, Rejection::DuplicateTimestamp);
        assert_eq!(
            (refused.rejected[0].timestamp, refused.rejected[0].labels.get("__name__")),
            (20, Some("duplicates"))
        );
    }
    let store = between(store).await;
    // A store may have forgotten the value by now, but what came first is what counts.
    store.append_series(floats(&labels, &[(10, 5.0), (30, 3.0), (30, 7.0), (40, 4.0)])).await.unwrap();
    let store = between(store).await;
    let found = select(&store, &[("__name__", MatchOp::Equal, "duplicates")], MillisRange::ALL).await;
    let mut expected = Samples::default();
    for (time, value) in [(10, 1.0), (20, f64::NAN), (30, 3.0), (40, 4.0)] {
        expected.floats.push(time, value, 0);
    }
    assert_eq!(found[0].1, expected);
    store
}

async fn samples_come_in_any_order(store: Arc<dyn SeriesStore>, between: Between<'_>) -> Arc<dyn SeriesStore> {
    let labels = [("__name__", "any_order")];
    // Three passes, each over every third moment; the first backwards.
    let pass = |pass: i64| (0..200).map(move |index| (index * 30 + pass * 10, (index * 3 + pass) as f64));
    keep_all(&store, floats(&labels, &pass(2).rev().collect::<Vec<_>>())).await;
    keep_all(&store, floats(&labels, &pass(0).collect::<Vec<_>>())).await;
    let store = between(store).await;
    keep_all(&store, floats(&labels, &pass(1).collect::<Vec<_>>())).await;
    check_any_order(&store).await;
    let store = between(store).await;
    check_any_order(&store).await;
    store
}

async fn check_any_order(store: &Arc<dyn SeriesStore>) {
    let range = MillisRange { start: 5, end: 5985 };
    let found = select(store, &[("__name__", MatchOp::Equal, "any_order")], range).await;
    assert_eq!(found[0].1.floats.timestamps, (1..599).map(|index| index * 10).collect::<Vec<_>>());
    assert_eq!(found[0].1.floats.values, (1..599).map(f64::from).collect::<Vec<_>>());
}

async fn floats_and_histograms_share_a_series(
    store: Arc<dyn SeriesStore>,
    between: Between<'_>,
) -> Arc<dyn SeriesStore> {
    let labels = [("__name__", "mixed")];
    let mut batch = floats(&labels, &[(10, 1.0), (40, 4.0)]);
    let sent: Vec<_> = [(20, 2), (30, 3)].map(|(time, scale)| (time, Arc::new(histogram(scale)))).into();
    batch.histograms = sent
        .iter()
        .map(|(timestamp, value)| HistogramSample {
            series: 0,
            timestamp: *timestamp,
            start: 5,
            value: Arc::clone(value),
        })
        .collect();
    // Floats of the same call are applied before histograms, so these are out of order.
    keep_all(&store, batch.clone()).await;
    keep_all(&store, batch).await;
    let mut other = floats(&labels, &[(20, 1.0)]);
    other.histograms = vec![HistogramSample { series: 0, timestamp: 10, start: 0, value: Arc::new(histogram(1)) }];
    let refused = store.append_series(other).await.unwrap();
    assert_eq!(refused.refused, 2, "a float and a histogram of one time");
    let mut broken = histogram(1);
    broken.positive_buckets.pop();
    let mut batch = SeriesBatch { labels: vec![Labels::from_pairs(labels)], ..SeriesBatch::default() };
    batch.histograms = vec![HistogramSample { series: 0, timestamp: 99, start: 0, value: Arc::new(broken) }];
    let refused = store.append_series(batch).await.unwrap();
    assert!(matches!(refused.rejected[0].reason, Rejection::Invalid(_)), "spans that do not fit their buckets");

    // A scrape knows only a float's stale marker; it ends a series of histograms as a histogram.
    let ended = [("__name__", "ended_histograms")];
    let mut batch = SeriesBatch { labels: vec![Labels::from_pairs(ended)], ..SeriesBatch::default() };
    batch.histograms = (0..300)
        .map(|index| HistogramSample {
            series: 0,
            timestamp: i64::from(index) * 15_000,
            start: 0,
            value: Arc::new(if index % 100 == 99 { custom_histogram(index) } else { histogram(index) }),
        })
        .collect();
    let grown = batch.histograms.clone();
    keep_all(&store, batch).await;
    keep_all(&store, floats(&ended, &[(300 * 15_000, STALE_NAN)])).await;
    let store = between(store).await;
    let found = select(&store, &[("__name__", MatchOp::Equal, "mixed")], MillisRange::ALL).await;
    let mut expected = Samples::default();
    expected.floats.push(10, 1.0, 0);
    expected.floats.push(40, 4.0, 0);
    for (time, value) in sent {
        expected.histograms.push(time, value, 5);
    }
    assert_eq!(found[0].1, expected);
    let found = select(&store, &[("__name__", MatchOp::Equal, "ended_histograms")], MillisRange::ALL).await;
    let samples = &found[0].1.histograms;
    assert_eq!(samples.timestamps.len(), 301);
    for (index, sample) in grown.iter().enumerate() {
        assert_eq!(samples.values[index], sample.value, "{index}");
    }
    assert!(is_stale(samples.values[300].sum));
    assert!(found[0].1.floats.timestamps.is_empty());
    store
}

async fn matchers_find_what_they_say(store: Arc<dyn SeriesStore>, between: Between<'_>) -> Arc<dyn SeriesStore> {
    for (index, method) in ["get", "post", "put"].into_iter().enumerate() {
        for code in ["200", "404", "500"] {
            let labels = [("__name__", "requests"), ("method", method), ("code", code)];
            keep_all(&store, floats(&labels, &[(1000 * index as i64, 1.0)])).await;
        }
    }
    let store = between(store).await;
    // One of them continues in memory, one is new.
    let zoned = [("__name__", "requests"), ("method", "get"), ("code", "200"), ("zone", "é")];
    keep_all(&store, floats(&zoned, &[(0, 1.0)])).await;
    keep_all(&store, floats(&zoned[..3], &[(9000, 1.0)])).await;
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    for (matchers, count) in [
        (&[][..], 10),
        (&[("method", Equal, "get")], 4),
        (&[("method", NotEqual, "get")], 6),
        (&[("method", Regex, "get|put")], 7),
        (&[("method", Regex, "p.*")], 6),
        (&[("method", Regex, "p.t")], 3),
        (&[("method", Regex, "p")], 0),
        (&[("method", NotRegex, "p.*"), ("code", Regex, "[45]..")], 2),
        (&[("zone", Equal, "")], 9),
        (&[("zone", NotEqual, "")], 1),
        (&[("zone", Regex, ".*")], 10),
        (&[("zone", Regex, ".+")], 1),
        (&[("zone", Regex, "|é")], 10),
        (&[("absent", NotEqual, "x")], 10),
        (&[("absent", Equal, "x")], 0),
        (&[("code", Equal, "200"), ("code", Equal, "404")], 0),
    ] {
        let mut conditions = vec![("__name__", Equal, "requests")];
        conditions.extend_from_slice(matchers);
        assert_eq!(select(&store, &conditions, MillisRange::ALL).await.len(), count, "{matchers:?}");
        let query = label_query(&[&conditions], MillisRange::ALL);
        assert_eq!(store.series(query).await.unwrap().len(), count, "{matchers:?}");
    }
    let all = [("__name__", Equal, "requests")];
    let found = select(&store, &all, MillisRange::ALL).await;
    assert!(found.is_sorted_by(|a, b| a.0 < b.0), "sorted by labels, each once");
    let continued = found.iter().find(|(labels, _)| *labels == Labels::from_pairs(zoned[..3].iter().copied()));
    assert_eq!(continued.map(|(_, samples)| samples.floats.timestamps.clone()), Some(vec![0, 9000]));
    let some = select(&store, &all, MillisRange { start: 1000, end: 8999 }).await;
    assert_eq!(some.iter().filter(|(_, samples)| !samples.is_empty()).count(), 6);

    let names = store.label_names(label_query(&[&all], MillisRange::ALL)).await.unwrap();
    assert_eq!(names, ["__name__", "code", "method", "zone"]);
    let values = store.label_values("method", label_query(&[&all], MillisRange::ALL)).await.unwrap();
    assert_eq!(values, ["get", "post", "put"]);
    let values = store.label_values("method", label_query(&[&all], MillisRange { start: 1500, end: 2500 })).await;
    assert!(values.unwrap().contains(&"put".to_owned()));
    let sets: [&[_]; 2] = [
        &[("__name__", Equal, "requests"), ("code", Equal, "404")],
        &[("__name__", Equal, "requests"), ("method", Equal, "get")],
    ];
    assert_eq!(store.series(label_query(&sets, MillisRange::ALL)).await.unwrap().len(), 6);
    let limited = LabelQuery { limit: 2, ..label_query(&sets, MillisRange::ALL) };
    assert_eq!(store.label_values("method", limited.clone()).await.unwrap(), ["get", "post"]);
    assert_eq!(store.label_names(limited.clone()).await.unwrap().len(), 2);
    assert_eq!(store.series(limited).await.unwrap().len(), 2);
    let everything = store.label_names(LabelQuery::ALL).await.unwrap();
    assert_eq!(everything, ["__name__", "code", "method", "test", "zone"]);
    store
}

async fn exemplars_and_metadata_come_back(store: Arc<dyn SeriesStore>, between: Between<'_>) -> Arc<dyn SeriesStore> {
    let exemplar = |timestamp, trace: &str| SeriesExemplar {
        labels: Labels::from_pairs([("trace_id", trace)]),
        value: 0.5,
        timestamp,
    };
    let labels = [("__name__", "with_exemplars")];
    let mut batch = floats(&labels, &[(1000, 1.0)]);
    batch.exemplars = vec![(0, exemplar(900, "a")), (0, exemplar(950, "b"))];
    let described = |help: &str| SeriesMetadata {
        metric_type: MetricType::Counter,
        unit: "requests".to_owned(),
        help: help.to_owned(),
    };
    batch.metadata = vec![("with_exemplars".to_owned(), described("old")), ("other".to_owned(), described("other"))];
    assert_eq!(keep_all(&store, batch).await.exemplars, 2);
    let store = between(store).await;
    let mut batch = floats(&labels, &[(2000, 1.0)]);
    batch.exemplars = vec![(0, exemplar(950, "b")), (0, exemplar(1900, "c"))];
    batch.metadata = vec![("with_exemplars".to_owned(), described("new"))];
    keep_all(&store, batch).await;
    let store = between(store).await;
    let query = |range| label_query(&[&[("__name__", MatchOp::Equal, "with_exemplars")]], range);
    let found = store.exemplars(query(MillisRange::ALL)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, Labels::from_pairs(labels));
    assert_eq!(found[0].1, [exemplar(900, "a"), exemplar(950, "b"), exemplar(1900, "c")], "each once, by time");
    let found = store.exemplars(query(MillisRange { start: 950, end: 1000 })).await.unwrap();
    assert_eq!(found[0].1, [exemplar(950, "b")]);
    assert_eq!(store.exemplars(query(MillisRange { start: 0, end: 10 })).await.unwrap(), []);
    assert_eq!(
        store.metadata(Some("with_exemplars")).await.unwrap(),
        [("with_exemplars".to_owned(), described("new"))]
    );
    assert_eq!(store.metadata(Some("absent")).await.unwrap(), []);
    let all = store.metadata(None).await.unwrap();
    assert_eq!(all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["other", "with_exemplars"]);
    store
}

async fn deleted_samples_are_gone(store: Arc<dyn SeriesStore>, between: Between<'_>) -> Arc<dyn SeriesStore> {
    let minutes: Vec<_> = (0..100).map(|minute| (minute * 60_000, minute as f64)).collect();
    for name in ["deleted", "kept"] {
        keep_all(&store, floats(&[("__name__", name), ("test", "deletion")], &minutes)).await;
    }
    let store = between(store).await;
    let later: Vec<_> = (100..150).map(|minute| (minute * 60_000, minute as f64)).collect();
    keep_all(&store, floats(&[("__name__", "deleted"), ("test", "deletion")], &later)).await;
    let deletion: &[_] = &[("__name__", MatchOp::Equal, "deleted")];
    let range = MillisRange { start: 10 * 60_000, end: 129 * 60_000 };
    store.delete_series(label_query(&[deletion], range)).await.unwrap();
    let left: Vec<i64> = (0..10).chain(130..150).map(|minute| minute * 60_000).collect();
    check_deletion(&store, &left).await;
    let store = between(store).await;
    check_deletion(&store, &left).await;
    // What comes after a deletion is not deleted.
    keep_all(&store, floats(&[("__name__", "deleted"), ("test", "deletion")], &[(20 * 60_000, 7.0)])).await;
    let left: Vec<i64> = (0..10).chain([20]).chain(130..150).map(|minute| minute * 60_000).collect();
    check_deletion(&store, &left).await;
    let store = between(store).await;
    check_deletion(&store, &left).await;
    store.clean_tombstones().await.unwrap();
    check_deletion(&store, &left).await;
    let store = between(store).await;
    check_deletion(&store, &left).await;
    store.delete_series(label_query(&[deletion], MillisRange::ALL)).await.unwrap();
    check_deletion(&store, &[]).await;
    let store = between(store).await;
    store.clean_tombstones().await.unwrap();
    check_deletion(&store, &[]).await;
    let names =
        store.label_values("__name__", label_query(&[&[("test", MatchOp::Equal, "deletion")]], MillisRange::ALL));
    assert_eq!(names.await.unwrap(), ["kept"], "a series without samples is no more");
    store
}

async fn check_deletion(store: &Arc<dyn SeriesStore>, left: &[i64]) {
    let found = select(store, &[("test", MatchOp::Equal, "deletion")], MillisRange::ALL).await;
    for (labels, samples) in found {
        match labels.metric_name() {
            Some("deleted") => assert_eq!(samples.floats.timestamps, left),
            _ => assert_eq!(samples.len(), 100),
        }
    }
}

/// Many series that each live for a moment.
async fn churn_is_survived(store: Arc<dyn SeriesStore>, between: Between<'_>) {
    let mut store = store;
    for generation in 0..4 {
        let mut batch = SeriesBatch::default();
        for number in 0..500 {
            let name = format!("{generation}-{number}");
            add(&mut batch, &[("__name__", "churn"), ("pod", &name)], &[(generation * 60_000, number as f64)]);
        }
        keep_all(&store, batch).await;
        store = between(store).await;
    }
    let found = select(&store, &[("__name__", MatchOp::Equal, "churn")], MillisRange::ALL).await;
    assert_eq!(found.len(), 2000);
    for (labels, samples) in &found {
        let (generation, number) = labels.get("pod").and_then(|pod| pod.split_once('-')).unwrap();
        assert_eq!(samples.floats.timestamps, [generation.parse::<i64>().unwrap() * 60_000]);
        assert_eq!(samples.floats.values, [number.parse::<f64>().unwrap()]);
    }
    let last = MillisRange { start: 3 * 60_000, end: 3 * 60_000 };
    let found = select(&store, &[("__name__", MatchOp::Equal, "churn")], last).await;
    assert_eq!(found.iter().filter(|(_, samples)| !samples.is_empty()).count(), 500);
}

async fn keep_all(store: &Arc<dyn SeriesStore>, batch: SeriesBatch) -> SeriesAppended {
    let (floats, histograms) = (batch.floats.len(), batch.histograms.len());
    let appended = store.append_series(batch).await.unwrap();
    assert_eq!((appended.floats, appended.histograms, appended.refused), (floats, histograms, 0), "{appended:?}");
    appended
}

async fn select(
    store: &Arc<dyn SeriesStore>,
    matchers: &[(&str, MatchOp, &str)],
    range: MillisRange,
) -> Vec<(Labels, Samples)> {
    let found = store.select_series(SelectSeries { matchers: conditions(matchers), range }).await.unwrap();
    found.into_iter().map(|series| (series.labels.clone(), series.samples(range).unwrap())).collect()
}

fn conditions(matchers: &[(&str, MatchOp, &str)]) -> Vec<LabelMatcher> {
    matchers.iter().map(|(name, op, value)| LabelMatcher::new(*name, *op, *value).unwrap()).collect()
}

fn label_query(sets: &[&[(&str, MatchOp, &str)]], range: MillisRange) -> LabelQuery {
    LabelQuery { matcher_sets: sets.iter().map(|set| conditions(set)).collect(), range, limit: 0 }
}

fn floats(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> SeriesBatch {
    let mut batch = SeriesBatch::default();
    add(&mut batch, labels, samples);
    batch
}

fn add(batch: &mut SeriesBatch, labels: &[(&str, &str)], samples: &[(i64, f64)]) {
    let series = batch.labels.len() as u32;
    batch.labels.push(Labels::from_pairs(labels.iter().copied()));
    let sample =
        |(timestamp, value): &(i64, f64)| FloatSample { series, timestamp: *timestamp, start: 0, value: *value };
    batch.floats.extend(samples.iter().map(sample));
}

fn histogram(scale: i32) -> FloatHistogram {
    let scale = f64::from(scale);
    FloatHistogram {
        schema: 3,
        counter_reset_hint: CounterResetHint::NotCounterReset,
        zero_threshold: 1e-128,
        zero_count: scale,
        count: 16.0 * scale,
        sum: 0.1 * scale,
        positive_spans: vec![NativeSpan { offset: -2, length: 2 }, NativeSpan { offset: 3, length: 1 }],
        positive_buckets: vec![scale, 2.0 * scale, 3.0 * scale],
        negative_spans: vec![NativeSpan { offset: 0, length: 2 }],
        negative_buckets: vec![4.0 * scale, 5.0 * scale],
        custom_values: Vec::new(),
    }
}

fn custom_histogram(scale: i32) -> FloatHistogram {
    let scale = f64::from(scale);
    FloatHistogram {
        schema: FloatHistogram::CUSTOM_BUCKETS,
        counter_reset_hint: CounterResetHint::Gauge,
        count: 3.5 * scale,
        sum: f64::NAN,
        positive_spans: vec![NativeSpan { offset: 0, length: 3 }],
        positive_buckets: vec![scale, 2.0 * scale, 0.5 * scale],
        custom_values: vec![0.1, 0.5],
        ..FloatHistogram::default()
    }
}
