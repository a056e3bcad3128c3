//! Log events as events and breadcrumbs of Sentry.

use std::time::{Duration, UNIX_EPOCH};

use sentry::protocol::{
    Breadcrumb, Context, Event, Exception, Level as SentryLevel, Map, Mechanism, SpanId, TraceContext, TraceId, User,
    Value as Json,
};

use crate::context::USER_ID;
use crate::field::Value;
use crate::logs::{ErrorReport, Level, LogEvent, PANIC_EVENT};

/// The longest value that Sentry takes for a tag, in characters.
const MAX_TAG: usize = 200;

fn level(level: Level) -> SentryLevel {
    match level {
        Level::Trace | Level::Debug => SentryLevel::Debug,
        Level::Info => SentryLevel::Info,
        Level::Warning => SentryLevel::Warning,
        Level::Error => SentryLevel::Error,
    }
}

pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Unsigned(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Text(text) => Json::String(text.to_string()),
        Value::List(values) => Json::Array(values.iter().map(json).collect()),
        Value::Map(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.to_string(), json(value))).collect())
        }
    }
}

pub(super) fn tag(value: &Value) -> Option<String> {
    let text = match value {
        Value::Text(text) => text.chars().take(MAX_TAG).map(|c| if c == '\n' { ' ' } else { c }).collect(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => return None,
    };
    Some(text)
}

/// The line as what led to an event.
pub(super) fn breadcrumb(line: &LogEvent) -> Breadcrumb {
    Breadcrumb {
        timestamp: UNIX_EPOCH + Duration::from_nanos(line.time),
        ty: "default".to_owned(),
        category: Some(line.logger.to_string()),
        level: level(line.level),
        message: Some(line.event.to_string()),
        data: line.fields.iter().map(|(name, value)| (name.to_string(), json(value))).collect(),
    }
}

/// The line as an event, with the lines before it.
pub(super) fn event(line: &LogEvent, before: &[LogEvent]) -> Event<'static> {
    let is_panic = line.event == PANIC_EVENT;
    let mut tags: Map<String, String> = Map::new();
    for (name, value) in line.context.fields() {
        // What the redactor hid stands among the event's own fields.
        if let Some(value) = line.get(name).or(Some(value)).and_then(tag) {
            tags.insert(name.to_string(), value);
        }
    }
    let mut contexts = Map::new();
    if let Some(span) = &line.span {
        tags.insert("trace_id".to_owned(), span.trace_id.to_string());
        let trace = TraceContext {
            trace_id: TraceId::from(span.trace_id.0),
            span_id: SpanId::from(span.span_id.0),
            ..TraceContext::default()
        };
        contexts.insert("trace".to_owned(), Context::Trace(Box::new(trace)));
    }
    let mut extra: Map<String, Json> =
        line.fields.iter().map(|(name, value)| (name.to_string(), json(value))).collect();
    if let (Some(file), Some(number)) = (line.file, line.line) {
        extra.insert("source".to_owned(), Json::String(format!("{file}:{number}")));
    }
    let user_id = line.get(USER_ID).and_then(tag);
    let text = |name: &str| line.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    Event {
        level: if is_panic { SentryLevel::Fatal } else { level(line.level) },
        message: Some(line.event.to_string()),
        logger: Some(line.logger.to_string()),
        timestamp: UNIX_EPOCH + Duration::from_nanos(line.time),
        transaction: text("http.route").or_else(|| text("endpoint")),
        user: user_id.map(|id| User { id: Some(id), ..User::default() }),
        exception: exceptions(line, is_panic).into(),
        breadcrumbs: before.iter().map(breadcrumb).collect::<Vec<_>>().into(),
        platform: "native".into(),
        contexts,
        tags,
        extra,
        ..Event::default()
    }
}

/// The error and its causes, the first cause first, as Sentry wants them.
fn exceptions(line: &LogEvent, is_panic: bool) -> Vec<Exception> {
    let text = |name: &str| line.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let report = match line.error.as_deref() {
        Some(report) => report.clone(),
        // Errors that were logged as text: `error = %error`.
        None => match text("error") {
            Some(message) => {
                let kind = text("error_type").unwrap_or_else(|| "Error".to_owned());
                ErrorReport { kind: kind.into(), message, ..ErrorReport::default() }
            }
            None => return Vec::new(),
        },
    };
    let mut exceptions: Vec<Exception> = report
        .causes
        .iter()
        .rev()
        .map(|cause| Exception { ty: "cause".to_owned(), value: Some(cause.clone()), ..Exception::default() })
        .collect();
    let (module, ty) = match report.kind.rsplit_once("::") {
        Some((module, ty)) => (Some(module.to_owned()), ty.to_owned()),
        None => (None, report.kind.to_string()),
    };
    let mechanism = Mechanism {
        ty: if is_panic { "panic" } else { "log" }.to_owned(),
        handled: Some(!is_panic),
        ..Mechanism::default()
    };
    let stacktrace = report.backtrace.as_deref().and_then(sentry::integrations::backtrace::parse_stacktrace);
    exceptions.push(Exception {
        ty: if ty.is_empty() { "Error".to_owned() } else { ty },
        module,
        value: Some(report.message),
        stacktrace,
        mechanism: Some(mechanism),
        ..Exception::default()
    });
    exceptions
}
