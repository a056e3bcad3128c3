use std::sync::Arc;

use tripod_model::series::{Labels, Samples};

use super::LabelMatcher;
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

/// A series with the chunks that cover the range.
#[derive(Clone, Debug)]
pub struct SelectedSeries {
    /// The series.
    pub labels: Labels,
    /// Chunks in no promised order; they may overlap when samples came out of order.
    pub chunks: Vec<Chunk>,
}

/// Some samples of one series.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// As columns in memory.
    Samples(Arc<Samples>),
}

impl SelectedSeries {
    /// The samples in the range, ascending in time. Of samples with the same time the one of the later chunk counts.
    ///
    /// # Errors
    /// [`SelectError`] when a chunk is damaged.
    pub fn samples(&self, range: MillisRange) -> Result<Samples, SelectError> {
        let mut merged = Samples::default();
        let mut floats: Vec<(i64, usize, f64, i64)> = Vec::new();
        let mut histograms = Vec::new();
        for (order, Chunk::Samples(samples)) in self.chunks.iter().enumerate() {
            for (index, &time) in
                samples.floats.timestamps.iter().enumerate().filter(|(_, time)| range.contains(**time))
            {
                let start = samples.floats.start_timestamps.get(index).copied().unwrap_or(0);
                floats.push((time, order, samples.floats.values[index], start));
            }
            for (index, &time) in
                samples.histograms.timestamps.iter().enumerate().filter(|(_, time)| range.contains(**time))
            {
                let start = samples.histograms.start_timestamps.get(index).copied().unwrap_or(0);
                histograms.push((time, order, samples.histograms.values[index].clone(), start));
            }
        }
        floats.sort_by_key(|(time, order, ..)| (*time, std::cmp::Reverse(*order)));
        floats.dedup_by_key(|(time, ..)| *time);
        histograms.sort_by_key(|(time, order, ..)| (*time, std::cmp::Reverse(*order)));
        histograms.dedup_by_key(|(time, ..)| *time);
        for (time, _, value, start) in floats {
            merged.floats.push(time, value, start);
        }
        for (time, _, value, start) in histograms {
            merged.histograms.push(time, value, start);
        }
        Ok(merged)
    }
}
