//! What `tracing`'s own span type cannot do: attributes by any name, events, links, status, errors.

use std::error::Error;

use tracing::Span;

use crate::context::SpanContext;
use crate::field::{Fields, Name, Value};
use crate::layer::{TripodLayer, layer_of, redactor_of, with_live};
use crate::logs::{ErrorReport, timestamp};
use crate::traces::{SpanEvent, Status};

/// More for [`tracing::Span`]. On a span that is disabled or not recorded nothing happens.
pub trait SpanExt {
    /// The span's ids; `None` when it is disabled or no Tripod layer sees it.
    fn span_context(&self) -> Option<SpanContext>;

    /// Whether what is set on it will be exported, or may be.
    fn is_recording(&self) -> bool;

    /// Sets an attribute. The name need not be declared when the span is made.
    fn set_attribute(&self, name: impl Into<Name>, value: impl Into<Value>);

    /// Changes the name.
    fn set_name(&self, name: impl Into<Name>);

    /// Adds an event.
    fn add_event(&self, name: impl Into<Name>, attributes: Fields);

    /// Adds a link to a span, mostly of another trace.
    fn add_link(&self, context: SpanContext, attributes: Fields);

    /// Says how it went. `Ok` is final.
    fn set_status(&self, status: Status);

    /// Adds the error as an `exception` event, sets `error.type` and the status.
    fn record_error<E: Error + ?Sized>(&self, error: &E);

    /// As [`SpanExt::record_error`], with a report at hand.
    fn record_report(&self, report: ErrorReport);

    /// Ends the span now. Otherwise it ends when its last handle is dropped, and `tracing` counts the handles of spans
    /// below it too: a span of a request that began others in the background would last as long as they do.
    fn end(&self);
}

impl SpanExt for Span {
    fn span_context(&self) -> Option<SpanContext> {
        with_live(self, |live, _| live.context().clone())
    }

    fn is_recording(&self) -> bool {
        with_live(self, |live, _| live.is_recording()).unwrap_or_default()
    }

    fn set_attribute(&self, name: impl Into<Name>, value: impl Into<Value>) {
        // Converted before the span is locked: what the application's code does meanwhile must not wait for it.
        let (name, value) = (name.into(), value.into());
        with_live(self, |live, spans| live.set(&spans.limits, name, value));
    }

    fn set_name(&self, name: impl Into<Name>) {
        let name = name.into();
        with_live(self, |live, _| live.data_mut().map(|data| data.name = name));
    }

    fn add_event(&self, name: impl Into<Name>, mut attributes: Fields) {
        let name = name.into();
        let Some(redactor) = redactor_of(self) else { return };
        redactor.fields(&mut attributes);
        with_live(self, |live, spans| {
            let event = SpanEvent { time: timestamp::now(), name, attributes, dropped_attributes: 0 };
            live.add_event(&spans.limits, event);
        });
    }

    fn add_link(&self, context: SpanContext, attributes: Fields) {
        with_live(self, |live, spans| live.add_link(&spans.limits, context, attributes));
    }

    fn set_status(&self, status: Status) {
        with_live(self, |live, _| live.set_status(status));
    }

    fn record_error<E: Error + ?Sized>(&self, error: &E) {
        if self.is_recording() {
            self.record_report(ErrorReport::of(error).with_backtrace());
        }
    }

    fn end(&self) {
        // Delivered after the span is unlocked: a redactor of the application may log.
        if let Some(ended) = with_live(self, |live, _| live.end()).flatten() {
            self.with_subscriber(|(_, dispatch)| {
                if let Some(spans) = layer_of(dispatch).and_then(TripodLayer::spans) {
                    ended.deliver(spans);
                }
            });
        }
    }

    fn record_report(&self, mut report: ErrorReport) {
        let Some(redactor) = redactor_of(self) else { return };
        redactor.error(&mut report);
        with_live(self, |live, spans| {
            live.set(&spans.limits, "error.type".into(), report.kind.clone().into());
            live.set_status(Status::Error(report.message.clone().into()));
            let mut attributes: Fields = vec![
                ("exception.type".into(), report.kind.into()),
                ("exception.message".into(), report.message.into()),
            ];
            if !report.causes.is_empty() {
                attributes.push(("exception.causes".into(), report.causes.into()));
            }
            if let Some(backtrace) = report.backtrace {
                attributes.push(("exception.stacktrace".into(), backtrace.into()));
            }
            let event =
                SpanEvent { time: timestamp::now(), name: "exception".into(), attributes, dropped_attributes: 0 };
            live.add_event(&spans.limits, event);
        });
    }
}

/// Sets an attribute of the current span.
pub fn set_attribute(name: impl Into<Name>, value: impl Into<Value>) {
    Span::current().set_attribute(name, value);
}

/// Records an error on the current span: an `exception` event, `error.type` and the status.
pub fn record_error<E: Error + ?Sized>(error: &E) {
    Span::current().record_error(error);
}
