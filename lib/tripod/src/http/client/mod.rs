//! The middleware for `reqwest` clients (feature `reqwest`): client span, trace context and ids in the request's headers,
//! metrics by provider, and every attempt visible when a middleware further outside tries again.
//!
//! ```
//! use tripod::http::client::HttpClientMiddleware;
//! use tripod::metrics::Registry;
//!
//! let observe = HttpClientMiddleware::builder().provider("api.yutori.com", "yutori").build(&Registry::new())?;
//! let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(observe).build();
//! # Ok::<(), tripod::metrics::MetricError>(())
//! ```

mod middleware;

pub use middleware::{HttpClientMiddleware, HttpClientMiddlewareBuilder, Provider};
