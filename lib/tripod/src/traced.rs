//! What `#[traced]` does at run time: the outcome of a function on its span, and streams in their span.

use std::error::Error;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;
use tracing::Span;

use crate::logs::ErrorReport;
use crate::span::SpanExt;

/// What a function gave back. Which of the traits below records it is the compiler's choice: an error with its type and
/// causes if it is an [`Error`], with its text if it can be shown, and plain success for all else.
#[derive(Debug)]
pub struct Report<'a, T>(pub &'a T);

/// Results whose error is an [`Error`].
pub trait ViaError {
    /// Records success or failure.
    fn record(&self, span: &Span);
    /// Records a failure alone; true when it is one.
    fn record_failure(&self, span: &Span) -> bool;
}

/// Results whose error can be shown, such as that of `anyhow`.
pub trait ViaDisplay {
    /// Records success or failure.
    fn record(&self, span: &Span);
    /// Records a failure alone; true when it is one.
    fn record_failure(&self, span: &Span) -> bool;
}

/// Everything else.
pub trait ViaAny {
    /// Records success.
    fn record(&self, span: &Span);
    /// Records nothing.
    fn record_failure(&self, span: &Span) -> bool;
}

fn failed(span: &Span, report: ErrorReport) {
    span.set_attribute("status", "error");
    span.set_attribute("error.message", report.message.clone());
    span.record_report(report);
}

fn succeeded(span: &Span) {
    span.set_attribute("status", "success");
}

impl<T, E: Error> ViaError for &&Report<'_, Result<T, E>> {
    fn record(&self, span: &Span) {
        if !self.record_failure(span) {
            succeeded(span);
        }
    }

    fn record_failure(&self, span: &Span) -> bool {
        match self.0 {
            Ok(_) => false,
            Err(error) => {
                failed(span, ErrorReport::of(error));
                true
            }
        }
    }
}

impl<T, E: Display> ViaDisplay for &Report<'_, Result<T, E>> {
    fn record(&self, span: &Span) {
        if !self.record_failure(span) {
            succeeded(span);
        }
    }

    fn record_failure(&self, span: &Span) -> bool {
        match self.0 {
            Ok(_) => false,
            Err(error) => {
                let kind = std::any::type_name::<E>().into();
                failed(span, ErrorReport { kind, message: error.to_string(), ..ErrorReport::default() });
                true
            }
        }
    }
}

impl<T> ViaAny for Report<'_, T> {
    fn record(&self, span: &Span) {
        succeeded(span);
    }

    fn record_failure(&self, _: &Span) -> bool {
        false
    }
}

pin_project! {
    /// A stream in its span, which lasts until the stream ends or is dropped.
    #[derive(Debug)]
    pub struct TracedStream<S, F> {
        #[pin]
        stream: Option<S>,
        end: End,
        record: F,
    }
}

/// Writes what became of the stream, however it ends.
#[derive(Debug)]
struct End {
    span: Span,
    items: u64,
    failed: bool,
    finished: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        self.span.set_attribute("stream.items", self.items);
        if !self.failed {
            self.span.set_attribute("status", if self.finished { "success" } else { "cancelled" });
        }
    }
}

impl<S: Stream, F: FnMut(&S::Item, &Span) -> bool> TracedStream<S, F> {
    /// A stream whose failures a closure records; it says whether an item is one.
    pub fn new(stream: S, span: Span, record: F) -> Self {
        Self { stream: Some(stream), end: End { span, items: 0, failed: false, finished: false }, record }
    }
}

impl<S: Stream, F: FnMut(&S::Item, &Span) -> bool> Stream for TracedStream<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let polled = {
            let _entered = this.end.span.enter();
            match this.stream.as_mut().as_pin_mut() {
                Some(stream) => stream.poll_next(task),
                None => return Poll::Ready(None),
            }
        };
        match &polled {
            Poll::Ready(Some(item)) => {
                this.end.items += 1;
                this.end.failed |= (this.record)(item, &this.end.span);
            }
            Poll::Ready(None) => {
                let _entered = this.end.span.enter();
                this.stream.set(None);
                this.end.finished = true;
            }
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}
