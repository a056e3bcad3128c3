//! Log events as OTLP has them.

use super::attributes::{attribute, attributes, text_attribute};
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
    if let Some(line) = event.line {
        attribute(out, 6, "code.line.number", &Value::Integer(line.into()));
    }
    if let Some(span) = &event.span {
        out.fixed32(8, span.flags.0.into());
        out.bytes(9, &span.trace_id.0);
        out.bytes(10, &span.span_id.0);
    }
    out.fixed64(11, event.time);
}
