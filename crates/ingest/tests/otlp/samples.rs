//! Requests with one record each, in the three signals and both formats.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use tripod_model::{self as model, Attribute};
use tripod_storage::record::{read_logs, read_spans};
use tripod_storage::series::{MillisRange, SelectSeries, SeriesStore};
use tripod_storage::{Select, Signal, Store};

pub(crate) const TRACE: [u8; 16] = [0x5b; 16];
pub(crate) const SPAN: [u8; 8] = [0xee; 8];
const TIME: u64 = 1_700_000_000_123_456_789;

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn resource() -> Option<Resource> {
    let name = attribute("service.name", any_value::Value::StringValue("shop".to_owned()));
    Some(Resource { attributes: vec![name], ..Default::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "lib".to_owned(), version: "1.2".to_owned(), ..Default::default() })
}

/// A span that is kept.
pub(crate) fn span() -> Span {
    Span {
        trace_id: TRACE.to_vec(),
        span_id: SPAN.to_vec(),
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + 5,
        attributes: vec![attribute("cart.size", any_value::Value::IntValue(3))],
        status: Some(Status { code: 2, message: "boom".to_owned() }),
        ..Default::default()
    }
}

pub(crate) fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// One span is kept; the other has no trace id, which decodes but cannot be kept.
pub(crate) fn partly_good() -> ExportTraceServiceRequest {
    traces(vec![span(), Span { trace_id: Vec::new(), ..span() }])
}

/// The second span's id is too short, which cannot be decoded.
pub(crate) fn undecodable() -> ExportTraceServiceRequest {
    traces(vec![span(), Span { span_id: vec![1, 2, 3], ..span() }])
}

/// Where [`undecodable`] is wrong.
pub(crate) const UNDECODABLE_FIELD: &str = "resourceSpans[0].scopeSpans[0].spans[1].spanId";

pub(crate) fn logs() -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: TIME,
        observed_time_unix_nano: TIME + 1,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue("hello".to_owned())) }),
        trace_id: TRACE.to_vec(),
        span_id: SPAN.to_vec(),
        ..Default::default()
    };
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records: vec![record], ..Default::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..Default::default() }];
    ExportLogsServiceRequest { resource_logs }
}

pub(crate) fn metrics() -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: TIME,
        value: Some(number_data_point::Value::AsDouble(1.5)),
        ..Default::default()
    };
    let metric = Metric {
        name: "queue.length".to_owned(),
        unit: "1".to_owned(),
        data: Some(metric::Data::Gauge(Gauge { data_points: vec![point] })),
        ..Default::default()
    };
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics: vec![metric], ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: resource(), scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

pub(crate) const TRACES_JSON: &str = r#"{"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
    "scopeSpans": [{"scope": {"name": "lib", "version": "1.2"}, "spans": [{
        "traceId": "5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b", "spanId": "EEEEEEEEEEEEEEEE", "name": "GET /", "kind": 2,
        "startTimeUnixNano": "1700000000123456789", "endTimeUnixNano": 1700000000123456794,
        "attributes": [{"key": "cart.size", "value": {"intValue": "3"}}],
        "status": {"code": 2, "message": "boom"}
    }]}]
}]}"#;

pub(crate) const LOGS_JSON: &str = r#"{"resourceLogs": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
    "scopeLogs": [{"scope": {"name": "lib", "version": "1.2"}, "logRecords": [{
        "timeUnixNano": "1700000000123456789", "observedTimeUnixNano": "1700000000123456790",
        "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": "hello"},
        "traceId": "5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b", "spanId": "eeeeeeeeeeeeeeee"
    }]}]
}]}"#;

pub(crate) const METRICS_JSON: &str = r#"{"resourceMetrics": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
    "scopeMetrics": [{"scope": {"name": "lib", "version": "1.2"}, "metrics": [{
        "name": "queue.length", "unit": "1",
        "gauge": {"dataPoints": [{"timeUnixNano": "1700000000123456789", "asDouble": 1.5}]}
    }]}]
}]}"#;

fn assert_context(resource: &model::Resource<'_>, scope: &model::Scope<'_>) {
    assert_eq!(resource.attributes, [Attribute::new("service.name", "shop")]);
    assert_eq!((scope.name.as_ref(), scope.version.as_ref()), ("lib", "1.2"));
}

/// Asserts that the store has `count` times the sample of a signal, and nothing else of it.
pub(crate) async fn assert_kept(store: &dyn Store, signal: Signal, count: usize) {
    let mut seen = 0;
    for rows in store.select(Select::all(signal)).await.unwrap().collect().await.unwrap() {
        seen += rows.num_rows();
        match signal {
            Signal::Spans => {
                for recorded in read_spans(&rows).unwrap() {
                    assert_context(&recorded.resource, &recorded.scope);
                    let expected = model::Span {
                        trace_id: model::TraceId(TRACE),
                        span_id: model::SpanId(SPAN),
                        name: "GET /".into(),
                        kind: model::SpanKind::SERVER,
                        start_time_unix_nano: TIME,
                        end_time_unix_nano: TIME + 5,
                        attributes: vec![Attribute::new("cart.size", 3_i64)],
                        status: model::Status { code: model::StatusCode::ERROR, message: "boom".into() },
                        ..Default::default()
                    };
                    assert_eq!(recorded.record, expected);
                }
            }
            Signal::Logs => {
                for recorded in read_logs(&rows).unwrap() {
                    assert_context(&recorded.resource, &recorded.scope);
                    let expected = model::LogRecord {
                        time_unix_nano: TIME,
                        observed_time_unix_nano: TIME + 1,
                        severity_number: model::SeverityNumber(9),
                        severity_text: "INFO".into(),
                        body: "hello".into(),
                        trace_id: model::TraceId(TRACE),
                        span_id: model::SpanId(SPAN),
                        ..Default::default()
                    };
                    assert_eq!(recorded.record, expected);
                }
            }
        }
    }
    assert_eq!(seen, count, "{signal}");
}

/// Asserts that the store has the sample of metrics, and nothing else.
pub(crate) async fn assert_point_kept(store: &dyn SeriesStore) {
    let all = SelectSeries { matchers: Vec::new(), range: MillisRange::ALL };
    let [series] = &store.select_series(all).await.unwrap()[..] else { panic!("there is another number of series") };
    assert_eq!(series.labels.to_string(), r#"{__name__="queue_length_ratio", job="shop"}"#);
    let samples = series.samples(MillisRange::ALL).unwrap();
    assert_eq!((samples.floats.timestamps, samples.floats.values), (vec![TIME as i64 / 1_000_000], vec![1.5]));
}
