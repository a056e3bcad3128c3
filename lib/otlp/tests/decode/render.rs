//! OTLP/JSON from `prost` messages, in every form that a sender may choose or once chose.

use std::fmt::Write;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use serde_json::{Value, json};

/// How a request is written down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    /// 64-bit integers as numbers, as senders did before OTLP 0.16.
    integers_as_numbers: bool,
    /// Names as in the `.proto` files.
    proto_names: bool,
    /// Members in descending order of their names, else ascending.
    descending: bool,
    /// White space between tokens and every string escaped.
    spread: bool,
}

pub(crate) fn form() -> impl Strategy<Value = Form> {
    any::<[bool; 4]>().prop_map(|[integers_as_numbers, proto_names, descending, spread]| Form {
        integers_as_numbers,
        proto_names,
        descending,
        spread,
    })
}

impl Form {
    fn uint(self, value: u64) -> Value {
        if self.integers_as_numbers { json!(value) } else { json!(value.to_string()) }
    }

    fn int(self, value: i64) -> Value {
        if self.integers_as_numbers { json!(value) } else { json!(value.to_string()) }
    }

    pub(crate) fn traces(self, request: &ExportTraceServiceRequest) -> String {
        let groups = request.resource_spans.iter().map(|group| {
            let scopes = group.scope_spans.iter().map(|group| {
                let spans: Vec<_> = group.spans.iter().map(|span| self.span(span)).collect();
                json!({"scope": self.scope(&group.scope), "spans": spans, "schemaUrl": group.schema_url})
            });
            let scopes: Vec<_> = scopes.collect();
            json!({"resource": self.resource(&group.resource), "scopeSpans": scopes, "schemaUrl": group.schema_url})
        });
        self.write(&json!({"resourceSpans": groups.collect::<Vec<_>>()}))
    }

    pub(crate) fn logs(self, request: &ExportLogsServiceRequest) -> String {
        let groups = request.resource_logs.iter().map(|group| {
            let scopes = group.scope_logs.iter().map(|group| {
                let records: Vec<_> = group.log_records.iter().map(|record| self.log(record)).collect();
                json!({"scope": self.scope(&group.scope), "logRecords": records, "schemaUrl": group.schema_url})
            });
            let scopes: Vec<_> = scopes.collect();
            json!({"resource": self.resource(&group.resource), "scopeLogs": scopes, "schemaUrl": group.schema_url})
        });
        self.write(&json!({"resourceLogs": groups.collect::<Vec<_>>()}))
    }

    pub(crate) fn metrics(self, request: &ExportMetricsServiceRequest) -> String {
        let groups = request.resource_metrics.iter().map(|group| {
            let scopes = group.scope_metrics.iter().map(|group| {
                let metrics: Vec<_> = group.metrics.iter().map(|metric| self.metric(metric)).collect();
                json!({"scope": self.scope(&group.scope), "metrics": metrics, "schemaUrl": group.schema_url})
            });
            let scopes: Vec<_> = scopes.collect();
            json!({"resource": self.resource(&group.resource), "scopeMetrics": scopes, "schemaUrl": group.schema_url})
        });
        self.write(&json!({"resourceMetrics": groups.collect::<Vec<_>>()}))
    }

    fn resource(self, resource: &Option<Resource>) -> Value {
        resource.as_ref().map_or(Value::Null, |resource| {
            let entities = resource.entity_refs.iter().map(|entity| {
                json!({"schemaUrl": entity.schema_url, "type": entity.r#type, "idKeys": entity.id_keys,
                    "descriptionKeys": entity.description_keys})
            });
            json!({"attributes": self.attributes(&resource.attributes), "entityRefs": entities.collect::<Vec<_>>(),
                "droppedAttributesCount": resource.dropped_attributes_count})
        })
    }

    fn scope(self, scope: &Option<InstrumentationScope>) -> Value {
        scope.as_ref().map_or(Value::Null, |scope| {
            json!({"name": scope.name, "version": scope.version, "attributes": self.attributes(&scope.attributes),
                "droppedAttributesCount": scope.dropped_attributes_count})
        })
    }

    fn attributes(self, pairs: &[KeyValue]) -> Value {
        pairs.iter().map(|pair| json!({"key": pair.key, "value": self.any_value(&pair.value)})).collect()
    }

    fn any_value(self, value: &Option<AnyValue>) -> Value {
        use any_value::Value::*;
        let Some(value) = value else {
            return Value::Null;
        };
        match &value.value {
            None => json!({}),
            Some(StringValue(text)) => json!({"stringValue": text}),
            Some(BoolValue(value)) => json!({"boolValue": value}),
            Some(IntValue(value)) => json!({"intValue": self.int(*value)}),
            Some(DoubleValue(value)) => json!({"doubleValue": double(*value)}),
            Some(BytesValue(bytes)) => json!({"bytesValue": base64(bytes)}),
            Some(StringValueStrindex(index)) => json!({"stringValueStrindex": index}),
            Some(ArrayValue(array)) => {
                let values = array.values.iter().map(|value| self.any_value(&Some(value.clone())));
                json!({"arrayValue": {"values": values.collect::<Vec<_>>()}})
            }
            Some(KvlistValue(list)) => {
                json!({"kvlistValue": {"values": self.attributes(&list.values)}})
            }
        }
    }

    fn span(self, span: &Span) -> Value {
        let events = span.events.iter().map(|event| {
            json!({"timeUnixNano": self.uint(event.time_unix_nano), "name": event.name,
                "attributes": self.attributes(&event.attributes),
                "droppedAttributesCount": event.dropped_attributes_count})
        });
        let links = span.links.iter().map(|link| {
            json!({"traceId": hex(&link.trace_id), "spanId": hex(&link.span_id), "traceState": link.trace_state,
                "attributes": self.attributes(&link.attributes), "flags": link.flags,
                "droppedAttributesCount": link.dropped_attributes_count})
        });
        json!({
            "traceId": hex(&span.trace_id), "spanId": hex(&span.span_id), "parentSpanId": hex(&span.parent_span_id),
            "traceState": span.trace_state, "flags": span.flags, "name": span.name, "kind": span.kind,
            "startTimeUnixNano": self.uint(span.start_time_unix_nano),
            "endTimeUnixNano": self.uint(span.end_time_unix_nano),
            "attributes": self.attributes(&span.attributes), "events": events.collect::<Vec<_>>(),
            "links": links.collect::<Vec<_>>(), "droppedAttributesCount": span.dropped_attributes_count,
            "droppedEventsCount": span.dropped_events_count, "droppedLinksCount": span.dropped_links_count,
            "status": span.status.as_ref().map(|status| json!({"code": status.code, "message": status.message})),
        })
    }

    fn log(self, record: &LogRecord) -> Value {
        json!({
            "timeUnixNano": self.uint(record.time_unix_nano),
            "observedTimeUnixNano": self.uint(record.observed_time_unix_nano),
            "severityNumber": record.severity_number, "severityText": record.severity_text,
            "body": self.any_value(&record.body), "attributes": self.attributes(&record.attributes),
            "droppedAttributesCount": record.dropped_attributes_count, "flags": record.flags,
            "traceId": hex(&record.trace_id), "spanId": hex(&record.span_id), "eventName": record.event_name,
        })
    }

    fn metric(self, metric: &Metric) -> Value {
        use metric::Data::*;
        let mut value = json!({"name": metric.name, "description": metric.description, "unit": metric.unit,
            "metadata": self.attributes(&metric.metadata)});
        let (name, data) = match &metric.data {
            None => return value,
            Some(Gauge(data)) => {
                let points: Vec<_> = data.data_points.iter().map(|point| self.number(point)).collect();
                ("gauge", json!({"dataPoints": points}))
            }
            Some(Sum(data)) => {
                let points: Vec<_> = data.data_points.iter().map(|point| self.number(point)).collect();
                let temporality = data.aggregation_temporality;
                let monotonic = data.is_monotonic;
                ("sum", json!({"dataPoints": points, "aggregationTemporality": temporality, "isMonotonic": monotonic}))
            }
            Some(Histogram(data)) => {
                let points: Vec<_> = data.data_points.iter().map(|point| self.histogram(point)).collect();
                let temporality = data.aggregation_temporality;
                ("histogram", json!({"dataPoints": points, "aggregationTemporality": temporality}))
            }
            Some(ExponentialHistogram(data)) => {
                let points: Vec<_> = data.data_points.iter().map(|point| self.exponential_histogram(point)).collect();
                let temporality = data.aggregation_temporality;
                ("exponentialHistogram", json!({"dataPoints": points, "aggregationTemporality": temporality}))
            }
            Some(Summary(data)) => {
                let points: Vec<_> = data.data_points.iter().map(|point| self.summary(point)).collect();
                ("summary", json!({"dataPoints": points}))
            }
        };
        value[name] = data;
        value
    }

    fn exemplars(self, exemplars: &[Exemplar]) -> Value {
        exemplars
            .iter()
            .map(|exemplar| {
                let mut value = json!({"filteredAttributes": self.attributes(&exemplar.filtered_attributes),
                    "timeUnixNano": self.uint(exemplar.time_unix_nano), "traceId": hex(&exemplar.trace_id),
                    "spanId": hex(&exemplar.span_id)});
                match exemplar.value {
                    None => {}
                    Some(exemplar::Value::AsInt(number)) => value["asInt"] = self.int(number),
                    Some(exemplar::Value::AsDouble(number)) => value["asDouble"] = double(number),
                }
                value
            })
            .collect()
    }

    fn number(self, point: &NumberDataPoint) -> Value {
        let mut value = json!({"attributes": self.attributes(&point.attributes), "flags": point.flags,
            "startTimeUnixNano": self.uint(point.start_time_unix_nano),
            "timeUnixNano": self.uint(point.time_unix_nano), "exemplars": self.exemplars(&point.exemplars)});
        match point.value {
            None => {}
            Some(number_data_point::Value::AsInt(number)) => value["asInt"] = self.int(number),
            Some(number_data_point::Value::AsDouble(number)) => value["asDouble"] = double(number),
        }
        value
    }

    fn histogram(self, point: &HistogramDataPoint) -> Value {
        let counts: Vec<_> = point.bucket_counts.iter().map(|count| self.uint(*count)).collect();
        let bounds: Vec<_> = point.explicit_bounds.iter().map(|bound| double(*bound)).collect();
        json!({"attributes": self.attributes(&point.attributes), "flags": point.flags,
            "startTimeUnixNano": self.uint(point.start_time_unix_nano),
            "timeUnixNano": self.uint(point.time_unix_nano), "exemplars": self.exemplars(&point.exemplars),
            "count": self.uint(point.count), "sum": point.sum.map(double), "min": point.min.map(double),
            "max": point.max.map(double), "bucketCounts": counts, "explicitBounds": bounds})
    }

    fn exponential_histogram(self, point: &ExponentialHistogramDataPoint) -> Value {
        let buckets = |buckets: &Option<Buckets>| {
            buckets.as_ref().map(|buckets| {
                let counts: Vec<_> = buckets.bucket_counts.iter().map(|count| self.uint(*count)).collect();
                json!({"offset": buckets.offset, "bucketCounts": counts})
            })
        };
        json!({"attributes": self.attributes(&point.attributes), "flags": point.flags,
            "startTimeUnixNano": self.uint(point.start_time_unix_nano),
            "timeUnixNano": self.uint(point.time_unix_nano), "exemplars": self.exemplars(&point.exemplars),
            "count": self.uint(point.count), "sum": point.sum.map(double), "min": point.min.map(double),
            "max": point.max.map(double), "scale": point.scale, "zeroCount": self.uint(point.zero_count),
            "zeroThreshold": double(point.zero_threshold), "positive": buckets(&point.positive),
            "negative": buckets(&point.negative)})
    }

    fn summary(self, point: &SummaryDataPoint) -> Value {
        let quantiles = point.quantile_values.iter();
        let quantiles = quantiles.map(|at| json!({"quantile": double(at.quantile), "value": double(at.value)}));
        json!({"attributes": self.attributes(&point.attributes), "flags": point.flags,
            "startTimeUnixNano": self.uint(point.start_time_unix_nano),
            "timeUnixNano": self.uint(point.time_unix_nano), "count": self.uint(point.count),
            "sum": double(point.sum), "quantileValues": quantiles.collect::<Vec<_>>()})
    }

    fn write(self, value: &Value) -> String {
        let mut text = String::new();
        self.append(&mut text, value);
        text
    }

    fn append(self, text: &mut String, value: &Value) {
        let gap = if self.spread { " \n\t\r" } else { "" };
        text.push_str(gap);
        match value {
            Value::Array(values) => {
                text.push('[');
                for (index, value) in values.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    self.append(text, value);
                }
                text.push_str(gap);
                text.push(']');
            }
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| *name);
                if self.descending {
                    members.reverse();
                }
                text.push('{');
                for (index, (name, value)) in members.into_iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    text.push_str(gap);
                    self.append_string(text, &if self.proto_names { proto_name(name) } else { name.clone() });
                    text.push_str(gap);
                    text.push(':');
                    self.append(text, value);
                }
                text.push_str(gap);
                text.push('}');
            }
            Value::String(string) => self.append_string(text, string),
            other => write!(text, "{other}").unwrap(),
        }
        text.push_str(gap);
    }

    fn append_string(self, text: &mut String, string: &str) {
        if !self.spread {
            return text.push_str(&Value::from(string).to_string());
        }
        text.push('"');
        string.encode_utf16().for_each(|unit| write!(text, "\\u{unit:04x}").unwrap());
        text.push('"');
    }
}

fn proto_name(name: &str) -> String {
    name.chars().fold(String::new(), |mut name, character| {
        if character.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
        name
    })
}

fn double(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02X}").unwrap();
        text
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for position in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * position) & 63) as usize];
            text.push(if position <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
