//! Error tracking with Sentry, through the `sentry` crate. Needs the feature `sentry`.
//!
//! Every log line of level error becomes an event, with the lines before it of the same request or job as breadcrumbs, the
//! ids of the context as tags and the user's id; so does a panic, and a request that was answered with one of the status
//! codes that count as failed. Events pass the redactor before anything else sees them, an application's `before_send`
//! included, and travel on the network thread as everything else does: the transports of the `sentry` crate, with their own
//! threads and unbounded memory for large events, are not compiled.
//!
//! With a traces sample rate above 0, the local root of a trace (a request, a job with a trace of its own) becomes a
//! transaction when it ends, with the spans that ended below it before.
//!
//! Personal data stays at home by default: of the user only the id is sent.

#[cfg(feature = "sentry")]
mod breadcrumbs;
#[cfg(feature = "sentry")]
mod event;
#[cfg(feature = "sentry")]
mod scrub;
#[cfg(feature = "sentry")]
mod settings;
#[cfg(feature = "sentry")]
mod sink;
#[cfg(feature = "sentry")]
mod transactions;
#[cfg(feature = "sentry")]
mod transport;

#[cfg(feature = "sentry")]
pub use settings::{InvalidSentrySettings, SentrySettings};
#[cfg(feature = "sentry")]
pub use sink::SentrySink;

#[cfg(all(test, feature = "sentry"))]
mod tests;
