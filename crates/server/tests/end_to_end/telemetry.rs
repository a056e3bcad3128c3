//! Telemetry in OTLP, over gRPC and HTTP.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde_json::{Value, json};
use tonic::metadata::MetadataValue;
use tonic::transport::Endpoint;

/// 2024-05-06T07:08:09Z.
pub(crate) const TIME: u64 = 1_714_979_289_000_000_000;

/// A request with one span.
pub(crate) fn span(service: &str, name: &str, trace: u8) -> ExportTraceServiceRequest {
    let service = AnyValue { value: Some(Any::StringValue(service.to_owned())) };
    let span = Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + 5_000_000,
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![KeyValue {
                    key: "service.name".to_owned(),
                    value: Some(service),
                    ..KeyValue::default()
                }],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

/// Sends spans over gRPC.
pub(crate) async fn send_grpc(
    url: &str,
    token: Option<&str>,
    request: ExportTraceServiceRequest,
) -> Result<(), tonic::Status> {
    let channel = Endpoint::from_shared(url.to_owned()).expect("a URL").connect().await.expect("a server");
    let mut request = tonic::Request::new(request);
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).expect("ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    TraceServiceClient::new(channel).export(request).await.map(drop)
}

/// A span in OTLP's JSON.
pub(crate) fn json_span(service: &str, name: &str, trace: u8) -> Value {
    json!({ "resourceSpans": [{ "resource": resource(service), "scopeSpans": [{ "spans": [{
        "traceId": format!("{trace:02x}").repeat(16), "spanId": format!("{trace:02x}").repeat(8), "name": name, "kind": 2,
        "startTimeUnixNano": TIME.to_string(), "endTimeUnixNano": (TIME + 5_000_000).to_string(),
    }] }] }] })
}

/// A log record in OTLP's JSON.
pub(crate) fn json_log(service: &str, body: &str) -> Value {
    json!({ "resourceLogs": [{ "resource": resource(service), "scopeLogs": [{ "logRecords": [{
        "timeUnixNano": TIME.to_string(), "severityNumber": 17, "body": { "stringValue": body },
    }] }] }] })
}

/// A metric point in OTLP's JSON.
pub(crate) fn json_gauge(service: &str, name: &str, value: f64) -> Value {
    json!({ "resourceMetrics": [{ "resource": resource(service), "scopeMetrics": [{ "metrics": [{
        "name": name, "unit": "1", "gauge": { "dataPoints": [{ "timeUnixNano": TIME.to_string(), "asDouble": value }] },
    }] }] }] })
}

fn resource(service: &str) -> Value {
    json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] })
}
