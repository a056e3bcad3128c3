//! `sort`, `sort_desc`, `sort_by_label` and `sort_by_label_desc`. Only instant queries have an order to change.

use std::cmp::Ordering;

use crate::engine::{
    CallPlan, Column, Evaluated, Evaluator, Grid, Node, Note, Notes, QueryError, is_absent, sort_by_value,
};

pub(super) fn sort(
    evaluator: &Evaluator,
    node: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    by_value(evaluator, node, plan, grid, notes, false)
}

pub(super) fn sort_desc(
    evaluator: &Evaluator,
    node: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    by_value(evaluator, node, plan, grid, notes, true)
}

pub(super) fn sort_by_label(
    evaluator: &Evaluator,
    node: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    by_label(evaluator, node, plan, grid, notes, false)
}

pub(super) fn sort_by_label_desc(
    evaluator: &Evaluator,
    node: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    by_label(evaluator, node, plan, grid, notes, true)
}

/// Native histograms have no place in an order by value, and are left out.
fn by_value(
    evaluator: &Evaluator,
    node: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
    falling: bool,
) -> Result<Evaluated, QueryError> {
    let columns = evaluator.vector(&plan.args[0], grid, notes)?.into_iter();
    let columns: Vec<Column> =
        columns.map(|column| column.map_floats(|value| value)).filter(|column| !column.is_empty()).collect();
    if !grid.is_instant() {
        notes.add(Note::sort_in_range_query(node.position));
        return Ok(Evaluated::Vector(columns));
    }
    debug_assert!(columns.iter().all(|column| !is_absent(column.floats[0])));
    Ok(Evaluated::Vector(sort_by_value(columns, falling)))
}

fn by_label(
    evaluator: &Evaluator,
    node: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
    falling: bool,
) -> Result<Evaluated, QueryError> {
    let mut columns = evaluator.vector(&plan.args[0], grid, notes)?;
    if !grid.is_instant() {
        notes.add(Note::sort_in_range_query(node.position));
        return Ok(Evaluated::Vector(columns));
    }
    columns.sort_by(|left, right| {
        let labels = plan.args[1..].iter().map(|label| {
            let value =
                |column: &Column| label.label_name().and_then(|name| column.labels.get(name)).unwrap_or("").to_owned();
            natural(&value(left), &value(right))
        });
        let order = labels.fold(Ordering::Equal, Ordering::then).then_with(|| left.labels.cmp(&right.labels));
        if falling { order.reverse() } else { order }
    });
    Ok(Evaluated::Vector(columns))
}

/// The order in which people would put texts: pieces of digits by value, others by their letters.
fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    while !left.is_empty() && !right.is_empty() {
        let (one, other) = (take_piece(&mut left), take_piece(&mut right));
        let order = match (number(one), number(other)) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

/// The digits, or the letters up to a digit, that a text begins with.
fn take_piece<'a>(text: &mut &'a str) -> &'a str {
    let digits = text.starts_with(|first: char| first.is_ascii_digit());
    let end = text.find(|letter: char| letter.is_ascii_digit() != digits).unwrap_or(text.len());
    let (piece, rest) = text.split_at(end);
    *text = rest;
    piece
}

fn number(piece: &str) -> Option<i64> {
    piece.parse().ok().filter(|_| piece.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_compared_by_value() {
        let mut texts = ["node10", "node2", "node1b", "node1", "a", "node01a", ""];
        texts.sort_by(|left, right| natural(left, right));
        assert_eq!(texts, ["", "a", "node1", "node01a", "node1b", "node2", "node10"]);
        assert_eq!(natural("ab1", "ab-"), Ordering::Less, "by pieces");
    }
}
