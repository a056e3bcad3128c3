//! Where metrics go.

use std::time::Duration;

use super::Variables;
use super::otlp::{self, METRICS};
use crate::metrics::Temporality;
use crate::sinks::otlp::OtlpSettings;

/// Which measurements lead to a trace (`OTEL_METRICS_EXEMPLAR_FILTER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// All within a span.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// Those within a sampled span.
    TraceBased,
}

/// Where metrics go. They are always exposed at `/metrics` too.
#[derive(Clone, Debug)]
pub struct MetricSettings {
    /// Collectors.
    pub otlp: Vec<OtlpSettings>,
    /// Between two exports (`OTEL_METRIC_EXPORT_INTERVAL`).
    pub interval: Duration,
    /// Since when exported numbers count (`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`).
    pub temporality: Temporality,
    /// Which measurements lead to a trace.
    pub exemplars: ExemplarFilter,
}

pub(super) fn read(variables: &mut Variables) -> MetricSettings {
    #[derive(Clone, Copy, PartialEq)]
    enum Exporter {
        Otlp,
        Prometheus,
        None,
        CompiledOut,
    }
    let exporters = [
        ("otlp", Exporter::Otlp),
        ("prometheus", Exporter::Prometheus),
        ("none", Exporter::None),
        ("console", Exporter::CompiledOut),
        ("logging", Exporter::CompiledOut),
    ];
    let wanted = match variables.choices("OTEL_METRICS_EXPORTER", &exporters) {
        Some(chosen) => {
            if chosen.contains(&Exporter::CompiledOut) {
                let message = "metrics are not printed; use prometheus (the route /metrics) or otlp";
                variables.mistake("OTEL_METRICS_EXPORTER", message);
            }
            chosen.contains(&Exporter::Otlp)
        }
        None => otlp::is_wanted(variables, METRICS),
    };
    let mut exporters: Vec<_> = if wanted { otlp::read(variables, METRICS).into_iter().collect() } else { Vec::new() };
    let timeout = variables.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT");
    otlp::limit_timeout(&mut exporters, timeout);

    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let temporalities = [
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        // Deltas for all that may be one, cumulative for up-down counters, which are gauges here.
        ("lowmemory", Temporality::Delta),
    ];
    let temporality = variables.choice(name, &temporalities).unwrap_or_default();
    let name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let aggregations = [("explicit_bucket_histogram", true), ("base2_exponential_bucket_histogram", false)];
    if variables.choice(name, &aggregations) == Some(false) {
        variables.mistake(name, "only explicit_bucket_histogram is compiled in");
    }
    for name in ["OTEL_EXPORTER_PROMETHEUS_PORT", "PROMETHEUS_PORT"] {
        variables.number(name, 1..=65_535u16);
    }
    for name in ["OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"] {
        if variables.is_set(name) {
            variables.mistake(name, "metrics have no listener of their own; mount the route /metrics");
        }
    }
    let filters = [
        ("always_on", ExemplarFilter::AlwaysOn),
        ("always_off", ExemplarFilter::AlwaysOff),
        ("trace_based", ExemplarFilter::TraceBased),
    ];
    let interval = variables.milliseconds("OTEL_METRIC_EXPORT_INTERVAL").filter(|interval| !interval.is_zero());
    MetricSettings {
        otlp: exporters,
        interval: interval.unwrap_or(Duration::from_secs(60)),
        temporality,
        exemplars: variables.choice("OTEL_METRICS_EXEMPLAR_FILTER", &filters).unwrap_or(ExemplarFilter::TraceBased),
    }
}
