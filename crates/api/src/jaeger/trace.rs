//! Spans as Jaeger's JSON model has them, by the rules of Jaeger's own translation from OpenTelemetry.
//!
//! | OpenTelemetry | Jaeger |
//! |---|---|
//! | scope name, version | tags `otel.scope.name`, `otel.scope.version` |
//! | kind, but unspecified | tag `span.kind` |
//! | status ok, error | tag `otel.status_code` = `OK`, `ERROR`; `error` = true |
//! | status message | tag `otel.status_description` |
//! | trace state | tag `w3c.tracestate` |
//! | parent | first reference, `CHILD_OF` |
//! | link | reference `FOLLOWS_FROM`; `CHILD_OF` with an attribute `opentracing.ref_type` = `child_of` |
//! | event | log; its name as field `event`, unless an attribute has that key |
//! | resource | process; `service.name` is its name, the rest its tags |
//! | list or map attribute | tag of type string that holds JSON |
//! | bytes attribute | tag of type binary, base64 |
//!
//! Times are microseconds; what is finer is cut off. An integer beyond 2^53 is a string, since JavaScript reads it.

use std::collections::HashMap;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tripod_model::{Attribute, Resource, Span, SpanEvent, SpanKind, StatusCode, TraceId, Value};
use tripod_storage::record::Recorded;

/// The service of spans whose resource has no `service.name`, as Jaeger names it.
pub(super) const NO_SERVICE_NAME: &str = "OTLPResourceNoServiceName";

/// Largest integer that a 64-bit float holds exactly, with all below it.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// One trace as it is read, span by span in any order.
#[derive(Debug)]
pub(super) struct TraceWriter {
    id: TraceId,
    /// The spans' JSON objects, one after the other.
    json: Vec<u8>,
    /// For each span its start and its part of `json`.
    spans: Vec<(u64, Range<usize>)>,
    /// Each process's JSON with its number.
    processes: HashMap<Vec<u8>, usize>,
    /// The process of the span before: most spans share it with their neighbour.
    last: Option<(Resource<'static>, usize)>,
    omitted: u64,
}

impl TraceWriter {
    pub(super) fn new(id: TraceId) -> Self {
        Self { id, json: Vec::new(), spans: Vec::new(), processes: HashMap::new(), last: None, omitted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Counts a span that the answer has no room for.
    pub(super) fn omit(&mut self) {
        self.omitted += 1;
    }

    pub(super) fn add(&mut self, recorded: &Recorded<'_, Span<'_>>) {
        let process = self.process(&recorded.resource);
        let start = self.json.len();
        write_span(recorded, process, &mut self.json);
        self.spans.push((recorded.record.start_time_unix_nano, start..self.json.len()));
    }

    fn process(&mut self, resource: &Resource<'_>) -> usize {
        if let Some((last, process)) = &self.last
            && last.attributes == resource.attributes
        {
            return *process;
        }
        let mut json = Vec::new();
        write_process(resource, &mut json);
        let next = self.processes.len() + 1;
        let process = *self.processes.entry(json).or_insert(next);
        let attributes = resource.attributes.iter().cloned().map(Attribute::into_owned).collect();
        self.last = Some((Resource { attributes, ..Resource::default() }, process));
        process
    }

    /// Appends the trace, its spans by their start.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        self.spans.sort_by_key(|(start, _)| *start);
        out.extend_from_slice(b"{\"traceID\":\"");
        out.extend_from_slice(&self.id.hex());
        out.extend_from_slice(b"\",\"spans\":[");
        for (index, (_, range)) in self.spans.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&self.json[range]);
        }
        out.extend_from_slice(b"],\"processes\":{");
        let mut processes: Vec<_> = self.processes.into_iter().collect();
        processes.sort_by_key(|(_, process)| *process);
        for (json, process) in processes {
            out.extend_from_slice(format!("{}\"p{process}\":", if process > 1 { "," } else { "" }).as_bytes());
            out.extend_from_slice(&json);
        }
        let warnings = match self.omitted {
            0 => "null".to_owned(),
            omitted => {
                format!("[\"{omitted} more spans of this trace are left out: it is larger than an answer may be\"]")
            }
        };
        out.extend_from_slice(format!("}},\"warnings\":{warnings}}}").as_bytes());
    }
}

fn write_process(resource: &Resource<'_>, out: &mut Vec<u8>) {
    let is_name = |attribute: &&Attribute<'_>| attribute.key == "service.name";
    out.extend_from_slice(b"{\"serviceName\":");
    match resource.attributes.iter().find(is_name) {
        Some(Attribute { value: Value::Str(name), .. }) => write_text(name, out),
        Some(Attribute { value, .. }) => write_json_text(value, out),
        None => write_text(NO_SERVICE_NAME, out),
    }
    out.extend_from_slice(b",\"tags\":");
    let mut tags = Tags::new(out);
    tags.attributes(resource.attributes.iter().filter(|attribute| !is_name(attribute)));
    tags.end();
    out.push(b'}');
}

fn write_span(recorded: &Recorded<'_, Span<'_>>, process: usize, out: &mut Vec<u8>) {
    let Recorded { scope, record: span, .. } = recorded;
    out.extend_from_slice(b"{\"traceID\":\"");
    out.extend_from_slice(&span.trace_id.hex());
    out.extend_from_slice(b"\",\"spanID\":\"");
    out.extend_from_slice(&span.span_id.hex());
    out.push(b'"');
    let flags = span.flags & 0xff;
    if flags != 0 {
        out.extend_from_slice(b",\"flags\":");
        write_integer(flags.into(), out);
    }
    out.extend_from_slice(b",\"operationName\":");
    write_text(&span.name, out);
    out.extend_from_slice(b",\"references\":[");
    write_references(span, out);
    out.extend_from_slice(b"],\"startTime\":");
    write_integer(i128::from(span.start_time_unix_nano / 1_000), out);
    out.extend_from_slice(b",\"duration\":");
    let nanos = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
    write_integer(i128::from(nanos.unwrap_or(0) / 1_000), out);

    out.extend_from_slice(b",\"tags\":");
    let mut tags = Tags::new(out);
    tags.text_unless_empty("otel.scope.name", &scope.name);
    tags.text_unless_empty("otel.scope.version", &scope.version);
    tags.attributes(&span.attributes);
    if (1..=5).contains(&span.kind.0) {
        tags.text_unless_empty("span.kind", &SpanKind::name(span.kind));
    }
    match span.status.code {
        StatusCode(1) => tags.text_unless_empty("otel.status_code", "OK"),
        StatusCode::ERROR => {
            tags.text_unless_empty("otel.status_code", "ERROR");
            tags.tag("error", &Value::Bool(true));
        }
        _ => {}
    }
    tags.text_unless_empty("otel.status_description", &span.status.message);
    tags.text_unless_empty("w3c.tracestate", &span.trace_state);
    tags.end();

    out.extend_from_slice(b",\"logs\":[");
    for (index, event) in span.events.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_log(event, out);
    }
    out.extend_from_slice(format!("],\"processID\":\"p{process}\",\"warnings\":").as_bytes());
    out.extend_from_slice(match nanos {
        Some(_) => b"null}",
        None => b"[\"the span ends before it starts; its duration is given as 0\"]}",
    });
}

fn write_references(span: &Span<'_>, out: &mut Vec<u8>) {
    let mut any = false;
    let mut reference = |kind: &str, trace_id: &[u8], span_id: &[u8]| {
        out.extend_from_slice(if any { b",{\"refType\":\"" } else { b"{\"refType\":\"" });
        any = true;
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"traceID\":\"");
        out.extend_from_slice(trace_id);
        out.extend_from_slice(b"\",\"spanID\":\"");
        out.extend_from_slice(span_id);
        out.extend_from_slice(b"\"}");
    };
    if !span.parent_span_id.is_zero() {
        reference("CHILD_OF", &span.trace_id.hex(), &span.parent_span_id.hex());
    }
    for link in &span.links {
        let child =
            link.attributes.iter().any(|a| a.key == "opentracing.ref_type" && a.value.as_str() == Some("child_of"));
        reference(if child { "CHILD_OF" } else { "FOLLOWS_FROM" }, &link.trace_id.hex(), &link.span_id.hex());
    }
}

fn write_log(event: &SpanEvent<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"timestamp\":");
    write_integer(i128::from(event.time_unix_nano / 1_000), out);
    out.extend_from_slice(b",\"fields\":");
    let mut fields = Tags::new(out);
    if !event.attributes.iter().any(|attribute| attribute.key == "event") {
        fields.text_unless_empty("event", &event.name);
    }
    fields.attributes(&event.attributes);
    fields.end();
    out.push(b'}');
}

/// An array of `{"key","type","value"}`.
struct Tags<'o> {
    out: &'o mut Vec<u8>,
    any: bool,
}

impl<'o> Tags<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, any: false }
    }

    fn end(self) {
        self.out.push(b']');
    }

    fn attributes<'a>(&mut self, attributes: impl IntoIterator<Item = &'a Attribute<'a>>) {
        for attribute in attributes {
            self.tag(&attribute.key, &attribute.value);
        }
    }

    fn text_unless_empty(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.tag(key, &Value::from(text));
        }
    }

    fn tag(&mut self, key: &str, value: &Value<'_>) {
        let out = &mut *self.out;
        out.extend_from_slice(if self.any { b",{\"key\":" } else { b"{\"key\":" });
        self.any = true;
        write_text(key, out);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(match value {
            Value::Bool(_) => b"bool".as_slice(),
            Value::Int(_) => b"int64",
            Value::Double(_) => b"float64",
            Value::Bytes(_) => b"binary",
            Value::Empty | Value::Str(_) | Value::Array(_) | Value::Map(_) => b"string",
        });
        out.extend_from_slice(b"\",\"value\":");
        match value {
            Value::Empty => out.extend_from_slice(b"\"\""),
            Value::Int(value) if value.unsigned_abs() > MAX_SAFE_INTEGER => write_text(&value.to_string(), out),
            Value::Array(_) | Value::Map(_) => write_json_text(value, out),
            plain => write_plain(plain, out),
        }
        out.push(b'}');
    }
}

/// A value's JSON as a JSON string.
fn write_json_text(value: &Value<'_>, out: &mut Vec<u8>) {
    let mut json = Vec::new();
    write_plain(value, &mut json);
    write_text(&String::from_utf8_lossy(&json), out);
}

/// A value as JSON without marks for its type: bytes are base64, floats that are not finite are strings.
fn write_plain(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Empty => out.extend_from_slice(b"null"),
        Value::Str(text) => write_text(text, out),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value) => write_integer((*value).into(), out),
        Value::Double(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(*value).as_bytes());
        }
        Value::Double(value) => write_text(&value.to_string(), out),
        Value::Bytes(bytes) => write_text(&STANDARD.encode(bytes), out),
        Value::Array(values) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_plain(value, out);
            }
            out.push(b']');
        }
        Value::Map(pairs) => {
            out.push(b'{');
            for (index, pair) in pairs.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(&pair.key, out);
                out.push(b':');
                write_plain(&pair.value, out);
            }
            out.push(b'}');
        }
    }
}

fn write_integer(value: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    tripod_storage::write_text(text, out);
}
