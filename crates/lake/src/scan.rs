//! Reading: a view of files and memory, cut down to what a select asks for.
//!
//! Files are read by DataFusion's Parquet source, which prunes row groups and pages by statistics and bloom filters
//! and decodes other columns only where the conditions hold. What it cannot evaluate, conditions on attributes inside
//! JSON columns, is evaluated afterwards on Arrow, as it is for rows in memory. Rows of a few traces are looked up by
//! index instead (`crate::trace_lookup`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{binary, in_list, is_not_null, is_null, lit};
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::expressions::col;
use datafusion::prelude::SessionConfig;
use futures::stream::{self, StreamExt};
use object_store::ObjectStore;
use tripod_storage::matcher::evaluate_all;
use tripod_storage::schema::Kind;
use tripod_storage::{BatchStream, Matcher, Predicate, Scalar, Select, SelectError, Selection, Signal, TimeRange};

use crate::LakeError;
use crate::columns::{file_schema, to_memory_form};
use crate::data_file::{DataFile, Files};
use crate::hot::View;
use crate::trace_lookup::{IndexCache, Opener, asked, look_up};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 8 * 1024;
/// Memory for the footers of files, in bytes.
const FOOTER_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// Memory for the indexes of traces, in bytes: of some fifty million spans.
const INDEX_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// What reading needs beside the rows: caches and the tables' object stores.
#[derive(Debug)]
pub(crate) struct Reader {
    context: Arc<TaskContext>,
    partitions: usize,
    indexes: IndexCache,
}

impl Reader {
    pub(crate) fn new() -> Result<Self, LakeError> {
        let runtime = RuntimeEnvBuilder::new().with_metadata_cache_limit(FOOTER_CACHE_BYTES).build_arc()?;
        let config = SessionConfig::from(ConfigOptions::new()).with_batch_size(BATCH_ROWS);
        let context = TaskContext::default().with_session_config(config).with_runtime(runtime);
        let partitions = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { context: Arc::new(context), partitions, indexes: IndexCache::new(INDEX_CACHE_BYTES) })
    }

    pub(crate) fn register(&self, signal: Signal, objects: Arc<dyn ObjectStore>) -> Result<(), LakeError> {
        self.runtime().register_object_store(store_url(signal)?.as_ref(), objects);
        Ok(())
    }

    fn runtime(&self) -> Arc<RuntimeEnv> {
        self.context.runtime_env()
    }

    pub(crate) fn context(&self) -> Arc<TaskContext> {
        Arc::clone(&self.context)
    }

    fn file_readers(&self, signal: Signal) -> Result<CachedParquetFileReaderFactory, LakeError> {
        let objects = self.runtime().object_store(&store_url(signal)?)?;
        Ok(CachedParquetFileReaderFactory::new(objects, self.runtime().cache_manager.get_file_metadata_cache()))
    }

    /// A plan over files, one partition for each group.
    pub(crate) fn plan(
        &self,
        signal: Signal,
        groups: Vec<Vec<Arc<DataFile>>>,
        columns: Option<Vec<usize>>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn ExecutionPlan>, LakeError> {
        let url = store_url(signal)?;
        let mut source = ParquetSource::new(file_schema(signal))
            .with_parquet_file_reader_factory(Arc::new(self.file_readers(signal)?))
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true);
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate).with_pushdown_filters(true).with_reorder_filters(true);
        }
        let groups = groups.into_iter().map(|files| FileGroup::new(files.iter().map(|file| place(file)).collect()));
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups.collect())
            .with_projection_indices(columns)?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Answers a select from a view.
    pub(crate) async fn select(&self, select: &Select, view: View) -> Result<Selection, SelectError> {
        let schema = select.output_schema()?;
        for matcher in &select.matchers {
            matcher.check(select.signal)?;
        }
        let cut = Cut::new(select, Arc::clone(&schema))?;
        let files = Arc::clone(&view.files);
        let mut partitions = self.read_files(select, &files, &cut).await.map_err(failed)?;
        if !view.hot.is_empty() {
            let cut = cut.clone();
            let rows = stream::iter(view.hot.clone())
                .map(move |rows| {
                    // The view keeps what it was made of until the stream has ended.
                    let _ = &view;
                    cut.apply_all(&rows)
                })
                .filter_map(|rows| std::future::ready(rows.transpose()));
            partitions.push(rows.boxed());
        }
        Ok(Selection { schema, partitions })
    }

    async fn read_files(&self, select: &Select, all: &Files, cut: &Cut) -> Result<Vec<BatchStream>, LakeError> {
        let files: Vec<_> = all.iter().filter(|file| file.overlaps(select.time)).cloned().collect();
        let Some(asked) = asked(select.signal, &cut.pushed) else { return self.scan_files(files, cut) };
        let opener = Opener { factory: self.file_readers(select.signal)? };
        let found = look_up(&self.indexes, opener, files, all, asked, cut).await?;
        let mut partitions = self.scan_files(found.unindexed, cut)?;
        partitions.push(found.rows);
        Ok(partitions)
    }

    fn scan_files(&self, files: Vec<Arc<DataFile>>, cut: &Cut) -> Result<Vec<BatchStream>, LakeError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let signal = cut.signal;
        let predicate = predicate(signal, cut.time, &cut.pushed)?;
        let groups = balance(files, self.partitions);
        let plan = self.plan(signal, groups.clone(), Some(cut.read.clone()), predicate)?;
        (0..plan.properties().partitioning.partition_count())
            .map(|partition| {
                let (plan, context, cut) = (Arc::clone(&plan), self.context(), cut.clone());
                // A file that a compaction removes stays until its last reader is gone.
                let leases = groups.clone();
                let rows = stream::once(async move { plan.execute(partition, context) })
                    .flat_map(|opened| match opened {
                        Ok(rows) => rows.boxed(),
                        Err(error) => stream::iter([Err(error)]).boxed(),
                    })
                    .map(move |rows| {
                        let _ = &leases;
                        let rows = rows.map_err(|error| SelectError::Failed(Box::new(error)))?;
                        cut.apply_rest(&to_memory_form(signal, &rows)?)
                    })
                    .filter_map(|rows| std::future::ready(rows.transpose()));
                Ok(rows.boxed())
            })
            .collect()
    }
}

fn failed(error: LakeError) -> SelectError {
    SelectError::Failed(Box::new(error))
}

fn store_url(signal: Signal) -> Result<ObjectStoreUrl, LakeError> {
    Ok(ObjectStoreUrl::parse(format!("tripod://{}", signal.table()))?)
}

/// A file as DataFusion knows it.
pub(crate) fn place(file: &DataFile) -> PartitionedFile {
    PartitionedFile::new(file.path.clone(), file.bytes)
}

/// Shares files out so that the groups are of similar size.
fn balance(mut files: Vec<Arc<DataFile>>, groups: usize) -> Vec<Vec<Arc<DataFile>>> {
    files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    let mut balanced: Vec<(u64, Vec<_>)> = vec![(0, Vec::new()); groups.min(files.len())];
    for file in files {
        if let Some((bytes, group)) = balanced.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.bytes;
            group.push(file);
        }
    }
    balanced.into_iter().map(|(_, group)| group).collect()
}

/// What is done to batches after they are read.
#[derive(Clone)]
pub(crate) struct Cut {
    pub(crate) signal: Signal,
    schema: SchemaRef,
    time: TimeRange,
    /// Conditions that the Parquet source evaluates.
    pushed: Arc<Vec<Matcher>>,
    /// Conditions that are left.
    rest: Arc<Vec<Matcher>>,
    /// Columns to be read, as indices into the signal's schema.
    read: Vec<usize>,
    /// Rows still wanted, over all partitions.
    left: Option<Arc<AtomicUsize>>,
}

impl Cut {
    fn new(select: &Select, schema: SchemaRef) -> Result<Self, SelectError> {
        let signal = select.signal;
        let (pushed, rest): (Vec<_>, Vec<_>) =
            select.matchers.iter().cloned().partition(|matcher| is_pushable(signal, matcher));
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let names = names.chain(rest.iter().map(|matcher| matcher.column.as_str()));
        let all = signal.schema();
        let mut read = names.map(|name| all.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        read.sort_unstable();
        read.dedup();
        Ok(Self {
            signal,
            schema,
            time: select.time,
            pushed: Arc::new(pushed),
            rest: Arc::new(rest),
            read,
            left: select.limit.map(|limit| Arc::new(AtomicUsize::new(limit))),
        })
    }

    /// The columns to be read when every condition is evaluated afterwards.
    pub(crate) fn with_conditions(&self) -> Result<Vec<usize>, SelectError> {
        let all = self.signal.schema();
        let conditions = self.pushed.iter().map(|matcher| matcher.column.as_str()).chain([self.signal.time_column()]);
        let mut read = self.read.clone();
        for name in conditions {
            read.push(all.index_of(name)?);
        }
        read.sort_unstable();
        read.dedup();
        Ok(read)
    }

    /// For rows of which nothing is evaluated yet.
    pub(crate) fn apply_all(&self, rows: &RecordBatch) -> Result<Option<RecordBatch>, SelectError> {
        let time = Some((self.signal.time_column(), self.time));
        let rows = match evaluate_all(&self.pushed, time, rows)? {
            Some(matched) => filter_record_batch(rows, &matched)?,
            None => rows.clone(),
        };
        self.apply_rest(&rows)
    }

    /// For rows for which the pushed conditions and the time range hold.
    fn apply_rest(&self, rows: &RecordBatch) -> Result<Option<RecordBatch>, SelectError> {
        let mut rows = match evaluate_all(&self.rest, None, rows)? {
            Some(matched) => filter_record_batch(rows, &matched)?,
            None => rows.clone(),
        };
        if let Some(left) = &self.left {
            let wanted = take(left, rows.num_rows());
            rows = rows.slice(0, wanted);
        }
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let found = rows.schema();
        let indices =
            self.schema.fields().iter().map(|field| found.index_of(field.name())).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(rows.project(&indices)?))
    }
}

/// Takes up to `wanted` from a shared count.
fn take(left: &AtomicUsize, wanted: usize) -> usize {
    let mut taken = 0;
    // The closure always gives a value, so the update never fails.
    let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        taken = left.min(wanted);
        Some(left - taken)
    });
    taken
}

/// Whether the Parquet source can evaluate a condition: those on plain columns, not on lists or inside JSON.
fn is_pushable(signal: Signal, matcher: &Matcher) -> bool {
    let plain = signal.column(&matcher.column).is_some_and(|column| !matches!(column.kind, Kind::Structs(_)));
    plain && matcher.attribute.is_none() && !matches!(matcher.predicate, Predicate::Contains(_))
}

/// The pushed conditions and the time range as an expression over a file's columns.
fn predicate(
    signal: Signal,
    time: TimeRange,
    matchers: &[Matcher],
) -> Result<Option<Arc<dyn PhysicalExpr>>, LakeError> {
    let schema = file_schema(signal);
    let compare = |column: &str, operator: Operator, scalar: &Scalar| {
        binary(col(column, &schema)?, operator, lit(value(scalar)), &schema)
    };
    let mut conditions = Vec::new();
    let time_column = signal.time_column();
    if time.start != i64::MIN {
        conditions.push(compare(time_column, Operator::GtEq, &Scalar::Time(time.start))?);
    }
    if time.end != i64::MAX {
        conditions.push(compare(time_column, Operator::Lt, &Scalar::Time(time.end))?);
    }
    for Matcher { column, predicate, .. } in matchers {
        conditions.push(match predicate {
            Predicate::Eq(scalar) => compare(column, Operator::Eq, scalar)?,
            Predicate::NotEq(scalar) => compare(column, Operator::NotEq, scalar)?,
            Predicate::Lt(scalar) => compare(column, Operator::Lt, scalar)?,
            Predicate::LtEq(scalar) => compare(column, Operator::LtEq, scalar)?,
            Predicate::Gt(scalar) => compare(column, Operator::Gt, scalar)?,
            Predicate::GtEq(scalar) => compare(column, Operator::GtEq, scalar)?,
            Predicate::In(scalars) => {
                let list = scalars.iter().map(|scalar| lit(value(scalar))).collect();
                in_list(col(column, &schema)?, list, &false, &schema)?
            }
            Predicate::IsNull => is_null(col(column, &schema)?)?,
            Predicate::IsNotNull => is_not_null(col(column, &schema)?)?,
            Predicate::Contains(_) => {
                return Err(LakeError::Unexpected("contains is evaluated after reading".to_owned()));
            }
        });
    }
    Ok((!conditions.is_empty()).then(|| conjunction(conditions)))
}

/// An operand in the form of files.
fn value(scalar: &Scalar) -> ScalarValue {
    match scalar {
        Scalar::Text(text) => ScalarValue::Utf8View(Some(text.clone())),
        Scalar::Int(value) | Scalar::Time(value) => ScalarValue::Int64(Some(*value)),
        Scalar::Double(value) => ScalarValue::Float64(Some(*value)),
        Scalar::Bool(value) => ScalarValue::Boolean(Some(*value)),
    }
}
