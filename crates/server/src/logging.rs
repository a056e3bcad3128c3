//! The server's own log, on standard error: pretty on a terminal, one JSON object a line otherwise.

use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::settings::{LogFormat, Logging};

/// The environment variable that beats `logging.level`, with the same syntax.
pub(crate) const VARIABLE: &str = "TRIPOD_LOG";

/// Libraries whose lower levels say nothing to an operator. Directives of the user come later and win.
const QUIET: &str = "buoyant_kernel=warn,delta_kernel=warn,deltalake=warn,deltalake_core=warn,datafusion=warn,h2=warn,\
                     hyper=warn,hyper_util=warn,object_store=warn,reqwest=warn,rustls=warn,sqlparser=warn,tower=warn";

/// Whether lines are objects or prose, once `auto` is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Lines for people, and a banner in words.
    Pretty,
    /// One JSON object a line and nothing else.
    Json,
}

/// Whether a level or a list of filter directives is understood.
///
/// # Errors
/// What is wrong, and what would be right.
pub(crate) fn check(level: &str) -> Result<(), String> {
    filter(level).map(drop).map_err(|error| {
        format!(
            "\"{level}\" is neither a level (error, warn, info, debug, trace, off) nor directives such as \
             \"info,tripod_lake=debug\": {error}"
        )
    })
}

fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{}", level.trim()))
}

/// Sends all events of this process to standard error. `level` beats the settings; call [`check`] on it first.
pub(crate) fn init(settings: &Logging, level: Option<&str>) -> anyhow::Result<Style> {
    let filter = filter(level.unwrap_or(&settings.level))?;
    let terminal = io::stderr().is_terminal();
    let style = match settings.format {
        LogFormat::Pretty => Style::Pretty,
        LogFormat::Json => Style::Json,
        LogFormat::Auto if terminal => Style::Pretty,
        LogFormat::Auto => Style::Json,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match style {
        Style::Pretty => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_ansi(colour).init();
        }
        Style::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(true).init(),
    }
    log_panics();
    Ok(style)
}

/// Panics are bugs, but they belong into the log like everything else, in its format.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("(no message)");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        metrics::counter!("tripod_panics_total").increment(1);
        tracing::error!(location, thread, %backtrace, "panic: {message}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_told_from_nonsense() {
        for level in ["info", "debug", "off", "info,tripod_lake=debug", "warn,deltalake=info"] {
            assert_eq!(check(level), Ok(()), "{level}");
        }
        for level in ["tripod_lake=loud", "info,=,"] {
            assert!(check(level).is_err(), "{level}");
        }
    }
}
