//! Native histograms: what they are, and the operations on them that queries and receivers need.
//!
//! Results are those of Prometheus' `model/histogram`; the buckets of both sides are walked as pairs of index and count,
//! so that no operation depends on how spans are cut.
//!
//! Two answers differ from Prometheus' on purpose, because its are wrong: adding or comparing histograms of different
//! schemas when the finer one's buckets lie in the bucket around zero (it counts them twice, when the coarser bucket
//! reaches further), and a quantile of a histogram with observations of NaN (it takes the rank in one bucket and the
//! bounds of the last one).

mod arithmetic;
mod bounds;
mod buckets;
mod classic;
mod layout;
#[cfg(test)]
mod properties;
mod quantile;
mod reset;
mod schema;
mod sum;
mod text;
mod trim;
mod validate;
mod zero;

pub use arithmetic::{IncompatibleSchemas, Reconciled};
pub use buckets::Bucket;
pub use classic::{ClassicHistogram, InvalidClassic};
pub use quantile::{FractionEstimate, NanEffect, QuantileEstimate};
pub use sum::{HistogramMean, HistogramSum};
pub use trim::Trim;
pub use validate::InvalidHistogram;

/// A native histogram with float counts: Prometheus' `histogram.FloatHistogram`.
///
/// Buckets are sparse: each [`NativeSpan`] says how many indices to skip and how many buckets follow. Counts are
/// absolute (not deltas as on some wires). With a standard schema from -4 to 8, bucket `i` ends at
/// `2^(i * 2^-schema)`; with schema [`FloatHistogram::CUSTOM_BUCKETS`] bucket `i` ends at `custom_values[i]`.
#[derive(Clone, Debug, Default)]
pub struct FloatHistogram {
    /// Resolution: -4 (coarse) to 8 (fine), or -53 for custom bounds.
    pub schema: i32,
    /// What is known of a reset between this sample and the one before.
    pub counter_reset_hint: CounterResetHint,
    /// Width of the bucket around zero: it holds values in `[-zero_threshold, zero_threshold]`.
    pub zero_threshold: f64,
    /// Observations in the bucket around zero.
    pub zero_count: f64,
    /// All observations, NaN ones included.
    pub count: f64,
    /// Sum of all observations; the stale marker's bits make the whole sample a stale marker.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<NativeSpan>,
    /// Counts of the positive buckets, in the order of the spans.
    pub positive_buckets: Vec<f64>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<NativeSpan>,
    /// Counts of the negative buckets, in the order of the spans.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds, ascending, without +Inf; only with custom bounds.
    pub custom_values: Vec<f64>,
}

impl FloatHistogram {
    /// The schema number that stands for custom bounds.
    pub const CUSTOM_BUCKETS: i32 = -53;

    /// Whether the buckets have custom bounds.
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == Self::CUSTOM_BUCKETS
    }
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NativeSpan {
    /// Indices to skip since the end of the span before; for the first span, the index of its first bucket.
    pub offset: i32,
    /// How many buckets the span has.
    pub length: u32,
}

/// Whether a histogram's counts began anew since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CounterResetHint {
    /// Not known: compare the two.
    #[default]
    Unknown,
    /// There was a reset.
    CounterReset,
    /// There was none.
    NotCounterReset,
    /// A gauge histogram: resets have no meaning.
    Gauge,
}

impl PartialEq for FloatHistogram {
    /// By bits for every float, so that stale markers and NaN sums equal themselves.
    fn eq(&self, other: &Self) -> bool {
        let same = |left: &[f64], right: &[f64]| {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
        };
        self.schema == other.schema
            && self.counter_reset_hint == other.counter_reset_hint
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && same(&self.positive_buckets, &other.positive_buckets)
            && same(&self.negative_buckets, &other.negative_buckets)
            && same(&self.custom_values, &other.custom_values)
    }
}
