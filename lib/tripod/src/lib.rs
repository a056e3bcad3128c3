//! Logs, traces, metrics, jobs and health of a backend service in ten lines.
//!
//! The front end is [`tracing`]: every library's spans and events come along. One layer builds each span and event
//! once, redacts it once and hands it to every sink. The alternative, a layer per sink, was turned down: it formats and
//! redacts as often as there are sinks, and one forgotten redactor leaks.
//!
//! Nothing here blocks, panics or waits for a network on the application's threads: network sinks live on one thread of
//! their own ([`network`]), with queues bounded in bytes and every drop counted ([`accounts`]).

pub mod accounts;
mod builder;
pub mod context;
pub mod external;
pub mod field;
#[cfg(doctest)]
pub mod guide;
pub mod health;
pub mod jobs;
pub mod layer;
pub mod logs;
pub mod metrics;
pub mod network;
pub mod redaction;
pub mod resource;
mod service;
pub mod settings;
pub mod sinks;
pub mod span;
pub mod task;
pub mod testing;
pub mod traces;

pub mod cloud;
pub mod database;
pub mod errors;
pub mod genai;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
mod listener;
#[cfg(feature = "http")]
mod routes;
#[cfg(feature = "http")]
pub use routes::routes;

pub use builder::{Builder, InitError, builder, init};
pub use service::{Shutdown, Tripod};
pub use span::{SpanExt, record_error, set_attribute};
pub use task::{JoinSetExt, spawn, spawn_blocking};
pub use tripod_macros::traced;

mod traced;

/// As [`init`](fn@init), with the name and version of the crate that calls it, or another name.
///
/// ```no_run
/// # fn main() -> Result<(), tripod::InitError> {
/// let tripod = tripod::init!()?; // or tripod::init!("agent-api")?
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! init {
    () => {
        $crate::init!(env!("CARGO_PKG_NAME"))
    };
    ($service:expr) => {
        $crate::builder($service).version(env!("CARGO_PKG_VERSION")).init()
    };
}

/// What the expansion of [`traced`](macro@traced) names. Not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use crate::traced::{Report, TracedStream, ViaAny, ViaDisplay, ViaError};
    pub use tracing;
    pub use tracing::Instrument;
}
