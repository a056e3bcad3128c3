//! One request from its head to the end of its response's body, however it ends.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tracing::Span;

use super::metrics::Instruments;
use crate::context::Context;
use crate::field::Name;
use crate::metrics::GaugeGuard;

/// The label of requests that no route matches: never the raw path, of which there is no end.
const UNMATCHED: &str = "unmatched";

/// The status under which requests are counted whose client went away, as nginx logs them.
const CLIENT_GONE: u16 = 499;

/// A route that is matched after the exchange began.
pub(super) type LateRoute = Arc<OnceLock<Name>>;

/// How an exchange ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The response was handed over as a whole.
    Complete,
    /// The service failed instead of answering, or the body broke.
    Failed(String),
    /// Nobody waited for the response any more.
    Cancelled,
    /// The handler, or the body, panicked.
    Panicked,
}

/// What is known about a request. Dropping it before [`end`](Exchange::end) is the end of a cancelled one.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) instruments: Arc<Instruments>,
    pub(super) context: Context,
    pub(super) span: Span,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) route: Option<Name>,
    /// Where a layer further inside leaves the route, when there was none yet.
    pub(super) late_route: Option<LateRoute>,
    pub(super) started: Instant,
    pub(super) status: Option<u16>,
    pub(super) body_bytes: u64,
    /// The latency was recorded with the response's head.
    pub(super) recorded: bool,
    pub(super) quiet: bool,
    pub(super) in_flight: Option<GaugeGuard>,
    pub(super) ended: bool,
}

impl Exchange {
    /// Records the latency now, for a response whose body has no end in sight.
    pub(super) fn record_head(&mut self) {
        if let Some(status) = self.status {
            self.record(status, self.started.elapsed());
        }
    }

    /// Takes over the route if it was matched meanwhile: for the span's name too.
    pub(super) fn settle_route(&mut self) {
        let Some(route) = self.late_route.take().and_then(|late| late.get().cloned()) else { return };
        self.span.record("http.route", &*route);
        self.span.record("otel.name", format!("{} {route}", self.method));
        self.route = Some(route);
    }

    pub(super) fn end(mut self, end: End) {
        self.finish(&end);
    }

    fn record(&mut self, status: u16, took: Duration) {
        if !std::mem::replace(&mut self.recorded, true) {
            // In the span, so that the histogram's exemplar leads to this request's trace.
            let _context = self.context.clone().enter();
            let _span = self.span.enter();
            self.instruments.record(self.route.as_deref().unwrap_or(UNMATCHED), self.method, status, took);
        }
    }

    fn finish(&mut self, end: &End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.settle_route();
        let took = self.started.elapsed();
        let status = match (end, self.status) {
            (_, Some(status)) => status,
            (End::Complete | End::Failed(_) | End::Panicked, None) => 500,
            (End::Cancelled, None) => CLIENT_GONE,
        };
        self.record(status, took);
        self.in_flight = None;
        let error = match end {
            End::Panicked => Some("panic"),
            End::Failed(_) => Some("error"),
            End::Cancelled => Some("cancelled"),
            End::Complete if status >= 500 => None,
            End::Complete => {
                self.log(status, took, None, None);
                return;
            }
        };
        let failed = match end {
            End::Cancelled => false,
            End::Complete | End::Failed(_) | End::Panicked => true,
        };
        match error {
            Some(error) => self.span.record("error.type", error),
            None => self.span.record("error.type", itoa::Buffer::new().format(status)),
        };
        if failed {
            self.span.record("otel.status_code", "ERROR");
        }
        let message = match end {
            End::Failed(message) => Some(&**message),
            _ => None,
        };
        self.log(status, took, error, message);
    }

    fn log(&self, status: u16, took: Duration, error: Option<&str>, message: Option<&str>) {
        let _context = self.context.clone().enter();
        let _span = self.span.enter();
        self.span.record("http.response.body.size", self.body_bytes);
        let (method, path) = (self.method, &*self.path);
        let endpoint = self.route.as_deref().unwrap_or(UNMATCHED);
        let duration_ms = (took.as_secs_f64() * 1e5).round() / 1e2;
        let response_bytes = self.body_bytes;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "tripod::http",
                    method,
                    path,
                    endpoint,
                    status_code = status,
                    duration_ms,
                    response_bytes,
                    outcome = error,
                    error = message,
                    "request_completed"
                )
            };
        }
        match (error, status) {
            (Some("cancelled"), _) => line!(warn),
            (Some(_), _) | (None, 500..) => line!(error),
            _ if self.quiet => line!(debug),
            _ => line!(info),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.finish(if std::thread::panicking() { &End::Panicked } else { &End::Cancelled });
    }
}

/// Ends the exchange when a panic passes.
pub(super) struct Unwinding<'a>(pub(super) &'a mut Option<Exchange>);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(exchange) = self.0.take()
        {
            exchange.end(End::Panicked);
        }
    }
}
