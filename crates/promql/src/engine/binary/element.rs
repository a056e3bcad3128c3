use std::sync::Arc;

use tripod_model::series::FloatHistogram;

use crate::ast::BinaryOp;
use crate::engine::column::{Cell, Column};
use crate::engine::notes::Note;
use crate::functions::histogram;

/// What an operator makes of two elements.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The value, when there is one.
    pub value: Option<Value>,
    /// For comparisons, whether it holds.
    pub keep: bool,
    /// A remark that goes with the value.
    pub info: Option<Note>,
    /// A remark in the place of a value.
    pub error: Option<Note>,
}

/// A value of its own.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Value {
    /// Puts it into a column.
    pub(crate) fn put(self, column: &mut Column, step: usize) {
        match self {
            Self::Float(value) => column.floats[step] = value,
            Self::Histogram(value) => column.set_histogram(step, value),
        }
    }
}

impl Outcome {
    pub(crate) fn float(value: f64, keep: bool) -> Self {
        Self { value: Some(Value::Float(value)), keep, info: None, error: None }
    }

    pub(crate) fn histogram(value: Arc<FloatHistogram>, keep: bool) -> Self {
        Self { value: Some(Value::Histogram(value)), keep, info: None, error: None }
    }

    pub(crate) fn error(note: Note) -> Self {
        Self { value: None, keep: false, info: None, error: Some(note) }
    }

    /// The value of a cell.
    pub(crate) fn owned(cell: Cell<'_>) -> Value {
        match cell {
            Cell::Float(value) => Value::Float(value),
            Cell::Histogram(value) => Value::Histogram(value.clone()),
        }
    }
}

/// An operator on two numbers where comparisons give 0 or 1.
pub(super) fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    let (value, keep) = floats(op, left, right);
    if op.is_comparison() { f64::from(u8::from(keep)) } else { value }
}

/// An operator on two numbers: the value and, for comparisons, whether it holds.
pub(super) fn floats(op: BinaryOp, left: f64, right: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (left + right, true),
        BinaryOp::Sub => (left - right, true),
        BinaryOp::Mul => (left * right, true),
        BinaryOp::Div => (left / right, true),
        BinaryOp::Mod => (left % right, true),
        BinaryOp::Pow => (left.powf(right), true),
        BinaryOp::Atan2 => (left.atan2(right), true),
        BinaryOp::Equal => (left, left == right),
        BinaryOp::NotEqual => (left, left != right),
        BinaryOp::Greater => (left, left > right),
        BinaryOp::GreaterOrEqual => (left, left >= right),
        BinaryOp::Less => (left, left < right),
        BinaryOp::LessOrEqual => (left, left <= right),
        // Not for numbers.
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => (0.0, false),
    }
}

/// An operator on two elements of vectors. `position` is where the expression stands.
pub(super) fn cells(op: BinaryOp, left: Cell<'_>, right: Cell<'_>, position: usize) -> Outcome {
    let incompatible = |left, right| Outcome::error(Note::incompatible_types(position, left, op.sign(), right));
    match (left, right) {
        (Cell::Float(left), Cell::Float(right)) => match op {
            BinaryOp::TrimUpper | BinaryOp::TrimLower => incompatible("float", "float"),
            _ => {
                let (value, keep) = floats(op, left, right);
                Outcome::float(value, keep)
            }
        },
        (Cell::Float(left), Cell::Histogram(right)) => match op {
            BinaryOp::Mul => Outcome::histogram(histogram::multiplied(right, left), true),
            _ => incompatible("float", "histogram"),
        },
        (Cell::Histogram(left), Cell::Float(right)) => match op {
            BinaryOp::Mul => Outcome::histogram(histogram::multiplied(left, right), true),
            BinaryOp::Div => Outcome::histogram(histogram::divided(left, right), true),
            BinaryOp::TrimUpper => Outcome::histogram(histogram::trimmed(left, right, true), true),
            BinaryOp::TrimLower => Outcome::histogram(histogram::trimmed(left, right, false), true),
            _ => incompatible("histogram", "float"),
        },
        (Cell::Histogram(left), Cell::Histogram(right)) => match op {
            BinaryOp::Add => histogram::sum(left, right, position),
            BinaryOp::Sub => histogram::difference(left, right, position),
            BinaryOp::Equal => Outcome::histogram(left.clone(), left.same_data(right)),
            BinaryOp::NotEqual => Outcome::histogram(left.clone(), !left.same_data(right)),
            _ => incompatible("histogram", "histogram"),
        },
    }
}
