//! What becomes of series' labels: names that go, series that fall together.

use std::collections::HashMap;

use tripod_model::series::{Labels, METRIC_NAME};

use super::column::Column;
use super::error::QueryError;
use super::evaluator::Evaluator;

/// Labels that tell what a metric is, and no longer hold for what was computed from it.
pub(crate) fn is_metadata(name: &str) -> bool {
    name == METRIC_NAME || name == "__type__" || name == "__unit__"
}

/// The labels without those that tell what the metric is.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    if labels.iter().any(|(name, _)| is_metadata(name)) {
        labels.keep(|name| !is_metadata(name))
    } else {
        labels.clone()
    }
}

/// Lets go of the metric's name, at once or at the end of the evaluation.
pub(crate) fn drop_name(evaluator: &Evaluator, column: &mut Column) {
    if !evaluator.context.options.delayed_name_removal {
        column.labels = without_metadata(&column.labels);
    }
    column.drop_name = true;
}

/// As [`merge`], when names are dropped at once; else that waits for the end.
pub(crate) fn merge_unless_delayed(evaluator: &Evaluator, columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    if evaluator.context.options.delayed_name_removal { Ok(columns) } else { merge(columns) }
}

/// Unites columns with the same labels. They must not have a value at the same step.
pub(crate) fn merge(columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    if columns.len() < 2 {
        return Ok(columns);
    }
    let mut merged: Vec<Column> = Vec::with_capacity(columns.len());
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(columns.len());
    for column in columns {
        match places.get(&column.labels) {
            None => {
                places.insert(column.labels.clone(), merged.len());
                merged.push(column);
            }
            Some(place) => unite(&mut merged[*place], column)?,
        }
    }
    Ok(merged)
}

fn unite(into: &mut Column, column: Column) -> Result<(), QueryError> {
    for step in 0..column.floats.len() {
        if let Some(cell) = column.cell(step) {
            if into.has(step) {
                return Err(duplicate_labels());
            }
            into.set(step, cell);
        }
    }
    Ok(())
}

/// Two series of a vector have the same labels.
pub(crate) fn duplicate_labels() -> QueryError {
    QueryError::execution("vector cannot contain metrics with the same labelset")
}

/// The labels with names on or off a list, for matching and for messages; off a list the metric's name goes too.
pub(crate) fn match_labels(labels: &Labels, on: bool, names: &[String]) -> Labels {
    let listed = |name: &str| names.iter().any(|each| each == name);
    match on {
        true => labels.keep(listed),
        false => labels.keep(|name| name != METRIC_NAME && !listed(name)),
    }
}
