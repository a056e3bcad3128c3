//! The layer that makes spans and log events out of what `tracing` reports.
//!
//! Not `tracing-opentelemetry`: a span costs several times the budget there, and each sink would format and redact anew.

use std::sync::Arc;
use std::time::Instant;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::context::{self, Parent, SpanContext};
use crate::field::{Name, Value};
use crate::logs::{Level, Levels, LogEvent, Pipeline};
use crate::redaction::Redactor;
use crate::traces::{SpanEvent, SpanPipeline};

mod fields;
mod live;

pub(crate) use live::Live;

/// The layer. Cloning is cheap and shares; put it on a [`Registry`].
#[derive(Clone, Debug)]
pub struct TripodLayer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    spans: Option<SpanPipeline>,
    logs: Option<Arc<Pipeline>>,
    redactor: Redactor,
    levels: Levels,
    span_level: tracing::Level,
    events_on_spans: bool,
}

/// Puts a [`TripodLayer`] together.
#[derive(Debug)]
pub struct LayerBuilder(Shared);

impl LayerBuilder {
    /// Sends spans this way.
    #[must_use]
    pub fn spans(mut self, spans: SpanPipeline) -> Self {
        self.0.spans = Some(spans);
        self
    }

    /// Sends log events this way.
    #[must_use]
    pub fn logs(mut self, logs: impl Into<Arc<Pipeline>>) -> Self {
        self.0.logs = Some(logs.into());
        self
    }

    /// The levels of log events, changeable while the service runs. Spans have a level of their own.
    #[must_use]
    pub fn levels(mut self, levels: Levels) -> Self {
        self.0.levels = levels;
        self
    }

    /// Spans of this level and above are made whatever the levels of log events are; `INFO` unless set.
    #[must_use]
    pub fn span_level(mut self, level: tracing::Level) -> Self {
        self.0.span_level = level;
        self
    }

    /// Whether log events are also events of the span in which they happen; they are unless set.
    #[must_use]
    pub fn events_on_spans(mut self, on: bool) -> Self {
        self.0.events_on_spans = on;
        self
    }

    /// The layer.
    pub fn build(self) -> TripodLayer {
        TripodLayer(Arc::new(self.0))
    }
}

impl TripodLayer {
    /// A layer that sends nothing anywhere yet.
    pub fn builder(redactor: Redactor) -> LayerBuilder {
        LayerBuilder(Shared {
            spans: None,
            logs: None,
            redactor,
            levels: Levels::default(),
            span_level: tracing::Level::INFO,
            events_on_spans: true,
        })
    }

    /// The levels of log events.
    pub fn levels(&self) -> &Levels {
        &self.0.levels
    }

    /// Waits until all sinks have what they were given, or until the deadline. True when they have.
    pub fn flush(&self, deadline: Instant) -> bool {
        let spans = self.0.spans.as_ref().is_none_or(|spans| spans.flush(deadline));
        let logs = self.0.logs.as_ref().is_none_or(|logs| logs.flush(deadline));
        spans && logs
    }

    /// Sends a log event that did not come from `tracing` on its way.
    pub fn emit(&self, event: LogEvent) {
        if let Some(logs) = &self.0.logs
            && logs.wants(event.level)
        {
            logs.emit(event);
        }
    }

    /// As [`TripodLayer::emit`]; the event is one of the current span too, if it belongs to that.
    pub(crate) fn emit_in_span(&self, event: LogEvent) {
        let Some(logs) = self.0.logs.as_ref().filter(|logs| logs.wants(event.level)) else { return };
        let Some(event) = logs.emit(event).filter(|_| self.0.events_on_spans) else { return };
        with_live(&tracing::Span::current(), |live, spans| {
            if event.span.as_ref() == Some(live.context()) {
                live.add_event(&spans.limits, span_event(event));
            }
        });
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        // More verbose levels are greater.
        (metadata.is_span() && *metadata.level() <= self.0.span_level && self.0.spans.is_some())
            || self.0.levels.enabled(metadata.level().into(), metadata.target())
    }

    pub(crate) fn logs(&self) -> Option<&Arc<Pipeline>> {
        self.0.logs.as_ref()
    }

    /// The span's limits, for what is added to spans from elsewhere.
    pub(crate) fn spans(&self) -> Option<&SpanPipeline> {
        self.0.spans.as_ref()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for TripodLayer {
    /// What is wanted depends on a place in the code alone, so asking once is enough: an unwanted line costs a load.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let spans = if self.0.spans.is_some() { LevelFilter::from_level(self.0.span_level) } else { LevelFilter::OFF };
        Some(self.0.levels.max_level_hint().max(spans))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, registry: Context<'_, S>) {
        if context::is_silent() {
            return;
        }
        let Some(span) = registry.span(id) else { return };
        let live = live::begin(self.0.spans.as_ref(), attributes, &registry);
        span.extensions_mut().insert(live);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, registry: Context<'_, S>) {
        let (Some(spans), Some(span)) = (&self.0.spans, registry.span(id)) else { return };
        let mut collected = fields::Collected::default();
        values.record(&mut collected);
        if let Some(data) = span.extensions_mut().get_mut::<Live>().and_then(Live::data_mut) {
            let mut visitor = fields::SpanVisitor::new(data, &spans.limits);
            collected.0.into_iter().for_each(|(name, value)| visitor.set_named(name, value));
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, registry: Context<'_, S>) {
        let (Some(spans), Some(span)) = (&self.0.spans, registry.span(id)) else { return };
        let Some(other) = live_of(&registry, follows) else { return };
        if let Some(live) = span.extensions_mut().get_mut::<Live>() {
            live.add_link(&spans.limits, other, Vec::new());
        }
    }

    fn on_event(&self, event: &Event<'_>, registry: Context<'_, S>) {
        if context::is_silent() {
            return;
        }
        let metadata = event.metadata();
        let level = Level::from(metadata.level());
        let logs = self.0.logs.as_ref().filter(|logs| logs.wants(level));
        let id = match event.parent() {
            Some(parent) => Some(parent.clone()),
            None if event.is_contextual() => registry.current_span().id().cloned(),
            None => None,
        };
        let carried = if event.is_contextual() { context::parent_over(id.as_ref().map(Id::into_u64)) } else { None };
        let span = carried.map(|parent| parent.span).or_else(|| id.as_ref().and_then(|id| live_of(&registry, id)));
        let recording = (self.0.events_on_spans && self.0.spans.is_some())
            .then(|| id.as_ref().and_then(|id| registry.span(id)))
            .flatten()
            .filter(|span| span.extensions().get::<Live>().is_some_and(Live::is_recording));
        if logs.is_none() && recording.is_none() {
            return;
        }
        let function = id.as_ref().and_then(|id| function_of(&registry, id, event.metadata()));
        let mut event = fields::log_event(event, level, span, function);
        let event = match logs {
            Some(logs) => match logs.emit(event) {
                Some(event) => event,
                None => return,
            },
            None => {
                self.0.redactor.event(&mut event);
                event
            }
        };
        if let (Some(span), Some(spans)) = (recording, &self.0.spans)
            && let Some(live) = span.extensions_mut().get_mut::<Live>()
        {
            live.add_event(&spans.limits, span_event(event));
        }
    }

    fn on_close(&self, id: Id, registry: Context<'_, S>) {
        let Some(spans) = &self.0.spans else { return };
        let Some(mut live) = registry.span(&id).and_then(|span| span.extensions_mut().remove::<Live>()) else { return };
        if let Some(ended) = live.end() {
            ended.deliver(spans);
        }
    }
}

/// A log event as an event of its span: level and error as attributes of the semantic conventions.
fn span_event(event: LogEvent) -> SpanEvent {
    let mut attributes = event.fields;
    attributes.push(("level".into(), event.level.as_str().into()));
    let mut name = event.event;
    if let Some(error) = event.error {
        let error = *error;
        attributes.push(("exception.type".into(), error.kind.into()));
        attributes.push(("exception.message".into(), error.message.into()));
        if let Some(backtrace) = error.backtrace {
            attributes.push(("exception.stacktrace".into(), backtrace.into()));
        }
    }
    if name.is_empty() {
        name = "log".into();
    }
    SpanEvent { time: event.time, name, attributes, dropped_attributes: 0 }
}

/// The function that logs: that of the innermost span, if it is one of `#[traced]` in the same module. `tracing` knows no
/// functions otherwise.
fn function_of<'a, S: Subscriber + for<'b> LookupSpan<'b>>(
    registry: &Context<'a, S>,
    id: &Id,
    event: &'static Metadata<'static>,
) -> Option<&'static str> {
    let span = registry.metadata(id)?;
    let is_here = span.module_path() == event.module_path();
    is_here.then(|| span.fields().iter().find_map(|field| field.name().strip_prefix(FUNCTION))).flatten()
}

/// What `#[traced]` puts before the function's name to name a field of the span, which never has a value.
const FUNCTION: &str = "fn:";

/// The ids of a span, or of the nearest span above it that has some.
fn live_of<'a, S: Subscriber + for<'b> LookupSpan<'b>>(registry: &Context<'a, S>, id: &Id) -> Option<SpanContext> {
    registry.span_scope(id)?.find_map(|span| Some(span.extensions().get::<Live>()?.context().clone()))
}

/// The innermost `tracing` span as a parent.
pub(crate) fn current_parent() -> Option<Parent> {
    tracing::dispatcher::get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let current = dispatch.current_span();
        let span = registry.span(current.id()?)?;
        span.scope().find_map(|span| Some(span.extensions().get::<Live>()?.as_parent()))
    })
}

/// Binds a field to the innermost `tracing` span, if that is one that is meant.
pub(crate) fn bind_current(is_meant: impl Fn(u64) -> bool, name: Name, value: Value) {
    let mut field = Some((name, value));
    tracing::dispatcher::get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let current = dispatch.current_span();
        let id = current.id().filter(|id| is_meant(id.into_u64()))?;
        let span = registry.span(id)?;
        let mut extensions = span.extensions_mut();
        let live = extensions.get_mut::<Live>()?;
        let (name, value) = field.take()?;
        live.bind(name, value);
        Some(())
    });
}

/// Looks at the live part of a span. `None` when the span is disabled or no Tripod layer sees it.
pub(crate) fn with_live<R>(span: &tracing::Span, look: impl FnOnce(&mut Live, &SpanPipeline) -> R) -> Option<R> {
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let layer = dispatch.downcast_ref::<TripodLayer>()?;
        let span = registry.span(id)?;
        let mut extensions = span.extensions_mut();
        Some(look(extensions.get_mut::<Live>()?, layer.spans()?))
    })
    .flatten()
}

#[cfg(test)]
mod tests;
