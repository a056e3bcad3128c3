use super::groups::Groups;
use super::param::Param;
use crate::engine::column::{Column, is_absent};
use crate::engine::error::QueryError;
use crate::engine::evaluator::Evaluator;
use crate::engine::grid::Grid;
use crate::engine::notes::{Note, Notes};
use crate::engine::plan::AggregatePlan;

/// The quantile of numbers, which are sorted by this; between two of them it is interpolated. NaN counts as the smallest.
pub(crate) fn quantile(quantile: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|left, right| match (left.is_nan(), right.is_nan()) {
        (false, false) => left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal),
        (left, right) => right.cmp(&left),
    });
    let last = values.len() - 1;
    let rank = quantile * last as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// `quantile(param, vector)`
pub(super) fn evaluate(
    evaluator: &Evaluator,
    plan: &AggregatePlan,
    param: &Param,
    columns: &[Column],
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    if param.any_nan {
        notes.add(Note::invalid_quantile(param.position, f64::NAN));
    }
    if param.max > 1.0 {
        notes.add(Note::invalid_quantile(param.position, param.max));
    }
    if param.min < 0.0 {
        notes.add(Note::invalid_quantile(param.position, param.min));
    }
    if columns.iter().any(|column| column.histograms.iter().any(Option::is_some)) {
        notes.add(Note::histogram_ignored_in_aggregation(plan.expr.position, "quantile"));
    }
    let groups = Groups::new(plan, columns);
    evaluator.context.check_cells(groups.labels.len(), grid)?;
    let members = groups.members();
    let groups: Vec<_> = groups.labels.iter().zip(&members).collect();
    evaluator.context.each(&groups, notes, Vec::new, |values, (labels, members), _| {
        let mut result = Column::absent((*labels).clone(), grid.steps());
        for (step, cell) in result.floats.iter_mut().enumerate() {
            values.clear();
            values.extend(members.iter().map(|index| columns[*index].floats[step]).filter(|value| !is_absent(*value)));
            if !values.is_empty() {
                *cell = quantile(param.values[step], values);
            }
        }
        result.drop_name = members.iter().any(|index| columns[*index].drop_name);
        Ok((!result.is_empty()).then_some(result))
    })
}
