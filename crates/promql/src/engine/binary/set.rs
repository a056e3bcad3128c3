use super::matching::{Presence, Signatures};
use crate::ast::BinaryOp;
use crate::engine::column::{ABSENT, Column};
use crate::engine::error::QueryError;
use crate::engine::evaluator::Evaluator;
use crate::engine::grid::Grid;
use crate::engine::labels::merge;
use crate::engine::plan::BinaryPlan;

/// `and`, `or` and `unless`: values of one side depending on whether the other has a match.
pub(super) fn evaluate(
    evaluator: &Evaluator,
    plan: &BinaryPlan,
    mut left: Vec<Column>,
    mut right: Vec<Column>,
    grid: Grid,
) -> Result<Vec<Column>, QueryError> {
    let Some(matching) = &plan.matching else {
        return Err(QueryError::execution("set operations need two instant vectors"));
    };
    let signatures = Signatures::of(matching, &left, &right);
    evaluator.context.check_cells(signatures.count, grid)?;
    let steps = grid.steps();
    let presence = |columns: &[Column], groups: &[usize]| Presence::of(columns, groups, signatures.count, steps);
    match plan.op {
        BinaryOp::Or => {
            let present = presence(&left, &signatures.left);
            clear(&mut right, &signatures.right, |group, step| present.has(group, step));
            left.append(&mut right);
            merge(left)
        }
        BinaryOp::Unless => {
            let present = presence(&right, &signatures.right);
            clear(&mut left, &signatures.left, |group, step| present.has(group, step));
            Ok(left)
        }
        _ => {
            let present = presence(&right, &signatures.right);
            clear(&mut left, &signatures.left, |group, step| !present.has(group, step));
            Ok(left)
        }
    }
}

/// Takes away values.
fn clear(columns: &mut Vec<Column>, groups: &[usize], gone: impl Fn(usize, usize) -> bool) {
    for (column, group) in columns.iter_mut().zip(groups) {
        for (step, value) in column.floats.iter_mut().enumerate() {
            if gone(*group, step) {
                *value = ABSENT;
            }
        }
        for (step, histogram) in column.histograms.iter_mut().enumerate() {
            if gone(*group, step) {
                *histogram = None;
            }
        }
    }
    columns.retain(|column| !column.is_empty());
}
