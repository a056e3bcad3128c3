//! Reading the table of series: which series a file has, and their chunks.
//!
//! What a file holds is read once and kept while there is room: its footer, and of the blocks of its rows that were asked
//! for the series and the heads of their rows. A query then reads the pages with its chunks and nothing else.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tripod_model::series::Labels;
use tripod_storage::series::{LabelMatcher, MillisRange};

use super::file_index::{Block, Entry, FileIndex};
use super::head::Head;
use super::rows::{self, Content, Row, RowHead, SeriesKey, place};
use crate::LakeError;
use crate::data_file::DataFile;

/// Rows that are read at once.
const BATCH_ROWS: usize = 4096;

/// Rows of each file that are in memory while files are merged.
const MERGED_BATCH_ROWS: usize = 512;

/// What a footer and a block take, about; the caches' tables begin with room for so many.
const TYPICAL_FOOTER_BYTES: usize = 512 << 10;
const TYPICAL_BLOCK_BYTES: usize = 16 << 10;

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
    files: Cache<String, Arc<FileIndex>, ByBytes>,
    blocks: Cache<BlockKey, Arc<Block>, ByBytes>,
}

/// A block by its file and its number there.
type BlockKey = (Arc<str>, u32);

/// What indexes count as in their caches.
#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<String, Arc<FileIndex>> for ByBytes {
    fn weight(&self, _: &String, index: &Arc<FileIndex>) -> u64 {
        index.bytes as u64
    }
}

impl Weighter<BlockKey, Arc<Block>> for ByBytes {
    fn weight(&self, _: &BlockKey, block: &Arc<Block>) -> u64 {
        block.bytes as u64
    }
}

/// Series of a file that are meant.
#[derive(Debug)]
pub(super) struct Selection {
    index: Arc<FileIndex>,
    /// Each with the number of its first row and the entries that are meant, ascending.
    blocks: Vec<(usize, Arc<Block>, Vec<u32>)>,
}

impl Selection {
    /// The labels of the series in the file's order; one that goes on in another block is there again.
    pub(super) fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.blocks
            .iter()
            .flat_map(|(_, block, entries)| entries.iter().map(|entry| &block.entries[*entry as usize].labels))
    }
}

impl Reader {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, limit_bytes: usize) -> Self {
        // Footers say where twenty pages are for each block.
        let files = limit_bytes / 4;
        Self {
            objects,
            files: Cache::with_weighter(files / TYPICAL_FOOTER_BYTES, files as u64, ByBytes),
            blocks: Cache::with_weighter(limit_bytes / TYPICAL_BLOCK_BYTES, (limit_bytes - files) as u64, ByBytes),
        }
    }

    fn open(&self, file: &DataFile) -> Input {
        Input { objects: Arc::clone(&self.objects), path: file.path.as_str().into(), bytes: file.bytes }
    }

    /// The series of a file for which all matchers of any set hold and that have rows in the range; all that have rows
    /// there when there is no set. Labels that are in memory are shared.
    pub(super) async fn select(
        &self,
        file: &DataFile,
        sets: &[Vec<LabelMatcher>],
        range: MillisRange,
        head: &Head,
    ) -> Result<Selection, LakeError> {
        let index = self.files.get_or_insert_async(&*file.path, self.load(file)).await?;
        let numbers = index.blocks(sets);
        let blocks = self.blocks(file, &index, &numbers, head).await?;
        let of_block = |(number, block): (u32, Arc<Block>)| {
            let entries = block.select(sets, range);
            (!entries.is_empty()).then(|| (index.rows_of(number).start, block, entries))
        };
        let blocks = numbers.into_iter().zip(blocks).filter_map(of_block).collect();
        Ok(Selection { index, blocks })
    }

    /// Forgets files that are not read any more.
    pub(super) fn forget(&self, files: &[Arc<DataFile>]) {
        let stays = |path: &str| !files.iter().any(|file| file.path == path);
        self.files.retain(|path, _| stays(path));
        self.blocks.retain(|(path, _), _| stays(path));
    }

    async fn load(&self, file: &DataFile) -> Result<Arc<FileIndex>, LakeError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = ArrowReaderMetadata::load_async(&mut self.open(file), options.clone()).await?;
        let index = FileIndex::new(&file.path, &footer, options)?;
        if index.rows() as u64 != file.rows {
            return Err(LakeError::Unexpected(format!("{} does not hold the rows that its table says", file.path)));
        }
        Ok(Arc::new(index))
    }

    /// Blocks by their numbers, ascending, each read once however many ask at the same time.
    async fn blocks(
        &self,
        file: &DataFile,
        index: &FileIndex,
        numbers: &[u32],
        head: &Head,
    ) -> Result<Vec<Arc<Block>>, LakeError> {
        let known = |number: &u32| self.blocks.get(&(Arc::clone(&index.path), *number));
        let mut blocks: Vec<Option<Arc<Block>>> = numbers.iter().map(known).collect();
        if blocks.iter().any(Option::is_none) {
            let _alone = index.reading.lock().await;
            // Somebody else may have read them meanwhile.
            let places = numbers.iter().zip(&mut blocks).filter(|(_, block)| block.is_none());
            let mut missing = Vec::new();
            for (number, block) in places {
                *block = known(number);
                if block.is_none() {
                    missing.push((*number, block));
                }
            }
            let read = self.read(file, index, missing.iter().map(|(number, _)| *number), head).await?;
            for ((number, place), block) in missing.into_iter().zip(read) {
                let block = Arc::new(block);
                self.blocks.insert((Arc::clone(&index.path), number), Arc::clone(&block));
                *place = Some(block);
            }
        }
        Ok(blocks.into_iter().flatten().collect())
    }

    /// Reads what some blocks, ascending, are about.
    async fn read(
        &self,
        file: &DataFile,
        index: &FileIndex,
        numbers: impl Iterator<Item = u32>,
        head: &Head,
    ) -> Result<Vec<Block>, LakeError> {
        let extents: Vec<Range<usize>> = numbers.map(|number| index.rows_of(number)).collect();
        if extents.is_empty() {
            return Ok(Vec::new());
        }
        let mask = ProjectionMask::roots(index.footer.parquet_schema(), place::METRIC..=place::SEQUENCE);
        let selection = RowSelection::from_consecutive_ranges(extents.iter().cloned(), index.rows());
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(self.open(file), index.footer.clone())
            .with_projection(mask)
            .with_row_selection(selection)
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let mut blocks = Vec::with_capacity(extents.len());
        let mut lengths = extents.iter().map(Range::len);
        let mut left = 0;
        let mut before = (String::new(), String::new());
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                while left == 0 {
                    left = lengths.next().ok_or_else(|| other_rows(file))?;
                    blocks.push(Block { heads: Vec::with_capacity(left), ..Block::default() });
                }
                left -= 1;
                let Some(block) = blocks.last_mut() else { continue };
                let (metric, labels) =
                    (rows::text(&batch, place::METRIC, row)?, rows::text(&batch, place::LABELS, row)?);
                let number = block.heads.len() as u32;
                block.heads.push(rows::head(&batch, row)?);
                match block.entries.last_mut().filter(|_| before.0 == metric && before.1 == labels) {
                    Some(entry) => entry.rows.end = number + 1,
                    None => {
                        let labels_of_row = rows::labels_of(metric, labels)?;
                        block.entries.push(Entry { labels: labels_of_row, rows: number..number + 1 });
                        before = (metric.to_owned(), labels.to_owned());
                    }
                }
            }
        }
        if left > 0 || blocks.len() != extents.len() {
            return Err(other_rows(file));
        }
        for block in &mut blocks {
            block.entries.shrink_to_fit();
            let own = head.share_labels(&mut block.entries);
            block.bytes = own + size_of_val(&*block.entries) + size_of_val(&*block.heads);
        }
        Ok(blocks)
    }

    /// The rows of a selection whose heads are wanted: for each row the series, the sequence and the content.
    pub(super) async fn contents<'s>(
        &self,
        file: &DataFile,
        selection: &'s Selection,
        is_wanted: impl Fn(&RowHead) -> bool,
    ) -> Result<Vec<(&'s Labels, i64, Content)>, LakeError> {
        let mut wanted: Vec<(&Labels, &RowHead)> = Vec::new();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (first_row, block, entries) in &selection.blocks {
            for entry in entries.iter().map(|entry| &block.entries[*entry as usize]) {
                for (row, head) in (first_row + entry.rows.start as usize..).zip(block.heads_of(entry)) {
                    if !is_wanted(head) {
                        continue;
                    }
                    wanted.push((&entry.labels, head));
                    match ranges.last_mut().filter(|range| range.end == row) {
                        Some(range) => range.end = row + 1,
                        None => ranges.push(row..row + 1),
                    }
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let index = &selection.index;
        // The rest is in the index. Of each column that is read, its dictionary is unpacked and a decompressor is made.
        let mask = ProjectionMask::roots(index.footer.parquet_schema(), place::TIMESTAMPS..=place::VALUES);
        let rows = RowSelection::from_consecutive_ranges(ranges.into_iter(), index.rows());
        let batches = ParquetRecordBatchStreamBuilder::new_with_metadata(self.open(file), index.footer.clone())
            .with_projection(mask)
            .with_row_selection(rows)
            .with_batch_size(BATCH_ROWS)
            .build()?;
        let batches: Vec<RecordBatch> = batches.try_collect().await?;
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() != wanted.len() {
            return Err(other_rows(file));
        }
        let places = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
        let content = |((labels, head), (batch, row)): ((&'s Labels, &RowHead), (&RecordBatch, usize))| {
            Ok((labels, head.sequence, rows::content(head, batch, 0, row)?))
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

fn other_rows(file: &DataFile) -> LakeError {
    LakeError::Unexpected(format!("{} gave other rows than were asked for", file.path))
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
