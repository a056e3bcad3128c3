//! Counters, gauges and histograms with labels, and their exposition.
//!
//! ```
//! use tripod::metrics::Registry;
//!
//! let registry = Registry::builder().namespace("sixseven").build()?;
//! let commands = registry
//!     .counter("commands_total", "Total number of commands received")
//!     .labels(["intent", "status"])
//!     .register()?;
//! commands.with(["research", "created"]).inc();
//!
//! // On a hot path the series is looked up once; a bound handle costs a few nanoseconds.
//! let created = commands.with(["creative", "created"]);
//! created.inc();
//! assert!(registry.prometheus_text().contains(r#"sixseven_commands_total{intent="creative",status="created"} 1.0"#));
//! # Ok::<(), tripod::metrics::MetricError>(())
//! ```
//!
//! Names follow Prometheus; dotted OpenTelemetry names (`http.request.duration`) are taken as well and keep their dots
//! in OTLP. A family holds a bounded number of series: label values beyond it share one overflow series, and how often
//! that happened is a metric of its own (`tripod_self_metrics_overflowed_total`).
//!
//! The alternative, the `metrics` facade with a recorder behind it, was turned down: it looks a series up by a hash of
//! its labels on every update, has no bound on series, and knows neither exemplars nor units in the exposition.

mod build_info;
mod collector;
mod counter;
mod exemplar;
pub mod exposition;
mod family;
mod gauge;
mod histogram;
mod name;
mod otlp;
mod own;
mod process;
mod registry;
mod runtime;
mod snapshot;
mod stripe;

pub use build_info::BuildInfo;
pub use collector::{Collection, Collector};
pub use counter::Counter;
pub use exemplar::{Exemplar, ExemplarSource, sampled_span};
pub use family::Family;
pub use gauge::{Gauge, GaugeGuard};
pub use histogram::{DEFAULT_BUCKETS, Histogram, Timer};
pub use name::MetricError;
pub use otlp::{OtlpWriter, Temporality};
pub use own::OwnMetrics;
pub use process::ProcessMetrics;
pub use registry::{Builder, LabelNames, NoLabels, Registry, RegistryBuilder, Shape};
pub use runtime::RuntimeMetrics;
pub use snapshot::{FamilySnapshot, HistogramValue, Kind, Labels, Series, SeriesValue, Snapshot};
