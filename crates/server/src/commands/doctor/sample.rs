use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uuid::Uuid;

/// The service that all samples belong to.
const SERVICE: &str = "tripod-doctor";

/// One span, log record and metric point that nobody has sent before.
#[derive(Debug)]
pub(super) struct Sample {
    /// 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// 16 hexadecimal digits.
    pub(super) span_id: String,
    nanos: u128,
}

/// How a sample is sent, and how it is found again.
#[derive(Debug)]
pub(super) struct SampleSignal {
    /// What it is, in the singular.
    pub(super) noun: &'static str,
    /// Where OTLP/HTTP takes it.
    pub(super) path: &'static str,
    /// OTLP in JSON.
    pub(super) request: Value,
    /// Finds it.
    pub(super) query: String,
    /// The only row of the answer.
    pub(super) row: Value,
}

impl Sample {
    /// A sample of this moment.
    pub(super) fn new() -> Self {
        let (trace_id, mut span_id) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().simple().to_string());
        span_id.truncate(16);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self { trace_id, span_id, nanos }
    }

    /// One of each.
    pub(super) fn signals(&self) -> [SampleSignal; 3] {
        let Self { trace_id, span_id, nanos } = self;
        // Samples are 64-bit floats, which have no room for nanoseconds.
        let millis = nanos / 1_000_000;
        let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": SERVICE } }] });
        let scope = json!({ "name": "tripod-doctor", "version": env!("CARGO_PKG_VERSION") });
        let body = format!("tripod doctor was here ({span_id})");
        [
            SampleSignal {
                noun: "span",
                path: "/v1/traces",
                request: json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": scope, "spans": [{
                    "traceId": trace_id, "spanId": span_id, "name": "examine", "kind": 1,
                    "startTimeUnixNano": (nanos - 1_000_000).to_string(), "endTimeUnixNano": nanos.to_string(),
                    "status": { "code": 1 },
                }] }] }] }),
                query: format!(
                    "select service_name, name, duration_ns from spans where trace_id = '{trace_id}' and span_id = '{span_id}'"
                ),
                row: json!([SERVICE, "examine", 1_000_000]),
            },
            SampleSignal {
                noun: "log record",
                path: "/v1/logs",
                request: json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "scope": scope, "logRecords": [{
                    "timeUnixNano": nanos.to_string(), "observedTimeUnixNano": nanos.to_string(),
                    "severityNumber": 9, "severityText": "INFO", "body": { "stringValue": body },
                    "traceId": trace_id, "spanId": span_id,
                }] }] }] }),
                query: format!("select service_name, severity_number, body from logs where trace_id = '{trace_id}'"),
                row: json!([SERVICE, 9, body]),
            },
            SampleSignal {
                noun: "metric point",
                path: "/v1/metrics",
                request: json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "scope": scope, "metrics": [{
                    "name": "tripod.doctor.examination",
                    "gauge": { "dataPoints": [{ "timeUnixNano": nanos.to_string(), "asInt": millis.to_string() }] },
                }] }] }] }),
                query: format!(
                    "select labels->>'job', cast(value as bigint) from points('tripod_doctor_examination') \
                     where value = {millis}"
                ),
                row: json!([SERVICE, millis as u64]),
            },
        ]
    }
}
