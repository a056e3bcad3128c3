//! The tower layer for servers and the middleware for clients.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use axum::{Router, routing::get};
//! use tripod::http::HttpLayer;
//! use tripod::metrics::Registry;
//!
//! let layer = HttpLayer::builder().build(&Registry::new())?;
//! let app: Router = Router::new().route("/search", get(|| async { "found" })).layer(layer);
//! # Ok::<(), tripod::metrics::MetricError>(())
//! # }).unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A request is followed to the end of its response's body: its span, its log line and its latency cover the body, and a
//! client that goes away or a handler that panics is recorded too. Event streams and upgraded connections (WebSocket) are
//! the exception: they last as long as somebody listens, so their latency is the time to the response's head.

mod body;
#[cfg(feature = "reqwest")]
pub mod client;
mod exchange;
mod ids;
mod method;
mod metrics;
mod server;

pub use body::ObservedBody;
pub use metrics::HttpMetrics;
pub use server::{HttpLayer, HttpLayerBuilder, HttpService, ResponseFuture};
