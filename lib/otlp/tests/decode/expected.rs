//! The model of a request by way of `prost`'s messages: what the decoders must arrive at without them.

use std::borrow::Cow;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{self as common, any_value};
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1::{self as metrics, exemplar, metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use tripod_model::sink::{LogSink, MetricSink, Sink, SpanSink};
use tripod_model::{
    Attribute, Buckets, EntityRef, Exemplar, LogRecord, Metric, MetricKind, Number, Point, PointValue, Quantile,
    Resource, Scope, SeverityNumber, Span, SpanEvent, SpanId, SpanKind, SpanLink, Status, StatusCode, Temporality,
    TraceId, Value,
};

pub(crate) fn walk_traces(request: &ExportTraceServiceRequest, sink: &mut impl SpanSink) {
    for group in &request.resource_spans {
        announce_resource(&group.resource, &group.schema_url, sink);
        for group in &group.scope_spans {
            announce_scope(&group.scope, &group.schema_url, sink);
            group.spans.iter().for_each(|span| sink.span(&view_span(span)));
        }
    }
}

pub(crate) fn walk_logs(request: &ExportLogsServiceRequest, sink: &mut impl LogSink) {
    for group in &request.resource_logs {
        announce_resource(&group.resource, &group.schema_url, sink);
        for group in &group.scope_logs {
            announce_scope(&group.scope, &group.schema_url, sink);
            group.log_records.iter().for_each(|record| sink.log(&view_log(record)));
        }
    }
}

pub(crate) fn walk_metrics(request: &ExportMetricsServiceRequest, sink: &mut impl MetricSink) {
    for group in &request.resource_metrics {
        announce_resource(&group.resource, &group.schema_url, sink);
        for group in &group.scope_metrics {
            announce_scope(&group.scope, &group.schema_url, sink);
            group.metrics.iter().for_each(|metric| walk_metric(metric, sink));
        }
    }
}

fn announce_resource(resource: &Option<resource::Resource>, schema_url: &str, sink: &mut impl Sink) {
    let resource = resource.clone().unwrap_or_default();
    sink.resource(&Resource {
        attributes: attributes(&resource.attributes),
        dropped_attributes_count: resource.dropped_attributes_count,
        entity_refs: resource.entity_refs.iter().map(entity).collect(),
        schema_url: schema_url.into(),
    });
}

fn announce_scope(scope: &Option<common::InstrumentationScope>, schema_url: &str, sink: &mut impl Sink) {
    let scope = scope.clone().unwrap_or_default();
    sink.scope(&Scope {
        name: scope.name.as_str().into(),
        version: scope.version.as_str().into(),
        attributes: attributes(&scope.attributes),
        dropped_attributes_count: scope.dropped_attributes_count,
        schema_url: schema_url.into(),
    });
}

fn entity(entity: &common::EntityRef) -> EntityRef<'_> {
    EntityRef {
        schema_url: entity.schema_url.as_str().into(),
        kind: entity.r#type.as_str().into(),
        id_keys: entity.id_keys.iter().map(|key| key.as_str().into()).collect(),
        description_keys: entity.description_keys.iter().map(|key| key.as_str().into()).collect(),
    }
}

fn attributes(pairs: &[common::KeyValue]) -> Vec<Attribute<'_>> {
    pairs.iter().map(|pair| Attribute { key: pair.key.as_str().into(), value: value(&pair.value) }).collect()
}

fn value(value: &Option<common::AnyValue>) -> Value<'_> {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        None | Some(any_value::Value::StringValueStrindex(_)) => Value::Empty,
        Some(any_value::Value::StringValue(text)) => Value::Str(text.as_str().into()),
        Some(any_value::Value::BoolValue(value)) => Value::Bool(*value),
        Some(any_value::Value::IntValue(value)) => Value::Int(*value),
        Some(any_value::Value::DoubleValue(value)) => Value::Double(*value),
        Some(any_value::Value::BytesValue(bytes)) => Value::Bytes(Cow::Borrowed(bytes)),
        Some(any_value::Value::ArrayValue(array)) => {
            Value::Array(array.values.iter().map(|element| self::value(&Some(element.clone())).into_owned()).collect())
        }
        Some(any_value::Value::KvlistValue(list)) => Value::Map(attributes(&list.values)),
    }
}

fn trace_id(bytes: &[u8]) -> TraceId {
    TraceId(bytes.try_into().unwrap_or_default())
}

fn span_id(bytes: &[u8]) -> SpanId {
    SpanId(bytes.try_into().unwrap_or_default())
}

fn view_span(span: &trace::Span) -> Span<'_> {
    let status = span.status.as_ref();
    Span {
        trace_id: trace_id(&span.trace_id),
        span_id: span_id(&span.span_id),
        parent_span_id: span_id(&span.parent_span_id),
        trace_state: span.trace_state.as_str().into(),
        flags: span.flags,
        name: span.name.as_str().into(),
        kind: SpanKind(span.kind),
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        attributes: attributes(&span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span.events.iter().map(view_event).collect(),
        dropped_events_count: span.dropped_events_count,
        links: span.links.iter().map(view_link).collect(),
        dropped_links_count: span.dropped_links_count,
        status: Status {
            code: StatusCode(status.map_or(0, |status| status.code)),
            message: status.map_or("", |status| &status.message).into(),
        },
    }
}

fn view_event(event: &trace::span::Event) -> SpanEvent<'_> {
    SpanEvent {
        time_unix_nano: event.time_unix_nano,
        name: event.name.as_str().into(),
        attributes: attributes(&event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
    }
}

fn view_link(link: &trace::span::Link) -> SpanLink<'_> {
    SpanLink {
        trace_id: trace_id(&link.trace_id),
        span_id: span_id(&link.span_id),
        trace_state: link.trace_state.as_str().into(),
        attributes: attributes(&link.attributes),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
    }
}

fn view_log(record: &logs::LogRecord) -> LogRecord<'_> {
    LogRecord {
        time_unix_nano: record.time_unix_nano,
        observed_time_unix_nano: record.observed_time_unix_nano,
        severity_number: SeverityNumber(record.severity_number),
        severity_text: record.severity_text.as_str().into(),
        body: value(&record.body),
        attributes: attributes(&record.attributes),
        dropped_attributes_count: record.dropped_attributes_count,
        flags: record.flags,
        trace_id: trace_id(&record.trace_id),
        span_id: span_id(&record.span_id),
        event_name: record.event_name.as_str().into(),
    }
}

fn walk_metric(metric: &metrics::Metric, sink: &mut impl MetricSink) {
    use metric::Data;
    let (kind, temporality, is_monotonic) = match &metric.data {
        None | Some(Data::Gauge(_)) => (MetricKind::Gauge, 0, false),
        Some(Data::Sum(sum)) => (MetricKind::Sum, sum.aggregation_temporality, sum.is_monotonic),
        Some(Data::Histogram(data)) => (MetricKind::Histogram, data.aggregation_temporality, false),
        Some(Data::ExponentialHistogram(data)) => {
            (MetricKind::ExponentialHistogram, data.aggregation_temporality, false)
        }
        Some(Data::Summary(_)) => (MetricKind::Summary, 0, false),
    };
    sink.metric(&Metric {
        name: metric.name.as_str().into(),
        description: metric.description.as_str().into(),
        unit: metric.unit.as_str().into(),
        metadata: attributes(&metric.metadata),
        kind,
        temporality: Temporality(temporality),
        is_monotonic,
    });
    match &metric.data {
        None => {}
        Some(Data::Gauge(data)) => data.data_points.iter().for_each(|point| sink.point(&view_number(point))),
        Some(Data::Sum(data)) => data.data_points.iter().for_each(|point| sink.point(&view_number(point))),
        Some(Data::Histogram(data)) => data.data_points.iter().for_each(|point| sink.point(&view_histogram(point))),
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter().for_each(|point| sink.point(&view_exponential_histogram(point)));
        }
        Some(Data::Summary(data)) => data.data_points.iter().for_each(|point| sink.point(&view_summary(point))),
    }
}

fn view_number(point: &metrics::NumberDataPoint) -> Point<'_> {
    Point {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        flags: point.flags,
        exemplars: point.exemplars.iter().map(view_exemplar).collect(),
        value: PointValue::Number(match point.value {
            None => Number::Empty,
            Some(number_data_point::Value::AsInt(value)) => Number::Int(value),
            Some(number_data_point::Value::AsDouble(value)) => Number::Double(value),
        }),
    }
}

fn view_histogram(point: &metrics::HistogramDataPoint) -> Point<'_> {
    Point {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        flags: point.flags,
        exemplars: point.exemplars.iter().map(view_exemplar).collect(),
        value: PointValue::Histogram {
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            explicit_bounds: point.explicit_bounds.clone(),
            bucket_counts: point.bucket_counts.clone(),
        },
    }
}

fn view_exponential_histogram(point: &metrics::ExponentialHistogramDataPoint) -> Point<'_> {
    let buckets = |buckets: &Option<metrics::exponential_histogram_data_point::Buckets>| {
        let buckets = buckets.clone().unwrap_or_default();
        Buckets { offset: buckets.offset, counts: buckets.bucket_counts }
    };
    Point {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        flags: point.flags,
        exemplars: point.exemplars.iter().map(view_exemplar).collect(),
        value: PointValue::ExponentialHistogram {
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: buckets(&point.positive),
            negative: buckets(&point.negative),
        },
    }
}

fn view_summary(point: &metrics::SummaryDataPoint) -> Point<'_> {
    let quantiles = point.quantile_values.iter();
    Point {
        attributes: attributes(&point.attributes),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        flags: point.flags,
        exemplars: Vec::new(),
        value: PointValue::Summary {
            count: point.count,
            sum: point.sum,
            quantiles: quantiles.map(|at| Quantile { quantile: at.quantile, value: at.value }).collect(),
        },
    }
}

fn view_exemplar(exemplar: &metrics::Exemplar) -> Exemplar<'_> {
    Exemplar {
        filtered_attributes: attributes(&exemplar.filtered_attributes),
        time_unix_nano: exemplar.time_unix_nano,
        value: match exemplar.value {
            None => Number::Empty,
            Some(exemplar::Value::AsInt(value)) => Number::Int(value),
            Some(exemplar::Value::AsDouble(value)) => Number::Double(value),
        },
        trace_id: trace_id(&exemplar.trace_id),
        span_id: span_id(&exemplar.span_id),
    }
}
