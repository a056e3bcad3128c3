//! Log events as OTLP has them.

use super::attributes::{attribute, attributes, text_attribute};
use super::json;
use super::packed::{self, Packed};
use super::protobuf::Message;
use super::transport::Encode;
use crate::field::Value;
use crate::logs::{Level, LogEvent};

/// Encodes log events.
pub(super) struct Logs;

impl Encode for Logs {
    type Item = Packed;
    const SERVICE: &'static str = "opentelemetry.proto.collector.logs.v1.LogsService";
    const JSON: &'static json::Message = &json::LOGS;

    fn encode(&mut self, resource: &[u8], batch: Vec<Packed>, out: &mut Message) {
        packed::request(resource, &batch, out);
    }
}

/// The content of a `LogRecord`.
pub(super) fn write(out: &mut Message, event: &LogEvent) {
    out.fixed64(1, event.time);
    // OpenTelemetry logs data model, SeverityNumber.
    let (number, text) = match event.level {
        Level::Trace => (1, "TRACE"),
        Level::Debug => (5, "DEBUG"),
        Level::Info => (9, "INFO"),
        Level::Warning => (13, "WARN"),
        Level::Error => (17, "ERROR"),
    };
    out.varint(2, number);
    out.text(3, text);
    out.message(5, |out| out.bytes(1, event.event.as_bytes()));
    attributes(out, 6, &event.fields);
    attributes(out, 6, event.context_fields());
    if let Some(error) = &event.error {
        text_attribute(out, 6, "exception.type", &error.kind);
        text_attribute(out, 6, "exception.message", &error.message);
        if !error.causes.is_empty() {
            let causes = error.causes.iter().map(|cause| cause.clone().into()).collect();
            attribute(out, 6, "exception.causes", &Value::List(causes));
        }
        if let Some(backtrace) = &error.backtrace {
            text_attribute(out, 6, "exception.stacktrace", backtrace);
        }
    }
    if let Some(file) = event.file {
        text_attribute(out, 6, "code.file.path", file);
    }
    if let Some(function) = event.function {
        text_attribute(out, 6, "code.function.name", function);
    }
    if let Some(line) = event.line {
        attribute(out, 6, "code.line.number", &Value::Integer(line.into()));
    }
    if let Some(span) = &event.span {
        out.fixed32(8, span.flags.0.into());
        out.bytes(9, &span.trace_id.0);
        out.bytes(10, &span.span_id.0);
    }
    out.fixed64(11, event.time);
    if is_name(&event.event) {
        out.text(12, &event.event);
    }
}

/// Whether what happened is the name of a kind of event (`command_received`, `job.completed`) and no sentence: the
/// record then is an event of the OpenTelemetry logs data model (field `EventName`).
fn is_name(event: &str) -> bool {
    event.len() <= 128
        && event.starts_with(|first: char| first.is_ascii_alphabetic())
        && event.ends_with(|last: char| last.is_ascii_alphanumeric())
        && event.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_told_from_sentences() {
        let names = ["command_received", "job.completed", "a", "health-check", "started"];
        assert!(names.into_iter().all(is_name));
        let sentences = ["", "listening on port 8000", "done.", "42", "_", "größe", "a=b", "a,b"];
        assert!(!sentences.into_iter().any(is_name));
        assert!(!is_name(&"x".repeat(129)));
    }
}
