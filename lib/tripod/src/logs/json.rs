//! Log lines as JSON objects, one to a line, flat.
//!
//! ```json
//! {"event":"command_received","command":"research","session_id":"abc-123","timestamp":"2026-01-16T10:30:45.123456Z","level":"info","logger":"app::api"}
//! ```
//!
//! The bytes are written straight into the sink's buffer; no tree of values is built. Keys are unique: a field that is
//! named as one of the line's own keys gets a `_` at its end.

use super::timestamp::rfc3339_micros;
use super::{ErrorReport, Format, LogEvent};
use crate::field::{Name, Value};

/// How deep lists and maps are written; what is deeper becomes `null`.
const MAX_DEPTH: usize = 16;

/// Names that a line may have for itself, with the default keys.
const RESERVED: &[&str] = &[
    "event",
    "timestamp",
    "level",
    "logger",
    "error",
    "error_type",
    "error_causes",
    "error_backtrace",
    "trace_id",
    "span_id",
    "file",
    "line",
];

/// Log lines as JSON.
#[derive(Clone, Debug)]
pub struct JsonFormat {
    event_key: Key,
    timestamp_key: Key,
    level_key: Key,
    logger_key: Key,
    upper_levels: bool,
    source: bool,
    /// `,"service":"api"`: what is the same in every line, encoded once.
    constant: Vec<u8>,
    constant_names: Vec<String>,
    /// Whether the keys are the default ones and nothing is constant.
    plain: bool,
}

/// A key of every line.
#[derive(Clone, Debug)]
struct Key {
    name: String,
    /// `"name":`
    encoded: Vec<u8>,
}

impl Key {
    fn new(name: impl Into<String>) -> Self {
        let (name, mut encoded) = (name.into(), Vec::new());
        string(&name, &mut encoded);
        encoded.push(b':');
        Self { name, encoded }
    }
}

impl Default for JsonFormat {
    /// The keys `event`, `timestamp`, `level` and `logger`, levels in lower case.
    fn default() -> Self {
        Self {
            event_key: Key::new("event"),
            timestamp_key: Key::new("timestamp"),
            level_key: Key::new("level"),
            logger_key: Key::new("logger"),
            upper_levels: false,
            source: false,
            constant: Vec::new(),
            constant_names: Vec::new(),
            plain: true,
        }
    }
}

impl JsonFormat {
    /// The key of what happened; `message` is what many aggregators look for.
    pub fn event_key(self, key: impl Into<String>) -> Self {
        Self { event_key: Key::new(key), plain: false, ..self }
    }

    /// The key of the time.
    pub fn timestamp_key(self, key: impl Into<String>) -> Self {
        Self { timestamp_key: Key::new(key), plain: false, ..self }
    }

    /// The key of the level.
    pub fn level_key(self, key: impl Into<String>) -> Self {
        Self { level_key: Key::new(key), plain: false, ..self }
    }

    /// The key of the logger.
    pub fn logger_key(self, key: impl Into<String>) -> Self {
        Self { logger_key: Key::new(key), plain: false, ..self }
    }

    /// Writes levels as `INFO` instead of `info`.
    pub fn upper_levels(mut self) -> Self {
        self.upper_levels = true;
        self
    }

    /// Adds the place in the source: `file` and `line`.
    pub fn with_source(mut self) -> Self {
        self.source = true;
        self
    }

    /// Adds a field to every line, `service` for example.
    pub fn with_constant(mut self, name: impl Into<String>, value: &str) -> Self {
        let key = Key::new(name);
        self.constant.push(b',');
        self.constant.extend_from_slice(&key.encoded);
        string(value, &mut self.constant);
        self.constant_names.push(key.name);
        self.plain = false;
        self
    }

    fn is_taken(&self, name: &str, event: &LogEvent) -> bool {
        match name {
            "error" | "error_type" | "error_causes" | "error_backtrace" if event.error.is_some() => true,
            "trace_id" | "span_id" if event.span.is_some() => true,
            "file" | "line" if self.source => true,
            "event" | "timestamp" | "level" | "logger" if self.plain => true,
            _ if self.plain => false,
            _ => {
                let keys = [&self.event_key, &self.timestamp_key, &self.level_key, &self.logger_key];
                keys.iter().any(|key| key.name == name) || self.constant_names.iter().any(|taken| taken == name)
            }
        }
    }

    fn field(&self, (name, content): &(Name, Value), event: &LogEvent, out: &mut Vec<u8>) {
        out.push(b',');
        string(name, out);
        if self.is_taken(name, event) {
            // The closing quote becomes the suffix.
            out.pop();
            out.extend_from_slice(b"_\"");
        }
        out.push(b':');
        value(content, out, 0);
    }

    /// The context's fields, which are the same in all its lines unless one of them has a field of the same name.
    fn context<'a>(&self, event: &'a LogEvent) -> Option<&'a [u8]> {
        let is_own = |(name, _): &(Name, Value)| event.context.get(name).is_some();
        if !self.plain || event.fields.iter().any(is_own) {
            return None;
        }
        event.context.json(|fields| {
            if fields.iter().any(|(name, _)| RESERVED.contains(&&**name)) {
                return None;
            }
            let mut out = Vec::new();
            for (name, content) in fields {
                out.push(b',');
                string(name, &mut out);
                out.push(b':');
                value(content, &mut out, 0);
            }
            Some(out.into())
        })
    }
}

impl Format for JsonFormat {
    fn write(&self, event: &LogEvent, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(&self.event_key.encoded);
        string(&event.event, out);
        event.fields.iter().for_each(|field| self.field(field, event, out));
        match self.context(event) {
            Some(encoded) => out.extend_from_slice(encoded),
            None => event.context_fields().for_each(|field| self.field(field, event, out)),
        }
        if let Some(info) = event.error.as_deref() {
            error(info, out);
        }
        if let Some(span) = &event.span {
            out.extend_from_slice(b",\"trace_id\":\"");
            out.extend_from_slice(&span.trace_id.digits());
            out.extend_from_slice(b"\",\"span_id\":\"");
            out.extend_from_slice(&span.span_id.digits());
            out.push(b'"');
        }
        if self.source {
            if let Some(file) = event.file {
                out.extend_from_slice(b",\"file\":");
                string(file, out);
            }
            if let Some(line) = event.line {
                out.extend_from_slice(b",\"line\":");
                out.extend_from_slice(itoa::Buffer::new().format(line).as_bytes());
            }
        }
        out.extend_from_slice(&self.constant);
        out.push(b',');
        out.extend_from_slice(&self.timestamp_key.encoded);
        out.push(b'"');
        out.extend_from_slice(&rfc3339_micros(event.time));
        out.extend_from_slice(b"\",");
        out.extend_from_slice(&self.level_key.encoded);
        out.push(b'"');
        let level = if self.upper_levels { event.level.as_upper_str() } else { event.level.as_str() };
        out.extend_from_slice(level.as_bytes());
        out.extend_from_slice(b"\",");
        out.extend_from_slice(&self.logger_key.encoded);
        string(&event.logger, out);
        out.push(b'}');
    }
}

fn error(info: &ErrorReport, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"error\":");
    string(&info.message, out);
    out.extend_from_slice(b",\"error_type\":");
    string(&info.kind, out);
    if !info.causes.is_empty() {
        out.extend_from_slice(b",\"error_causes\":[");
        for (index, cause) in info.causes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            string(cause, out);
        }
        out.push(b']');
    }
    if let Some(backtrace) = &info.backtrace {
        out.extend_from_slice(b",\"error_backtrace\":");
        string(backtrace, out);
    }
}

/// JSON has no word for NaN and the infinities; they are written as text.
fn float(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    } else if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if number > 0.0 {
        out.extend_from_slice(b"\"Infinity\"");
    } else {
        out.extend_from_slice(b"\"-Infinity\"");
    }
}

/// A value, lists and maps with what is in them.
pub(crate) fn value(content: &Value, out: &mut Vec<u8>, depth: usize) {
    match content {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(text) => string(text, out),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Integer(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Unsigned(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Float(number) => float(*number, out),
        Value::List(_) | Value::Map(_) if depth >= MAX_DEPTH => out.extend_from_slice(b"null"),
        Value::List(values) => {
            out.push(b'[');
            for (index, item) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value(item, out, depth + 1);
            }
            out.push(b']');
        }
        Value::Map(fields) => {
            out.push(b'{');
            for (index, (name, item)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                value(item, out, depth + 1);
            }
            out.push(b'}');
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether one of eight bytes must be escaped: below 0x20, `"` or `\`. May say yes too often, never no wrongly.
fn needs_escape(chunk: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(chunk);
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let below = word.wrapping_sub(ONES * 0x20);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    (zero(quote) | zero(backslash) | (below & !word)) & HIGH != 0
}

/// A JSON string with its quotes.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let (chunks, rest) = bytes.as_chunks::<8>();
    // The last eight bytes overlap those before them, which is quicker than to look at the rest one by one.
    let rest_is_special = match bytes.last_chunk::<8>() {
        Some(last) => needs_escape(*last),
        None => rest.iter().any(|byte| is_special(*byte)),
    };
    if rest_is_special || chunks.iter().any(|chunk| needs_escape(*chunk)) {
        escaped(bytes, out);
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut clean_from = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if !is_special(*byte) {
            continue;
        }
        out.extend_from_slice(&bytes[clean_from..index]);
        clean_from = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[clean_from..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::{SpanContext, SpanId, TraceFlags, TraceId};
    use crate::logs::Level;

    fn line(format: &JsonFormat, event: &LogEvent) -> String {
        let mut out = Vec::new();
        format.write(event, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn command_received() -> LogEvent {
        let mut event = LogEvent::new(Level::Info, "app.main", "command_received");
        event.time = 1_768_559_445_123_456_000;
        event.set("command", "research quantum computing");
        event.set("has_image", false);
        event.set("session_id", "abc-123");
        event.set("request_id", "550e8400-e29b-41d4-a716-446655440000");
        event
    }

    #[test]
    fn the_line_of_the_guide() {
        assert_eq!(
            line(&JsonFormat::default(), &command_received()),
            r#"{"event":"command_received","command":"research quantum computing","has_image":false,"session_id":"abc-123","request_id":"550e8400-e29b-41d4-a716-446655440000","timestamp":"2026-01-16T10:30:45.123456Z","level":"info","logger":"app.main"}"#
        );
    }

    #[test]
    fn other_keys_and_constant_fields() {
        let format = JsonFormat::default().event_key("message").upper_levels().with_constant("service", "backend");
        let line = line(&format, &command_received());
        assert!(line.starts_with(r#"{"message":"command_received","#), "{line}");
        assert!(
            line.ends_with(
                r#","service":"backend","timestamp":"2026-01-16T10:30:45.123456Z","level":"INFO","logger":"app.main"}"#
            ),
            "{line}"
        );
    }

    #[test]
    fn errors_traces_and_values_of_every_kind() {
        let mut event = LogEvent::new(Level::Error, "app", "operation_failed");
        event.set("count", u64::MAX);
        event.set("delta", -3);
        event.set("ratio", 0.25);
        event.set("nan", f64::NAN);
        event.set("details", Value::Map(vec![("list".into(), Value::List(vec![Value::Integer(1), Value::Null]))]));
        event.error = Some(Box::new(ErrorReport {
            kind: "std::io::Error".into(),
            message: "no \"space\"\n".to_owned(),
            causes: vec!["disk".to_owned(), "full".to_owned()],
            backtrace: Some("0: main".to_owned()),
        }));
        event.span = Some(SpanContext {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([2; 8]),
            flags: TraceFlags::default(),
            ..Default::default()
        });
        let parsed: serde_json::Value = serde_json::from_str(&line(&JsonFormat::default(), &event)).unwrap();
        assert_eq!(parsed["count"], u64::MAX);
        assert_eq!(parsed["delta"], -3);
        assert_eq!(parsed["ratio"], 0.25);
        assert_eq!(parsed["nan"], "NaN");
        assert_eq!(parsed["details"], serde_json::json!({"list": [1, null]}));
        assert_eq!(parsed["error"], "no \"space\"\n");
        assert_eq!(parsed["error_type"], "std::io::Error");
        assert_eq!(parsed["error_causes"], serde_json::json!(["disk", "full"]));
        assert_eq!(parsed["error_backtrace"], "0: main");
        assert_eq!(parsed["trace_id"], "01".repeat(16));
        assert_eq!(parsed["span_id"], "02".repeat(8));
        assert_eq!(parsed["level"], "error");
    }

    #[test]
    fn keys_stay_unique() {
        let mut event = LogEvent::new(Level::Info, "app", "started");
        event.set("level", "high");
        event.set("event", "other");
        let line = line(&JsonFormat::default(), &event);
        assert!(line.contains(r#""level_":"high","event_":"other""#), "{line}");
    }

    #[test]
    fn fields_of_the_context_are_in_all_its_lines_and_the_events_own_come_first() {
        let context = crate::context::Context::new().with("request_id", "r").with("user_id", "u");
        let mut event = command_received();
        event.fields.clear();
        event.context = context.clone();
        let format = JsonFormat::default();
        for _ in 0..2 {
            assert!(line(&format, &event).contains(r#""command_received","request_id":"r","user_id":"u","timestamp""#));
        }
        event.set("user_id", "own");
        assert!(line(&format, &event).contains(r#""command_received","user_id":"own","request_id":"r","timestamp""#));
        event.fields.clear();
        event.context = context.clone().with("user_id", "other").with("level", "high");
        let line = line(&format, &event);
        assert!(line.contains(r#""request_id":"r","user_id":"other","level_":"high","timestamp""#), "{line}");
        assert_eq!(context.user_id(), Some("u"));
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(message in any::<String>(), name in "[a-z]{1,8}x", text in any::<String>(), number in any::<f64>()) {
            let mut event = LogEvent::new(Level::Info, "app", message.clone());
            event.set(name.clone(), text.clone());
            event.set("number", number);
            let line = line(&JsonFormat::default(), &event);
            prop_assert!(!line.contains('\n'));
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed["event"].as_str(), Some(message.as_str()));
            prop_assert_eq!(parsed[&name].as_str(), Some(text.as_str()));
            if number.is_finite() {
                prop_assert_eq!(parsed["number"].as_f64(), Some(number));
            }
        }
    }
}
