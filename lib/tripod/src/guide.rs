//! The pages of `docs/sdk`, whose code is tested.

/// Traces.
#[doc = include_str!("../../../docs/sdk/tracing.md")]
pub struct Tracing;

/// Context.
#[doc = include_str!("../../../docs/sdk/context.md")]
pub struct Context;

/// Propagation.
#[doc = include_str!("../../../docs/sdk/propagation.md")]
pub struct Propagation;

/// Delivery.
#[doc = include_str!("../../../docs/sdk/delivery.md")]
pub struct Delivery;

/// Tests.
#[doc = include_str!("../../../docs/sdk/testing.md")]
pub struct Testing;

/// Logs.
#[doc = include_str!("../../../docs/sdk/logs.md")]
pub struct Logs;

/// Redaction.
#[doc = include_str!("../../../docs/sdk/redaction.md")]
pub struct Redaction;

/// Errors.
#[cfg(feature = "sentry")]
#[doc = include_str!("../../../docs/sdk/errors.md")]
pub struct Errors;

/// Calls of language models.
#[doc = include_str!("../../../docs/sdk/genai.md")]
pub struct GenAi;

/// Databases and object storage.
#[doc = include_str!("../../../docs/sdk/database-and-cloud.md")]
pub struct DatabaseAndCloud;

/// Requests and calls over HTTP.
#[cfg(all(feature = "http", feature = "reqwest"))]
#[doc = include_str!("../../../docs/sdk/http.md")]
pub struct Http;

/// Metrics.
#[doc = include_str!("../../../docs/sdk/metrics.md")]
pub struct Metrics;

/// Health.
#[cfg(all(feature = "object-store", feature = "sqlx"))]
#[doc = include_str!("../../../docs/sdk/health.md")]
pub struct Health;

/// Jobs.
#[doc = include_str!("../../../docs/sdk/jobs.md")]
pub struct Jobs;

/// What Python had.
#[cfg(all(feature = "http", feature = "object-store", feature = "reqwest", feature = "sentry", feature = "sqlx"))]
#[doc = include_str!("../../../docs/sdk/from-python.md")]
pub struct FromPython;

/// The first page.
#[cfg(feature = "http")]
#[doc = include_str!("../README.md")]
pub struct Readme;
