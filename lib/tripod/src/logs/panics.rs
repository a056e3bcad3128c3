//! Panics as log lines.

use std::panic::PanicHookInfo;
use std::sync::{Arc, Weak};

use crate::context;

use super::{ErrorReport, Level, LogEvent, Pipeline};

/// The event of the line that reports a panic.
pub const PANIC_EVENT: &str = "panic";

/// Lets every panic of the process become a log line of level error, with the context and the span of the task that
/// panicked, before the hook that was there runs. Ends when the pipeline is dropped.
pub fn report_panics(pipeline: &Arc<Pipeline>) {
    let pipeline: Weak<Pipeline> = Arc::downgrade(pipeline);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(pipeline) = pipeline.upgrade() {
            // A panic within a sink or processor is held back by the pipeline itself.
            pipeline.emit(event(panic));
        }
        before(panic);
    }));
}

fn event(panic: &PanicHookInfo<'_>) -> LogEvent {
    let message = panic.payload_as_str().unwrap_or("a panic without a text").to_owned();
    let mut event = LogEvent::new(Level::Error, "panic", PANIC_EVENT);
    let thread = std::thread::current();
    event.set("thread", thread.name().unwrap_or("unnamed").to_owned());
    if let Some(location) = panic.location() {
        event.set("location", format!("{}:{}:{}", location.file(), location.line(), location.column()));
    }
    event.context = context::current();
    event.span = context::current_span();
    let report = ErrorReport { kind: PANIC_EVENT.into(), message, ..ErrorReport::default() };
    event.error = Some(Box::new(report.with_backtrace()));
    event
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use parking_lot::Mutex;

    use super::*;
    use crate::accounts::Accounts;
    use crate::redaction::Redactor;
    use crate::sinks::Sink;

    #[derive(Default)]
    struct Kept(Mutex<Vec<LogEvent>>);

    impl Sink for Kept {
        fn emit(&self, event: &LogEvent) {
            self.0.lock().push(event.clone());
        }

        fn flush(&self, _deadline: Instant) -> bool {
            true
        }
    }

    #[test]
    fn a_panic_is_a_line_with_its_context() {
        let kept = Arc::new(Kept::default());
        let pipeline =
            Arc::new(Pipeline::new(Redactor::default(), &Accounts::new()).with_sink(Level::Info, kept.clone()));
        // The hook is the process's: the panics of tests that run beside this one pass through it too.
        report_panics(&pipeline);
        let thread = std::thread::spawn(|| {
            context::bind(context::REQUEST_ID, "panicked");
            panic!("could not go on with password=hunter2");
        });
        assert!(thread.join().is_err());
        let kept = kept.0.lock();
        let event = kept
            .iter()
            .find(|event| event.get(context::REQUEST_ID).and_then(|id| id.as_str()) == Some("panicked"))
            .expect("the panic was logged");
        assert_eq!((event.event.as_ref(), event.level), ("panic", Level::Error));
        let error = event.error.as_deref().unwrap();
        assert_eq!(error.message, "could not go on with password=[REDACTED]");
        assert!(event.get("location").and_then(|place| place.as_str()).unwrap().contains("panics.rs"));
    }
}
