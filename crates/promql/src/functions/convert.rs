//! `absent`, `scalar` and `vector`.

use tripod_model::series::{Labels, METRIC_NAME};
use tripod_storage::series::{LabelMatcher, MatchOp};

use crate::engine::{CallPlan, Column, Evaluated, Evaluator, Grid, Node, NodeKind, Notes, QueryError, is_absent};

/// 1 where the vector is empty.
pub(super) fn absent(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let columns = evaluator.vector(&plan.args[0], grid, notes)?;
    let labels = match &plan.args[0].kind {
        NodeKind::Vector(selector) => absent_labels(&selector.matchers),
        _ => Labels::empty(),
    };
    let mut absent = Column::absent(labels, grid.steps());
    for (step, cell) in absent.floats.iter_mut().enumerate() {
        if !columns.iter().any(|column| column.has(step)) {
            *cell = 1.0;
        }
    }
    Ok(Evaluated::Vector(if absent.is_empty() { Vec::new() } else { vec![absent] }))
}

/// The labels that an absent series would have for sure: those compared with `=`, each once.
pub(crate) fn absent_labels(matchers: &[LabelMatcher]) -> Labels {
    let mut builder = Labels::empty().to_builder();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && !seen.contains(&matcher.name()) {
            builder.set(matcher.name(), matcher.value());
            seen.push(matcher.name());
        } else {
            builder.remove(matcher.name());
        }
    }
    builder.build()
}

/// The number of the only series that has one; NaN when there is none or more than one.
pub(super) fn scalar(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let columns = evaluator.vector(&plan.args[0], grid, notes)?;
    let only = |step: usize| {
        let mut values = columns.iter().map(|column| column.floats[step]).filter(|value| !is_absent(*value));
        match (values.next(), values.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    Ok(Evaluated::Scalar((0..grid.steps()).map(only).collect()))
}

/// A series without labels.
pub(super) fn vector(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let floats = evaluator.scalar(&plan.args[0], grid, notes)?;
    let column = Column { labels: Labels::empty(), drop_name: false, floats, histograms: Vec::new() };
    Ok(Evaluated::Vector(vec![column]))
}
