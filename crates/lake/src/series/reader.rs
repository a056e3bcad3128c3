//! Reading the table of series: which series a file has, and their chunks.
//!
//! What a file holds is read once and kept while there is room: its footer, its series and where their rows lie. A query
//! then reads the pages with its chunks and nothing else.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use tripod_model::series::{Labels, METRIC_NAME};
use tripod_storage::series::{LabelMatcher, MatchOp, MillisRange};

use super::rows::{self, Content, Row, SeriesKey, place};
use crate::LakeError;
use crate::data_file::DataFile;

/// Rows that are read at once.
const BATCH_ROWS: usize = 4096;

/// A series of a file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) labels: Labels,
    /// The series' rows in the file.
    rows: Range<usize>,
    /// First and last moment of the rows.
    span: (i64, i64),
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct FileIndex {
    footer: ArrowReaderMetadata,
    /// In the order of the file: by metric, then by the other labels.
    pub(super) entries: Vec<Entry>,
    /// The metrics, sorted, with the first entry of each.
    metrics: Vec<(Box<str>, usize)>,
    bytes: usize,
}

impl FileIndex {
    /// The entries for which all matchers of a set hold and that may have samples in the range.
    pub(super) fn select(&self, matchers: &[LabelMatcher], range: MillisRange) -> Vec<usize> {
        let by_name = matchers.iter().find(|matcher| {
            matcher.name() == METRIC_NAME
                && matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex)
                && !matcher.matches_absent()
        });
        let places: Vec<Range<usize>> = match by_name.map(|matcher| (matcher, matcher.literals())) {
            Some((_, Some(names))) => names.iter().filter_map(|name| self.metric(name)).collect(),
            Some((matcher, None)) => (0..self.metrics.len())
                .filter(|metric| matcher.matches(&self.metrics[*metric].0))
                .map(|metric| self.entries_of(metric))
                .collect(),
            None => std::iter::once(0..self.entries.len()).collect(),
        };
        let matches = |entry: &usize| {
            let Entry { labels, span, .. } = &self.entries[*entry];
            range.overlaps(span.0, span.1) && matchers.iter().all(|matcher| matcher.matches_labels(labels))
        };
        places.into_iter().flatten().filter(matches).collect()
    }

    /// As [`FileIndex::select`], for any of the sets; all entries when there is no set.
    pub(super) fn select_any(&self, sets: &[Vec<LabelMatcher>], range: MillisRange) -> Vec<usize> {
        let mut found = match sets {
            [] => self.select(&[], range),
            sets => sets.iter().flat_map(|set| self.select(set, range)).collect(),
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    fn metric(&self, name: &str) -> Option<Range<usize>> {
        let metric = self.metrics.binary_search_by(|(each, _)| (**each).cmp(name)).ok()?;
        Some(self.entries_of(metric))
    }

    fn entries_of(&self, metric: usize) -> Range<usize> {
        self.metrics[metric].1..self.metrics.get(metric + 1).map_or(self.entries.len(), |(_, first)| *first)
    }
}

/// A file in the table's object store.
struct Input {
    objects: Arc<dyn ObjectStore>,
    path: object_store::path::Path,
    bytes: u64,
}

impl AsyncFileReader for Input {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let bytes = async move { self.objects.get_range(&self.path, range).await };
        bytes.map_err(|error| ParquetError::External(Box::new(error))).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let bytes = async move { self.objects.get_ranges(&self.path, &ranges).await };
        bytes.map_err(|error| ParquetError::External(Box::new(error))).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let policy = options.map_or(PageIndexPolicy::Skip, ArrowReaderOptions::offset_index_policy);
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new().with_page_index_policy(policy);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// Reads files of the table.
#[derive(Debug)]
pub(super) struct Reader {
    objects: Arc<dyn ObjectStore>,
    cache: Mutex<Cache>,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct Cache {
    indexes: HashMap<String, (Arc<FileIndex>, u64)>,
    bytes: usize,
    clock: u64,
}

impl Reader {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, limit_bytes: usize) -> Self {
        Self { objects, cache: Mutex::default(), limit_bytes }
    }

    fn open(&self, file: &DataFile) -> Input {
        Input { objects: Arc::clone(&self.objects), path: file.path.as_str().into(), bytes: file.bytes }
    }

    /// What a file holds. `shared` gives the labels that a series has in memory already.
    pub(super) async fn index(
        &self,
        file: &DataFile,
        shared: impl Fn(&mut [Entry]),
    ) -> Result<Arc<FileIndex>, LakeError> {
        {
            let mut cache = self.cache.lock();
            cache.clock += 1;
            let now = cache.clock;
            if let Some((index, used)) = cache.indexes.get_mut(&file.path) {
                *used = now;
                return Ok(Arc::clone(index));
            }
        }
        let index = Arc::new(self.load(file, shared).await?);
        let mut cache = self.cache.lock();
        let now = cache.clock;
        if cache.indexes.insert(file.path.clone(), (Arc::clone(&index), now)).is_none() {
            cache.bytes += index.bytes;
        }
        while cache.bytes > self.limit_bytes && cache.indexes.len() > 1 {
            let oldest = cache.indexes.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
            let Some((gone, _)) = oldest.and_then(|path| cache.indexes.remove(&path)) else { break };
            cache.bytes -= gone.bytes;
        }
        Ok(index)
    }

    /// Forgets files that are not read any more.
    pub(super) fn forget(&self, files: &[Arc<DataFile>]) {
        let mut cache = self.cache.lock();
        for file in files {
            if let Some((gone, _)) = cache.indexes.remove(&file.path) {
                cache.bytes -= gone.bytes;
            }
        }
    }

    async fn load(&self, file: &DataFile, shared: impl Fn(&mut [Entry])) -> Result<FileIndex, LakeError> {
        let mut input = self.open(file);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = ArrowReaderMetadata::load_async(&mut input, options).await?;
        let columns = [place::METRIC, place::LABELS, place::MIN_TIME, place::MAX_TIME];
        let mask = ProjectionMask::roots(footer.parquet_schema(), columns);
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(input, footer.clone())
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut metrics: Vec<(Box<str>, usize)> = Vec::new();
        let mut before = (String::new(), String::new());
        let mut number = 0;
        let mut bytes = 0;
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                let (metric, labels) = (rows::text(&batch, 0, row)?, rows::text(&batch, 1, row)?);
                let (first, last) = (rows::number(&batch, 2, row)?, rows::number(&batch, 3, row)?);
                match entries.last_mut().filter(|_| before.0 == metric && before.1 == labels) {
                    Some(entry) => {
                        entry.rows.end = number + 1;
                        entry.span = (entry.span.0.min(first), entry.span.1.max(last));
                    }
                    None => {
                        if metrics.last().is_none_or(|(name, _)| **name != *metric) {
                            metrics.push((metric.into(), entries.len()));
                        }
                        let labels_read = rows::labels_of(metric, labels)?;
                        bytes += size_of::<Entry>() + labels_read.as_bytes().len();
                        entries.push(Entry { labels: labels_read, rows: number..number + 1, span: (first, last) });
                        before = (metric.to_owned(), labels.to_owned());
                    }
                }
                number += 1;
            }
        }
        if number as u64 != file.rows {
            return Err(LakeError::Unexpected(format!("{} does not hold the rows that its table says", file.path)));
        }
        shared(&mut entries);
        Ok(FileIndex { footer, entries, metrics, bytes })
    }

    /// The rows of some entries, ascending: for each row the entry, the sequence and the content.
    pub(super) async fn contents(
        &self,
        file: &DataFile,
        index: &FileIndex,
        entries: &[usize],
    ) -> Result<Vec<(usize, i64, Content)>, LakeError> {
        let mut selectors = Vec::with_capacity(entries.len() * 2);
        let mut owners = Vec::new();
        let mut at = 0;
        for entry in entries {
            let Range { start, end } = index.entries[*entry].rows.clone();
            if start > at {
                selectors.push(RowSelector::skip(start - at));
            }
            selectors.push(RowSelector::select(end - start));
            owners.extend(std::iter::repeat_n(*entry, end - start));
            at = end;
        }
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        // Labels are in the index. Their pages have a dictionary, of which each reader would unpack all.
        let mask = ProjectionMask::roots(index.footer.parquet_schema(), place::KIND..=place::VALUES);
        let batches = ParquetRecordBatchStreamBuilder::new_with_metadata(self.open(file), index.footer.clone())
            .with_projection(mask)
            .with_row_selection(RowSelection::from(selectors))
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let batches: Vec<RecordBatch> = batches.try_collect().await?;
        let mut found = Vec::with_capacity(owners.len());
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let owner = owners.get(found.len()).copied();
                let owner = owner.ok_or_else(|| LakeError::Unexpected(format!("{} gave too many rows", file.path)))?;
                let sequence = rows::number(batch, place::SEQUENCE - place::KIND, row)?;
                found.push((owner, sequence, rows::content(batch, place::KIND, row)?));
            }
        }
        Ok(found)
    }

    /// All rows of a file, in its order.
    pub(super) async fn rows(&self, file: &DataFile) -> Result<Vec<Row>, LakeError> {
        let batches =
            ParquetRecordBatchStreamBuilder::new(self.open(file)).await?.with_batch_size(BATCH_ROWS).build()?;
        let batches: Vec<RecordBatch> = batches.try_collect().await?;
        let mut found: Vec<Row> = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let (metric, labels) = (rows::text(batch, place::METRIC, row)?, rows::text(batch, place::LABELS, row)?);
                let key = match found.last().filter(|last| last.key.metric == metric && last.key.labels == labels) {
                    Some(last) => Arc::clone(&last.key),
                    None => Arc::new(SeriesKey { metric: metric.to_owned(), labels: labels.to_owned() }),
                };
                let sequence = rows::number(batch, place::SEQUENCE, row)?;
                found.push(Row { key, sequence, content: rows::content(batch, 0, row)? });
            }
        }
        if found.len() as u64 != file.rows {
            return Err(LakeError::Unexpected(format!("{} does not hold the rows that its table says", file.path)));
        }
        Ok(found)
    }
}
