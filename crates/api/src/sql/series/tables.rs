//! `series` and `labels`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewBuilder};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tripod_model::series::{Labels, SeriesMetadata};
use tripod_storage::SelectError;
use tripod_storage::schema::{Column, Kind};
use tripod_storage::series::{LabelMatcher, LabelQuery, MillisRange, SeriesStore};

use super::{LABELS, NAME, column, labels_json, narrow, schema};
use crate::sql::pushdown::Shape;
use crate::sql::table::external;

const SERIES_COLUMNS: &[Column] = &[
    NAME,
    LABELS,
    column("type", Kind::Text, "The metric's type, such as `counter`."),
    column("unit", Kind::Text, "The metric's unit."),
    column("help", Kind::Text, "What is measured."),
];

const LABELS_COLUMNS: &[Column] =
    &[column("name", Kind::Text, "A label's name."), column("value", Kind::Text, "A value that it has.")];

/// What is listed.
#[derive(Clone, Copy, Debug)]
enum Listed {
    /// A row for each series.
    Series,
    /// A row for each value of each label.
    Labels,
}

/// A table of what there is, whose rows are made when it is scanned.
pub(in crate::sql) struct Listing {
    store: Arc<dyn SeriesStore>,
    listed: Listed,
    schema: SchemaRef,
}

impl Listed {
    fn columns(self) -> &'static [Column] {
        match self {
            Self::Series => SERIES_COLUMNS,
            Self::Labels => LABELS_COLUMNS,
        }
    }
}

impl Listing {
    /// All of them over a store.
    pub(in crate::sql) fn all(store: &Arc<dyn SeriesStore>) -> [Self; 2] {
        [Listed::Series, Listed::Labels].map(|listed| Self {
            store: Arc::clone(store),
            listed,
            schema: schema(listed.columns()),
        })
    }

    /// The name in SQL.
    pub(in crate::sql) fn name(&self) -> &'static str {
        match self.listed {
            Listed::Series => "series",
            Listed::Labels => "labels",
        }
    }

    async fn series(&self, matchers: Vec<LabelMatcher>) -> Result<RecordBatch, SelectError> {
        let matcher_sets = if matchers.is_empty() { Vec::new() } else { vec![matchers] };
        let series = self.store.series(LabelQuery { matcher_sets, range: MillisRange::ALL, limit: 0 }).await?;
        let metadata: HashMap<String, SeriesMetadata> = self.store.metadata(None).await?.into_iter().collect();
        let described = |labels: &Labels| labels.metric_name().and_then(|name| family(&metadata, name));
        Ok(batch(&self.schema, series.len(), |column, row| {
            let labels = &series[row];
            let described = described(labels);
            match column {
                0 => labels.metric_name().map(str::to_owned),
                1 => Some(labels_json(labels)),
                2 => described.map(|metadata| metadata.metric_type.name().to_owned()),
                3 => described.map(|metadata| metadata.unit.clone()).filter(|unit| !unit.is_empty()),
                _ => described.map(|metadata| metadata.help.clone()).filter(|help| !help.is_empty()),
            }
        }))
    }

    /// `matchers` name at most the label.
    async fn labels(&self, matchers: &[LabelMatcher]) -> Result<RecordBatch, SelectError> {
        let wanted = matchers.first().map(LabelMatcher::value);
        let mut pairs = Vec::new();
        for name in self.store.label_names(LabelQuery::ALL).await? {
            if wanted.is_none_or(|wanted| wanted == name) {
                let values = self.store.label_values(&name, LabelQuery::ALL).await?;
                pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
            }
        }
        Ok(batch(&self.schema, pairs.len(), |column, row| {
            let (name, value) = &pairs[row];
            Some(if column == 0 { name.clone() } else { value.clone() })
        }))
    }
}

/// The metadata of a series: that of its name, or of the family whose histogram or summary it is a part of.
fn family<'a>(metadata: &'a HashMap<String, SeriesMetadata>, name: &str) -> Option<&'a SeriesMetadata> {
    let parts = ["_bucket", "_count", "_sum", "_created"].into_iter().filter_map(|suffix| name.strip_suffix(suffix));
    [name].into_iter().chain(parts).find_map(|name| metadata.get(name))
}

fn batch(schema: &SchemaRef, rows: usize, value: impl Fn(usize, usize) -> Option<String>) -> RecordBatch {
    let columns = (0..schema.fields().len()).map(|column| -> ArrayRef {
        let mut texts = StringViewBuilder::with_capacity(rows);
        (0..rows).for_each(|row| texts.append_option(value(column, row)));
        Arc::new(texts.finish())
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).expect("every column is text and as long")
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("listed", &self.listed).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Listing {
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
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (matchers, _) = narrow(Shape { time_column: None, columns: self.listed.columns() }, filters);
        let rows = match self.listed {
            Listed::Series => self.series(matchers).await,
            Listed::Labels => self.labels(&matchers).await,
        };
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![vec![rows.map_err(external)?]])?;
        table.scan(state, projection, &[], limit).await
    }
}
