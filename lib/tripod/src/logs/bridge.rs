//! Lines of libraries that log with the `log` crate: they go the same way as `tracing`'s, under their target as logger.

use std::borrow::Cow;
use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};

use super::{Level, Levels, LogEvent};
use crate::context;
use crate::layer::TripodLayer;

/// The process' bridge, once there is one.
static BRIDGE: OnceLock<Bridge> = OnceLock::new();

struct Bridge(TripodLayer);

/// Takes the lines of `log` from now on, for the whole process. An application that has installed a logger of its own keeps
/// it.
pub(crate) fn bridge(layer: &TripodLayer) {
    let bridge = BRIDGE.get_or_init(|| Bridge(layer.clone()));
    if log::set_logger(bridge).is_ok() {
        levels_changed(layer.levels());
    }
}

/// Tells `log` which lines it may skip at once, when the levels are those of the bridge.
pub(super) fn levels_changed(levels: &Levels) {
    if BRIDGE.get().is_some_and(|bridge| bridge.0.levels().is(levels)) {
        let hint = levels.max_level_hint().into_level();
        log::set_max_level(match hint {
            None => LevelFilter::Off,
            Some(tracing::Level::ERROR) => LevelFilter::Error,
            Some(tracing::Level::WARN) => LevelFilter::Warn,
            Some(tracing::Level::INFO) => LevelFilter::Info,
            Some(tracing::Level::DEBUG) => LevelFilter::Debug,
            Some(tracing::Level::TRACE) => LevelFilter::Trace,
        });
    }
}

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warning,
        log::Level::Info => Level::Info,
        log::Level::Debug => Level::Debug,
        log::Level::Trace => Level::Trace,
    }
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !context::is_silent() && self.0.levels().enabled(level(metadata.level()), metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().as_str().map_or_else(|| Cow::Owned(record.args().to_string()), Cow::Borrowed);
            let mut event = LogEvent::new(level(record.level()), record.target().to_owned(), text);
            event.context = context::bound();
            event.span = context::current_span();
            event.file = record.file_static();
            event.line = record.line();
            event.module = record.module_path_static();
            self.0.emit_in_span(event);
        }
    }

    fn flush(&self) {}
}
