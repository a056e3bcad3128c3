//! The exposition read back by a reader of its own, and what holds under load.

use std::collections::BTreeMap;
use std::thread;

use proptest::prelude::*;
use tripod::context::{SpanContext, SpanId, TraceFlags, TraceId};
use tripod::metrics::{MetricError, Registry, SeriesValue};
use tripod::redaction::Redactor;

/// One sample: name, labels, value, exemplar.
#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    exemplar: Option<(BTreeMap<String, String>, f64, f64)>,
}

/// Reads samples by the grammar of the specification, and panics on anything that it does not allow.
fn read(text: &str, open: bool) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines.pop(), Some(""), "the text ends in a line feed");
    if open {
        assert_eq!(lines.pop(), Some("# EOF"));
    }
    for line in lines {
        if line.starts_with('#') {
            assert!(["# HELP ", "# TYPE ", "# UNIT "].iter().any(|keyword| line.starts_with(keyword)), "{line}");
            continue;
        }
        let end = line.find(['{', ' ']).expect("a value");
        let (name, rest) = line.split_at(end);
        let (labels, rest) = read_labels(rest);
        let rest = rest.strip_prefix(' ').expect("a blank before the value");
        let (value, exemplar) = match rest.split_once(" # ") {
            None => (rest, None),
            Some((value, exemplar)) => {
                let (labels, rest) = read_labels(exemplar);
                let (value_of, time) = rest.trim().split_once(' ').expect("value and time");
                (value, Some((labels, value_of.parse().unwrap(), time.parse().unwrap())))
            }
        };
        samples.push(Sample { name: name.to_owned(), labels, value: value.parse().unwrap(), exemplar });
    }
    samples
}

fn read_labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (at, c) in after.char_indices() {
            match (escaped, c) {
                (false, '\\') => escaped = true,
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (true, 'n') => {
                    value.push('\n');
                    escaped = false;
                }
                (true, c) => {
                    assert!(c == '\\' || c == '"');
                    value.push(c);
                    escaped = false;
                }
                (false, c) => value.push(c),
            }
        }
        assert!(labels.insert(name.to_owned(), value).is_none());
        rest = &after[end.expect("a closing quote") + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, rest.strip_prefix('}').expect("a closing brace")),
        }
    }
}

fn find<'a>(samples: &'a [Sample], name: &str, labels: &[(&str, &str)]) -> &'a Sample {
    let labels: BTreeMap<String, String> = labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    samples.iter().find(|sample| sample.name == name && sample.labels == labels).unwrap_or_else(|| {
        panic!("no {name}{labels:?} among {samples:#?}");
    })
}

proptest! {
    #[test]
    fn what_was_counted_is_read_back(
        additions in prop::collection::vec(("[\\PC\n\"\\\\]{0,12}", 0u64..1 << 40), 1..20),
        amount in prop::num::f64::POSITIVE.prop_map(|v| v % 1e12),
        help in "[\\PC\n\"\\\\]{0,30}",
    ) {
        let registry = Registry::new();
        let counter = registry.counter("things_total", help).labels(["what"]).register().unwrap();
        let gauge = registry.gauge("level", "Level").register().unwrap();
        gauge.set(-amount);
        let redactor = Redactor::default();
        let mut expected = BTreeMap::<String, f64>::new();
        for (what, count) in &additions {
            counter.with([what]).add(*count);
            // A random text may look like an address.
            *expected.entry(redactor.named_text("what", what).into_owned()).or_default() += *count as f64;
        }
        for (text, open) in [(registry.prometheus_text(), false), (registry.openmetrics_text(), true)] {
            let samples = read(&text, open);
            prop_assert_eq!(find(&samples, "level", &[]).value, -amount);
            let things = samples.iter().filter(|sample| sample.name == "things_total");
            let read: BTreeMap<String, f64> = things.map(|sample| (sample.labels["what"].clone(), sample.value)).collect();
            prop_assert_eq!(read, expected.clone());
        }
    }

    #[test]
    fn buckets_are_cumulative_and_agree_with_the_values(
        values in prop::collection::vec(-1e9f64..1e9, 0..200),
        bounds in prop::collection::btree_set(0i32..1_000_000, 0..20),
    ) {
        let bounds: Vec<f64> = bounds.into_iter().map(f64::from).collect();
        let registry = Registry::new();
        let histogram = registry.histogram("size_bytes", "Sizes").buckets(&bounds).register().unwrap();
        values.iter().for_each(|value| histogram.observe(*value));
        let samples = read(&registry.openmetrics_text(), true);
        let mut last = 0.0;
        for sample in samples.iter().filter(|sample| sample.name == "size_bytes_bucket") {
            let bound: f64 = sample.labels["le"].parse().unwrap();
            prop_assert_eq!(sample.value, values.iter().filter(|value| **value <= bound).count() as f64);
            prop_assert!(sample.value >= last);
            last = sample.value;
        }
        prop_assert_eq!(find(&samples, "size_bytes_count", &[]).value, values.len() as f64);
        prop_assert_eq!(find(&samples, "size_bytes_bucket", &[("le", "+Inf")]).value, values.len() as f64);
    }
}

#[test]
fn the_lines_of_the_guide_come_out_as_they_stand_there() {
    let registry = Registry::builder().namespace("sixseven").build().unwrap();
    let commands = registry.counter("commands_total", "Total number of commands received").labels(["intent", "status"]);
    let commands = commands.register().unwrap();
    commands.with(["research", "created"]).add(42);
    let duration = registry.histogram("job_duration_seconds", "Job execution duration").buckets(&[5.0, 10.0]);
    let duration = duration.labels(["job_type", "status"]).register().unwrap();
    let succeeded = duration.with(["research", "succeeded"]);
    succeeded.observe(4.5);
    succeeded.observe(11.0);
    let active = registry.gauge("active_jobs", "Number of currently active jobs").labels(["job_type"]);
    active.register().unwrap().with(["creative"]).set(1.0);
    let text = registry.prometheus_text();
    for line in [
        "# HELP sixseven_commands_total Total number of commands received\n# TYPE sixseven_commands_total counter",
        r#"sixseven_commands_total{intent="research",status="created"} 42.0"#,
        "# TYPE sixseven_job_duration_seconds histogram",
        r#"sixseven_job_duration_seconds_bucket{job_type="research",status="succeeded",le="5.0"} 1.0"#,
        r#"sixseven_job_duration_seconds_bucket{job_type="research",status="succeeded",le="+Inf"} 2.0"#,
        r#"sixseven_job_duration_seconds_sum{job_type="research",status="succeeded"} 15.5"#,
        r#"sixseven_job_duration_seconds_count{job_type="research",status="succeeded"} 2.0"#,
        "# TYPE sixseven_active_jobs gauge",
        r#"sixseven_active_jobs{job_type="creative"} 1.0"#,
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n---\n{text}");
    }
    let open = registry.openmetrics_text();
    assert!(open.contains("# TYPE sixseven_commands counter\n# HELP sixseven_commands Total"), "{open}");
    assert!(open.contains("# UNIT sixseven_job_duration_seconds seconds\n"), "{open}");
}

#[test]
fn series_beyond_the_cap_share_one() {
    let registry = Registry::builder().max_series(3).build().unwrap();
    let counter = registry.counter("requests_total", "Requests").labels(["user"]).register().unwrap();
    for user in 0..10 {
        counter.with([&user.to_string()]).inc();
        counter.with([&user.to_string()]).inc();
    }
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.family("requests_total").unwrap().series.len(), 4);
    assert_eq!(snapshot.value("requests_total", &[("user", "2")]), Some(2.0));
    assert_eq!(snapshot.value("requests_total", &[("otel_metric_overflow", "true")]), Some(14.0));
    let overflowed = snapshot.value("tripod_self_metrics_overflowed_total", &[("metric", "requests_total")]);
    assert_eq!(overflowed, Some(14.0));
    assert!(counter.remove(["2"]));
    assert!(!counter.remove(["2"]));
    counter.with(["new"]).inc();
    assert_eq!(registry.snapshot().value("requests_total", &[("user", "new")]), Some(1.0));
}

#[test]
fn updates_from_many_threads_all_count() {
    let registry = Registry::new();
    let counter = registry.counter("work_total", "Work").labels(["worker"]).register().unwrap();
    let histogram = registry.histogram("work_seconds", "Work").register().unwrap();
    let gauge = registry.gauge("work_in_flight", "Work").register().unwrap();
    thread::scope(|scope| {
        for worker in 0..8 {
            let (counter, histogram, gauge) = (&counter, &histogram, &gauge);
            scope.spawn(move || {
                for step in 0..5_000 {
                    let _in_flight = gauge.track();
                    counter.with([&(worker % 2).to_string()]).inc();
                    counter.with(["money"]).add_f64(0.5);
                    histogram.observe(f64::from(step) / 1000.0);
                }
            });
        }
    });
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.value("work_total", &[("worker", "0")]), Some(20_000.0));
    assert_eq!(snapshot.value("work_total", &[("worker", "money")]), Some(20_000.0));
    assert_eq!(snapshot.value("work_seconds", &[]), Some(40_000.0));
    assert_eq!(snapshot.value("work_in_flight", &[]), Some(0.0));
}

fn sampled() -> Option<SpanContext> {
    Some(SpanContext {
        trace_id: TraceId([0xab; 16]),
        span_id: SpanId([0xcd; 8]),
        flags: TraceFlags(1),
        ..Default::default()
    })
}

#[test]
fn buckets_lead_to_a_trace() {
    let registry = Registry::builder().exemplars(sampled).build().unwrap();
    let latency = registry.histogram("latency_seconds", "Latency").buckets(&[0.5, 1.0]).register().unwrap();
    latency.observe(0.75);
    latency.observe(0.8);
    let samples = read(&registry.openmetrics_text(), true);
    let (labels, value, time) = find(&samples, "latency_seconds_bucket", &[("le", "1.0")]).exemplar.as_ref().unwrap();
    assert_eq!((&*labels["trace_id"], &*labels["span_id"]), (&*"ab".repeat(16), &*"cd".repeat(8)));
    // The first value after a collection is kept.
    assert_eq!(*value, 0.75);
    assert!(*time > 1.7e9);
    assert!(find(&samples, "latency_seconds_bucket", &[("le", "0.5")]).exemplar.is_none());
    latency.observe(0.9);
    let samples = read(&registry.openmetrics_text(), true);
    assert_eq!(find(&samples, "latency_seconds_bucket", &[("le", "1.0")]).exemplar.as_ref().unwrap().1, 0.9);
    // The old format has no place for exemplars.
    assert!(!registry.prometheus_text().contains(" # "));
}

#[test]
fn names_can_be_shared_but_not_taken() {
    let registry = Registry::new();
    let first = registry.counter("hits_total", "Hits").labels(["page"]).register().unwrap();
    let again = registry.counter("hits_total", "Hits, once more").labels(["page"]).register().unwrap();
    first.with(["home"]).inc();
    again.with(["home"]).inc();
    assert_eq!(registry.snapshot().value("hits_total", &[("page", "home")]), Some(2.0));
    let taken = |result: Result<_, MetricError>| matches!(result, Err(MetricError::NameTaken { .. }));
    assert!(taken(registry.counter("hits_total", "").labels(["site"]).register().map(drop)));
    assert!(taken(registry.gauge("hits_total", "").register().map(drop)));
    assert!(taken(registry.gauge("hits", "").register().map(drop)));
    registry.histogram("size", "").register().unwrap();
    assert!(taken(registry.gauge("size_count", "").register().map(drop)));
    assert!(taken(registry.histogram("size", "").buckets(&[1.0]).register().map(drop)));
    let descending = registry.histogram("other", "").buckets(&[2.0, 1.0]).register();
    assert!(matches!(descending, Err(MetricError::InvalidBuckets(_))));
}

#[test]
fn what_cannot_be_counted_is_refused_and_counted() {
    let registry = Registry::new();
    let counter = registry.counter("spent_dollars_total", "Spent").register().unwrap();
    counter.add_f64(1.25);
    counter.add_f64(-1.0);
    counter.add_f64(f64::NAN);
    let histogram = registry.histogram("latency_seconds", "Latency").register().unwrap();
    histogram.observe(f64::NAN);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.value("spent_dollars_total", &[]), Some(1.25));
    let refused = |metric| snapshot.value("tripod_self_metrics_refused_total", &[("metric", metric)]);
    assert_eq!(refused("spent_dollars_total"), Some(2.0));
    assert_eq!(refused("latency_seconds"), Some(1.0));
}

#[test]
fn a_collector_that_panics_or_repeats_itself_spoils_nothing() {
    let registry = Registry::new();
    registry.gauge("level", "Level").register().unwrap().set(3.0);
    registry.collect(|_: &mut tripod::metrics::Collection| panic!("a bug in a collector"));
    registry.collect(|out: &mut tripod::metrics::Collection| {
        out.gauge("pool_connections", "Connections", [("state".into(), "idle".into())], 4.0);
        out.gauge("pool_connections", "Connections", [("state".into(), "idle".into())], 5.0);
        out.counter("level", "Not the gauge above", [], 1.0);
        out.gauge("not a name", "", [], 1.0);
    });
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.value("level", &[]), Some(3.0));
    assert_eq!(snapshot.value("pool_connections", &[("state", "idle")]), Some(4.0));
    let failures = "tripod_self_metrics_collector_failures_total";
    assert_eq!(snapshot.value(failures, &[]), Some(4.0));
    let lines = read(&registry.openmetrics_text(), true);
    assert_eq!(find(&lines, failures, &[]).value, 8.0);
}

#[test]
fn dotted_names_keep_their_dots_for_otlp() {
    let registry = Registry::new();
    registry.histogram("http.request.duration", "Durations").unit("s").register().unwrap().observe(0.1);
    let snapshot = registry.snapshot();
    let family = snapshot.family("http_request_duration_seconds").unwrap();
    assert_eq!(family.name, "http.request.duration");
    assert!(matches!(family.series[0].value, SeriesValue::Histogram(_)));
}

#[test]
fn a_long_label_value_is_cut_between_characters() {
    let registry = Registry::new();
    let counter = registry.counter("long_total", "Long").labels(["text"]).register().unwrap();
    counter.with([&"ü".repeat(2000)]).inc();
    let snapshot = registry.snapshot();
    let (_, value) = &snapshot.family("long_total").unwrap().series[0].labels[0];
    assert_eq!(**value, "ü".repeat(512));
}

#[test]
fn counters_have_exemplars_and_say_since_when_they_count() {
    fn sampled() -> Option<SpanContext> {
        let (trace_id, span_id) = (TraceId([1; 16]), SpanId([2; 8]));
        Some(SpanContext { trace_id, span_id, flags: TraceFlags(1), ..SpanContext::default() })
    }
    let registry = Registry::builder().exemplars(sampled).created_lines(true).build().unwrap();
    let things = registry.counter("things_total", "Things").labels(["kind"]).register().unwrap();
    things.with(["a"]).add(3);
    things.with(["a"]).inc();
    things.with(["b"]).add_f64(0.5);
    registry.histogram("took_seconds", "Time").buckets(&[1.0]).register().unwrap().observe(0.5);
    registry.gauge("level", "Level").register().unwrap().set(1.0);
    let samples = read(&registry.openmetrics_text(), true);
    for (kind, total, value) in [("a", 4.0, 3.0), ("b", 0.5, 0.5)] {
        let sample = find(&samples, "things_total", &[("kind", kind)]);
        let (labels, exemplar, time) = sample.exemplar.as_ref().unwrap();
        assert_eq!((sample.value, *exemplar), (total, value));
        assert_eq!((labels["trace_id"].len(), labels["span_id"].len()), (32, 16));
        let created = find(&samples, "things_created", &[("kind", kind)]).value;
        assert!(1.7e9 < created && created <= *time + 1.0, "{created} {time}");
    }
    assert!(find(&samples, "took_seconds_created", &[]).value > 1.7e9);
    let created: Vec<_> = samples.iter().filter(|sample| sample.name.ends_with("_created")).collect();
    assert!(!created.iter().any(|sample| sample.name.starts_with("level")));
    // The other form knows neither.
    let plain = read(&registry.prometheus_text(), false);
    assert!(plain.iter().all(|sample| sample.exemplar.is_none() && !sample.name.ends_with("_created")));
    // A busy counter goes on to get new ones, though not from each addition.
    let busy = things.with(["busy"]);
    (0..10_000).for_each(|_| busy.inc());
    let first = registry.snapshot().get("things_total", &[("kind", "busy")]).cloned();
    assert_eq!(first, Some(SeriesValue::Counter(10_000.0)));
    let time = |registry: &Registry| {
        let snapshot = registry.snapshot();
        let family = snapshot.family("things_total").unwrap().clone();
        family.series.iter().find(|series| &*series.labels[0].1 == "busy").unwrap().exemplar.unwrap().time
    };
    let before = time(&registry);
    (0..64).for_each(|_| busy.inc());
    assert!(time(&registry) > before);
    assert!(read(&Registry::new().openmetrics_text(), true).iter().all(|sample| !sample.name.ends_with("_created")));
}
