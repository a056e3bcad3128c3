use super::groups::Groups;
use crate::ast::AggregateOp;
use crate::engine::column::{ABSENT, Cell, Column, is_absent};
use crate::engine::context::Context;
use crate::engine::error::QueryError;
use crate::engine::evaluator::Evaluator;
use crate::engine::grid::Grid;
use crate::engine::kahan::{self, Mean};
use crate::engine::notes::{HistogramOperation, Note, Notes};
use crate::engine::plan::AggregatePlan;
use crate::functions::histogram::Total;

/// Aggregations that look at each value once: `sum`, `avg`, `count`, `min`, `max`, `group`, `stddev`, `stdvar`.
pub(super) fn evaluate(
    evaluator: &Evaluator,
    plan: &AggregatePlan,
    columns: &[Column],
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    let groups = Groups::new(plan, columns);
    // A group keeps up to four numbers per step while it is folded.
    evaluator.context.check_cells(groups.labels.len().saturating_mul(2), grid)?;
    let members = groups.members();
    let groups: Vec<_> = groups.labels.into_iter().zip(members).collect();
    let steps = grid.steps();
    let position = plan.expr.position;
    let context = &evaluator.context;
    evaluator.context.each(
        &groups,
        notes,
        || (),
        |(), (labels, members), worker| {
            let members: Vec<&Column> = members.iter().map(|index| &columns[*index]).collect();
            let mut result = Column::absent(labels.clone(), steps);
            result.drop_name = members.iter().any(|column| column.drop_name);
            let mut ignored = false;
            match plan.op {
                AggregateOp::Sum if members.iter().all(|column| column.histograms.is_empty()) => {
                    sum(context, &members, &mut result.floats)?;
                }
                AggregateOp::Avg if members.iter().all(|column| column.histograms.is_empty()) => {
                    average(context, &members, &mut result.floats)?;
                }
                AggregateOp::Sum | AggregateOp::Avg => {
                    let mean = plan.op == AggregateOp::Avg;
                    for step in 0..steps {
                        context.check()?;
                        mixed(&members, mean, step, position, &mut result, &mut worker.notes);
                    }
                }
                AggregateOp::Min => {
                    ignored =
                        fold(context, &members, &mut result.floats, |kept, value| *kept > value || kept.is_nan())?;
                }
                AggregateOp::Max => {
                    ignored =
                        fold(context, &members, &mut result.floats, |kept, value| *kept < value || kept.is_nan())?;
                }
                AggregateOp::Stddev => {
                    ignored = variance(context, &members, &mut result.floats)?;
                    result
                        .floats
                        .iter_mut()
                        .filter(|value| !is_absent(**value))
                        .for_each(|value| *value = value.sqrt());
                }
                AggregateOp::Stdvar => ignored = variance(context, &members, &mut result.floats)?,
                AggregateOp::Count => {
                    for column in &members {
                        for (_, count) in result.floats.iter_mut().enumerate().filter(|(step, _)| column.has(*step)) {
                            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
                        }
                    }
                }
                _ => {
                    for (step, value) in result.floats.iter_mut().enumerate() {
                        if members.iter().any(|column| column.has(step)) {
                            *value = 1.0;
                        }
                    }
                }
            }
            if ignored {
                worker.notes.add(Note::histogram_ignored_in_aggregation(position, name(plan.op)));
            }
            Ok((!result.is_empty()).then_some(result))
        },
    )
}

fn name(op: AggregateOp) -> &'static str {
    match op {
        AggregateOp::Min => "min",
        AggregateOp::Max => "max",
        AggregateOp::Stddev => "stddev",
        _ => "stdvar",
    }
}

fn has_histogram(columns: &[&Column]) -> bool {
    columns.iter().any(|column| column.histograms.iter().any(Option::is_some))
}

fn sum(context: &Context, columns: &[&Column], sums: &mut [f64]) -> Result<(), QueryError> {
    let mut compensations = vec![0.0; sums.len()];
    for column in columns {
        context.check()?;
        for ((sum, compensation), value) in sums.iter_mut().zip(&mut compensations).zip(&column.floats) {
            if is_absent(*value) {
                continue;
            }
            if is_absent(*sum) {
                *sum = *value;
            } else {
                kahan::add(*value, sum, compensation);
            }
        }
    }
    for (sum, compensation) in sums.iter_mut().zip(compensations) {
        if !is_absent(*sum) {
            *sum += compensation;
        }
    }
    Ok(())
}

fn average(context: &Context, columns: &[&Column], averages: &mut [f64]) -> Result<(), QueryError> {
    let mut means: Vec<Option<Mean>> = vec![None; averages.len()];
    for column in columns {
        context.check()?;
        for (mean, value) in means.iter_mut().zip(&column.floats) {
            match mean {
                _ if is_absent(*value) => {}
                Some(mean) => mean.add(*value),
                None => *mean = Some(Mean::of(*value)),
            }
        }
    }
    for (average, mean) in averages.iter_mut().zip(means) {
        *average = mean.map_or(ABSENT, Mean::finish);
    }
    Ok(())
}

/// Keeps one value per step; whether there were histograms, which do not count.
fn fold(
    context: &Context,
    columns: &[&Column],
    kept: &mut [f64],
    replaces: impl Fn(&f64, f64) -> bool,
) -> Result<bool, QueryError> {
    for column in columns {
        context.check()?;
        for (kept, value) in kept.iter_mut().zip(&column.floats) {
            if !is_absent(*value) && (is_absent(*kept) || replaces(kept, *value)) {
                *kept = *value;
            }
        }
    }
    Ok(has_histogram(columns))
}

/// Welford's variance; whether there were histograms, which do not count.
fn variance(context: &Context, columns: &[&Column], variances: &mut [f64]) -> Result<bool, QueryError> {
    let mut means = vec![0.0; variances.len()];
    let mut counts = vec![0.0; variances.len()];
    for column in columns {
        context.check()?;
        let states = variances.iter_mut().zip(&mut means).zip(&mut counts);
        for (((squares, mean), count), value) in states.zip(&column.floats) {
            if is_absent(*value) {
                continue;
            }
            *count += 1.0;
            if is_absent(*squares) {
                *mean = *value;
                *squares = if value.is_finite() { 0.0 } else { f64::NAN };
                continue;
            }
            let delta = value - *mean;
            *mean += delta / *count;
            *squares += delta * (value - *mean);
        }
    }
    for (squares, count) in variances.iter_mut().zip(counts) {
        if !is_absent(*squares) {
            *squares /= count;
        }
    }
    Ok(has_histogram(columns))
}

/// The sum or mean at a step where there may be histograms.
fn mixed(columns: &[&Column], mean: bool, step: usize, position: usize, result: &mut Column, notes: &mut Notes) {
    let mut numbers: Option<(f64, f64, Mean)> = None;
    let mut total: Option<Total> = None;
    let (mut any_histogram, mut incompatible) = (false, false);
    for column in columns {
        match column.cell(step) {
            None => {}
            // Upstream looks at nothing more in a group whose histograms do not fit together.
            _ if incompatible => break,
            Some(Cell::Float(value)) => match &mut numbers {
                None => numbers = Some((value, 0.0, Mean::of(value))),
                Some((sum, compensation, average)) => {
                    kahan::add(value, sum, compensation);
                    average.add(value);
                }
            },
            Some(Cell::Histogram(histogram)) => {
                let first = !any_histogram && numbers.is_none();
                any_histogram = true;
                if first {
                    total = Some(Total::new(histogram, mean));
                } else if let Some(total) = &mut total {
                    match total.add(histogram) {
                        Ok(reconciled) if reconciled.custom_bounds => {
                            let operation = HistogramOperation::Aggregation;
                            notes.add(Note::mismatched_custom_buckets(position, operation));
                        }
                        Ok(_) => {}
                        Err(_) => {
                            let metric = column.labels.metric_name().unwrap_or("");
                            notes.add(Note::mixed_exponential_custom(position, metric));
                            incompatible = true;
                        }
                    }
                }
            }
        }
    }
    if numbers.is_some() && any_histogram {
        notes.add(Note::mixed_floats_histograms_in_aggregation(position));
        return;
    }
    if let Some((sum, compensation, average)) = numbers {
        result.floats[step] = if mean { average.finish() } else { sum + compensation };
    }
    if let Some(total) = total.filter(|_| !incompatible) {
        if total.contradicting_resets() {
            notes.add(Note::counter_reset_collision(position, HistogramOperation::Aggregation));
        }
        result.set_histogram(step, total.finish());
    }
}
