//! `points('selector')`: the samples of the series that a PromQL selector selects.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, StringViewArray, StringViewBuilder,
    TimestampNanosecondArray, make_view,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, StreamExt, TryStreamExt};
use tripod_model::series::{Samples, is_stale};
use tripod_promql::parser::parse_selector;
use tripod_storage::schema::{Column, Kind};
use tripod_storage::series::{LabelMatcher, MillisRange, SelectSeries, SelectedSeries, SeriesStore};

use super::{LABELS, NAME, NANOS_PER_MILLI, column, labels_json, narrow, schema};
use crate::prometheus::histogram_json;
use crate::sql::pushdown::Shape;
use crate::sql::table::external;

/// Rows of a batch at most.
const ROWS: usize = 8192;

const COLUMNS: &[Column] = &[
    column("time", Kind::Time, "When it was measured."),
    column("start_time", Kind::Time, "When the counter began, if known."),
    NAME,
    LABELS,
    column("value", Kind::Double, "The value; null for a native histogram."),
    column("histogram", Kind::Json, "The native histogram, as in Prometheus' HTTP API."),
];

/// The table function.
#[derive(Debug)]
pub(in crate::sql) struct PointsFunction {
    store: Arc<dyn SeriesStore>,
}

impl PointsFunction {
    /// The name in SQL.
    pub(in crate::sql) const NAME: &'static str = "points";

    pub(in crate::sql) fn new(store: Arc<dyn SeriesStore>) -> Self {
        Self { store }
    }
}

impl TableFunctionImpl for PointsFunction {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let [Expr::Literal(literal, _)] = args.exprs() else { return Err(usage("it takes one text")) };
        let Some(Some(selector)) = literal.try_as_str() else { return Err(usage("its argument is no text")) };
        let selector = parse_selector(selector).map_err(|error| usage(&error.to_string()))?;
        Ok(Arc::new(PointsTable {
            store: Arc::clone(&self.store),
            matchers: selector.matchers,
            schema: schema(COLUMNS),
        }))
    }
}

fn usage(mistake: &str) -> DataFusionError {
    let example = r#"points('http_requests_total{job="api"}')"#;
    DataFusionError::Plan(format!("points takes a PromQL selector, as {example} does: {mistake}"))
}

struct PointsTable {
    store: Arc<dyn SeriesStore>,
    matchers: Vec<LabelMatcher>,
    schema: SchemaRef,
}

impl fmt::Debug for PointsTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PointsTable").field("matchers", &self.matchers).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for PointsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (mut matchers, range) = narrow(Shape { time_column: Some("time"), columns: COLUMNS }, filters);
        matchers.extend(self.matchers.iter().cloned());
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let points = Points { store: Arc::clone(&self.store), select: SelectSeries { matchers, range }, schema };
        let schema = Arc::clone(&points.schema);
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(points)], None, None, false, limit)?))
    }
}

/// What one scan reads.
#[derive(Debug)]
struct Points {
    store: Arc<dyn SeriesStore>,
    select: SelectSeries,
    /// The columns that are wanted.
    schema: SchemaRef,
}

impl PartitionStream for Points {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (store, select, range) = (Arc::clone(&self.store), self.select.clone(), self.select.range);
        let schema = Arc::clone(&self.schema);
        // Series after series, each decoded when its turn comes.
        let rows = stream::once(async move { store.select_series(select).await.map_err(external) })
            .map_ok(|selected| stream::iter(selected.into_iter().map(Ok::<_, DataFusionError>)))
            .try_flatten()
            .map(move |series| rows_of(&series?, range, &schema))
            .map_ok(|batches| stream::iter(batches.into_iter().map(Ok)))
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

/// The samples of one series but for stale markers, which are no measurements.
fn rows_of(series: &SelectedSeries, range: MillisRange, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let samples = series.samples(range).map_err(external)?;
    let labels = labels_json(&series.labels);
    let floats = (0..samples.floats.values.len()).filter(|index| !is_stale(samples.floats.values[*index]));
    let histograms =
        (0..samples.histograms.values.len()).filter(|index| !is_stale(samples.histograms.values[*index].sum));
    let (floats, histograms): (Vec<_>, Vec<_>) = (floats.collect(), histograms.collect());
    let mut batches = Vec::with_capacity((floats.len() + histograms.len()).div_ceil(ROWS));
    let mut push = |sources: &[usize], are_floats: bool| -> Result<()> {
        for part in parts(sources.len()) {
            let part = Part { samples: &samples, sources: &sources[part], are_floats };
            let columns = schema.fields().iter().map(|field| match field.name().as_str() {
                "name" => Ok(repeated(series.labels.metric_name(), part.sources.len())),
                "labels" => Ok(repeated(Some(&labels), part.sources.len())),
                own => part.column(own),
            });
            let options = RecordBatchOptions::new().with_row_count(Some(part.sources.len()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            batches.push(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?);
        }
        Ok(())
    };
    push(&floats, true)?;
    push(&histograms, false)?;
    Ok(batches)
}

fn parts(length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(ROWS).map(move |start| start..length.min(start + ROWS))
}

/// Samples of one kind that make a batch, by their places.
struct Part<'a> {
    samples: &'a Samples,
    sources: &'a [usize],
    are_floats: bool,
}

impl Part<'_> {
    fn column(&self, name: &str) -> Result<ArrayRef> {
        let Samples { floats, histograms } = self.samples;
        let (times, starts) = match self.are_floats {
            true => (&floats.timestamps, &floats.start_timestamps),
            false => (&histograms.timestamps, &histograms.start_timestamps),
        };
        let nanos = |millis: i64| millis.saturating_mul(NANOS_PER_MILLI);
        let rows = self.sources.iter();
        Ok(match name {
            "time" => {
                let times = TimestampNanosecondArray::from_iter_values(rows.map(|row| nanos(times[*row])));
                Arc::new(times.with_timezone("UTC"))
            }
            "start_time" => {
                let start = |row: &usize| starts.get(*row).copied().filter(|start| *start != 0).map(nanos);
                Arc::new(TimestampNanosecondArray::from_iter(rows.map(start)).with_timezone("UTC"))
            }
            "value" if self.are_floats => Arc::new(Float64Array::from_iter_values(rows.map(|row| floats.values[*row]))),
            "value" => Arc::new(Float64Array::new_null(self.sources.len())),
            "histogram" if self.are_floats => Arc::new(StringViewArray::new_null(self.sources.len())),
            "histogram" => {
                let mut texts = StringViewBuilder::new();
                for row in rows {
                    texts.append_value(histogram_json(&histograms.values[*row]));
                }
                Arc::new(texts.finish())
            }
            other => return Err(DataFusionError::Internal(format!("points have no column {other}"))),
        })
    }
}

/// One text in every row, kept once.
fn repeated(text: Option<&str>, rows: usize) -> ArrayRef {
    let Some(text) = text else { return Arc::new(StringViewArray::new_null(rows)) };
    let view = make_view(text.as_bytes(), 0, 0);
    let views = ScalarBuffer::from(vec![view; rows]);
    let nulls: Option<NullBuffer> = None;
    Arc::new(StringViewArray::new(views, vec![Buffer::from(text.as_bytes().to_vec())], nulls))
}
