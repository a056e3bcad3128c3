//! One log line, built once and handed to every sink.

use crate::context::{Context, SpanContext};
use crate::field::{Fields, Name, Value};

use super::{ErrorReport, Level};

/// One log event, built once and handed to every sink.
///
/// Processors see it as the application wrote it and may change it; sinks get it redacted.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// When it happened: nanoseconds since the Unix epoch.
    pub time: u64,
    /// How severe it is.
    pub level: Level,
    /// Who logged it: the event's target.
    pub logger: Name,
    /// What happened: the event's message, a name such as `command_received` or a sentence.
    pub event: Name,
    /// The event's own fields, in the order of the call, without the message.
    pub fields: Fields,
    /// The ids and bound fields of the task that logged it.
    pub context: Context,
    /// The span in which it was logged.
    pub span: Option<SpanContext>,
    /// The error that it reports.
    pub error: Option<Box<ErrorReport>>,
    /// The module that logged it.
    pub module: Option<&'static str>,
    /// The function that logged it, where it is known: within `#[tripod::traced]`.
    pub function: Option<&'static str>,
    /// The source file.
    pub file: Option<&'static str>,
    /// The line in the source file.
    pub line: Option<u32>,
}

impl LogEvent {
    /// An event with a level, a logger and what happened; the time is now.
    pub fn new(level: Level, logger: impl Into<Name>, event: impl Into<Name>) -> Self {
        Self {
            time: super::timestamp::now(),
            level,
            logger: logger.into(),
            event: event.into(),
            fields: Fields::new(),
            context: Context::default(),
            span: None,
            error: None,
            module: None,
            function: None,
            file: None,
            line: None,
        }
    }

    /// A field's value: the event's own, or else the context's.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value).or_else(|| self.context.get(name))
    }

    /// Sets a field of the event: replaces the one of that name or adds one.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.fields.iter_mut().find(|(own, _)| *own == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name, value)),
        }
    }

    /// Removes a field of the event; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        self.fields.retain(|(own, _)| own != name);
        self.fields.len() != before
    }

    /// The context's fields that the event does not set itself: what a flat line shows after the event's own fields.
    pub fn context_fields(&self) -> impl Iterator<Item = &(Name, Value)> {
        self.context.fields().iter().filter(|(name, _)| !self.fields.iter().any(|(own, _)| own == name))
    }

    /// Memory that a copy of this event takes, in bytes, about. Queues that are bounded in bytes count with it.
    pub fn size(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value_size(value)).sum();
        size_of::<Self>() + self.event.len() + fields + self.error.as_deref().map_or(0, ErrorReport::size)
    }
}

fn value_size(value: &Value) -> usize {
    let inside = match value {
        Value::Text(text) => text.len(),
        Value::List(values) => values.iter().map(value_size).sum(),
        Value::Map(fields) => fields.iter().map(|(name, value)| name.len() + value_size(value)).sum(),
        _ => 0,
    };
    size_of::<(Name, Value)>() + inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_the_last_value_wins() {
        let mut event = LogEvent::new(Level::Info, "app", "started");
        event.set("a", 1);
        event.set("b", "two");
        event.set("a", 3.5);
        assert_eq!(event.fields, [("a".into(), Value::Float(3.5)), ("b".into(), Value::from("two"))]);
        assert!(event.remove("a") && !event.remove("a"));
        assert_eq!(event.get("a"), None);
    }
}
