//! Reading the table of series: which series a file has, and their chunks.
//!
//! What a file holds is read once and kept while there is room: its footer, its series and the heads of their rows. A
//! query then reads the pages with its chunks and nothing else.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use ahash::AHashSet;
use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use tokio::sync::OnceCell;
use tripod_model::series::Labels;

use super::file_index::{Entry, FileIndex};
use super::head::Head;
use super::rows::{self, Content, Row, RowHead, SeriesKey, place};
use crate::LakeError;
use crate::data_file::DataFile;

/// Rows that are read at once.
const BATCH_ROWS: usize = 4096;

/// Rows of each file that are in memory while files are merged.
const MERGED_BATCH_ROWS: usize = 512;

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
    indexes: HashMap<String, Slot>,
    bytes: usize,
    clock: u64,
}

/// The index of a file, or the place where those wait who want it while one of them reads it.
#[derive(Debug, Default)]
struct Slot {
    index: Arc<OnceCell<Arc<FileIndex>>>,
    /// What it adds to the cache's bytes; nothing yet while it is being read.
    bytes: usize,
    used: u64,
}

impl Cache {
    fn slot(&mut self, path: &str) -> Arc<OnceCell<Arc<FileIndex>>> {
        self.clock += 1;
        let slot = match self.indexes.get_mut(path) {
            Some(slot) => slot,
            None => self.indexes.entry(path.to_owned()).or_default(),
        };
        slot.used = self.clock;
        Arc::clone(&slot.index)
    }

    /// Counts an index that was read, and forgets those that were not used for longest while they are too many.
    fn count(&mut self, path: &str, bytes: usize, limit_bytes: usize) {
        let Some(slot) = self.indexes.get_mut(path).filter(|slot| slot.bytes == 0) else { return };
        slot.bytes = bytes;
        self.bytes += bytes;
        while self.bytes > limit_bytes {
            let others = self.indexes.iter().filter(|(each, slot)| slot.bytes > 0 && *each != path);
            let oldest = others.min_by_key(|(_, slot)| slot.used).map(|(path, _)| path.clone());
            let Some(oldest) = oldest else { break };
            self.forget(&oldest);
        }
    }

    /// The index with the most series.
    fn largest(&self) -> Option<Arc<FileIndex>> {
        let indexes = self.indexes.values().filter_map(|slot| slot.index.get());
        indexes.max_by_key(|index| index.entries.len()).cloned()
    }

    fn forget(&mut self, path: &str) {
        if let Some(gone) = self.indexes.remove(path) {
            self.bytes -= gone.bytes;
        }
    }
}

impl Reader {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, limit_bytes: usize) -> Self {
        Self { objects, cache: Mutex::default(), limit_bytes }
    }

    fn open(&self, file: &DataFile) -> Input {
        Input { objects: Arc::clone(&self.objects), path: file.path.as_str().into(), bytes: file.bytes }
    }

    /// What a file holds, read once however many ask at the same time; labels that are in memory are shared.
    pub(super) async fn index(&self, file: &DataFile, head: &Head) -> Result<Arc<FileIndex>, LakeError> {
        let slot = self.cache.lock().slot(&file.path);
        if let Some(index) = slot.get() {
            return Ok(Arc::clone(index));
        }
        let index = slot.get_or_try_init(|| async { self.load(file, head).await.map(Arc::new) }).await?;
        self.cache.lock().count(&file.path, index.bytes, self.limit_bytes);
        Ok(Arc::clone(index))
    }

    /// Whether another index of so many bytes can be kept without one that is there.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.cache.lock().bytes + bytes <= self.limit_bytes
    }

    /// Forgets files that are not read any more.
    pub(super) fn forget(&self, files: &[Arc<DataFile>]) {
        let mut cache = self.cache.lock();
        files.iter().for_each(|file| cache.forget(&file.path));
    }

    async fn load(&self, file: &DataFile, head: &Head) -> Result<FileIndex, LakeError> {
        let mut input = self.open(file);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = ArrowReaderMetadata::load_async(&mut input, options).await?;
        let mask = ProjectionMask::roots(footer.parquet_schema(), place::METRIC..=place::SEQUENCE);
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(input, footer.clone())
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut heads = Vec::new();
        let mut metrics: Vec<(Box<str>, usize)> = Vec::new();
        let mut before = (String::new(), String::new());
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                let (metric, labels) =
                    (rows::text(&batch, place::METRIC, row)?, rows::text(&batch, place::LABELS, row)?);
                let number = heads.len();
                heads.push(rows::head(&batch, row)?);
                match entries.last_mut().filter(|_| before.0 == metric && before.1 == labels) {
                    Some(entry) => entry.rows.end = number + 1,
                    None => {
                        if metrics.last().is_none_or(|(name, _)| **name != *metric) {
                            metrics.push((metric.into(), entries.len()));
                        }
                        entries.push(Entry { labels: rows::labels_of(metric, labels)?, rows: number..number + 1 });
                        before = (metric.to_owned(), labels.to_owned());
                    }
                }
            }
        }
        if heads.len() as u64 != file.rows {
            return Err(LakeError::Unexpected(format!("{} does not hold the rows that its table says", file.path)));
        }
        let others = head.share_labels(&mut entries);
        let own = self.share_labels(&mut entries, others);
        let bytes = own + entries.len() * size_of::<Entry>() + heads.len() * size_of::<RowHead>();
        Ok(FileIndex { footer, entries, heads, metrics, bytes })
    }

    /// Gives some series the labels that they have in another file's index, since files of a time have the same series;
    /// gives the bytes of labels that are in no other.
    fn share_labels(&self, entries: &mut [Entry], mut places: Vec<usize>) -> usize {
        let other = self.cache.lock().largest();
        if let Some(other) = other.filter(|_| !places.is_empty()) {
            let known: AHashSet<&Labels> = other.entries.iter().map(|entry| &entry.labels).collect();
            places.retain(|place| {
                let labels = &mut entries[*place].labels;
                let found = known.get(labels).map(|known| *labels = (*known).clone());
                found.is_none()
            });
        }
        places.into_iter().map(|place| entries[place].labels.as_bytes().len()).sum()
    }

    /// The rows of some entries, ascending, whose heads are wanted: for each row the entry, the sequence and the content.
    pub(super) async fn contents(
        &self,
        file: &DataFile,
        index: &FileIndex,
        entries: &[usize],
        is_wanted: impl Fn(&RowHead) -> bool,
    ) -> Result<Vec<(usize, i64, Content)>, LakeError> {
        let mut wanted: Vec<(usize, &RowHead)> = Vec::with_capacity(entries.len());
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for entry in entries {
            for row in index.entries[*entry].rows.clone().filter(|row| is_wanted(&index.heads[*row])) {
                wanted.push((*entry, &index.heads[row]));
                match ranges.last_mut().filter(|range| range.end == row) {
                    Some(range) => range.end = row + 1,
                    None => ranges.push(row..row + 1),
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // The rest is in the index. Of each column that is read, its dictionary is unpacked and a decompressor is made.
        let mask = ProjectionMask::roots(index.footer.parquet_schema(), place::TIMESTAMPS..=place::VALUES);
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), index.heads.len());
        let batches = ParquetRecordBatchStreamBuilder::new_with_metadata(self.open(file), index.footer.clone())
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let batches: Vec<RecordBatch> = batches.try_collect().await?;
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() != wanted.len() {
            return Err(LakeError::Unexpected(format!("{} gave other rows than were asked for", file.path)));
        }
        let places = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
        let content = |((entry, head), (batch, row)): ((usize, &RowHead), (&RecordBatch, usize))| {
            Ok((entry, head.sequence, rows::content(head, batch, 0, row)?))
        };
        wanted.into_iter().zip(places).map(content).collect()
    }

    /// All rows of a file, in its order, a series at a time.
    pub(super) async fn rows(&self, file: Arc<DataFile>) -> Result<FileRows, LakeError> {
        let batches = ParquetRecordBatchStreamBuilder::new(self.open(&file)).await?;
        let batches = batches.with_batch_size(MERGED_BATCH_ROWS).build()?;
        Ok(FileRows { file, batches, waiting: VecDeque::new(), read: 0 })
    }
}

/// The rows of a file on their way.
pub(super) struct FileRows {
    file: Arc<DataFile>,
    batches: ParquetRecordBatchStream<Input>,
    waiting: VecDeque<Row>,
    read: u64,
}

impl FileRows {
    /// All rows of the next series; none at the end.
    pub(super) async fn next_series(&mut self) -> Result<Vec<Row>, LakeError> {
        // A series is whole when a row of another one follows.
        while self.waiting.front().map(|row| &row.key) == self.waiting.back().map(|row| &row.key) {
            let Some(batch) = self.batches.try_next().await? else {
                if self.read != self.file.rows {
                    let path = &self.file.path;
                    return Err(LakeError::Unexpected(format!("{path} does not hold the rows that its table says")));
                }
                break;
            };
            self.read += batch.num_rows() as u64;
            for row in 0..batch.num_rows() {
                let (metric, labels) =
                    (rows::text(&batch, place::METRIC, row)?, rows::text(&batch, place::LABELS, row)?);
                let same = self.waiting.back().filter(|last| last.key.metric == metric && last.key.labels == labels);
                let key = match same {
                    Some(last) => Arc::clone(&last.key),
                    None => Arc::new(SeriesKey { metric: metric.to_owned(), labels: labels.to_owned() }),
                };
                let head = rows::head(&batch, row)?;
                let content = rows::content(&head, &batch, place::TIMESTAMPS, row)?;
                self.waiting.push_back(Row { key, sequence: head.sequence, content });
            }
        }
        let Some(first) = self.waiting.front().map(|row| Arc::clone(&row.key)) else { return Ok(Vec::new()) };
        let count = self.waiting.partition_point(|row| *row.key == *first);
        Ok(self.waiting.drain(..count).collect())
    }
}
