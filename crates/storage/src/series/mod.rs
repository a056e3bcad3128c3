//! The seam for metrics: series with their samples, as Prometheus' storage interface has it.
//!
//! Beside [`crate::Store`], because a series is no row: what is asked for is labels and the samples under them, and a
//! store answers with chunks that the query engine decodes once. What is absent on purpose: PromQL, wire formats, files.

mod batch;
pub mod chunk;
mod go_regex;
mod index;
mod matcher;
pub mod memory;
mod merge;
mod pattern;
mod select;
mod statistics;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

use std::fmt::Debug;

use async_trait::async_trait;
use tripod_model::series::{Labels, SeriesExemplar, SeriesMetadata};

pub use batch::{FloatSample, HistogramSample, RejectedSample, Rejection, SeriesAppended, SeriesBatch};
pub use chunk::{ChunkError, ChunkKind, EncodedChunk, OpenChunk};
pub use go_regex::to_rust as pattern_to_rust;
pub use index::LabelIndex;
pub use matcher::{InvalidRegex, LabelMatcher, MatchOp};
pub use memory::{MemorySeriesStore, check_histogram};
pub use select::{Chunk, LabelQuery, MillisRange, SelectSeries, SelectedSeries};
pub use statistics::{NameCount, SeriesStatistics};

use crate::{AppendError, SelectError};

/// A place that keeps series and gives them back.
#[async_trait]
pub trait SeriesStore: Debug + Send + Sync + 'static {
    /// Keeps the samples of a batch.
    ///
    /// Samples that break a rule (too old, another value for the same time, over a limit) are refused one by one and
    /// reported in the answer; the others are kept. When this returns `Ok`, what was kept survives a crash (in a
    /// durable store) and the next select sees it.
    ///
    /// # Errors
    /// As [`crate::Store::append`]: the store is full, busy or shutting down. Then nothing was kept.
    async fn append_series(&self, batch: SeriesBatch) -> Result<SeriesAppended, AppendError>;

    /// The series that match with their samples in the range, sorted by labels, each once.
    ///
    /// A series that matches but has no sample in the range may be left out.
    ///
    /// # Errors
    /// [`SelectError`] when reading fails.
    async fn select_series(&self, select: SelectSeries) -> Result<Vec<SelectedSeries>, SelectError>;

    /// The label sets of the series that match any of the queries' matcher sets and may have samples in the range;
    /// sorted, each once.
    ///
    /// # Errors
    /// As [`SeriesStore::select_series`].
    async fn series(&self, query: LabelQuery) -> Result<Vec<Labels>, SelectError>;

    /// Names of labels of the series that match; sorted, each once.
    ///
    /// # Errors
    /// As [`SeriesStore::select_series`].
    async fn label_names(&self, query: LabelQuery) -> Result<Vec<String>, SelectError>;

    /// Values of one label over the series that match; sorted, each once.
    ///
    /// # Errors
    /// As [`SeriesStore::select_series`].
    async fn label_values(&self, name: &str, query: LabelQuery) -> Result<Vec<String>, SelectError>;

    /// Exemplars in the range of the series that match, by series.
    ///
    /// # Errors
    /// As [`SeriesStore::select_series`].
    async fn exemplars(&self, query: LabelQuery) -> Result<Vec<(Labels, Vec<SeriesExemplar>)>, SelectError>;

    /// What is known of metric families: name with type, unit and help; of one family when a name is given.
    ///
    /// # Errors
    /// As [`SeriesStore::select_series`].
    async fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, SeriesMetadata)>, SelectError>;

    /// Deletes the samples in the range of the series that match any of the matcher sets. They are gone from the next
    /// select on; their room is given back later.
    ///
    /// # Errors
    /// As [`SeriesStore::append_series`].
    async fn delete_series(&self, query: LabelQuery) -> Result<(), AppendError>;

    /// Gives back the room of what was deleted, without waiting for the store to do so on its own.
    ///
    /// # Errors
    /// As [`SeriesStore::append_series`].
    async fn clean_tombstones(&self) -> Result<(), AppendError> {
        Ok(())
    }

    /// Copies the series as they are now to a place of the store's own, and gives the copy's name; without those samples
    /// that only memory and log hold, if `with_memory` is false.
    ///
    /// # Errors
    /// As [`SeriesStore::append_series`], and [`AppendError::Invalid`] when the store keeps nothing on disk.
    async fn snapshot(&self, with_memory: bool) -> Result<String, AppendError> {
        let _ = with_memory;
        Err(AppendError::Invalid("this store keeps nothing on disk".to_owned()))
    }

    /// Counts of series and labels in memory, each list at most `limit` long.
    ///
    /// # Errors
    /// As [`SeriesStore::select_series`].
    async fn statistics(&self, limit: usize) -> Result<SeriesStatistics, SelectError>;
}
