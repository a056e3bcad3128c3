use std::sync::Arc;

use tripod_model::series::{Labels, Samples};

use super::{EncodedChunk, LabelMatcher, OpenChunk, merge};
use crate::SelectError;

/// A span of time, both ends included, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MillisRange {
    /// The first moment.
    pub start: i64,
    /// The last moment.
    pub end: i64,
}

impl MillisRange {
    /// All of time.
    pub const ALL: Self = Self { start: i64::MIN, end: i64::MAX };

    /// Whether a moment is in the range.
    pub fn contains(&self, timestamp: i64) -> bool {
        (self.start..=self.end).contains(&timestamp)
    }

    /// Whether a moment from `first` to `last` is in the range.
    pub fn overlaps(&self, first: i64, last: i64) -> bool {
        first <= self.end && last >= self.start
    }
}

/// Which series with which samples.
#[derive(Clone, Debug)]
pub struct SelectSeries {
    /// Conditions that all hold.
    pub matchers: Vec<LabelMatcher>,
    /// Samples outside are not needed; chunks may hold some all the same, [`SelectedSeries::samples`] cuts them off.
    pub range: MillisRange,
}

/// Which series, for questions about labels.
#[derive(Clone, Debug)]
pub struct LabelQuery {
    /// A series is meant when all matchers of any one set hold. No set at all means every series.
    pub matcher_sets: Vec<Vec<LabelMatcher>>,
    /// Only series that may have samples here.
    pub range: MillisRange,
    /// At most so many answers; 0 for all.
    pub limit: usize,
}

impl LabelQuery {
    /// Every series, at all times, without a limit.
    pub const ALL: Self = Self { matcher_sets: Vec::new(), range: MillisRange::ALL, limit: 0 };

    /// How many answers there may be at most.
    pub fn most(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }
}

/// A series with the chunks that cover the range.
#[derive(Clone, Debug)]
pub struct SelectedSeries {
    /// The series.
    pub labels: Labels,
    /// Chunks in the order in which they were kept; they may overlap when samples came out of order.
    pub chunks: Vec<Chunk>,
}

/// Some samples of one series.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// As columns in memory.
    Samples(Arc<Samples>),
    /// As they are gathered in memory.
    Open(Arc<OpenChunk>),
    /// As they are stored.
    Encoded(Arc<EncodedChunk>),
}

impl SelectedSeries {
    /// The samples in the range, ascending in time. Of samples with the same time that of the earlier chunk counts:
    /// a store refuses another value for a time that it has, so what came first is what was acknowledged.
    ///
    /// # Errors
    /// [`SelectError`] when a chunk is damaged.
    pub fn samples(&self, range: MillisRange) -> Result<Samples, SelectError> {
        let parts = self.chunks.iter().map(Chunk::decode).collect::<Result<Vec<_>, _>>()?;
        Ok(merge::merge(parts.iter().map(|samples| &**samples), range))
    }
}

impl Chunk {
    /// The samples, all of them; decoded if they are not yet.
    ///
    /// # Errors
    /// [`SelectError`] when the chunk is damaged.
    pub fn decode(&self) -> Result<Arc<Samples>, SelectError> {
        match self {
            Self::Samples(samples) => Ok(Arc::clone(samples)),
            Self::Open(chunk) => Ok(Arc::new(Samples { floats: chunk.samples(), ..Samples::default() })),
            Self::Encoded(chunk) => chunk.decode().map(Arc::new).map_err(|error| SelectError::Failed(error.into())),
        }
    }
}
