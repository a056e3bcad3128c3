use std::fmt;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::{BoxStream, SelectAll, StreamExt, TryStreamExt};

use crate::{Matcher, SelectError, Signal};

/// A half-open range of event time, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First moment inside.
    pub start: i64,
    /// First moment outside.
    pub end: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { start: i64::MIN, end: i64::MAX };
}

/// What a query wants of one signal.
#[derive(Clone, Debug)]
pub struct Select {
    /// The table.
    pub signal: Signal,
    /// Bounds on the signal's time column ([`Signal::time_column`]).
    pub time: TimeRange,
    /// Conditions that all hold for every row given.
    pub matchers: Vec<Matcher>,
    /// Names of the columns to give, in order; all when `None`.
    pub columns: Option<Vec<String>>,
    /// At most this many rows, whichever come first; a store may give fewer partitions but never more rows.
    pub limit: Option<usize>,
}

impl Select {
    /// Every row and column of a signal.
    pub fn all(signal: Signal) -> Self {
        Self { signal, time: TimeRange::ALL, matchers: Vec::new(), columns: None, limit: None }
    }

    /// The same within a time range.
    #[must_use]
    pub fn during(mut self, time: TimeRange) -> Self {
        self.time = time;
        self
    }

    /// The same with one more condition.
    #[must_use]
    pub fn matching(mut self, matcher: Matcher) -> Self {
        self.matchers.push(matcher);
        self
    }

    /// The same with these columns only.
    #[must_use]
    pub fn columns<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The same, cut after this many rows.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    /// The schema of the answer: the wanted columns of the signal.
    ///
    /// # Errors
    /// [`SelectError::Invalid`] when a wanted column does not exist.
    pub fn output_schema(&self) -> Result<SchemaRef, SelectError> {
        let schema = self.signal.schema();
        let Some(names) = &self.columns else { return Ok(schema) };
        let indices = names
            .iter()
            .map(|name| {
                schema
                    .index_of(name)
                    .map_err(|_| SelectError::Invalid(format!("{} have no column \"{name}\"", self.signal.table())))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(schema.project(&indices)?.into())
    }
}

/// Record batches as they are read; a slow consumer slows the reading.
pub type BatchStream = BoxStream<'static, Result<RecordBatch, SelectError>>;

/// The answer to a [`Select`]: streams that can be read side by side. Together they hold every row once; the order
/// of rows is the store's own. Dropping a stream stops its work.
pub struct Selection {
    /// The columns of every batch.
    pub schema: SchemaRef,
    /// One stream for each part that can be read independently; none when nothing matches.
    pub partitions: Vec<BatchStream>,
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection").field("partitions", &self.partitions.len()).finish_non_exhaustive()
    }
}

impl Selection {
    /// All partitions as one stream, read side by side.
    pub fn into_stream(self) -> SelectAll<BatchStream> {
        futures::stream::select_all(self.partitions)
    }

    /// Reads everything into memory. For answers that a caller has bounded.
    ///
    /// # Errors
    /// The first error of any partition.
    pub async fn collect(self) -> Result<Vec<RecordBatch>, SelectError> {
        self.into_stream().boxed().try_collect().await
    }
}
