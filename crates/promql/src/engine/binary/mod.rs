//! Binary operators.

mod element;
mod matching;
mod set;
mod vector;

use super::column::{ABSENT, Cell, Column, Evaluated, is_absent};
use super::error::QueryError;
use super::evaluator::Evaluator;
use super::grid::Grid;
use super::labels::{drop_name, merge_unless_delayed};
use super::notes::{Note, Notes};
use super::plan::{BinaryPlan, Node};
use crate::ast::{BinaryOp, ValueType};

pub(crate) use element::Outcome;

/// Evaluates a binary expression.
pub(super) fn evaluate(
    evaluator: &Evaluator,
    node: &Node,
    plan: &BinaryPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    match (plan.lhs.gives, plan.rhs.gives) {
        (ValueType::Scalar, ValueType::Scalar) => {
            if matches!(plan.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
                let message = format!("operator {:?} not allowed for Scalar operations", plan.op.sign());
                return Err(QueryError::execution(message));
            }
            let mut left = evaluator.scalar(&plan.lhs, grid, notes)?;
            let right = evaluator.scalar(&plan.rhs, grid, notes)?;
            for (left, right) in left.iter_mut().zip(right) {
                *left = element::scalars(plan.op, *left, right);
            }
            Ok(Evaluated::Scalar(left))
        }
        (ValueType::Scalar, _) => {
            let scalar = evaluator.scalar(&plan.lhs, grid, notes)?;
            let columns = evaluator.vector(&plan.rhs, grid, notes)?;
            with_scalar(evaluator, node, plan, columns, &scalar, true, notes).map(Evaluated::Vector)
        }
        (_, ValueType::Scalar) => {
            let columns = evaluator.vector(&plan.lhs, grid, notes)?;
            let scalar = evaluator.scalar(&plan.rhs, grid, notes)?;
            with_scalar(evaluator, node, plan, columns, &scalar, false, notes).map(Evaluated::Vector)
        }
        _ => {
            let left = evaluator.vector(&plan.lhs, grid, notes)?;
            let right = evaluator.vector(&plan.rhs, grid, notes)?;
            let columns = match plan.op {
                BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => set::evaluate(evaluator, plan, left, right, grid)?,
                _ => vector::evaluate(evaluator, node, plan, left, right, grid, notes)?,
            };
            Ok(Evaluated::Vector(columns))
        }
    }
}

/// Whether the result of an operator is something else than its left side.
fn changes_schema(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

/// Each series with the number of the step; `swapped` when the scalar is on the left.
fn with_scalar(
    evaluator: &Evaluator,
    node: &Node,
    plan: &BinaryPlan,
    mut columns: Vec<Column>,
    scalar: &[f64],
    swapped: bool,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    let op = plan.op;
    let mut last_notes = LastNotes::default();
    for column in &mut columns {
        evaluator.context.check()?;
        if column.histograms.is_empty() && !matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
            floats_with_scalar(op, &mut column.floats, scalar, swapped, plan.return_bool);
        } else {
            let mut out = Column::absent(column.labels.clone(), column.floats.len());
            out.drop_name = column.drop_name;
            for (step, number) in scalar.iter().enumerate() {
                let Some(cell) = column.cell(step) else { continue };
                let number = Cell::Float(*number);
                let (left, right) = if swapped { (number, cell) } else { (cell, number) };
                let outcome = element::cells(op, left, right, node.position);
                if let Some(note) = outcome.error.filter(|note| !note.is_warning()) {
                    last_notes.set(step, note, scalar.len());
                    continue;
                }
                let value = if op.is_comparison() && swapped { Some(Outcome::owned(cell)) } else { outcome.value };
                if plan.return_bool {
                    out.floats[step] = f64::from(u8::from(outcome.keep));
                } else if let Some(value) = value.filter(|_| outcome.keep) {
                    value.put(&mut out, step);
                }
            }
            *column = out;
        }
        if changes_schema(op) || plan.return_bool {
            drop_name(evaluator, column);
        }
    }
    last_notes.finish(notes);
    columns.retain(|column| !column.is_empty());
    merge_unless_delayed(evaluator, columns)
}

/// The same for numbers alone, without a look at each operator for each number.
fn floats_with_scalar(op: BinaryOp, values: &mut [f64], scalar: &[f64], swapped: bool, return_bool: bool) {
    macro_rules! each {
        ($compute:expr) => {{
            let compute = $compute;
            for (value, number) in values.iter_mut().zip(scalar) {
                if !is_absent(*value) {
                    *value = if swapped { compute(*number, *value) } else { compute(*value, *number) };
                }
            }
        }};
    }
    macro_rules! filter {
        ($compare:expr) => {{
            let compare = $compare;
            for (value, number) in values.iter_mut().zip(scalar) {
                if !is_absent(*value) {
                    let keep: bool = if swapped { compare(number, value) } else { compare(value, number) };
                    if return_bool {
                        *value = f64::from(u8::from(keep));
                    } else if !keep {
                        *value = ABSENT;
                    }
                }
            }
        }};
    }
    match op {
        BinaryOp::Add => each!(|left: f64, right: f64| left + right),
        BinaryOp::Sub => each!(|left: f64, right: f64| left - right),
        BinaryOp::Mul => each!(|left: f64, right: f64| left * right),
        BinaryOp::Div => each!(|left: f64, right: f64| left / right),
        BinaryOp::Mod => each!(|left: f64, right: f64| left % right),
        BinaryOp::Pow => each!(f64::powf),
        BinaryOp::Atan2 => each!(f64::atan2),
        BinaryOp::Equal => filter!(|left: &f64, right: &f64| left == right),
        BinaryOp::NotEqual => filter!(|left: &f64, right: &f64| left != right),
        BinaryOp::Greater => filter!(|left: &f64, right: &f64| left > right),
        BinaryOp::GreaterOrEqual => filter!(|left: &f64, right: &f64| left >= right),
        BinaryOp::Less => filter!(|left: &f64, right: &f64| left < right),
        BinaryOp::LessOrEqual => filter!(|left: &f64, right: &f64| left <= right),
        // Refused by the type check, or handled where histograms are.
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => {}
    }
}

/// Of the remarks on the elements of one step, Prometheus keeps the last.
#[derive(Debug, Default)]
struct LastNotes(Vec<Option<Note>>);

impl LastNotes {
    fn set(&mut self, step: usize, note: Note, steps: usize) {
        if self.0.is_empty() {
            self.0.resize(steps, None);
        }
        self.0[step] = Some(note);
    }

    fn finish(self, notes: &mut Notes) {
        self.0.into_iter().flatten().for_each(|note| notes.add(note));
    }
}
