//! `label_replace` and `label_join`.

use regex::Regex;
use tripod_model::series::METRIC_NAME;
use tripod_storage::series::pattern_to_rust;

use crate::engine::{CallPlan, Column, Evaluated, Evaluator, Grid, Node, Notes, QueryError, labels};
use crate::literal::lossy;

pub(super) fn label_replace(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let [_, target, replacement, source, pattern] = &plan.args[..] else {
        return Err(QueryError::execution("label_replace takes five arguments"));
    };
    let rust = std::str::from_utf8(pattern.text()).ok().and_then(|pattern| pattern_to_rust(pattern).ok());
    let regex = rust.and_then(|rust| Regex::new(&format!("^(?s:{rust})$")).ok());
    let regex = regex.ok_or_else(|| invalid("regular expression in label_replace()", pattern))?;
    let target = target.label_name().ok_or_else(|| invalid("destination label name in label_replace()", target))?;
    let (replacement, source) = (lossy(replacement.text()), source.label_name());
    let mut columns = evaluator.vector(&plan.args[0], grid, notes)?;
    for column in &mut columns {
        evaluator.context.check()?;
        let value = source.and_then(|source| column.labels.get(source)).unwrap_or("");
        let Some(captures) = regex.captures(value) else { continue };
        let mut text = String::new();
        captures.expand(&replacement, &mut text);
        set(column, target, &text);
    }
    labels::merge(columns).map(Evaluated::Vector)
}

pub(super) fn label_join(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    let [_, target, separator, sources @ ..] = &plan.args[..] else {
        return Err(QueryError::execution("label_join takes at least three arguments"));
    };
    let sources = sources
        .iter()
        .map(|source| source.label_name().ok_or_else(|| invalid("source label name in label_join()", source)))
        .collect::<Result<Vec<_>, _>>()?;
    let target = target.label_name().ok_or_else(|| invalid("destination label name in label_join()", target))?;
    let separator = lossy(separator.text());
    let mut columns = evaluator.vector(&plan.args[0], grid, notes)?;
    for column in &mut columns {
        evaluator.context.check()?;
        let values = sources.iter().map(|source| column.labels.get(source).unwrap_or(""));
        let text = values.collect::<Vec<_>>().join(&separator);
        set(column, target, &text);
    }
    labels::merge(columns).map(Evaluated::Vector)
}

fn invalid(what: &str, given: &Node) -> QueryError {
    QueryError::execution(format!("invalid {what}: {}", lossy(given.text())))
}

/// Sets a label. A name that is given on purpose stays.
fn set(column: &mut Column, label: &str, value: &str) {
    let mut builder = column.labels.to_builder();
    builder.set(label, value);
    column.labels = builder.build();
    if label == METRIC_NAME {
        column.drop_name = false;
    }
}
