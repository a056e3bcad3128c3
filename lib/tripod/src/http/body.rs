//! The response's body, followed to its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::exchange::{End, Exchange, Unwinding};

pin_project! {
    /// A response's body that ends the request's span, log line and metrics when it ends, breaks or is dropped.
    pub struct ObservedBody<B> {
        #[pin]
        body: B,
        exchange: Option<Exchange>,
        // Bytes that the head announced and that have not been sent: a server asks no further once they are.
        left: Option<u64>,
    }
}

impl<B: Body> ObservedBody<B> {
    /// A body of which nobody wants to know.
    pub(super) fn unobserved(body: B) -> Self {
        Self { body, exchange: None, left: None }
    }

    /// A body after whose end the exchange ends. `sent` says whether it is sent at all: to `HEAD` it is not.
    pub(super) fn new(body: B, exchange: Exchange, announced: Option<u64>, sent: bool) -> Self {
        let mut observed = Self { body, exchange: Some(exchange), left: announced };
        // Servers do not ask an empty body for its end.
        if !sent || observed.body.is_end_stream() || announced == Some(0) {
            observed.end(End::Complete);
        }
        observed
    }

    fn end(&mut self, end: End) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end(end);
        }
    }
}

impl<B> Body for ObservedBody<B>
where
    B: Body,
    B::Error: fmt::Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = {
            let unwinding = Unwinding(this.exchange);
            let exchange = unwinding.0.as_ref();
            let _context = exchange.map(|exchange| exchange.context.clone().enter());
            let _span = exchange.map(|exchange| exchange.span.enter());
            ready!(this.body.as_mut().poll_frame(task))
        };
        let end = match &frame {
            None => Some(End::Complete),
            Some(Err(error)) => Some(End::Failed(error.to_string())),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                if let Some(exchange) = this.exchange.as_mut() {
                    exchange.body_bytes += bytes;
                }
                *this.left = this.left.map(|left| left.saturating_sub(bytes));
                (this.body.is_end_stream() || *this.left == Some(0)).then_some(End::Complete)
            }
        };
        if let Some((exchange, end)) = end.and_then(|end| Some((this.exchange.take()?, end))) {
            exchange.end(end);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for ObservedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedBody").finish_non_exhaustive()
    }
}

impl<B: Default> Default for ObservedBody<B> {
    fn default() -> Self {
        Self { body: B::default(), exchange: None, left: None }
    }
}
