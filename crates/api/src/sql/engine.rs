//! DataFusion over the tables of a store, read-only and within limits.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, udfs::json_union_to_text_udf};
use futures::StreamExt;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tripod_storage::series::SeriesStore;
use tripod_storage::{Signal, Store};

use super::attributes::PromotedAttributes;
use super::dialect::QueryDialect;
use super::error::QueryError;
use super::ids::LowerCaseIds;
use super::series::{Listing, PointsFunction};
use super::table::SignalTable;
use crate::SqlSettings;

/// The engine could not be set up.
#[derive(Debug, Error)]
#[error("the SQL engine could not be set up: {0}")]
pub struct EngineError(#[from] DataFusionError);

/// Answers SQL queries over the tables `spans` and `logs` of a store, and over series.
pub struct SqlEngine {
    context: SessionContext,
    settings: SqlSettings,
    slots: Arc<Semaphore>,
}

impl fmt::Debug for SqlEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlEngine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a request asks for beside its text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Most rows; the setting's when less.
    pub(super) rows: Option<usize>,
    /// Most seconds; the setting's when less.
    pub(super) timeout_seconds: Option<u64>,
}

impl SqlEngine {
    /// An engine over a store's rows and its series.
    ///
    /// # Errors
    /// [`EngineError`] when the functions cannot be registered, which is a bug of this build.
    pub fn new(
        store: Arc<dyn Store>,
        series: Arc<dyn SeriesStore>,
        settings: &SqlSettings,
    ) -> Result<Arc<Self>, EngineError> {
        // Nothing is spilled to disk: what a query may cost stays in memory, where the limit is.
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(settings.max_memory_bytes)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()?;
        let mut config = SessionConfig::new()
            .with_target_partitions(std::thread::available_parallelism().map_or(1, usize::from))
            .with_information_schema(true)
            .with_default_catalog_and_schema("tripod", "public");
        // The tables' times are UTC; `now()` and literals are to have the same type, so that comparisons need no cast.
        config.options_mut().execution.time_zone = Some("UTC".to_owned());

        let tables = MemorySchemaProvider::new();
        for signal in Signal::ALL {
            let table = SignalTable::new(Arc::clone(&store), signal);
            tables.register_table(signal.table().to_owned(), Arc::new(table))?;
        }
        for listing in Listing::all(&series) {
            tables.register_table(listing.name().to_owned(), Arc::new(listing))?;
        }
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("public", Arc::new(tables))?;
        // No file formats, no table factories, no object stores: there is nothing that a query could read or write
        // beside the tables.
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_file_formats(Vec::new())
            .with_table_factories(HashMap::new())
            .build();
        state.register_function_rewrite(Arc::new(LowerCaseIds))?;
        // Planners are asked in the order of their registration; this one comes before that of the JSON functions.
        state.register_expr_planner(Arc::new(PromotedAttributes))?;
        datafusion_functions_json::register_all(&mut state)?;
        let context = SessionContext::new_with_state(state);
        context.register_catalog("tripod", Arc::new(catalog));
        context.register_udtf(PointsFunction::NAME, Arc::new(PointsFunction::new(series)));
        let slots = Arc::new(Semaphore::new(settings.max_concurrent));
        Ok(Arc::new(Self { context, settings: settings.clone(), slots }))
    }

    pub(super) fn settings(&self) -> &SqlSettings {
        &self.settings
    }

    #[cfg(test)]
    pub(super) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Plans a query and starts it. The answer's first batch has been computed when this returns, so that what goes
    /// wrong until then is an error and not a broken answer.
    pub(super) async fn query(&self, text: &str, limits: Limits) -> Result<Answer, QueryError> {
        if text.len() > self.settings.max_query_bytes {
            return Err(QueryError::TooLong { max_bytes: self.settings.max_query_bytes });
        }
        let busy = |_| QueryError::Busy { running: self.settings.max_concurrent };
        let permit = Arc::clone(&self.slots).try_acquire_owned().map_err(busy)?;
        let settings = &self.settings;
        let seconds = limits.timeout_seconds.map_or(settings.timeout_seconds, |s| s.min(settings.timeout_seconds));
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let rows = limits.rows.map_or(settings.max_rows, |rows| rows.min(settings.max_rows));

        let failed = |error: &DataFusionError| QueryError::new(error, settings.max_memory_bytes);
        let started = tokio::time::timeout_at(deadline, self.start(text, rows)).await;
        let stream = started.map_err(|_| QueryError::Timeout { seconds })?.map_err(|error| failed(&error))?;
        let mut answer = Answer {
            schema: stream.schema(),
            first: None,
            stream,
            remaining: rows,
            truncated: false,
            deadline,
            seconds,
            max_memory_bytes: settings.max_memory_bytes,
            _permit: permit,
        };
        answer.first = answer.read().await?;
        Ok(answer)
    }

    async fn start(&self, text: &str, rows: usize) -> Result<SendableRecordBatchStream, DataFusionError> {
        let state = self.context.state();
        let plan = plan(&state, text, rows).await?;
        let plan = state.create_physical_plan(&plan).await?;
        execute_stream(plan, self.context.task_ctx())
    }
}

async fn plan(state: &SessionState, text: &str, rows: usize) -> Result<LogicalPlan, DataFusionError> {
    let statement = parse(text)?;
    check(&statement)?;
    let plan = state.statement_to_plan(statement).await?;
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    read_only.verify_plan(&plan)?;
    match plan {
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_) => Ok(plan),
        plan => {
            // One row more than wanted tells whether the answer is truncated, and lets the store stop early.
            let limited = LogicalPlanBuilder::from(plan).limit(0, Some(rows.saturating_add(1)))?.build()?;
            with_json_as_text(limited)
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Statement, DataFusionError> {
    let mut statements = DFParserBuilder::new(text).with_dialect(&QueryDialect).build()?.parse_statements()?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(DataFusionError::Plan("the query is empty".to_owned())),
        (Some(_), more) => Err(DataFusionError::Plan(format!("there are {} statements; one runs at a time", more + 1))),
    }
}

/// Refuses all statements but those that read. [`SQLOptions`] refuses by plan; this refuses by syntax, with a message
/// that says what runs here.
fn check(statement: &Statement) -> Result<(), DataFusionError> {
    let reads = match statement {
        Statement::Statement(statement) => matches!(
            **statement,
            ast::Statement::Query(_)
                | ast::Statement::Explain { .. }
                | ast::Statement::ExplainTable { .. }
                | ast::Statement::ShowTables { .. }
                | ast::Statement::ShowColumns { .. }
                | ast::Statement::ShowFunctions { .. }
                | ast::Statement::ShowVariable { .. }
                | ast::Statement::ShowVariables { .. }
                | ast::Statement::ShowCreate { .. }
        ),
        Statement::Explain(explain) => return check(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    };
    if reads {
        return Ok(());
    }
    let text = statement.to_string();
    let verb: Vec<_> =
        text.split_whitespace().take_while(|word| word.bytes().all(|b| b.is_ascii_uppercase())).collect();
    Err(DataFusionError::Plan(format!(
        "{} is refused: queries only read; there are SELECT, EXPLAIN, DESCRIBE and SHOW",
        if verb.is_empty() { "this statement".to_owned() } else { verb.join(" ") }
    )))
}

/// `attributes -> 'key'` has the JSON functions' own union type, which few clients read; it leaves as JSON text.
fn with_json_as_text(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let is_union = |data_type: &DataType| *data_type == *JSON_UNION_DATA_TYPE;
    if !plan.schema().fields().iter().any(|field| is_union(field.data_type())) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().map(|(relation, field)| {
        let column = Expr::Column((relation, field).into());
        match is_union(field.data_type()) {
            true => json_union_to_text_udf().call(vec![column]).alias_qualified(relation.cloned(), field.name()),
            false => column,
        }
    });
    let columns: Vec<_> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The rows of a query as they are computed. Dropping it stops the query.
pub(super) struct Answer {
    schema: SchemaRef,
    first: Option<RecordBatch>,
    stream: SendableRecordBatchStream,
    remaining: usize,
    truncated: bool,
    deadline: Instant,
    seconds: u64,
    max_memory_bytes: usize,
    _permit: OwnedSemaphorePermit,
}

impl Answer {
    /// The columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether rows were left out; known once [`Answer::next`] has given `None`.
    pub(super) fn truncated(&self) -> bool {
        self.truncated
    }

    /// The next rows.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        match self.first.take() {
            Some(rows) => Ok(Some(rows)),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            let read = tokio::time::timeout_at(self.deadline, self.stream.next()).await;
            let rows = match read {
                Err(_) => return Err(QueryError::Timeout { seconds: self.seconds }),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(QueryError::new(&error, self.max_memory_bytes)),
                Ok(Some(Ok(rows))) if rows.num_rows() == 0 => continue,
                Ok(Some(Ok(rows))) => rows,
            };
            if rows.num_rows() <= self.remaining {
                self.remaining -= rows.num_rows();
                return Ok(Some(rows));
            }
            self.truncated = true;
            let kept = std::mem::take(&mut self.remaining);
            return Ok((kept > 0).then(|| rows.slice(0, kept)));
        }
    }
}
