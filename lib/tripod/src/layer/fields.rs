//! Fields of `tracing` as ours.

use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Metadata};

use super::message;
use crate::context::{self, SpanContext};
use crate::field::{Fields, Name, Value};
use crate::logs::{ErrorReport, Level, LogEvent, timestamp};
use crate::traces::{SpanData, SpanKind, SpanLimits, Status};

/// What `tracing` can hold, each with the value of ours that keeps the most of it.
macro_rules! record_values {
    ($set:ident) => {
        fn record_f64(&mut self, field: &Field, value: f64) {
            self.$set(field, Value::Float(value));
        }

        fn record_i64(&mut self, field: &Field, value: i64) {
            self.$set(field, Value::Integer(value));
        }

        fn record_u64(&mut self, field: &Field, value: u64) {
            self.$set(field, Value::Unsigned(value));
        }

        fn record_i128(&mut self, field: &Field, value: i128) {
            self.$set(field, i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::Integer));
        }

        fn record_u128(&mut self, field: &Field, value: u128) {
            self.$set(field, u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::Unsigned));
        }

        fn record_bool(&mut self, field: &Field, value: bool) {
            self.$set(field, Value::Bool(value));
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            self.$set(field, Value::Text(Cow::Owned(value.to_owned())));
        }
    };
}

/// Records fields as attributes of a span. `otel.name`, `otel.kind`, `otel.status_code` and `otel.status_description`
/// (or `_message`) set what they name, as instrumented libraries expect.
pub(super) struct SpanVisitor<'a> {
    data: &'a mut SpanData,
    limits: &'a SpanLimits,
}

impl<'a> SpanVisitor<'a> {
    pub(super) fn new(data: &'a mut SpanData, limits: &'a SpanLimits) -> Self {
        Self { data, limits }
    }

    fn set(&mut self, field: &Field, value: Value) {
        self.set_named(field.name(), value);
    }

    pub(super) fn set_named(&mut self, name: &'static str, value: Value) {
        let Some(special) = name.strip_prefix("otel.") else { return self.set_attribute(name, value) };
        let text = match value {
            Value::Text(text) => text,
            value => return self.set_attribute(name, value),
        };
        match special {
            "name" => self.data.name = text,
            "kind" => self.data.kind = kind(&text),
            "status_code" if text.eq_ignore_ascii_case("ok") => self.data.status = Status::Ok,
            "status_code" if text.eq_ignore_ascii_case("error") => {
                if !self.data.is_error() {
                    self.data.status = Status::Error(Name::Borrowed(""));
                }
            }
            "status_code" => {}
            "status_description" | "status_message" => self.data.status = Status::Error(text),
            _ => self.set_attribute(name, Value::Text(text)),
        }
    }

    fn set_attribute(&mut self, name: &'static str, value: Value) {
        let (attributes, dropped) = (&mut self.data.attributes, &mut self.data.dropped_attributes);
        self.limits.set(attributes, dropped, Name::Borrowed(name), value);
    }
}

fn kind(text: &str) -> SpanKind {
    let kinds = [
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
    ];
    kinds.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map_or(SpanKind::Internal, |(_, kind)| kind)
}

impl Visit for SpanVisitor<'_> {
    record_values!(set);

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Value::Text(Cow::Owned(format!("{value:?}"))));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set(field, Value::Text(Cow::Owned(value.to_string())));
    }
}

/// Values on their way to a span.
#[derive(Default)]
struct Collected(Vec<(&'static str, Value)>);

/// Hands over what a span is to record. Values are formatted before the span is locked: a `Debug` that logs would else wait
/// for itself.
pub(super) fn collect(values: &Record<'_>, take: impl FnOnce(&mut Vec<(&'static str, Value)>)) {
    // The list is lent out, so that recording a value does not allocate one; who records meanwhile gets a new one.
    thread_local!(static FREE: Cell<Vec<(&'static str, Value)>> = const { Cell::new(Vec::new()) });
    let mut collected = Collected(FREE.try_with(Cell::take).unwrap_or_default());
    values.record(&mut collected);
    take(&mut collected.0);
    collected.0.clear();
    let _ = FREE.try_with(|free| free.set(collected.0));
}

impl Collected {
    fn set(&mut self, field: &Field, value: Value) {
        self.0.push((field.name(), value));
    }
}

impl Visit for Collected {
    record_values!(set);

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Value::Text(Cow::Owned(format!("{value:?}"))));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set(field, Value::Text(Cow::Owned(value.to_string())));
    }
}

struct EventVisitor {
    place: &'static Metadata<'static>,
    message: Name,
    fields: Fields,
    error: Option<Box<ErrorReport>>,
}

impl EventVisitor {
    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name();
        match value {
            Value::Text(text) if name == "message" => self.message = text,
            value => self.fields.push((Name::Borrowed(name), value)),
        }
    }
}

impl Visit for EventVisitor {
    record_values!(set);

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = message::text(self.place, value);
        } else {
            self.set(field, Value::Text(Cow::Owned(format!("{value:?}"))));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.error.is_none() {
            self.error = Some(Box::new(ErrorReport::of_dyn(value).with_backtrace()));
        } else {
            self.set(field, Value::Text(Cow::Owned(value.to_string())));
        }
    }
}

/// A log event with the context of the running task.
pub(super) fn log_event(
    event: &Event<'_>,
    level: Level,
    span: Option<SpanContext>,
    function: Option<&'static str>,
) -> LogEvent {
    let metadata = event.metadata();
    let count = metadata.fields().len();
    let fields = Fields::with_capacity(count);
    let mut visitor = EventVisitor { place: metadata, message: Name::Borrowed(""), fields, error: None };
    event.record(&mut visitor);
    LogEvent {
        time: timestamp::now(),
        level,
        logger: Name::Borrowed(metadata.target()),
        event: visitor.message,
        fields: visitor.fields,
        context: context::bound(),
        span,
        error: visitor.error,
        module: metadata.module_path(),
        function,
        file: metadata.file(),
        line: metadata.line(),
    }
}
