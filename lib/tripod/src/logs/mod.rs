//! Log events: what they are, how they are written, and what may change or drop them.

use crate::context::{Context, SpanContext};
use crate::field::{Fields, Name};

/// How severe an event is. The names in logs are those of [`Level::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The finest detail.
    Trace,
    /// Detail for developers.
    Debug,
    /// What happened.
    Info,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// The name in logs: `trace`, `debug`, `info`, `warning`, `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl From<&tracing::Level> for Level {
    fn from(level: &tracing::Level) -> Self {
        match *level {
            tracing::Level::TRACE => Self::Trace,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::ERROR => Self::Error,
        }
    }
}

/// One log event, built once and handed to every sink.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// When it happened: nanoseconds since the Unix epoch.
    pub time: u64,
    /// How severe it is.
    pub level: Level,
    /// Who logged it: the event's target.
    pub logger: Name,
    /// What happened: the event's message.
    pub event: Name,
    /// The event's own fields, in the order of the call, without the message.
    pub fields: Fields,
    /// The ids and bound fields of the task that logged it.
    pub context: Context,
    /// The span in which it was logged.
    pub span: Option<SpanContext>,
    /// The error that it reports.
    pub error: Option<Box<ErrorReport>>,
    /// The source file.
    pub file: Option<&'static str>,
    /// The line in the source file.
    pub line: Option<u32>,
}

/// An error with everything that is known about it.
#[derive(Clone, Debug, Default)]
pub struct ErrorReport {
    /// The error's type, `""` when unknown.
    pub kind: Name,
    /// What it says.
    pub message: String,
    /// What its sources say, nearest first.
    pub causes: Vec<String>,
    /// The backtrace as text, when one was captured.
    pub backtrace: Option<String>,
}
