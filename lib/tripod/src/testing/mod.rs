//! In-memory sinks and assertions for tests. Each test has its own: tests run side by side and see only themselves.
//!
//! ```
//! let capture = tripod::testing::Capture::new();
//! capture.run(|| {
//!     let _span = tracing::info_span!("handle_command", command.has_image = false).entered();
//!     tracing::info!(intent = "research", "intent_parsed");
//! });
//! assert_eq!(capture.span("handle_command").get("command.has_image"), Some(&false.into()));
//! assert_eq!(capture.log("intent_parsed").get("intent"), Some(&"research".into()));
//! assert_eq!(capture.tree(), "handle_command\n");
//! ```

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;
use tracing::Dispatch;
use tracing::instrument::{WithDispatch, WithSubscriber};

use crate::accounts::Accounts;
use crate::layer::{LayerBuilder, TripodLayer, TripodSubscriber};
use crate::logs::{Level, LevelRules, Levels, LogEvent, Pipeline};
use crate::redaction::Redactor;
use crate::sinks::Sink;
use crate::traces::{SpanData, SpanPipeline, SpanSink};

static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Whether some test of this process has a subscriber of its own.
pub(crate) fn is_active() -> bool {
    ACTIVE.load(Relaxed)
}

/// Keeps spans and log events in memory. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    spans: Arc<Mutex<Vec<Arc<SpanData>>>>,
    logs: Arc<Mutex<Vec<LogEvent>>>,
}

impl Sink for Memory {
    fn emit(&self, event: &LogEvent) {
        self.logs.lock().push(event.clone());
    }

    fn flush(&self, _: Instant) -> bool {
        true
    }
}

impl SpanSink for Memory {
    fn emit(&self, span: &SpanData) {
        self.spans.lock().push(Arc::new(span.clone()));
    }

    fn flush(&self, _: Instant) -> bool {
        true
    }
}

/// All spans and log events of one test. Cloning shares.
#[derive(Clone, Debug)]
pub struct Capture {
    memory: Memory,
    dispatch: Dispatch,
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl Capture {
    /// Captures all spans, and log events of every level, redacted as in production.
    pub fn new() -> Self {
        let (redactor, accounts) = (Redactor::default(), Accounts::new());
        Self::with(SpanPipeline::new(redactor.clone(), &accounts), Pipeline::new(redactor, &accounts))
    }

    /// Captures what comes through these pipelines.
    pub fn with(spans: SpanPipeline, logs: Pipeline) -> Self {
        Self::with_layer(Redactor::default(), spans, logs, |layer| layer)
    }

    pub(crate) fn with_layer(
        redactor: Redactor,
        spans: SpanPipeline,
        logs: Pipeline,
        change: impl FnOnce(LayerBuilder) -> LayerBuilder,
    ) -> Self {
        Self::under(redactor, spans, logs, |layer| Dispatch::new(TripodSubscriber::new(change(layer).build())))
    }

    pub(crate) fn under(
        redactor: Redactor,
        spans: SpanPipeline,
        logs: Pipeline,
        dispatch: impl FnOnce(LayerBuilder) -> Dispatch,
    ) -> Self {
        ACTIVE.store(true, Relaxed);
        let memory = Memory::default();
        let layer = TripodLayer::builder(redactor)
            .spans(spans.with_sink(Arc::new(memory.clone())))
            .logs(logs.with_sink(Level::Trace, Arc::new(memory.clone())))
            .levels(Levels::new(LevelRules::at(Level::Trace)))
            .span_level(tracing::Level::TRACE);
        Self { memory, dispatch: dispatch(layer) }
    }

    /// Runs a closure whose telemetry is captured.
    pub fn run<R>(&self, closure: impl FnOnce() -> R) -> R {
        tracing::dispatcher::with_default(&self.dispatch, closure)
    }

    /// Captures what this thread does until the guard is dropped.
    pub fn enter(&self) -> tracing::dispatcher::DefaultGuard {
        tracing::dispatcher::set_default(&self.dispatch)
    }

    /// A future whose telemetry is captured, that of tasks which it spawns by [`spawn`](crate::spawn) included.
    pub fn attach<F: Future>(&self, future: F) -> WithDispatch<F> {
        future.with_subscriber(self.dispatch.clone())
    }

    /// All spans that have ended, in the order of their ends.
    pub fn spans(&self) -> Vec<Arc<SpanData>> {
        self.memory.spans.lock().clone()
    }

    /// All log events.
    pub fn logs(&self) -> Vec<LogEvent> {
        self.memory.logs.lock().clone()
    }

    /// The only span of this name that has ended.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[track_caller]
    pub fn span(&self, name: &str) -> Arc<SpanData> {
        let mut found: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
        match (found.pop(), found.is_empty()) {
            (Some(span), true) => span,
            (last, _) => {
                let count = found.len() + usize::from(last.is_some());
                panic!("expected one span {name:?}, found {count} among:\n{}", self.tree())
            }
        }
    }

    /// The only log event of this name.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[track_caller]
    pub fn log(&self, event: &str) -> LogEvent {
        let mut found: Vec<_> = self.logs().into_iter().filter(|log| log.event == event).collect();
        match (found.pop(), found.is_empty()) {
            (Some(log), true) => log,
            (last, _) => {
                let count = found.len() + usize::from(last.is_some());
                let all: Vec<_> = self.logs().into_iter().map(|log| log.event).collect();
                panic!("expected one log event {event:?}, found {count} among {all:?}")
            }
        }
    }

    /// The spans as an indented list: below each its children, in the order in which they began.
    pub fn tree(&self) -> String {
        let mut spans = self.spans();
        // Equal clock readings keep the order of the ends, so a parent could come late; depth is by id, not by order.
        spans.sort_by_key(|span| span.start);
        let mut text = String::new();
        let is_root = |span: &SpanData| spans.iter().all(|other| Some(other.context.span_id) != span.parent);
        let roots: Vec<_> = spans.iter().filter(|span| is_root(span)).collect();
        // A list of what is still to be written: a deep tree must not overflow the stack.
        let mut open: Vec<_> = roots.into_iter().rev().map(|span| (span, 0)).collect();
        while let Some((span, depth)) = open.pop() {
            text.push_str(&"  ".repeat(depth));
            text.push_str(&span.name);
            text.push('\n');
            let children = spans.iter().filter(|child| child.parent == Some(span.context.span_id));
            open.extend(children.rev().map(|child| (child, depth + 1)));
        }
        text
    }

    /// Forgets what was captured.
    pub fn clear(&self) {
        self.memory.spans.lock().clear();
        self.memory.logs.lock().clear();
    }
}
