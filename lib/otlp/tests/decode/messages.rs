//! Arbitrary requests as `prost` messages, every field of every message among them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (option::of(scope()), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    });
    let resource = (option::of(resource()), vec(scope, 0..3), text())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(crate) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope = (option::of(scope()), vec(log(), 0..4), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resource = (option::of(resource()), vec(scope, 0..3), text())
        .prop_map(|(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url });
    vec(resource, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

pub(crate) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope = (option::of(scope()), vec(metric(), 0..4), text())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resource = (option::of(resource()), vec(scope, 0..3), text())
        .prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics { resource, scope_metrics, schema_url });
    vec(resource, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.]{1,12}", any::<String>()]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), any::<u32>()]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1_700_000_000_000_000_000_u64..1_800_000_000_000_000_000, any::<u64>()]
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        -1e6..1e6,
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0)
    ]
}

fn trace_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 16)]
}

fn span_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 8)]
}

/// For fields without presence: `prost` leaves out what equals zero, and so loses the sign of -0.
fn unsigned_zero() -> impl Strategy<Value = f64> {
    double().prop_map(|value| if value == 0.0 { 0.0 } else { value })
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value;
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
        double().prop_map(|value| Some(Value::DoubleValue(value))),
        vec(any::<u8>(), 0..9).prop_map(|bytes| Some(Value::BytesValue(bytes))),
        any::<i32>().prop_map(|index| Some(Value::StringValueStrindex(index))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 12, 3, |inner| {
        let pair = (text(), option::of(inner.clone()));
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pair.prop_map(|(key, value)| KeyValue { key, value, key_strindex: 0 }), 0..3)
                .prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (text(), option::of(any_value()), prop_oneof![9 => Just(0), 1 => any::<i32>()]);
    vec(pair.prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex }), 0..3)
}

fn resource() -> impl Strategy<Value = Resource> {
    let entity = (text(), text(), vec(text(), 0..3), vec(text(), 0..3)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef { schema_url, r#type, id_keys, description_keys },
    );
    (attributes(), count(), vec(entity, 0..2)).prop_map(|(attributes, dropped_attributes_count, entity_refs)| {
        Resource { attributes, dropped_attributes_count, entity_refs }
    })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), count()).prop_map(|(name, version, attributes, dropped_attributes_count)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    })
}

fn span() -> impl Strategy<Value = Span> {
    let event = (time(), text(), attributes(), count()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| span::Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (trace_id(), span_id(), text(), attributes(), count(), count()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| span::Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    let status = (text(), -1..4_i32).prop_map(|(message, code)| Status { message, code });
    let identity = (trace_id(), span_id(), span_id(), text(), count(), text(), -1..8_i32);
    let lists = (attributes(), vec(event, 0..3), vec(link, 0..3), option::of(status));
    (identity, lists, (time(), time()), (count(), count(), count())).prop_map(
        |(
            (trace_id, span_id, parent_span_id, trace_state, flags, name, kind),
            (attributes, events, links, status),
            (start_time_unix_nano, end_time_unix_nano),
            (dropped_attributes_count, dropped_events_count, dropped_links_count),
        )| Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id,
            flags,
            name,
            kind,
            start_time_unix_nano,
            end_time_unix_nano,
            attributes,
            dropped_attributes_count,
            events,
            dropped_events_count,
            links,
            dropped_links_count,
            status,
        },
    )
}

fn log() -> impl Strategy<Value = LogRecord> {
    let content = (0..25_i32, text(), option::of(any_value()), attributes(), text());
    (content, (time(), time()), (count(), count()), (trace_id(), span_id())).prop_map(
        |(
            (severity_number, severity_text, body, attributes, event_name),
            (time_unix_nano, observed_time_unix_nano),
            (dropped_attributes_count, flags),
            (trace_id, span_id),
        )| LogRecord {
            time_unix_nano,
            observed_time_unix_nano,
            severity_number,
            severity_text,
            body,
            attributes,
            dropped_attributes_count,
            flags,
            trace_id,
            span_id,
            event_name,
        },
    )
}

fn metric() -> impl Strategy<Value = Metric> {
    use metric::Data;
    let data = prop_oneof![
        Just(None),
        vec(number(), 0..3).prop_map(|data_points| Some(Data::Gauge(Gauge { data_points }))),
        (vec(number(), 0..3), 0..4_i32, any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| Some(Data::Sum(Sum {
                data_points,
                aggregation_temporality,
                is_monotonic
            }))
        ),
        (vec(histogram(), 0..3), 0..4_i32).prop_map(|(data_points, aggregation_temporality)| Some(Data::Histogram(
            Histogram { data_points, aggregation_temporality }
        ))),
        (vec(exponential_histogram(), 0..3), 0..4_i32).prop_map(|(data_points, aggregation_temporality)| Some(
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        )),
        vec(summary(), 0..3).prop_map(|data_points| Some(Data::Summary(Summary { data_points }))),
    ];
    (text(), text(), text(), attributes(), data).prop_map(|(name, description, unit, metadata, data)| Metric {
        name,
        description,
        unit,
        metadata,
        data,
    })
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let value = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|value| Some(exemplar::Value::AsInt(value))),
        double().prop_map(|value| Some(exemplar::Value::AsDouble(value))),
    ];
    let exemplar = (attributes(), time(), value, trace_id(), span_id()).prop_map(
        |(filtered_attributes, time_unix_nano, value, trace_id, span_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    );
    vec(exemplar, 0..3)
}

fn number() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|value| Some(number_data_point::Value::AsInt(value))),
        double().prop_map(|value| Some(number_data_point::Value::AsDouble(value))),
    ];
    (attributes(), time(), time(), exemplars(), count(), value).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags,
            value,
        },
    )
}

fn histogram() -> impl Strategy<Value = HistogramDataPoint> {
    let buckets = vec((double(), any::<u64>()), 0..6).prop_flat_map(|buckets| {
        let (bounds, mut counts): (Vec<_>, Vec<_>) = buckets.into_iter().unzip();
        counts.push(1);
        prop_oneof![Just((bounds.clone(), counts)), Just((bounds, Vec::new()))]
    });
    let aggregates = (any::<u64>(), option::of(double()), option::of(double()), option::of(double()));
    (attributes(), time(), time(), exemplars(), count(), buckets, aggregates).prop_map(
        |(
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags,
            (explicit_bounds, bucket_counts),
            (count, sum, min, max),
        )| HistogramDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            bucket_counts,
            explicit_bounds,
            exemplars,
            flags,
            min,
            max,
        },
    )
}

fn exponential_histogram() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        let buckets = (any::<i32>(), vec(any::<u64>(), 0..5));
        option::of(buckets.prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
    };
    let aggregates = (any::<u64>(), option::of(double()), option::of(double()), option::of(double()));
    let shape = (any::<i32>(), any::<u64>(), unsigned_zero(), buckets(), buckets());
    (attributes(), time(), time(), exemplars(), count(), aggregates, shape).prop_map(
        |(
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags,
            (count, sum, min, max),
            (scale, zero_count, zero_threshold, positive, negative),
        )| ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            scale,
            zero_count,
            positive,
            negative,
            flags,
            exemplars,
            min,
            max,
            zero_threshold,
        },
    )
}

fn summary() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile = (unsigned_zero(), unsigned_zero()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), time(), time(), any::<u64>(), unsigned_zero(), vec(quantile, 0..4), count()).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, count, sum, quantile_values, flags)| SummaryDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            quantile_values,
            flags,
        },
    )
}
