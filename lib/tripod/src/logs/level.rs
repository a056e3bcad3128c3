use std::fmt;
use std::str::FromStr;

/// How severe a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every detail.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What the service does.
    Info,
    /// Something to look at; the work goes on.
    Warning,
    /// Work failed.
    Error,
}

impl Level {
    /// The name as log lines have it: `trace`, `debug`, `info`, `warning`, `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    /// The name in capitals, as some aggregators want it.
    pub const fn as_upper_str(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        }
    }

    /// OpenTelemetry's severity number: 1, 5, 9, 13 or 17.
    pub const fn severity_number(self) -> i32 {
        match self {
            Level::Trace => 1,
            Level::Debug => 5,
            Level::Info => 9,
            Level::Warning => 13,
            Level::Error => 17,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&tracing::Level> for Level {
    fn from(level: &tracing::Level) -> Self {
        match *level {
            tracing::Level::TRACE => Level::Trace,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::INFO => Level::Info,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::ERROR => Level::Error,
        }
    }
}

/// The text names no level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLevel(pub String);

impl fmt::Display for InvalidLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no level; use trace, debug, info, warning, error", self.0)
    }
}

impl std::error::Error for InvalidLevel {}

impl FromStr for Level {
    type Err = InvalidLevel;

    /// Reads the names of Rust, Python and syslog in any case: `warn` and `warning`, `critical` and `fatal` as error.
    fn from_str(text: &str) -> Result<Self, InvalidLevel> {
        match text.trim().to_ascii_lowercase().as_str() {
            "trace" => Ok(Level::Trace),
            "debug" => Ok(Level::Debug),
            "info" | "notice" | "information" => Ok(Level::Info),
            "warn" | "warning" => Ok(Level::Warning),
            "error" | "critical" | "fatal" => Ok(Level::Error),
            _ => Err(InvalidLevel(text.to_owned())),
        }
    }
}
