//! Where metrics go.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    /// Whether they are printed on standard output (`OTEL_METRICS_EXPORTER=console`).
    pub console: bool,
    /// Where a listener of their own answers `/metrics` and `/health*` (`PROMETHEUS_PORT`, or
    /// `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT`); none unless set.
    pub listen: Option<SocketAddr>,
    /// Whether OpenMetrics says since when counters and histograms count (`TRIPOD_METRICS_CREATED`).
    pub created_lines: bool,
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
        Console,
    }
    let exporters = [
        ("otlp", Exporter::Otlp),
        ("prometheus", Exporter::Prometheus),
        ("none", Exporter::None),
        ("console", Exporter::Console),
        ("logging", Exporter::Console),
    ];
    let mut console = false;
    let wanted = match variables.choices("OTEL_METRICS_EXPORTER", &exporters) {
        Some(chosen) => {
            console = chosen.contains(&Exporter::Console);
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
    let filters = [
        ("always_on", ExemplarFilter::AlwaysOn),
        ("always_off", ExemplarFilter::AlwaysOff),
        ("trace_based", ExemplarFilter::TraceBased),
    ];
    let interval = variables.milliseconds("OTEL_METRIC_EXPORT_INTERVAL").filter(|interval| !interval.is_zero());
    MetricSettings {
        otlp: exporters,
        console,
        listen: listen(variables),
        created_lines: variables.flag("TRIPOD_METRICS_CREATED").unwrap_or_default(),
        interval: interval.unwrap_or(Duration::from_secs(60)),
        temporality,
        exemplars: variables.choice("OTEL_METRICS_EXEMPLAR_FILTER", &filters).unwrap_or(ExemplarFilter::TraceBased),
    }
}

/// `PROMETHEUS_PORT` is reachable from other machines, as `start_http_server` of Python's client is, so that a Prometheus
/// elsewhere can read it. The specification's own variables mean `localhost` and port 9464 where they say nothing.
fn listen(variables: &mut Variables) -> Option<SocketAddr> {
    let (port, host) = ("OTEL_EXPORTER_PROMETHEUS_PORT", "OTEL_EXPORTER_PROMETHEUS_HOST");
    let own = variables.number("PROMETHEUS_PORT", 1..=65_535u16);
    let standard = variables.number(port, 1..=65_535u16);
    let name = variables.text(host);
    let address = match name.as_deref().map(|name| if name == "localhost" { "127.0.0.1" } else { name }) {
        Some(name) => match name.parse::<IpAddr>() {
            Ok(address) => Some(address),
            Err(_) => {
                variables.mistake(host, format!("expected an address such as 127.0.0.1 or 0.0.0.0, found {name:?}"));
                None
            }
        },
        None => None,
    };
    let listen = match (own, standard, address) {
        (None, None, None) => return None,
        (Some(port), None, None) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
        (own, standard, address) => {
            SocketAddr::new(address.unwrap_or(Ipv4Addr::LOCALHOST.into()), standard.or(own).unwrap_or(9464))
        }
    };
    if !cfg!(feature = "http") {
        variables.mistake(
            "PROMETHEUS_PORT",
            "a listener for metrics is not compiled in: enable the feature `http` of tripod",
        );
    }
    Some(listen)
}
