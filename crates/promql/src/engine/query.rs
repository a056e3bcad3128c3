use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::runtime::Handle;

use super::Engine;
use super::answer::{Answer, MatrixSeries, QueryStats, SampleValue, Value, VectorSample};
use super::column::{Cell, Column, Evaluated, is_absent};
use super::context::{Context, Counts};
use super::error::{QueryError, QueryErrorKind};
use super::evaluator::Evaluator;
use super::grid::Grid;
use super::labels;
use super::notes::Notes;
use super::options::QueryOptions;
use super::plan::{self, Node, Scope};
use super::selector::store_failed;
use super::window::RangeSeries;
use crate::ast::{Expr, ValueType};
use crate::parser;

/// The moments of a query; `step` is 0 for an instant query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    pub start: i64,
    pub end: i64,
    pub step: i64,
}

/// Tells an evaluation that nobody waits for it any more, once this is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Engine {
    pub(super) async fn run(&self, query: &str, moments: Moments, options: QueryOptions) -> Result<Answer, QueryError> {
        let began = Instant::now();
        let switches = parser::Options {
            experimental_functions: self.options.experimental_functions,
            duration_expressions: self.options.duration_expressions,
            extended_range_selectors: self.options.extended_range_selectors,
            fill_modifiers: self.options.fill_modifiers,
        };
        let expr = parser::parse(query, switches).map_err(|error| QueryError::bad_data(error.to_string()))?;
        self.run_parsed(query, &expr, moments, options, began).await
    }

    async fn run_parsed(
        &self,
        query: &str,
        expr: &Expr,
        moments: Moments,
        options: QueryOptions,
        began: Instant,
    ) -> Result<Answer, QueryError> {
        let instant = moments.step == 0;
        let scope = Scope {
            start: moments.start,
            end: moments.end,
            step: moments.step,
            subquery_step: self.options.subquery_step_ms,
        };
        let mut node = plan::resolve(expr, scope)?;
        if !instant && !matches!(node.gives, ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::bad_data(format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                node.gives.documented_name()
            )));
        }
        let timeout = options.timeout.map_or(self.options.timeout, |timeout| timeout.min(self.options.timeout));
        let deadline = began + timeout;
        let in_time = |what: &'static str| {
            move |_| QueryError::new(QueryErrorKind::Timeout, format!("query timed out in {what}"))
        };
        let until = tokio::time::Instant::from_std(deadline);
        let turn = tokio::time::timeout_at(until, self.turns.clone().acquire_owned());
        let turn = turn.await.map_err(in_time("query queue"))?;
        let queue = began.elapsed();

        let grid = match instant {
            true => Grid::instant(moments.start),
            false => Grid { start: moments.start, end: moments.end, interval: moments.step },
        };
        if grid.steps() > self.options.max_samples {
            let message = "query processing would load too many samples into memory in query execution";
            return Err(QueryError::execution(message));
        }
        let lookback_ms = options.lookback_ms.filter(|lookback| *lookback > 0).unwrap_or(self.options.lookback_ms);
        let selects = plan::selects(&mut node, grid, lookback_ms);
        let selected = try_join_all(selects.into_iter().map(|select| self.store.select_series(select)));
        let slots = tokio::time::timeout_at(until, selected)
            .await
            .map_err(in_time("query preparation"))?
            .map_err(|error| store_failed(&error))?;
        let prepare = began.elapsed() - queue;

        let canceled = Arc::new(AtomicBool::new(false));
        let guard = CancelOnDrop(canceled.clone());
        let context = Context {
            options: self.options.clone(),
            store: self.store.clone(),
            runtime: Handle::current(),
            lookback_ms,
            deadline,
            canceled,
            counts: Counts::new(options.per_step_stats.then(|| grid.steps())),
        };
        let evaluator = Evaluator { context, slots };
        let text = query.to_owned();
        let evaluation = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let began = Instant::now();
            let mut answer = answer(&evaluator, &node, grid, instant, &text)?;
            answer.stats.evaluate = began.elapsed();
            Ok(answer)
        });
        let result = evaluation.await;
        drop(guard);
        let mut answer = result.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => QueryError::new(QueryErrorKind::Canceled, "query was canceled in query execution"),
        })??;
        answer.stats.queue = queue;
        answer.stats.prepare = prepare;
        Ok(answer)
    }
}

/// Evaluates the plan and puts the result into its final form.
fn answer(evaluator: &Evaluator, node: &Node, grid: Grid, instant: bool, query: &str) -> Result<Answer, QueryError> {
    let mut notes = Notes::default();
    let value = match (instant, node.gives) {
        (true, ValueType::Matrix) => {
            let series = evaluator.matrix(node, grid, &mut notes)?;
            Value::Matrix(range_matrix(evaluator, series)?)
        }
        _ => match evaluator.evaluate(node, grid, &mut notes)? {
            Evaluated::String(value) => Value::String { timestamp: grid.start, value },
            Evaluated::Scalar(values) if instant => {
                Value::Scalar { timestamp: grid.start, value: values.first().copied().unwrap_or(f64::NAN) }
            }
            Evaluated::Scalar(values) => {
                let column =
                    Column { labels: Default::default(), drop_name: false, floats: values, histograms: Vec::new() };
                let columns = if grid.steps() == 0 { Vec::new() } else { vec![column] };
                Value::Matrix(matrix(columns, grid))
            }
            Evaluated::Vector(columns) => {
                let columns = clean(evaluator, columns)?;
                if instant { Value::Vector(vector(columns, grid)) } else { Value::Matrix(matrix(columns, grid)) }
            }
        },
    };
    let counts = &evaluator.context.counts;
    let samples_per_step = grid.times().zip(counts.per_step()).collect();
    let stats = QueryStats {
        total_samples: counts.total(),
        samples_read: counts.read(),
        peak_samples: counts.peak(),
        samples_per_step,
        queue: Duration::ZERO,
        prepare: Duration::ZERO,
        evaluate: Duration::ZERO,
    };
    Ok(Answer { value, annotations: notes.shown(query), stats })
}

/// Drops the names that were to go at the end.
fn clean(evaluator: &Evaluator, mut columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    if !evaluator.context.options.delayed_name_removal {
        return Ok(columns);
    }
    for column in columns.iter_mut().filter(|column| column.drop_name) {
        column.labels = labels::without_metadata(&column.labels);
    }
    labels::merge(columns)
}

fn vector(columns: Vec<Column>, grid: Grid) -> Vec<VectorSample> {
    let samples = columns.into_iter().filter_map(|column| {
        let value = match column.cell(0)? {
            Cell::Float(value) => SampleValue::Float(value),
            Cell::Histogram(histogram) => SampleValue::Histogram(histogram.clone()),
        };
        Some(VectorSample { labels: column.labels, timestamp: grid.start, value })
    });
    samples.collect()
}

fn matrix(columns: Vec<Column>, grid: Grid) -> Vec<MatrixSeries> {
    let mut series: Vec<MatrixSeries> = columns
        .into_iter()
        .map(|column| {
            let mut series = MatrixSeries { labels: column.labels, samples: Default::default() };
            let floats = &mut series.samples.floats;
            let present = column.floats.iter().filter(|value| !is_absent(**value)).count();
            if present == column.floats.len() {
                floats.timestamps = grid.times().collect();
                floats.values = column.floats;
            } else {
                floats.timestamps.reserve(present);
                floats.values.reserve(present);
                for (time, value) in grid.times().zip(column.floats).filter(|(_, value)| !is_absent(*value)) {
                    floats.timestamps.push(time);
                    floats.values.push(value);
                }
            }
            for (time, histogram) in grid.times().zip(column.histograms) {
                if let Some(histogram) = histogram {
                    series.samples.histograms.push(time, histogram, 0);
                }
            }
            series
        })
        .filter(|series| !series.samples.is_empty())
        .collect();
    series.sort_by(|left, right| left.labels.cmp(&right.labels));
    series
}

/// The samples of a range. Series may have the same labels once names are dropped, but not at the same time.
fn range_matrix(evaluator: &Evaluator, all: Vec<RangeSeries>) -> Result<Vec<MatrixSeries>, QueryError> {
    let delayed = evaluator.context.options.delayed_name_removal;
    let mut series: Vec<MatrixSeries> = Vec::with_capacity(all.len());
    for each in all {
        let labels = match delayed && each.drop_name {
            true => labels::without_metadata(&each.labels),
            false => each.labels,
        };
        let mut samples = tripod_model::series::Samples::default();
        samples.floats.timestamps = each.times;
        samples.floats.values = each.values;
        samples.histograms.timestamps = each.histogram_times;
        samples.histograms.values = each.histograms;
        if !samples.is_empty() {
            series.push(MatrixSeries { labels, samples });
        }
    }
    series.sort_by(|left, right| left.labels.cmp(&right.labels));
    if series.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
        return Err(labels::duplicate_labels());
    }
    Ok(series)
}
