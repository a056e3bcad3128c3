//! Reading the rows of a few traces, by the index of each file.
//!
//! A general scan looks at every row group of every file and opens every column of those that are left. Here the index
//! says which parts of which row groups to read, only columns that hold something are opened, and row groups are read
//! side by side.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::error::ArrowError;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection, RowSelectionPolicy, RowSelector,
};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::PageIndexPolicy;
use tokio_util::task::AbortOnDropHandle;
use tripod_storage::{BatchStream, Matcher, Predicate, Scalar, SelectError, Signal};

use crate::LakeError;
use crate::columns::{file_schema, to_memory_form};
use crate::data_file::DataFile;
use crate::hot::widen;
use crate::scan::{Cut, place};
use crate::trace_index::{Hit, PART_ROWS, TraceIndex, is_indexed};

/// Indexes that are read at once.
const LOADS_AT_ONCE: usize = 8;

/// The indexes of the newest files, in memory.
#[derive(Debug)]
pub(crate) struct IndexCache {
    limit: usize,
    /// By the file's path.
    cached: Mutex<HashMap<String, Cached>>,
}

#[derive(Debug)]
struct Cached {
    /// Nothing for a file that has none.
    index: Option<Arc<TraceIndex>>,
    bytes: usize,
    newest: i64,
}

impl IndexCache {
    /// A cache of up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, cached: Mutex::default() }
    }

    fn get(&self, path: &str) -> Option<Option<Arc<TraceIndex>>> {
        self.cached.lock().get(path).map(|cached| cached.index.clone())
    }

    /// Keeps an index, and those of `live` files alone; of too many the newest, which are asked for most.
    fn put(&self, file: &DataFile, index: Option<Arc<TraceIndex>>, live: &[Arc<DataFile>]) {
        let bytes = file.path.len() + size_of::<Cached>() + index.as_ref().map_or(0, |index| index.memory_bytes());
        let mut cached = self.cached.lock();
        cached.insert(file.path.clone(), Cached { index, bytes, newest: file.max_time });
        let mut used: usize = cached.values().map(|cached| cached.bytes).sum();
        if used <= self.limit {
            return;
        }
        let live: std::collections::HashSet<&str> = live.iter().map(|file| file.path.as_str()).collect();
        cached.retain(|path, _| live.contains(path.as_str()));
        used = cached.values().map(|cached| cached.bytes).sum();
        while used > self.limit
            && let Some(oldest) = cached.iter().min_by_key(|(_, cached)| cached.newest).map(|(path, _)| path.clone())
        {
            used -= cached.remove(&oldest).map_or(0, |cached| cached.bytes);
        }
    }
}

/// The condition on indexed ids, if there is one, and the ids.
pub(crate) fn asked(signal: Signal, matchers: &[Matcher]) -> Option<(&Matcher, Vec<&str>)> {
    matchers.iter().filter(|matcher| is_indexed(signal, &matcher.column)).find_map(|matcher| {
        let scalars = match &matcher.predicate {
            Predicate::Eq(scalar) => std::slice::from_ref(scalar),
            Predicate::In(scalars) => scalars.as_slice(),
            _ => return None,
        };
        let ids = scalars.iter().map(|scalar| if let Scalar::Text(id) = scalar { Some(id.as_str()) } else { None });
        Some((matcher, ids.collect::<Option<Vec<_>>>()?))
    })
}

/// What a lookup found.
pub(crate) struct Found {
    /// The rows.
    pub(crate) rows: BatchStream,
    /// Files that have no index and are to be scanned.
    pub(crate) unindexed: Vec<Arc<DataFile>>,
}

/// Looks traces up in files. `live` are all files of the table.
pub(crate) async fn look_up(
    cache: &IndexCache,
    opener: Opener,
    files: Vec<Arc<DataFile>>,
    live: &[Arc<DataFile>],
    (matcher, ids): (&Matcher, Vec<&str>),
    cut: &Cut,
) -> Result<Found, LakeError> {
    let (opener, ids) = (Arc::new(opener), &ids);
    let mut found = stream::iter(files)
        .map(|file| {
            let opener = &opener;
            async move {
                let index = match cache.get(&file.path) {
                    Some(index) => index,
                    None => {
                        let index = opener.index(&file).await?.map(Arc::new);
                        cache.put(&file, index.clone(), live);
                        index
                    }
                };
                let Some(index) = index else { return Ok((file, None)) };
                let hits = index.find(ids.iter().copied());
                let metadata = if hits.is_empty() { None } else { Some(opener.metadata(&file).await?) };
                let hits = hits.into_iter().map(|hit| (hit, Arc::clone(&index))).collect::<Vec<_>>();
                Ok::<_, LakeError>((file, Some((metadata, hits))))
            }
        })
        .buffered(LOADS_AT_ONCE);
    let (mut unindexed, mut reads) = (Vec::new(), Vec::new());
    while let Some((file, hits)) = found.try_next().await? {
        match hits {
            None => unindexed.push(file),
            Some((Some(metadata), hits)) => reads.extend(hits.into_iter().map(|(hit, index)| Read {
                file: Arc::clone(&file),
                metadata: metadata.clone(),
                index,
                hit,
                matcher: matcher.clone(),
                cut: cut.clone(),
            })),
            Some((None, _)) => {}
        }
    }
    drop(found);
    let side_by_side = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = stream::iter(reads)
        .map(move |read| {
            let opener = Arc::clone(&opener);
            // On a task of its own, so that another core can take it; dropping the stream stops it.
            let task = AbortOnDropHandle::new(tokio::spawn(async move { read.run(&opener).await }));
            async move { task.await.map_err(|error| SelectError::Failed(Box::new(error)))? }
        })
        .buffer_unordered(side_by_side)
        .map_ok(|batches| stream::iter(batches.into_iter().map(Ok)))
        .try_flatten();
    Ok(Found { rows: rows.boxed(), unindexed })
}

/// Opens a signal's files.
pub(crate) struct Opener {
    pub(crate) factory: CachedParquetFileReaderFactory,
}

impl Opener {
    fn open(&self, file: &DataFile) -> Result<Box<dyn AsyncFileReader>, LakeError> {
        Ok(self.factory.create_reader(0, place(file), None, &ExecutionPlanMetricsSet::new())?)
    }

    async fn metadata(&self, file: &DataFile) -> Result<ArrowReaderMetadata, LakeError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        Ok(ArrowReaderMetadata::load_async(&mut self.open(file)?, options).await?)
    }

    async fn index(&self, file: &DataFile) -> Result<Option<TraceIndex>, LakeError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let mut reader = self.open(file)?;
        let metadata = reader.get_metadata(Some(&options)).await?;
        let Some(place) = TraceIndex::place(&metadata).filter(|place| place.end <= file.bytes) else { return Ok(None) };
        let index = TraceIndex::decode(&reader.get_bytes(place).await?, &metadata);
        if index.is_none() {
            tracing::warn!(file = file.path, "the file's index of traces is damaged; its rows are searched instead");
        }
        Ok(index)
    }
}

/// One row group to be read.
struct Read {
    /// Held until the rows are read: a file that a compaction removes stays until its last reader is gone.
    file: Arc<DataFile>,
    metadata: ArrowReaderMetadata,
    index: Arc<TraceIndex>,
    hit: Hit,
    matcher: Matcher,
    cut: Cut,
}

impl Read {
    async fn run(self, opener: &Opener) -> Result<Vec<RecordBatch>, SelectError> {
        let Self { file, metadata, index, hit, matcher, cut } = self;
        let failed = |error: LakeError| SelectError::Failed(Box::new(error));
        let schema = file_schema(cut.signal).project(&cut.with_conditions()?)?;
        let roots = metadata.parquet_schema().root_schema().get_fields();
        let root = |name: &str| roots.iter().position(|field| field.name() == name);
        let (filled, wanted): (Vec<usize>, Vec<usize>) = (schema.fields().iter().enumerate())
            .filter_map(|(place, field)| Some((place, root(field.name())?)))
            .filter(|(_, root)| index.is_filled(hit.group, *root))
            .unzip();
        let Some(id) = root(&matcher.column) else { return Ok(Vec::new()) };
        let mask = |roots: Vec<usize>| ProjectionMask::roots(metadata.parquet_schema(), roots);
        let condition = ArrowPredicateFn::new(mask(vec![id]), move |rows| evaluate(&matcher, &rows));
        let rows = metadata.metadata().row_group(hit.group).num_rows() as usize;
        let projection = mask(wanted);
        let reader = opener.open(&file).map_err(failed)?;
        let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
            .with_row_groups(vec![hit.group])
            .with_row_selection(select_parts(hit.parts, rows))
            // A trace has a few rows among thousands; the others are skipped, not decoded and dropped.
            .with_row_selection_policy(RowSelectionPolicy::Selectors)
            .with_row_filter(RowFilter::new(vec![Box::new(condition)]))
            .with_projection(projection)
            .build()
            .map_err(|error| failed(error.into()))?;
        let schema = Arc::new(schema);
        let mut matched = Vec::new();
        while let Some(rows) = batches.try_next().await.map_err(|error| failed(error.into()))? {
            let rows = to_memory_form(cut.signal, &widen(&schema, &filled, &rows)?)?;
            matched.extend(cut.apply_all(&rows)?);
        }
        Ok(matched)
    }
}

fn evaluate(matcher: &Matcher, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    matcher.evaluate(rows).map_err(|error| ArrowError::ExternalError(Box::new(error)))
}

/// The rows of the parts that are set.
fn select_parts(parts: u8, rows: usize) -> RowSelection {
    let selectors = (0..rows.div_ceil(PART_ROWS)).map(|part| {
        let length = PART_ROWS.min(rows - part * PART_ROWS);
        if parts >> part & 1 == 1 { RowSelector::select(length) } else { RowSelector::skip(length) }
    });
    selectors.collect::<Vec<_>>().into()
}
