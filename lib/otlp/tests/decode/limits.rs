//! Limits hold in both formats, at their exact value, and say so.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value as AnyValueKind,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tripod_otlp::{DecodeError, Limits};

use crate::collect::{Calls, Signal, read_json, read_protobuf};
use crate::render::Form;

/// The same request in both formats.
fn read(signal: Signal, protobuf: &[u8], json: &str, limits: Limits) -> [Result<Calls, DecodeError>; 2] {
    [read_protobuf(signal, protobuf, &limits), read_json(signal, json.as_bytes(), &limits)]
}

fn read_logs(record: LogRecord, limits: Limits) -> [Result<Calls, DecodeError>; 2] {
    let scope = ScopeLogs { log_records: vec![record], ..Default::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
    let request = ExportLogsServiceRequest { resource_logs: vec![resource] };
    read(Signal::Logs, &request.encode_to_vec(), &Form::default().logs(&request), limits)
}

fn read_metrics(metrics: Vec<Metric>, limits: Limits) -> [Result<Calls, DecodeError>; 2] {
    let scope = ScopeMetrics { metrics, ..Default::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..Default::default() };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
    read(Signal::Metrics, &request.encode_to_vec(), &Form::default().metrics(&request), limits)
}

fn read_spans(spans: Vec<Vec<Span>>, limits: Limits) -> [Result<Calls, DecodeError>; 2] {
    let scopes = spans.into_iter().map(|spans| ScopeSpans { spans, ..Default::default() });
    let resource = ResourceSpans { scope_spans: scopes.collect(), ..Default::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
    read(Signal::Traces, &request.encode_to_vec(), &Form::default().traces(&request), limits)
}

fn any_value(kind: AnyValueKind) -> AnyValue {
    AnyValue { value: Some(kind) }
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value), ..Default::default() }
}

#[test]
fn values_nest_to_the_limit() {
    // A body of `depth` levels, arrays and maps in turn.
    let nested = |depth: usize| {
        let leaf = any_value(AnyValueKind::BoolValue(true));
        let body = (1..depth).fold(leaf, |inner, level| match level % 2 {
            0 => any_value(AnyValueKind::ArrayValue(ArrayValue { values: vec![inner] })),
            _ => any_value(AnyValueKind::KvlistValue(KeyValueList { values: vec![pair("k", inner)] })),
        });
        LogRecord { body: Some(body), ..Default::default() }
    };
    let limits = |max_depth| Limits { max_depth, ..Limits::default() };
    for (depth, most) in [(1, 1), (32, 32), (100, 100), (100, 1000)] {
        for outcome in read_logs(nested(depth), limits(most)) {
            assert_eq!(outcome.map(|calls| calls.records()), Ok(1), "{depth} levels, {most} allowed");
        }
    }
    for outcome in read_logs(nested(3), limits(2)) {
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "resourceLogs[0].scopeLogs[0].logRecords[0].body.arrayValue.values[0].kvlistValue.values[0].value: \
             more than 2 levels of nested values, the limit: flatten the value"
        );
    }
    for outcome in read_logs(nested(101), limits(1000)) {
        assert!(outcome.unwrap_err().message().starts_with("more than 100 levels"), "the cap holds");
    }
}

#[test]
fn nested_maps_to_the_default_limit_are_read_in_both_formats() {
    let leaf = any_value(AnyValueKind::IntValue(1));
    let body = (1..32)
        .fold(leaf, |inner, _| any_value(AnyValueKind::KvlistValue(KeyValueList { values: vec![pair("k", inner)] })));
    let [protobuf, json] = read_logs(LogRecord { body: Some(body), ..Default::default() }, Limits::default());
    assert_eq!(protobuf.as_ref().map(Calls::records), Ok(1));
    assert_eq!(protobuf, json);
}

#[test]
fn records_are_counted_over_the_whole_request() {
    let limits = Limits { max_records: 3, ..Limits::default() };
    for outcome in read_spans(vec![vec![Span::default(); 2], vec![Span::default()]], limits) {
        assert_eq!(outcome.map(|calls| calls.records()), Ok(3));
    }
    for outcome in read_spans(vec![vec![Span::default(); 2], vec![Span::default(); 2]], limits) {
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "resourceSpans[0].scopeSpans[1].spans[1]: more than 3 records in one request, the limit: \
             send smaller batches"
        );
    }
}

#[test]
fn points_are_counted_and_metrics_are_not() {
    let gauge = |points| Metric {
        data: Some(metric::Data::Gauge(Gauge { data_points: vec![NumberDataPoint::default(); points] })),
        ..Default::default()
    };
    let limits = Limits { max_records: 3, ..Limits::default() };
    for outcome in read_metrics(vec![gauge(0), gauge(2), gauge(0), gauge(1), gauge(0)], limits) {
        assert_eq!(outcome.map(|calls| calls.records()), Ok(3));
    }
    for outcome in read_metrics(vec![gauge(2), gauge(2)], limits) {
        assert_eq!(outcome.unwrap_err().path(), "resourceMetrics[0].scopeMetrics[0].metrics[1].gauge.dataPoints[1]");
    }
}

#[test]
fn attributes_are_counted_per_list() {
    let limits = Limits { max_attributes: 2, ..Limits::default() };
    let attributes = |count| vec![pair("k", any_value(AnyValueKind::BoolValue(true))); count];
    let map = |count| Some(any_value(AnyValueKind::KvlistValue(KeyValueList { values: attributes(count) })));
    let fits = LogRecord { attributes: attributes(2), body: map(2), ..Default::default() };
    for outcome in read_logs(fits, limits) {
        assert_eq!(outcome.map(|calls| calls.records()), Ok(1));
    }
    for outcome in read_logs(LogRecord { attributes: attributes(3), ..Default::default() }, limits) {
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "resourceLogs[0].scopeLogs[0].logRecords[0].attributes[2]: more than 2 attributes in one list, \
             the limit: send fewer"
        );
    }
    for outcome in read_logs(LogRecord { body: map(3), ..Default::default() }, limits) {
        let path = "resourceLogs[0].scopeLogs[0].logRecords[0].body.kvlistValue.values[2]";
        assert_eq!(outcome.unwrap_err().path(), path);
    }
}

#[test]
fn elements_of_other_lists_are_counted() {
    let limits = Limits { max_elements: 3, ..Limits::default() };
    let array = |count| LogRecord {
        body: Some(any_value(AnyValueKind::ArrayValue(ArrayValue { values: vec![AnyValue::default(); count] }))),
        ..Default::default()
    };
    let events = |count| Span { events: vec![Default::default(); count], ..Default::default() };
    let histogram = |buckets: usize| {
        let point = HistogramDataPoint {
            bucket_counts: vec![1; buckets],
            explicit_bounds: vec![1.0; buckets - 1],
            ..Default::default()
        };
        let data = Histogram { data_points: vec![point], ..Default::default() };
        vec![Metric { data: Some(metric::Data::Histogram(data)), ..Default::default() }]
    };
    let fits =
        [read_logs(array(3), limits), read_spans(vec![vec![events(3)]], limits), read_metrics(histogram(3), limits)];
    for outcome in fits.into_iter().flatten() {
        assert_eq!(outcome.map(|calls| calls.records()), Ok(1));
    }
    let exceeds =
        [read_logs(array(4), limits), read_spans(vec![vec![events(4)]], limits), read_metrics(histogram(4), limits)];
    for outcome in exceeds.into_iter().flatten() {
        assert_eq!(outcome.unwrap_err().message(), "more than 3 elements in one list, the limit: send fewer");
    }
}
