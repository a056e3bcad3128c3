//! The way of a line: processors, redaction, sinks.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::accounts::{Account, Accounts, Reason};
use crate::redaction::Redactor;
use crate::sinks::Sink;

use super::{Level, LogEvent, Processor, Verdict};

/// Where lines go: processors in their order, then the redactor, then every sink whose level is reached.
///
/// Redaction comes last so that no processor can add something that leaks.
pub struct Pipeline {
    processors: Vec<Box<dyn Processor>>,
    redactor: Redactor,
    sinks: Vec<(Level, Arc<dyn Sink>)>,
    account: Account,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("processors", &self.processors.len())
            .field("sinks", &self.sinks.len())
            .finish_non_exhaustive()
    }
}

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

impl Pipeline {
    /// Without processors and sinks. What processors drop is booked under `processors`.
    pub fn new(redactor: Redactor, accounts: &Accounts) -> Self {
        Self { processors: Vec::new(), redactor, sinks: Vec::new(), account: accounts.open("processors", "logs") }
    }

    /// Adds a processor behind those that are there.
    pub fn with_processor(mut self, processor: impl Processor + 'static) -> Self {
        self.processors.push(Box::new(processor));
        self
    }

    /// Adds a boxed processor behind those that are there.
    pub fn with_boxed_processor(mut self, processor: Box<dyn Processor>) -> Self {
        self.processors.push(processor);
        self
    }

    /// Adds a sink for lines of this level and above.
    pub fn with_sink(mut self, least: Level, sink: Arc<dyn Sink>) -> Self {
        self.sinks.push((least, sink));
        self
    }

    /// Whether a line of this level would go anywhere. Processors see lines of every level that passes here.
    pub fn wants(&self, level: Level) -> bool {
        self.sinks.iter().any(|(least, _)| level >= *least)
    }

    /// Sends a line on its way. A line that a processor or a sink itself logs meanwhile goes nowhere.
    ///
    /// Gives the redacted event back, or nothing when a processor dropped it.
    pub fn emit(&self, mut event: LogEvent) -> Option<LogEvent> {
        let _guard = Guard::enter()?;
        for processor in &self.processors {
            match catch_unwind(AssertUnwindSafe(|| processor.process(&mut event))) {
                Ok(Verdict::Keep) => {}
                Ok(Verdict::Drop) => {
                    self.account.emit(1);
                    self.account.drop(Reason::Processor, 1);
                    return None;
                }
                // The panic itself has been reported by the panic hook; the line must not be lost with it.
                Err(_) => self.account.retry(1),
            }
        }
        self.redactor.event(&mut event);
        for (least, sink) in &self.sinks {
            if event.level >= *least {
                sink.emit(&event);
            }
        }
        Some(event)
    }

    /// Waits until every sink has written what it was given, or until the deadline. True when all was written.
    pub fn flush(&self, deadline: Instant) -> bool {
        self.sinks.iter().fold(true, |all, (_, sink)| sink.flush(deadline) && all)
    }
}

/// Marks the thread as being inside the pipeline.
struct Guard;

impl Guard {
    fn enter() -> Option<Self> {
        // `try_with` fails in a thread that is being torn down; a line from there is given up.
        let entered = BUSY.try_with(|busy| !busy.replace(true)).unwrap_or(false);
        entered.then_some(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = BUSY.try_with(|busy| busy.set(false));
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

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

    fn texts(kept: &Kept) -> Vec<String> {
        kept.0.lock().iter().map(|event| event.event.to_string()).collect()
    }

    #[test]
    fn processors_add_and_drop_and_what_they_add_is_redacted() {
        let kept = Arc::new(Kept::default());
        let accounts = Accounts::new();
        let pipeline = Pipeline::new(Redactor::default(), &accounts)
            .with_processor(|event: &mut LogEvent| {
                event.set("password", "canary");
                Verdict::Keep
            })
            .with_processor(|event: &mut LogEvent| if event.event == "noise" { Verdict::Drop } else { Verdict::Keep })
            .with_sink(Level::Info, kept.clone());
        assert!(pipeline.emit(LogEvent::new(Level::Info, "app", "signal")).is_some());
        assert!(pipeline.emit(LogEvent::new(Level::Info, "app", "noise")).is_none());
        assert!(pipeline.emit(LogEvent::new(Level::Debug, "app", "detail")).is_some());
        assert_eq!(texts(&kept), ["signal"]);
        assert_eq!(kept.0.lock()[0].get("password").and_then(|value| value.as_str()), Some("[REDACTED]"));
        assert_eq!(accounts.open("processors", "logs").balance().dropped_total(), 1);
    }

    #[test]
    fn a_processor_that_panics_loses_no_line() {
        let kept = Arc::new(Kept::default());
        let pipeline = Pipeline::new(Redactor::default(), &Accounts::new())
            .with_processor(|event: &mut LogEvent| {
                // Unwinds without the noise of the panic hook.
                if event.event == "bad" { std::panic::resume_unwind(Box::new(())) } else { Verdict::Keep }
            })
            .with_sink(Level::Info, kept.clone());
        pipeline.emit(LogEvent::new(Level::Info, "app", "bad"));
        pipeline.emit(LogEvent::new(Level::Info, "app", "good"));
        assert_eq!(texts(&kept), ["bad", "good"]);
    }

    #[test]
    fn a_sink_that_logs_is_not_logged() {
        struct Logs(Mutex<Option<Arc<Pipeline>>>, Mutex<u32>);
        impl Sink for Logs {
            fn emit(&self, _event: &LogEvent) {
                *self.1.lock() += 1;
                if let Some(pipeline) = self.0.lock().clone() {
                    pipeline.emit(LogEvent::new(Level::Info, "sink", "again"));
                }
            }

            fn flush(&self, _deadline: Instant) -> bool {
                true
            }
        }
        let sink = Arc::new(Logs(Mutex::new(None), Mutex::new(0)));
        let pipeline =
            Arc::new(Pipeline::new(Redactor::default(), &Accounts::new()).with_sink(Level::Info, sink.clone()));
        *sink.0.lock() = Some(pipeline.clone());
        pipeline.emit(LogEvent::new(Level::Info, "app", "once"));
        assert_eq!(*sink.1.lock(), 1);
        *sink.0.lock() = None;
    }
}
