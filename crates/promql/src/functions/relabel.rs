//! `label_replace` and `label_join`.

use regex::Regex;
use tripod_model::series::METRIC_NAME;
use tripod_storage::series::pattern_to_rust;

use crate::engine::{CallPlan, Column, Evaluated, Evaluator, Grid, Node, Notes, QueryError, labels};

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
    let (target, replacement, source) = (target.text(), replacement.text(), source.text());
    let rust = pattern_to_rust(pattern.text()).ok();
    let regex = rust.and_then(|rust| Regex::new(&format!("^(?s:{rust})$")).ok()).ok_or_else(|| {
        QueryError::execution(format!("invalid regular expression in label_replace(): {}", pattern.text()))
    })?;
    if target.is_empty() {
        return Err(QueryError::execution("invalid destination label name in label_replace(): "));
    }
    let mut columns = evaluator.vector(&plan.args[0], grid, notes)?;
    for column in &mut columns {
        evaluator.context.check()?;
        let value = column.labels.get(source).unwrap_or("");
        let Some(captures) = regex.captures(value) else { continue };
        let mut text = String::new();
        captures.expand(replacement, &mut text);
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
    if sources.iter().any(|source| source.text().is_empty()) {
        return Err(QueryError::execution("invalid source label name in label_join(): "));
    }
    if target.text().is_empty() {
        return Err(QueryError::execution("invalid destination label name in label_join(): "));
    }
    let mut columns = evaluator.vector(&plan.args[0], grid, notes)?;
    for column in &mut columns {
        evaluator.context.check()?;
        let values = sources.iter().map(|source| column.labels.get(source.text()).unwrap_or(""));
        let text = values.collect::<Vec<_>>().join(separator.text());
        set(column, target.text(), &text);
    }
    labels::merge(columns).map(Evaluated::Vector)
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
