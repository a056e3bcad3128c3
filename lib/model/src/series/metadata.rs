/// What is known of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeriesMetadata {
    /// The metric's type.
    pub metric_type: MetricType,
    /// The unit, for example `seconds`; empty when unknown.
    pub unit: String,
    /// What it measures, in words; empty when unknown.
    pub help: String,
}

/// A metric family's type in the exposition formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Not known (`untyped` in the text format).
    #[default]
    Unknown,
    /// Only grows, or begins anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// A histogram of current values.
    GaugeHistogram,
    /// Quantiles that the source computed.
    Summary,
    /// Text in labels, value 1.
    Info,
    /// One of several states.
    StateSet,
}

const NAMES: [(MetricType, &str); 8] = [
    (MetricType::Unknown, "unknown"),
    (MetricType::Counter, "counter"),
    (MetricType::Gauge, "gauge"),
    (MetricType::Histogram, "histogram"),
    (MetricType::GaugeHistogram, "gaugehistogram"),
    (MetricType::Summary, "summary"),
    (MetricType::Info, "info"),
    (MetricType::StateSet, "stateset"),
];

impl MetricType {
    /// The name in OpenMetrics and in Prometheus' API.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The inverse of [`MetricType::name`]; `untyped` is read as unknown.
    pub fn from_name(text: &str) -> Option<Self> {
        if text == "untyped" {
            return Some(Self::Unknown);
        }
        NAMES.iter().find(|(_, name)| *name == text).map(|(each, _)| *each)
    }
}
