//! Functions over ranges: each series is decoded once and its windows slide over the samples.

use std::collections::BTreeSet;

use tripod_model::series::Labels;
use tripod_storage::series::MillisRange;

use super::column::Column;
use super::context::Worker;
use super::error::QueryError;
use super::evaluator::Evaluator;
use super::grid::Grid;
use super::labels::{merge_unless_delayed, without_metadata};
use super::notes::{Note, Notes};
use super::plan::{CallPlan, MatrixPlan, Node, NodeKind};
use super::selector::decode;
use super::window::{RangeSeries, Window, WindowShape};
use crate::ast::RangeExtension;

/// Computes a function over the windows of one series and puts the results into a column.
pub(crate) type RangeKernel =
    fn(&RangeCall<'_>, &RangeSeries, &[Window], &mut Column, &mut Notes) -> Result<(), QueryError>;

/// What a range function knows beside the samples.
#[derive(Debug)]
pub(crate) struct RangeCall<'a> {
    /// Where annotations point: at the first argument.
    pub position: usize,
    /// The other arguments, each with a number per step.
    pub scalars: &'a [Vec<f64>],
    /// How long the range is, milliseconds.
    pub range_ms: i64,
    pub extension: Option<RangeExtension>,
}

impl RangeCall<'_> {
    /// How long the range is, seconds.
    pub(crate) fn range_seconds(&self) -> f64 {
        self.range_ms as f64 / 1000.0
    }
}

/// How many samples a function looks at before the evaluation is asked whether it may go on.
const AT_A_TIME: usize = 1 << 20;

/// Where the windows of a selector lie.
pub(crate) fn shape(plan: &MatrixPlan, lookback: i64) -> WindowShape {
    let vector = &plan.vector;
    WindowShape { range: plan.range, offset: vector.offset, at: vector.at, extension: vector.extension, lookback }
}

/// The times after a border up to a moment.
pub(crate) fn after(border: i64, last: i64) -> MillisRange {
    MillisRange { start: border.saturating_add(1), end: last }
}

/// Evaluates a call of a range function.
pub(crate) fn evaluate(
    evaluator: &Evaluator,
    plan: &CallPlan,
    kernel: RangeKernel,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    let context = &evaluator.context;
    let name = plan.function.name;
    let is_range = |arg: &Node| matches!(arg.kind, NodeKind::Matrix(_) | NodeKind::Subquery(_));
    let Some(place) = plan.args.iter().position(is_range) else {
        return Err(QueryError::execution(format!("{name} needs a range vector")));
    };
    // Upstream puts the evaluated subquery, which stands nowhere, in the place of the argument.
    let position = match &plan.args[0] {
        Node { kind: NodeKind::Subquery(_), .. } => 0,
        first => first.position,
    };
    let call = |scalars, range_ms, extension| RangeCall { position, scalars, range_ms, extension };
    let mut scalars = Vec::with_capacity(plan.args.len() - 1);
    let columns = match &plan.args[place].kind {
        NodeKind::Matrix(matrix) => {
            check_extension(name, matrix.vector.extension)?;
            for (_, arg) in plan.args.iter().enumerate().filter(|(index, _)| *index != place) {
                scalars.push(evaluator.scalar(arg, grid, notes)?);
            }
            let call = call(&scalars, matrix.range, matrix.vector.extension);
            let shape = shape(matrix, context.lookback_ms);
            let needed = after(shape.bounds(grid.start).0, shape.bounds(grid.last()).1);
            let with_starts =
                context.options.start_timestamps && matches!(name, "rate" | "irate" | "increase" | "resets");
            let series = &evaluator.slots[matrix.vector.slot];
            context.check_cells(series.len(), grid)?;
            context.each(series, notes, Vec::new, |windows, selected, worker| {
                let samples = decode(selected, &matrix.vector, needed)?;
                let series = RangeSeries::from_samples(selected.labels.clone(), samples, with_starts);
                one_series(evaluator, plan, kernel, &call, &shape, &series, (grid, true), (windows, worker))
            })?
        }
        NodeKind::Subquery(subquery) => {
            let series = evaluator.subquery(subquery, grid, notes)?;
            for (_, arg) in plan.args.iter().enumerate().filter(|(index, _)| *index != place) {
                scalars.push(evaluator.scalar(arg, grid, notes)?);
            }
            let call = call(&scalars, subquery.range, None);
            let shape = WindowShape {
                range: subquery.range,
                offset: subquery.offset,
                at: subquery.at,
                extension: None,
                lookback: context.lookback_ms,
            };
            context.check_cells(series.len(), grid)?;
            context.each(&series, notes, Vec::new, |windows, series, worker| {
                one_series(evaluator, plan, kernel, &call, &shape, series, (grid, false), (windows, worker))
            })?
        }
        _ => Vec::new(),
    };
    if name == "absent_over_time" {
        return Ok(absent(columns, &plan.args[0], grid));
    }
    merge_unless_delayed(evaluator, columns)
}

#[allow(clippy::too_many_arguments)] // all that a call consists of, put together in one place
fn one_series(
    evaluator: &Evaluator,
    plan: &CallPlan,
    kernel: RangeKernel,
    call: &RangeCall<'_>,
    shape: &WindowShape,
    series: &RangeSeries,
    (grid, from_store): (Grid, bool),
    (windows, worker): (&mut Vec<Window>, &mut Worker),
) -> Result<Option<Column>, QueryError> {
    let context = &evaluator.context;
    shape.windows(series, grid, windows);
    let mut most = 0;
    for window in windows.iter() {
        let samples = window.samples(series);
        most = most.max(samples);
        worker.count(window.step, samples as u64);
        if from_store {
            let new = match window.step {
                0 => samples,
                _ if shape.at.is_some() => 0,
                _ => window.samples_after(series, shape.bounds(window.time).1.saturating_sub(grid.interval)),
            };
            worker.count_read(new as u64);
        }
    }
    context.hold(most)?;
    let mut column = Column::absent(series.labels.clone(), grid.steps());
    let mut rest = &windows[..];
    while !rest.is_empty() {
        // A few windows at a time, so that an evaluation of long windows at many steps can be ended.
        let mut samples = 0;
        let count = rest.iter().take_while(|window| {
            samples += window.floats.len() + window.histograms.len();
            samples < AT_A_TIME
        });
        let (now, later) = rest.split_at(count.count().max(1));
        kernel(call, series, now, &mut column, &mut worker.notes)?;
        context.check()?;
        rest = later;
    }
    let samples = column.samples();
    context.release(most);
    if samples == 0 {
        return Ok(None);
    }
    context.hold(samples)?;
    let name = plan.function.name;
    if matches!(name, "rate" | "increase") {
        note_non_counter(evaluator, call.position, &column, &mut worker.notes);
    }
    // These give a sample of the series itself; others compute something else from it.
    column.drop_name = series.drop_name || !matches!(name, "last_over_time" | "first_over_time");
    if column.drop_name && !context.options.delayed_name_removal {
        column.labels = without_metadata(&column.labels);
    }
    Ok(Some(column))
}

fn note_non_counter(evaluator: &Evaluator, position: usize, column: &Column, notes: &mut Notes) {
    let metric = column.labels.metric_name().unwrap_or("");
    if metric.is_empty() || column.floats.iter().all(|value| super::column::is_absent(*value)) {
        return;
    }
    if evaluator.context.options.type_and_unit_labels {
        let label = column.labels.get("__type__").unwrap_or("");
        if label != "counter" && label != "histogram" {
            notes.add(Note::possible_non_counter_label(position, metric, label));
        }
    } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|ending| metric.ends_with(ending)) {
        notes.add(Note::possible_non_counter(position, metric));
    }
}

fn check_extension(function: &str, extension: Option<RangeExtension>) -> Result<(), QueryError> {
    let (modifier, functions) = match extension {
        None => return Ok(()),
        Some(RangeExtension::Anchored) => {
            ("anchored", BTreeSet::from(["changes", "delta", "increase", "rate", "resets"]))
        }
        Some(RangeExtension::Smoothed) => ("smoothed", BTreeSet::from(["delta", "increase", "rate"])),
    };
    if functions.contains(function) {
        return Ok(());
    }
    let functions = functions.into_iter().collect::<Vec<_>>().join(", ");
    Err(QueryError::execution(format!("{modifier} modifier can only be used with: {functions} - not with {function}")))
}

/// 1 at each step where no series has a sample.
fn absent(columns: Vec<Column>, arg: &Node, grid: Grid) -> Vec<Column> {
    let labels = match &arg.kind {
        NodeKind::Matrix(matrix) => crate::functions::absent_labels(&matrix.vector.matchers),
        _ => Labels::empty(),
    };
    let mut absent = Column::absent(labels, grid.steps());
    absent.drop_name = true;
    for (step, cell) in absent.floats.iter_mut().enumerate() {
        if !columns.iter().any(|column| column.has(step)) {
            *cell = 1.0;
        }
    }
    if absent.is_empty() { Vec::new() } else { vec![absent] }
}
