//! The layer that makes spans and log events out of what `tracing` reports.
//!
//! Not `tracing-opentelemetry`: a span costs several times the budget there, and each sink would format and redact anew.

use std::sync::Arc;
use std::time::Instant;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::context::{self, Parent};
use crate::field::{Name, Value};
use crate::logs::{Level, Levels, LogEvent, Pipeline};
use crate::redaction::Redactor;
use crate::traces::{SpanEvent, SpanPipeline};

mod fields;
mod live;
mod message;
mod slab;
mod subscriber;

pub(crate) use live::Live;
pub use subscriber::TripodSubscriber;

/// The layer. Cloning is cheap and shares; put it on a [`Registry`], or make a [`TripodSubscriber`] of it.
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

    /// What is wanted depends on a place in the code alone, so asking once is enough: an unwanted line costs a load.
    fn interest(&self, metadata: &Metadata<'_>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level(&self) -> LevelFilter {
        let spans = if self.0.spans.is_some() { LevelFilter::from_level(self.0.span_level) } else { LevelFilter::OFF };
        self.0.levels.max_level_hint().max(spans)
    }

    pub(crate) fn logs(&self) -> Option<&Arc<Pipeline>> {
        self.0.logs.as_ref()
    }

    /// The span's limits, for what is added to spans from elsewhere.
    pub(crate) fn spans(&self) -> Option<&SpanPipeline> {
        self.0.spans.as_ref()
    }

    fn begin(&self, attributes: &Attributes<'_>, parent: Option<Parent>) -> Live {
        live::begin(self.0.spans.as_ref(), attributes, parent)
    }

    fn record(&self, open: &impl OpenSpans, id: &Id, values: &Record<'_>) {
        let Some(spans) = &self.0.spans else { return };
        fields::collect(values, |collected| {
            open.look(id, |live| {
                let Some(data) = live.data_mut() else { return };
                let mut visitor = fields::SpanVisitor::new(data, &spans.limits);
                collected.drain(..).for_each(|(name, value)| visitor.set_named(name, value));
            });
        });
    }

    fn follows_from(&self, open: &impl OpenSpans, id: &Id, follows: &Id) {
        let Some(spans) = &self.0.spans else { return };
        let Some(other) = open.nearest(follows, |live| live.context().clone()) else { return };
        open.look(id, |live| live.add_link(&spans.limits, other, Vec::new()));
    }

    fn event(&self, open: &impl OpenSpans, event: &Event<'_>) {
        if context::is_silent() {
            return;
        }
        let metadata = event.metadata();
        let level = Level::from(metadata.level());
        let logs = self.0.logs.as_ref().filter(|logs| logs.wants(level));
        let id = match event.parent() {
            Some(parent) => Some(parent.clone()),
            None if event.is_contextual() => open.current(),
            None => None,
        };
        let spans = self.0.spans.as_ref().filter(|_| self.0.events_on_spans);
        let (own, recording, function) = id
            .as_ref()
            .and_then(|id| {
                open.view(id, |live, place| {
                    (Some(live.context().clone()), live.is_recording(), function_of(place, metadata))
                })
            })
            .unwrap_or_default();
        let recording = id.as_ref().zip(spans).filter(|_| recording);
        if logs.is_none() && recording.is_none() {
            return;
        }
        let carried = if event.is_contextual() { context::parent_over(id.as_ref().map(Id::into_u64)) } else { None };
        let span = match (carried, own) {
            (Some(parent), _) => Some(parent.span),
            (None, Some(span)) => Some(span),
            (None, None) => id.as_ref().and_then(|id| open.nearest(id, |live| live.context().clone())),
        };
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
        if let Some((id, spans)) = recording {
            let event = span_event(event);
            open.look(id, |live| live.add_event(&spans.limits, event));
        }
    }

    fn close(&self, live: Option<Live>) {
        if let (Some(spans), Some(ended)) = (&self.0.spans, live.and_then(|mut live| live.end())) {
            ended.deliver(spans);
        }
    }
}

/// Where spans are kept while they are open: our own table, or the registry of `tracing-subscriber`.
trait OpenSpans {
    /// The span that this thread is in.
    fn current(&self) -> Option<Id>;

    /// Looks at a span. Nothing of the application's may run meanwhile.
    fn look<R>(&self, id: &Id, look: impl FnOnce(&mut Live) -> R) -> Option<R>;

    /// Looks at a span, or at the nearest above it, that has ids.
    fn nearest<R>(&self, id: &Id, look: impl FnOnce(&Live) -> R) -> Option<R>;

    /// As [`look`](Self::look), with the span's place in the code.
    fn view<R>(&self, id: &Id, view: impl FnOnce(&Live, &'static Metadata<'static>) -> R) -> Option<R>;
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> OpenSpans for Context<'_, S> {
    fn current(&self) -> Option<Id> {
        self.current_span().id().cloned()
    }

    fn look<R>(&self, id: &Id, look: impl FnOnce(&mut Live) -> R) -> Option<R> {
        self.span(id)?.extensions_mut().get_mut::<Live>().map(look)
    }

    fn nearest<R>(&self, id: &Id, look: impl FnOnce(&Live) -> R) -> Option<R> {
        let span = self.span_scope(id)?.find(|span| span.extensions().get::<Live>().is_some())?;
        span.extensions().get::<Live>().map(look)
    }

    fn view<R>(&self, id: &Id, view: impl FnOnce(&Live, &'static Metadata<'static>) -> R) -> Option<R> {
        let span = self.span(id)?;
        let extensions = span.extensions();
        extensions.get::<Live>().map(|live| view(live, span.metadata()))
    }
}

/// For a process that has other layers too. Without those, [`TripodSubscriber`] costs less.
impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for TripodLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.interest(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, registry: Context<'_, S>) {
        if context::is_silent() {
            return;
        }
        let Some(span) = registry.span(id) else { return };
        let above = match attributes.parent() {
            Some(parent) => Some(parent.clone()),
            None if attributes.is_contextual() => OpenSpans::current(&registry),
            None => None,
        };
        // What a context brought along counts before the span that is entered.
        let carried =
            attributes.is_contextual().then(|| context::parent_over(above.as_ref().map(Id::into_u64))).flatten();
        let parent = carried.or_else(|| registry.nearest(&above?, Live::as_parent));
        let live = self.begin(attributes, parent);
        span.extensions_mut().insert(live);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, registry: Context<'_, S>) {
        self.record(&registry, id, values);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, registry: Context<'_, S>) {
        self.follows_from(&registry, id, follows);
    }

    fn on_event(&self, event: &Event<'_>, registry: Context<'_, S>) {
        self.event(&registry, event);
    }

    fn on_close(&self, id: Id, registry: Context<'_, S>) {
        let live = registry.span(&id).and_then(|span| span.extensions_mut().remove::<Live>());
        self.close(live);
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
fn function_of(span: &'static Metadata<'static>, event: &Metadata<'_>) -> Option<&'static str> {
    let is_here = span.module_path() == event.module_path();
    is_here.then(|| span.fields().iter().find_map(|field| field.name().strip_prefix(FUNCTION))).flatten()
}

/// What `#[traced]` puts before the function's name to name a field of the span, which never has a value.
const FUNCTION: &str = "fn:";

/// The layer behind a dispatch, wherever it stands.
pub(crate) fn layer_of(dispatch: &Dispatch) -> Option<&TripodLayer> {
    let own = dispatch.downcast_ref::<TripodSubscriber>().map(TripodSubscriber::layer);
    own.or_else(|| dispatch.downcast_ref::<TripodLayer>())
}

/// The id of the innermost `tracing` span.
pub(crate) fn current_id() -> Option<Id> {
    tracing::dispatcher::get_default(|dispatch| match dispatch.downcast_ref::<TripodSubscriber>() {
        Some(subscriber) => subscriber.current_id(),
        None => dispatch.current_span().id().cloned(),
    })
}

/// The innermost `tracing` span as a parent.
pub(crate) fn current_parent() -> Option<Parent> {
    tracing::dispatcher::get_default(|dispatch| {
        if let Some(subscriber) = dispatch.downcast_ref::<TripodSubscriber>() {
            return subscriber.current_parent();
        }
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
        let mut bind = |live: &mut Live| {
            if let Some((name, value)) = field.take() {
                live.bind(name, value);
            }
        };
        if let Some(subscriber) = dispatch.downcast_ref::<TripodSubscriber>() {
            let id = subscriber.current_id().filter(|id| is_meant(id.into_u64()))?;
            return subscriber.look(&id, bind);
        }
        let registry = dispatch.downcast_ref::<Registry>()?;
        let current = dispatch.current_span();
        let id = current.id().filter(|id| is_meant(id.into_u64()))?;
        let span = registry.span(id)?;
        span.extensions_mut().get_mut::<Live>().map(&mut bind)
    });
}

/// Looks at the live part of a span. `None` when the span is disabled or no Tripod layer sees it. Nothing of the
/// application's may run meanwhile.
pub(crate) fn with_live<R>(span: &tracing::Span, look: impl FnOnce(&mut Live, &SpanPipeline) -> R) -> Option<R> {
    span.with_subscriber(|(id, dispatch)| {
        if let Some(subscriber) = dispatch.downcast_ref::<TripodSubscriber>() {
            let spans = subscriber.layer().spans()?;
            return subscriber.look(id, |live| look(live, spans));
        }
        let registry = dispatch.downcast_ref::<Registry>()?;
        let spans = dispatch.downcast_ref::<TripodLayer>()?.spans()?;
        let span = registry.span(id)?;
        let mut extensions = span.extensions_mut();
        Some(look(extensions.get_mut::<Live>()?, spans))
    })
    .flatten()
}

/// What redacts what is added to a span.
pub(crate) fn redactor_of(span: &tracing::Span) -> Option<Redactor> {
    span.with_subscriber(|(_, dispatch)| Some(layer_of(dispatch)?.spans()?.redactor().clone())).flatten()
}

#[cfg(test)]
mod tests;
