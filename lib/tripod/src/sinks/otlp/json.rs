//! Requests as JSON, for collectors that take nothing else.
//!
//! They are made from the protobuf that is there already, by tables of the messages that the encoders write
//! (opentelemetry-proto 1.x; OTLP specification, JSON Protobuf Encoding: names in lower camel case, ids in hexadecimal,
//! 64-bit integers as strings, enumerations as numbers). A second encoder for each signal would have to be kept alike.

use super::protobuf::{Field, Fields};
use crate::field::Value;
use crate::logs::json;

/// How deep messages are written; what is deeper is left out. Values of the application may be nested at will.
const MAX_DEPTH: usize = 64;

/// The fields of a message that are written.
#[derive(Debug)]
pub(super) struct Message(&'static [(u64, &'static str, Kind)]);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    /// Bytes in hexadecimal: the ids of traces and spans.
    Id,
    Bool,
    /// 32-bit integers and enumerations.
    Number,
    /// Signed 64-bit integers, as strings.
    Integer,
    /// Unsigned 64-bit integers of fixed size, as strings.
    Fixed,
    Double,
    /// Packed `fixed64` and `double`.
    PackedFixed,
    PackedDouble,
    One(&'static Message),
    Many(&'static Message),
}

use Kind::*;

pub(super) static TRACES: Message = Message(&[(1, "resourceSpans", Many(&RESOURCE_SPANS))]);
pub(super) static LOGS: Message = Message(&[(1, "resourceLogs", Many(&RESOURCE_LOGS))]);
pub(super) static METRICS: Message = Message(&[(1, "resourceMetrics", Many(&RESOURCE_METRICS))]);

static RESOURCE_SPANS: Message = Message(&[(1, "resource", One(&RESOURCE)), (2, "scopeSpans", Many(&SCOPE_SPANS))]);
static RESOURCE_LOGS: Message = Message(&[(1, "resource", One(&RESOURCE)), (2, "scopeLogs", Many(&SCOPE_LOGS))]);
static RESOURCE_METRICS: Message =
    Message(&[(1, "resource", One(&RESOURCE)), (2, "scopeMetrics", Many(&SCOPE_METRICS))]);
static SCOPE_SPANS: Message = Message(&[(1, "scope", One(&SCOPE)), (2, "spans", Many(&SPAN))]);
static SCOPE_LOGS: Message = Message(&[(1, "scope", One(&SCOPE)), (2, "logRecords", Many(&LOG_RECORD))]);
static SCOPE_METRICS: Message = Message(&[(1, "scope", One(&SCOPE)), (2, "metrics", Many(&METRIC))]);

static RESOURCE: Message = Message(&[(1, "attributes", Many(&KEY_VALUE))]);
static SCOPE: Message = Message(&[(1, "name", Text)]);
static KEY_VALUE: Message = Message(&[(1, "key", Text), (2, "value", One(&ANY_VALUE))]);
static ANY_VALUE: Message = Message(&[
    (1, "stringValue", Text),
    (2, "boolValue", Bool),
    (3, "intValue", Integer),
    (4, "doubleValue", Double),
    (5, "arrayValue", One(&ARRAY_VALUE)),
    (6, "kvlistValue", One(&KEY_VALUE_LIST)),
]);
static ARRAY_VALUE: Message = Message(&[(1, "values", Many(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message(&[(1, "values", Many(&KEY_VALUE))]);

static SPAN: Message = Message(&[
    (1, "traceId", Id),
    (2, "spanId", Id),
    (3, "traceState", Text),
    (4, "parentSpanId", Id),
    (5, "name", Text),
    (6, "kind", Number),
    (7, "startTimeUnixNano", Fixed),
    (8, "endTimeUnixNano", Fixed),
    (9, "attributes", Many(&KEY_VALUE)),
    (10, "droppedAttributesCount", Number),
    (11, "events", Many(&EVENT)),
    (12, "droppedEventsCount", Number),
    (13, "links", Many(&LINK)),
    (14, "droppedLinksCount", Number),
    (15, "status", One(&STATUS)),
    (16, "flags", Number),
]);
static EVENT: Message = Message(&[
    (1, "timeUnixNano", Fixed),
    (2, "name", Text),
    (3, "attributes", Many(&KEY_VALUE)),
    (4, "droppedAttributesCount", Number),
]);
static LINK: Message = Message(&[
    (1, "traceId", Id),
    (2, "spanId", Id),
    (3, "traceState", Text),
    (4, "attributes", Many(&KEY_VALUE)),
    (5, "droppedAttributesCount", Number),
    (6, "flags", Number),
]);
static STATUS: Message = Message(&[(2, "message", Text), (3, "code", Number)]);

static LOG_RECORD: Message = Message(&[
    (1, "timeUnixNano", Fixed),
    (2, "severityNumber", Number),
    (3, "severityText", Text),
    (5, "body", One(&ANY_VALUE)),
    (6, "attributes", Many(&KEY_VALUE)),
    (7, "droppedAttributesCount", Number),
    (8, "flags", Number),
    (9, "traceId", Id),
    (10, "spanId", Id),
    (11, "observedTimeUnixNano", Fixed),
    (12, "eventName", Text),
]);

static METRIC: Message = Message(&[
    (1, "name", Text),
    (2, "description", Text),
    (3, "unit", Text),
    (5, "gauge", One(&GAUGE)),
    (7, "sum", One(&SUM)),
    (9, "histogram", One(&HISTOGRAM)),
]);
static GAUGE: Message = Message(&[(1, "dataPoints", Many(&NUMBER_POINT))]);
static SUM: Message =
    Message(&[(1, "dataPoints", Many(&NUMBER_POINT)), (2, "aggregationTemporality", Number), (3, "isMonotonic", Bool)]);
static HISTOGRAM: Message =
    Message(&[(1, "dataPoints", Many(&HISTOGRAM_POINT)), (2, "aggregationTemporality", Number)]);
static NUMBER_POINT: Message = Message(&[
    (2, "startTimeUnixNano", Fixed),
    (3, "timeUnixNano", Fixed),
    (4, "asDouble", Double),
    (5, "exemplars", Many(&EXEMPLAR)),
    (7, "attributes", Many(&KEY_VALUE)),
]);
static HISTOGRAM_POINT: Message = Message(&[
    (2, "startTimeUnixNano", Fixed),
    (3, "timeUnixNano", Fixed),
    (4, "count", Fixed),
    (5, "sum", Double),
    (6, "bucketCounts", PackedFixed),
    (7, "explicitBounds", PackedDouble),
    (8, "exemplars", Many(&EXEMPLAR)),
    (9, "attributes", Many(&KEY_VALUE)),
]);
static EXEMPLAR: Message =
    Message(&[(2, "timeUnixNano", Fixed), (3, "asDouble", Double), (4, "spanId", Id), (5, "traceId", Id)]);

/// Appends a message as a JSON object.
pub(super) fn write(message: &Message, bytes: &[u8], out: &mut Vec<u8>) {
    object(message, Fields(bytes), out, 0);
}

fn object(message: &Message, fields: Fields<'_>, out: &mut Vec<u8>, depth: usize) {
    out.push(b'{');
    if depth < MAX_DEPTH {
        let mut first = true;
        for (number, name, kind) in message.0 {
            let mut found = fields.clone().filter(|(other, _)| other == number).map(|(_, field)| field);
            let Some(field) = found.next() else { continue };
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            json::string(name, out);
            out.push(b':');
            match kind {
                Many(inner) => list(out, std::iter::once(field).chain(found), |field, out| {
                    member(One(inner), field, out, depth);
                }),
                kind => member(*kind, field, out, depth),
            }
        }
    }
    out.push(b'}');
}

fn member(kind: Kind, field: Field<'_>, out: &mut Vec<u8>, depth: usize) {
    match (kind, field) {
        (Text, Field::Bytes(bytes)) => json::string(&String::from_utf8_lossy(bytes), out),
        (Id, Field::Bytes(bytes)) => {
            out.push(b'"');
            json::hex(bytes, out);
            out.push(b'"');
        }
        (Bool, Field::Varint(value)) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        (Number, Field::Varint(value)) => integer(value, out),
        (Number, Field::Fixed32(value)) => integer(value.into(), out),
        (Integer, Field::Varint(value)) => quoted(out, |out| json::value(&Value::Integer(value as i64), out, 0)),
        (Fixed, Field::Fixed64(value)) => quoted(out, |out| integer(value, out)),
        (Double, Field::Fixed64(bits)) => json::value(&Value::Float(f64::from_bits(bits)), out, 0),
        (PackedFixed, Field::Bytes(bytes)) => {
            list(out, words(bytes), |word, out| quoted(out, |out| integer(word, out)))
        }
        (PackedDouble, Field::Bytes(bytes)) => {
            list(out, words(bytes), |bits, out| json::value(&Value::Float(f64::from_bits(bits)), out, 0));
        }
        (One(message), Field::Bytes(bytes)) => object(message, Fields(bytes), out, depth + 1),
        // No encoder of ours writes such a thing.
        _ => out.extend_from_slice(b"null"),
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

fn integer(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// How many items an answer says were rejected: `{"partialSuccess":{"rejectedSpans":"3"}}`. What is no such answer
/// rejected none.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let Some(at) = memchr::memmem::find(answer, b"\"rejected") else { return 0 };
    let rest = &answer[at + 1..];
    let Some(colon) = memchr::memchr(b':', rest) else { return 0 };
    let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"');
    let digits = rest[colon + 1..].iter().skip_while(is_blank).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |count: u64, digit| count.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_rejected_is_read() {
        assert_eq!(rejected(br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#), 3);
        assert_eq!(rejected(br#"{ "partialSuccess" : { "errorMessage": "", "rejectedLogRecords" : 12 } }"#), 12);
        assert_eq!(rejected(b"{}"), 0);
        assert_eq!(rejected(br#"{"partialSuccess":{}}"#), 0);
        assert_eq!(rejected(br#"{"rejected"#), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_become_json(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in [&TRACES, &LOGS, &METRICS, &SPAN, &METRIC] {
                let mut out = Vec::new();
                write(message, &bytes, &mut out);
                let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
                prop_assert!(read.is_object());
            }
            let _ = rejected(&bytes);
        }
    }
}
