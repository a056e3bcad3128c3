use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, SeriesExemplar, SeriesMetadata};

/// Samples to be kept, in flat columns: a request of many series with a sample each costs no allocation per sample.
#[derive(Clone, Debug, Default)]
pub struct SeriesBatch {
    /// The series of this batch; the other lists refer to them by index. The same labels may come twice.
    pub labels: Vec<Labels>,
    /// Float samples, in the order in which they are to be applied.
    pub floats: Vec<FloatSample>,
    /// Native histograms, in the order in which they are to be applied.
    pub histograms: Vec<HistogramSample>,
    /// Exemplars with the index of their series.
    pub exemplars: Vec<(u32, SeriesExemplar)>,
    /// Metadata by metric family.
    pub metadata: Vec<(String, SeriesMetadata)>,
}

/// A float sample of a series of the batch.
#[derive(Clone, Copy, Debug)]
pub struct FloatSample {
    /// Index into [`SeriesBatch::labels`].
    pub series: u32,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// When the counter began, milliseconds since the Unix epoch; 0 when unknown.
    pub start: i64,
    /// The value; a stale marker by its bits.
    pub value: f64,
}

/// A native histogram of a series of the batch.
#[derive(Clone, Debug)]
pub struct HistogramSample {
    /// Index into [`SeriesBatch::labels`].
    pub series: u32,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// When the counter began, milliseconds since the Unix epoch; 0 when unknown.
    pub start: i64,
    /// The histogram.
    pub value: Arc<FloatHistogram>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct SeriesAppended {
    /// Float samples that were kept (exact duplicates of what is there count as kept).
    pub floats: usize,
    /// Histograms that were kept.
    pub histograms: usize,
    /// Exemplars that were kept.
    pub exemplars: usize,
    /// How many samples were refused.
    pub refused: usize,
    /// The first refused samples, at most [`SeriesAppended::SHOWN`].
    pub rejected: Vec<RejectedSample>,
}

impl SeriesAppended {
    /// How many refused samples are described.
    pub const SHOWN: usize = 10;

    /// Counts a refused sample and describes it if it is among the first.
    pub fn refuse(&mut self, labels: &Labels, timestamp: i64, reason: Rejection) {
        self.refused += 1;
        if self.rejected.len() < Self::SHOWN {
            self.rejected.push(RejectedSample { labels: labels.clone(), timestamp, reason });
        }
    }
}

/// A sample that was refused.
#[derive(Clone, Debug)]
pub struct RejectedSample {
    /// The series.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Why.
    pub reason: Rejection,
}

/// Why a sample was refused, in Prometheus' terms and words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Older than the newest sample of its series, in a store that takes samples in order only.
    #[error("out of order sample")]
    OutOfOrder,
    /// Older than the newest sample of the store by more than the out-of-order window.
    #[error("too old sample")]
    TooOld,
    /// Another value is there for this time.
    #[error("duplicate sample for timestamp")]
    DuplicateTimestamp,
    /// Further in the past or future than the store accepts.
    #[error("out of bounds")]
    OutOfBounds,
    /// The series would be one too many; the text names the limit.
    #[error("{0}")]
    Limit(String),
    /// The labels or the histogram are not valid; the text says how.
    #[error("{0}")]
    Invalid(String),
}

impl Rejection {
    /// The reason in one word, for counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::TooOld => "too_old",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::OutOfBounds => "out_of_bounds",
            Self::Limit(_) => "limit",
            Self::Invalid(_) => "invalid",
        }
    }
}
