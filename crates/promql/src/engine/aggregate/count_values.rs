use std::collections::HashMap;

use tripod_model::series::Labels;

use super::groups::group_labels;
use crate::engine::column::{Cell, Column, is_absent};
use crate::engine::error::QueryError;
use crate::engine::evaluator::Evaluator;
use crate::engine::grid::Grid;
use crate::engine::notes::Notes;
use crate::engine::plan::AggregatePlan;
use crate::literal::{format_float, quote};

/// `count_values("label", vector)`: how often each value occurs.
pub(super) fn evaluate(
    evaluator: &Evaluator,
    plan: &AggregatePlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    let label = plan.param.as_ref().and_then(|param| param.label_name()).ok_or_else(|| {
        let given = plan.param.as_ref().map_or(&b""[..], |param| param.text());
        QueryError::execution(format!("invalid label name {}", quote(given)))
    })?;
    let mut listed = plan.labels.clone();
    if !plan.without && !listed.iter().any(|each| each == label) {
        listed.push(label.to_owned());
        listed.sort_unstable();
    }
    let columns = evaluator.vector(&plan.expr, grid, notes)?;
    let mut results: Vec<Column> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for column in &columns {
        evaluator.context.check()?;
        let mut before: Option<(u64, usize)> = None;
        for step in 0..grid.steps() {
            let Some(cell) = column.cell(step) else { continue };
            let place = match (cell, before) {
                (Cell::Float(value), Some((bits, place))) if value.to_bits() == bits => place,
                _ => {
                    let text = match cell {
                        Cell::Float(value) => format_float(value),
                        Cell::Histogram(histogram) => crate::functions::histogram::text(histogram),
                    };
                    let mut builder = column.labels.to_builder();
                    builder.set(label, &text);
                    let labels = group_labels(&builder.build(), &listed, plan.without);
                    let next = results.len();
                    let place = *places.entry(labels.clone()).or_insert(next);
                    if place == next {
                        evaluator.context.check_cells(next + 1, grid)?;
                        results.push(Column::absent(labels, grid.steps()));
                    }
                    place
                }
            };
            if let Cell::Float(value) = cell {
                before = Some((value.to_bits(), place));
            }
            let count = &mut results[place].floats[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    Ok(results)
}
