//! The text forms of all metrics, and the choice between them.
//!
//! Prometheus text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>) and OpenMetrics 1.0.0
//! (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>).

mod negotiation;
mod number;
mod text;

pub use negotiation::Format;
pub use text::{openmetrics_text, prometheus_text};
