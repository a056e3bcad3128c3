//! A signal as a table of DataFusion, read through the seam.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tripod_storage::schema::Kind;
use tripod_storage::{BatchStream, Select, SelectError, Signal, Store, TimeRange};

use super::pushdown::{Pushdown, translate};

/// Marks the columns of trace and span ids, so that [`super::ids`] knows them after renaming and joining.
pub(super) const ID_METADATA: &str = "tripod.id";

/// The table of one signal.
pub(super) struct SignalTable {
    store: Arc<dyn Store>,
    signal: Signal,
    schema: SchemaRef,
}

impl fmt::Debug for SignalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalTable").field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl SignalTable {
    pub(super) fn new(store: Arc<dyn Store>, signal: Signal) -> Self {
        let schema = signal.schema();
        let fields = schema.fields().iter().zip(signal.columns()).map(|(field, column)| match column.kind {
            Kind::TraceId | Kind::SpanId => {
                let metadata = HashMap::from([(ID_METADATA.to_owned(), "hex".to_owned())]);
                Arc::new(Field::clone(field).with_metadata(metadata))
            }
            _ => Arc::clone(field),
        });
        Self { store, signal, schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())) }
    }
}

#[async_trait]
impl TableProvider for SignalTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match translate(self.signal.into(), filter) {
                Some(Pushdown { exact: true, .. }) => TableProviderFilterPushDown::Exact,
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    /// Selects now, not when the plan runs: all tables of a query are then of about one moment, however long the
    /// first of them takes to read, and the plan knows how many streams there are to read side by side. A select
    /// that is never read, as under `EXPLAIN`, costs a snapshot and no reading.
    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let pushdown = filters
            .iter()
            .filter_map(|filter| translate(self.signal.into(), filter))
            .fold(Pushdown::none(), Pushdown::and);
        let schema = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        let mut columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        if columns.is_empty() {
            // A batch without columns would have to carry its number of rows apart.
            columns.push(self.signal.time_column().to_owned());
        }
        let select = Select {
            signal: self.signal,
            time: pushdown.time,
            matchers: pushdown.matchers,
            columns: Some(columns),
            limit,
        };
        let streams = self.store.select(select.clone()).await.map_err(external)?.partitions;
        let partitions = streams.len().clamp(1, state.config().target_partitions().max(1));
        Ok(Arc::new(ScanExec::new(Arc::clone(&self.store), select, schema, partitions, Some(streams))))
    }
}

/// Carries the store's error as it is, for its kind to be seen at the end.
pub(super) fn external(error: SelectError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Reads the streams of one select.
///
/// A stream can be read once, so a partition can be executed once. What DataFusion runs again, the recursive part of
/// a `WITH RECURSIVE`, it first resets: the scan then selects anew.
struct ScanExec {
    store: Arc<dyn Store>,
    select: Select,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    streams: Arc<OnceCell<Streams>>,
}

/// For each partition, the streams that it reads one after the other, until they are taken.
type Streams = Mutex<Vec<Option<Vec<BatchStream>>>>;

impl fmt::Debug for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanExec").field("select", &self.select).finish_non_exhaustive()
    }
}

impl ScanExec {
    fn new(
        store: Arc<dyn Store>,
        select: Select,
        schema: SchemaRef,
        partitions: usize,
        streams: Option<Vec<BatchStream>>,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let streams = OnceCell::new_with(streams.map(|streams| share_out(streams, partitions)));
        Self { store, select, schema, properties, streams: Arc::new(streams) }
    }

    fn partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }
}

/// Deals streams to partitions in turn: a store may have more files than there are cores.
fn share_out(streams: Vec<BatchStream>, partitions: usize) -> Streams {
    let mut shares: Vec<Option<Vec<BatchStream>>> = (0..partitions).map(|_| Some(Vec::new())).collect();
    for (index, stream) in streams.into_iter().enumerate() {
        if let Some(share) = &mut shares[index % partitions] {
            share.push(stream);
        }
    }
    Mutex::new(shares)
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Select { signal, time, matchers, columns, limit } = &self.select;
        write!(f, "ScanExec: {signal}, columns=[{}]", columns.as_deref().unwrap_or_default().join(", "))?;
        if *time != TimeRange::ALL {
            write!(f, ", time=[{}, {})", time.start, time.end)?;
        }
        for matcher in matchers {
            write!(f, ", {}", matcher.column)?;
            if let Some(key) = &matcher.attribute {
                write!(f, "['{key}']")?;
            }
            write!(f, " {:?}", matcher.predicate)?;
        }
        match limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let (store, select, schema) = (Arc::clone(&self.store), self.select.clone(), Arc::clone(&self.schema));
        Ok(Arc::new(Self::new(store, select, schema, self.partitions(), None)))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (store, select, streams) = (Arc::clone(&self.store), self.select.clone(), Arc::clone(&self.streams));
        let partitions = self.partitions();
        let table = self.select.signal.table();
        let opened = async move {
            let streams = streams
                .get_or_try_init(|| async {
                    let selection = store.select(select).await.map_err(external)?;
                    Ok::<_, DataFusionError>(share_out(selection.partitions, partitions))
                })
                .await?;
            let share = streams.lock().get_mut(partition).and_then(Option::take);
            let share = share.ok_or_else(|| {
                DataFusionError::Internal(format!("partition {partition} of the scan of {table} was read twice"))
            })?;
            Ok::<_, DataFusionError>(stream::iter(share).flatten().map_err(external))
        };
        let schema = Arc::clone(&self.schema);
        let rows = stream::once(opened).try_flatten().map(move |rows| conform(rows?, &schema));
        let rows = RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows);
        Ok(make_cooperative(Box::pin(rows)))
    }
}

/// The same rows under the plan's schema, which has marks that the store does not know.
fn conform(rows: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let columns = if schema.fields().is_empty() { Vec::new() } else { rows.columns().to_vec() };
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
