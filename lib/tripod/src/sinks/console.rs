//! Spans for people, in development: one line each, on standard error beside the log lines.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use super::WriteSink;
use crate::field::Value;
use crate::traces::{SpanData, SpanSink, Status};

/// Prints a line for each span that ends.
#[derive(Debug)]
pub struct ConsoleSpans(Arc<WriteSink>);

impl ConsoleSpans {
    /// Prints where a sink of lines writes; booked there.
    pub fn new(lines: Arc<WriteSink>) -> Self {
        Self(lines)
    }
}

impl SpanSink for ConsoleSpans {
    fn emit(&self, span: &SpanData) {
        self.0.lines(line(span).as_bytes());
    }

    fn flush(&self, deadline: Instant) -> bool {
        super::Sink::flush(&*self.0, deadline)
    }
}

/// `span  handle_command 12.345ms error="…" trace=… span=… parent=… key=value …`
fn line(span: &SpanData) -> String {
    let mut line = String::with_capacity(256);
    // Writing to a string cannot fail.
    let _ = write!(line, "span  {} {:.3}ms", span.name, span.duration().as_secs_f64() * 1e3);
    match &span.status {
        Status::Error(message) => _ = write!(line, " error={message:?}"),
        Status::Ok => line.push_str(" ok"),
        Status::Unset => {}
    }
    let _ = write!(line, " trace={} span={}", span.context.trace_id, span.context.span_id);
    if let Some(parent) = span.parent {
        let _ = write!(line, " parent={parent}");
    }
    for (name, value) in &span.attributes {
        let _ = match value {
            Value::Text(text) if !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control()) => {
                write!(line, " {name}={text}")
            }
            Value::Text(text) => write!(line, " {name}={text:?}"),
            Value::Bool(value) => write!(line, " {name}={value}"),
            Value::Integer(value) => write!(line, " {name}={value}"),
            Value::Unsigned(value) => write!(line, " {name}={value}"),
            Value::Float(value) => write!(line, " {name}={value}"),
            Value::Null => write!(line, " {name}="),
            other => write!(line, " {name}={other:?}"),
        };
    }
    line.push('\n');
    line
}
