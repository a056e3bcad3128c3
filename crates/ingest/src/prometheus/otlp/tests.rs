use std::borrow::Cow;

use proptest::prelude::*;
use tripod_model::series::{FloatHistogram, NativeSpan, is_stale};
use tripod_model::{Buckets, Exemplar, Number, PointValue, Quantile};

use super::*;

fn translate(
    settings: OtlpSeriesSettings,
    fill: impl FnOnce(&mut OtlpSeries),
) -> (Vec<String>, SeriesBatch, Rejections) {
    let mut sink = OtlpSeries::new(Arc::new(settings), Arc::default(), 9_000);
    fill(&mut sink);
    let (batch, rejections) = sink.finish();
    let floats = batch.floats.iter().map(|sample| {
        let value = if is_stale(sample.value) { "stale".to_owned() } else { sample.value.to_string() };
        format!("{} {value} @{} from {}", batch.labels[sample.series as usize], sample.timestamp, sample.start)
    });
    let histograms = batch.histograms.iter().map(|sample| {
        let notation = sample.value.to_notation();
        format!("{} {notation} @{} from {}", batch.labels[sample.series as usize], sample.timestamp, sample.start)
    });
    let lines = floats.chain(histograms).collect();
    (lines, batch, rejections)
}

fn resource() -> Resource<'static> {
    Resource {
        attributes: vec![
            Attribute::new("service.name", "api"),
            Attribute::new("service.namespace", "shop"),
            Attribute::new("service.instance.id", "i-1"),
            Attribute::new("host.name", "h1"),
        ],
        ..Resource::default()
    }
}

fn metric(name: &'static str, unit: &'static str, kind: MetricKind) -> Metric<'static> {
    Metric {
        name: name.into(),
        unit: unit.into(),
        description: "What it is.".into(),
        kind,
        temporality: Temporality::CUMULATIVE,
        is_monotonic: kind == MetricKind::Sum,
        ..Metric::default()
    }
}

fn point(value: PointValue) -> Point<'static> {
    Point {
        attributes: vec![Attribute::new("http.method", "GET")],
        start_time_unix_nano: 1_000_000_000,
        time_unix_nano: 5_000_000_000,
        value,
        ..Point::default()
    }
}

#[test]
fn sums_and_gauges_become_series_beside_their_target() {
    let (lines, batch, rejections) = translate(OtlpSeriesSettings::default(), |sink| {
        sink.resource(&resource());
        sink.scope(&Scope::default());
        sink.metric(&metric("http.requests", "1", MetricKind::Sum));
        sink.point(&point(PointValue::Number(Number::Int(7))));
        sink.metric(&metric("memory", "By", MetricKind::Gauge));
        sink.point(&Point { flags: 1, ..point(PointValue::Number(Number::Empty)) });
        sink.metric(&Metric { temporality: Temporality(0), ..metric("bad", "", MetricKind::Sum) });
        sink.point(&point(PointValue::Number(Number::Int(7))));
    });
    let labels = r#"http_method="GET", instance="i-1", job="shop/api""#;
    assert_eq!(
        lines,
        [
            format!("{{__name__=\"http_requests_total\", {labels}}} 7 @5000 from 1000"),
            format!("{{__name__=\"memory_bytes\", {labels}}} stale @5000 from 1000"),
            r#"{__name__="target_info", host_name="h1", instance="i-1", job="shop/api"} 1 @5000 from 0"#.to_owned(),
        ]
    );
    assert_eq!(rejections.first.as_deref(), Some("invalid temporality and type combination for metric \"bad\""));
    let known: HashMap<_, _> = batch.metadata.into_iter().collect();
    assert_eq!(known["memory_bytes"].unit, "bytes");
    assert_eq!(known["http_requests_total"].metric_type, MetricType::Counter);
}

#[test]
fn resources_and_scopes_are_promoted_when_asked_for() {
    let settings = OtlpSeriesSettings {
        promote_resource_attributes: vec!["host.name".to_owned()],
        promote_scope_metadata: true,
        keep_identifying_resource_attributes: true,
        translation_strategy: TranslationStrategy::NoTranslation,
        ..OtlpSeriesSettings::default()
    };
    let (lines, ..) = translate(settings, |sink| {
        sink.resource(&resource());
        sink.scope(&Scope {
            name: "lib".into(),
            version: "1".into(),
            attributes: vec![Attribute::new("kind", true)],
            ..Scope::default()
        });
        sink.metric(&metric("http.requests", "1", MetricKind::Sum));
        sink.point(&point(PointValue::Number(Number::Double(0.5))));
    });
    assert_eq!(
        lines[0],
        r#"{__name__="http.requests", "host.name"="h1", "http.method"="GET", instance="i-1", job="shop/api", otel_scope_kind="true", otel_scope_name="lib", otel_scope_version="1"} 0.5 @5000 from 1000"#
    );
    assert!(lines[1].contains(r#""service.name"="api""#), "{}", lines[1]);
}

#[test]
fn attributes_of_the_same_name_share_it() {
    let (lines, ..) = translate(OtlpSeriesSettings::default(), |sink| {
        sink.resource(&Resource::default());
        sink.metric(&metric("a", "", MetricKind::Gauge));
        let attributes =
            vec![Attribute::new("x_y", "2"), Attribute::new("x.y", 1_i64), Attribute::new("__name__", "evil")];
        sink.point(&Point { attributes, ..point(PointValue::Number(Number::Int(1))) });
    });
    assert_eq!(lines, [r#"{__name__="a", x_y="1;2"} 1 @5000 from 1000"#]);
}

fn histogram() -> Point<'static> {
    let exemplar = |value: f64| Exemplar {
        value: Number::Double(value),
        time_unix_nano: 4_000_000_000,
        filtered_attributes: vec![Attribute::new("user", Cow::Borrowed("u").into_owned())],
        ..Exemplar::default()
    };
    Point {
        exemplars: vec![exemplar(0.5), exemplar(9.0)],
        ..point(PointValue::Histogram {
            count: 6,
            sum: Some(8.5),
            min: None,
            max: None,
            explicit_bounds: vec![1.0, 2.5],
            bucket_counts: vec![1, 2, 3],
        })
    }
}

#[test]
fn histograms_become_classic_series_or_custom_buckets() {
    let fill = |sink: &mut OtlpSeries| {
        sink.resource(&Resource::default());
        sink.metric(&metric("latency", "s", MetricKind::Histogram));
        sink.point(&histogram());
    };
    let (lines, batch, _) = translate(OtlpSeriesSettings::default(), fill);
    let values: Vec<_> =
        lines.iter().map(|line| line.split(" @").next().unwrap().replace("http_method=\"GET\"", "")).collect();
    assert_eq!(
        values,
        [
            r#"{__name__="latency_seconds_sum", } 8.5"#,
            r#"{__name__="latency_seconds_count", } 6"#,
            r#"{__name__="latency_seconds_bucket", , le="1"} 1"#,
            r#"{__name__="latency_seconds_bucket", , le="2.5"} 3"#,
            r#"{__name__="latency_seconds_bucket", , le="+Inf"} 6"#,
        ]
    );
    let placed: Vec<_> = batch.exemplars.iter().map(|(series, exemplar)| (*series, exemplar.value)).collect();
    assert_eq!(placed, [(2, 0.5), (4, 9.0)]);

    let settings = OtlpSeriesSettings { convert_histograms_to_nhcb: true, ..OtlpSeriesSettings::default() };
    let (lines, batch, _) = translate(settings, fill);
    assert_eq!(
        lines,
        [
            r#"{__name__="latency_seconds", http_method="GET"} {{schema:-53 count:6 sum:8.5 custom_values:[1 2.5] buckets:[1 2 3]}} @5000 from 1000"#
        ]
    );
    assert_eq!(batch.exemplars.len(), 2);

    let settings = OtlpSeriesSettings { convert_histograms_to_nhcb: true, ..OtlpSeriesSettings::default() };
    let (lines, ..) = translate(settings, |sink| {
        sink.resource(&Resource::default());
        sink.metric(&metric("latency", "s", MetricKind::Histogram));
        let mut bare = histogram();
        if let PointValue::Histogram { explicit_bounds, bucket_counts, .. } = &mut bare.value {
            explicit_bounds.clear();
            bucket_counts.clear();
        }
        sink.point(&bare);
    });
    assert!(lines[0].contains("count:6 sum:8.5") && lines[0].contains("buckets:[6]"), "{lines:?}");
}

fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Point<'static> {
    point(PointValue::ExponentialHistogram {
        count: counts.iter().sum::<u64>() + 1,
        sum: Some(2.0),
        min: None,
        max: None,
        scale,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: Buckets { offset, counts: counts.to_vec() },
        negative: Buckets::default(),
    })
}

#[test]
fn exponential_histograms_become_native_ones() {
    let (lines, batch, rejections) = translate(OtlpSeriesSettings::default(), |sink| {
        sink.resource(&Resource::default());
        sink.metric(&metric("size", "", MetricKind::ExponentialHistogram));
        sink.point(&exponential(3, -2, &[1, 0, 2]));
        // Buckets -1 and 0, 1, 2 and 3 of scale 9 are 0, 1, 1, 2 of scale 8, counted from (b^0, b^1].
        sink.point(&exponential(9, -1, &[1, 2, 3, 4]));
        sink.point(&exponential(-5, 0, &[1]));
    });
    assert!(
        lines[0].contains("schema:3 count:4 sum:2 z_bucket:1 z_bucket_w:1e-128 offset:-1 buckets:[1 0 2]"),
        "{}",
        lines[0]
    );
    let fine = &batch.histograms[1].value;
    assert_eq!(
        (fine.schema, &fine.positive_spans[..], &fine.positive_buckets[..]),
        (8, &[NativeSpan { offset: 0, length: 3 }][..], &[1.0, 5.0, 4.0][..])
    );
    assert_eq!(rejections.count, 1);
    assert!(rejections.first.unwrap().contains("Scale must be >= -4"));
}

#[test]
fn deltas_add_up() {
    let delta = |kind| Metric { temporality: Temporality::DELTA, ..metric("d", "", kind) };
    let (lines, ..) = translate(OtlpSeriesSettings::default(), |sink| {
        sink.resource(&Resource::default());
        for (step, kind) in
            [MetricKind::Sum, MetricKind::ExponentialHistogram].into_iter().flat_map(|kind| [(0, kind), (1, kind)])
        {
            sink.metric(&delta(kind));
            let value = match kind {
                MetricKind::Sum => PointValue::Number(Number::Int(3)),
                _ => exponential(3, 0, &[1]).value,
            };
            sink.point(&Point { time_unix_nano: (5 + step) * 1_000_000_000, ..point(value) });
        }
    });
    let ends: Vec<_> = lines.iter().map(|line| line.split("} ").nth(1).unwrap()).collect();
    assert_eq!(ends[..2], ["3 @5000 from 1000", "6 @6000 from 1000"]);
    assert!(ends[3].contains("count:4 sum:4 z_bucket:2"), "{ends:?}");
}

#[test]
fn summaries_become_quantiles() {
    let (lines, ..) = translate(OtlpSeriesSettings::default(), |sink| {
        sink.resource(&Resource::default());
        sink.metric(&metric("rpc", "ms", MetricKind::Summary));
        let quantiles = vec![Quantile { quantile: 0.5, value: 2.0 }];
        sink.point(&point(PointValue::Summary { count: 3, sum: 9.0, quantiles }));
    });
    assert_eq!(lines[2], r#"{__name__="rpc_milliseconds", http_method="GET", quantile="0.5"} 2 @5000 from 1000"#);
    assert_eq!(lines.len(), 3);
}

proptest! {
    #[test]
    fn any_histogram_is_valid_or_refused(
        scale in -10..60_i32,
        offset: i32,
        counts in prop::collection::vec(0..5_u64, 0..20),
        bounds in prop::collection::vec(any::<f64>(), 0..5),
        nhcb: bool,
    ) {
        let settings = OtlpSeriesSettings { convert_histograms_to_nhcb: nhcb, ..OtlpSeriesSettings::default() };
        let (_, batch, _) = translate(settings, |sink| {
            sink.resource(&resource());
            sink.metric(&metric("h", "", MetricKind::ExponentialHistogram));
            sink.point(&exponential(scale, offset, &counts));
            sink.metric(&metric("h", "", MetricKind::Histogram));
            let (explicit_bounds, bucket_counts) = (bounds.clone(), counts.clone());
            sink.point(&point(PointValue::Histogram { count: 1, sum: None, min: None, max: None, explicit_bounds, bucket_counts }));
        });
        for sample in &batch.histograms {
            prop_assert!(FloatHistogram::validate(&sample.value).is_ok());
        }
    }
}
