//! Spans and metrics for people, in development, beside the log lines: a line for each span, the Prometheus text form
//! for metrics.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::WriteSink;
use crate::field::Value;
use crate::metrics::Registry;
use crate::network::Network;
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

/// Prints all metrics in intervals and at the end.
#[derive(Clone, Debug)]
pub struct ConsoleMetrics {
    lines: Arc<WriteSink>,
    registry: Registry,
}

impl ConsoleMetrics {
    /// Prints where a sink of lines writes; booked there.
    pub fn start(lines: Arc<WriteSink>, registry: Registry, interval: Duration, network: &Network) -> Self {
        let metrics = Self { lines, registry };
        let printer = metrics.clone();
        network.spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                printer.print();
            }
        });
        metrics
    }

    /// Prints them now.
    pub fn print(&self) {
        self.lines.lines(self.registry.prometheus_text().as_bytes());
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
    for (name, value) in span.all_attributes() {
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

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _};

    use super::*;
    use crate::accounts::Accounts;
    use crate::logs::JsonFormat;
    use crate::sinks::Sink as _;

    #[test]
    fn metrics_are_printed_as_prometheus_reads_them() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lines = WriteSink::new("pipe", writer, JsonFormat::default(), &Accounts::new()).unwrap();
        let registry = Registry::new();
        registry.counter("things_total", "Things").register().unwrap().add(2);
        let network = Network::start().unwrap();
        let lines = Arc::new(lines);
        let metrics = ConsoleMetrics::start(lines.clone(), registry, Duration::from_millis(1), &network);
        // Once by the clock, without being asked to.
        let mut text = vec![0; 64];
        reader.read_exact(&mut text).unwrap();
        assert!(text.starts_with(b"# HELP things_total Things\n# TYPE things_total counter\n"));
        network.shutdown(Instant::now() + Duration::from_secs(60));
        metrics.print();
        assert!(lines.flush(Instant::now() + Duration::from_secs(60)));
    }
}
