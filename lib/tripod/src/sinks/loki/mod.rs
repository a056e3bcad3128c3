//! Log lines pushed to Loki, without an agent in between.
//!
//! Lines are formatted where they are logged and wait in a queue that is bounded in bytes; the network thread groups them
//! by their labels and pushes them, as snappy-compressed protobuf or as JSON, again with growing pauses when Loki is
//! busy or away. What Loki does not take in the end goes to the console instead, and is counted.

mod payload;
mod settings;
mod transport;

pub use settings::{Encoding, InvalidLokiSettings, LokiSettings};

use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::accounts::Accounts;
use crate::field::Value;
use crate::logs::{Format, LogEvent};
use crate::network::{Network, Queue, QueueOptions};

use super::{Sink, WriteSink};
use payload::Line;
use transport::LokiTransport;

/// Pushes lines to Loki; booked as `loki`.
pub struct LokiSink {
    queue: Queue<Line>,
    format: Box<dyn Format>,
    label_fields: Vec<String>,
    metadata: bool,
}

impl std::fmt::Debug for LokiSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LokiSink")
    }
}

/// The longest value of a label that comes from a field, in bytes. Loki cuts none; long values are no labels.
const MAX_LABEL_BYTES: usize = 100;

impl LokiSink {
    /// Opens the queue. The fallback gets the lines that Loki did not take.
    ///
    /// # Errors
    /// When the settings make no client, for example because a certificate cannot be read.
    pub fn start(
        settings: LokiSettings,
        format: impl Format + 'static,
        fallback: Option<Arc<WriteSink>>,
        network: &Network,
        accounts: &Accounts,
    ) -> io::Result<Self> {
        let options: QueueOptions = settings.queue.clone();
        let label_fields = settings.label_fields.clone();
        let metadata = settings.metadata;
        let transport = LokiTransport::new(settings, fallback)?;
        let queue = network.queue(accounts.open("loki", "logs"), options, transport);
        Ok(Self { queue, format: Box::new(format), label_fields, metadata })
    }

    fn line(&self, event: &LogEvent) -> Line {
        let mut text = Vec::with_capacity(512);
        self.format.write(event, &mut text);
        let label_value = |name: &String| {
            let value = match event.get(name)? {
                Value::Text(text) => text.to_string(),
                Value::Bool(value) => value.to_string(),
                Value::Integer(value) => value.to_string(),
                Value::Unsigned(value) => value.to_string(),
                Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => return None,
            };
            (value.len() <= MAX_LABEL_BYTES).then(|| (name.clone(), value))
        };
        let mut metadata = Vec::new();
        if self.metadata {
            for (name, value) in event.context_fields() {
                if let Value::Text(text) = value {
                    metadata.push((name.to_string(), text.to_string()));
                }
            }
            if let Some(span) = &event.span {
                metadata.push(("trace_id".to_owned(), span.trace_id.to_string()));
                metadata.push(("span_id".to_owned(), span.span_id.to_string()));
            }
        }
        Line {
            time: event.time,
            level: event.level,
            labels: self.label_fields.iter().filter_map(label_value).collect(),
            metadata,
            text,
        }
    }
}

impl Sink for LokiSink {
    fn emit(&self, event: &LogEvent) {
        let line = self.line(event);
        let bytes = line.size();
        // A line that does not fit is counted by the queue.
        let _ = self.queue.try_send(line, bytes);
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.queue.flush(deadline)
    }
}

#[cfg(test)]
mod tests;
