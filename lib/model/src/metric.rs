use std::borrow::Cow;

use crate::{Attribute, SpanId, TraceId, span};

/// What a group of points measures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metric<'a> {
    /// The metric's name, for example `http.server.request.duration`.
    pub name: Cow<'a, str>,
    /// What it measures, in words; empty when absent.
    pub description: Cow<'a, str>,
    /// The unit in UCUM, for example `s` or `By`; empty when absent.
    pub unit: Cow<'a, str>,
    /// Attributes of the metric itself.
    pub metadata: Vec<Attribute<'a>>,
    /// The kind of its points.
    pub kind: MetricKind,
    /// What a point of a sum or histogram covers; unspecified for gauges and summaries.
    pub temporality: Temporality,
    /// Whether a sum only grows.
    pub is_monotonic: bool,
}

/// The shape of a metric's points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricKind {
    /// A value at a moment.
    #[default]
    Gauge,
    /// A sum over a time.
    Sum,
    /// Counts in buckets with explicit bounds.
    Histogram,
    /// Counts in buckets whose bounds grow by a fixed factor.
    ExponentialHistogram,
    /// Quantiles that the source computed.
    Summary,
}

const KINDS: [(MetricKind, &str); 5] = [
    (MetricKind::Gauge, "gauge"),
    (MetricKind::Sum, "sum"),
    (MetricKind::Histogram, "histogram"),
    (MetricKind::ExponentialHistogram, "exponential_histogram"),
    (MetricKind::Summary, "summary"),
];

impl MetricKind {
    /// The name that is stored and printed.
    pub fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// The inverse of [`MetricKind::name`].
    pub fn from_name(text: &str) -> Option<Self> {
        KINDS.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }
}

/// An open enumeration, as in protobuf: 0 unspecified, 1 delta, 2 cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Temporality(pub i32);

const TEMPORALITIES: [&str; 3] = ["unspecified", "delta", "cumulative"];

impl Temporality {
    /// Each point covers the time since the point before.
    pub const DELTA: Self = Self(1);
    /// Each point covers the time since the series began.
    pub const CUMULATIVE: Self = Self(2);

    /// The lower-case name of the specification; the number itself when it has no name yet.
    pub fn name(self) -> Cow<'static, str> {
        span::name(self.0, &TEMPORALITIES)
    }

    /// The inverse of [`Temporality::name`].
    pub fn from_name(text: &str) -> Option<Self> {
        span::number(text, &TEMPORALITIES).map(Self)
    }
}

/// One measurement of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point<'a> {
    /// Attributes that tell the series apart.
    pub attributes: Vec<Attribute<'a>>,
    /// Start of the time that the point covers, nanoseconds since the Unix epoch; 0 when unknown.
    pub start_time_unix_nano: u64,
    /// The moment of the point, nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// Data point flags; bit 0 says "no recorded value" (a stale series).
    pub flags: u32,
    /// Example measurements.
    pub exemplars: Vec<Exemplar<'a>>,
    /// What was measured.
    pub value: PointValue,
}

/// A point's value; its variant follows from the metric's kind.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// Of a gauge or sum.
    Number(Number),
    /// Of a histogram: `bucket_counts` is empty or has one element more than `explicit_bounds`.
    Histogram {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: Option<f64>,
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
        /// Upper bounds of all buckets but the last, ascending.
        explicit_bounds: Vec<f64>,
        /// Measurements per bucket.
        bucket_counts: Vec<u64>,
    },
    /// Of an exponential histogram: bucket `i` covers `(b^(offset+i), b^(offset+i+1)]` with `b = 2^(2^-scale)`.
    ExponentialHistogram {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: Option<f64>,
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
        /// Resolution.
        scale: i32,
        /// Measurements in the zero bucket.
        zero_count: u64,
        /// Width of the zero bucket.
        zero_threshold: f64,
        /// Buckets of positive values.
        positive: Buckets,
        /// Buckets of negative values, by their absolute value.
        negative: Buckets,
    },
    /// Of a summary.
    Summary {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Quantiles, ascending.
        quantiles: Vec<Quantile>,
    },
}

impl Default for PointValue {
    fn default() -> Self {
        PointValue::Number(Number::default())
    }
}

/// A number that remembers whether it was sent as an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Number {
    /// No value was recorded.
    #[default]
    Empty,
    /// A signed 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Double(f64),
}

/// Dense buckets of an exponential histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Index of the first bucket.
    pub offset: i32,
    /// Measurements per bucket.
    pub counts: Vec<u64>,
}

/// A summary's value at a quantile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantile {
    /// From 0 to 1.
    pub quantile: f64,
    /// The value.
    pub value: f64,
}

/// A single measurement that stands for others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar<'a> {
    /// Attributes that the series itself does not carry.
    pub filtered_attributes: Vec<Attribute<'a>>,
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The measured value.
    pub value: Number,
    /// The trace in which it was measured; zero when none.
    pub trace_id: TraceId,
    /// The span in which it was measured; zero when none.
    pub span_id: SpanId,
}
