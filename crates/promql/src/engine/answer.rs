use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, Samples};

/// What a query gave.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// What the reader should know about it.
    pub annotations: Annotations,
    /// What it took.
    pub stats: QueryStats,
}

/// A result. Instant queries give any kind, range queries a matrix.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// The moment of the query, milliseconds since the Unix epoch.
        timestamp: i64,
        /// The number.
        value: f64,
    },
    /// A string.
    String {
        /// The moment of the query, milliseconds since the Unix epoch.
        timestamp: i64,
        /// The text.
        value: String,
    },
    /// A value per series, in the order that the expression gives (`sort` and `topk` have one of their own).
    Vector(Vec<VectorSample>),
    /// Samples per series, ascending by labels.
    Matrix(Vec<MatrixSeries>),
}

/// The value of one series at the moment of the query.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub labels: Labels,
    /// The moment of the query, milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Its value.
    pub value: SampleValue,
}

/// A number or a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// The samples of one series; start times are not filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    /// The series.
    pub labels: Labels,
    /// Its samples.
    pub samples: Samples,
}

/// Remarks on a result in Prometheus' words, each once and with the place in the query that gave rise to it
/// (`PromQL info: ... (1:6)`). In the order in which they came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The result is probably not what was meant.
    pub warnings: Vec<String>,
    /// The result might not be what was meant.
    pub infos: Vec<String>,
}

impl Annotations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty() && self.infos.is_empty()
    }
}

/// What a query took, counted as Prometheus does for `stats`: a native histogram counts as several samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples that all steps looked at, one that two windows share twice.
    pub total_samples: u64,
    /// Samples read from the store.
    pub samples_read: u64,
    /// Most samples in memory at once.
    pub peak_samples: u64,
    /// Samples by step: the step's time in milliseconds and its samples; only when asked for.
    pub samples_per_step: Vec<(i64, u64)>,
    /// How long the query waited for its turn.
    pub queue: std::time::Duration,
    /// How long parsing and reading series took.
    pub prepare: std::time::Duration,
    /// How long the evaluation took.
    pub evaluate: std::time::Duration,
}
