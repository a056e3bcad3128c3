use tripod_storage::series::{LabelMatcher, MillisRange, SelectSeries};

use super::{Node, NodeKind, VectorPlan};
use crate::ast::RangeExtension;
use crate::engine::grid::Grid;

/// What one or several selectors of a query need from the store.
pub(in crate::engine) type Slot = SelectSeries;

/// Gives each selector its slot and tells what to select. Selectors with the same conditions whose samples lie close
/// together share a slot.
pub(in crate::engine) fn selects(node: &mut Node, grid: Grid, lookback: i64) -> Vec<Slot> {
    let mut slots = Vec::new();
    place(node, grid, lookback, &mut slots);
    slots
}

fn place(node: &mut Node, grid: Grid, lookback: i64, slots: &mut Vec<Slot>) {
    if grid.steps() == 0 {
        return;
    }
    match &mut node.kind {
        NodeKind::Number(_) | NodeKind::String(_) => {}
        NodeKind::Vector(selector) => {
            let after = if selector.extension == Some(RangeExtension::Smoothed) { lookback } else { 0 };
            take_slot(selector, grid, lookback - 1, after, slots);
        }
        NodeKind::Matrix(matrix) => {
            let (before, after) = match matrix.vector.extension {
                None => (matrix.range - 1, 0),
                Some(RangeExtension::Anchored) => (matrix.range + lookback - 1, 0),
                Some(RangeExtension::Smoothed) => (matrix.range + lookback - 1, lookback),
            };
            take_slot(&mut matrix.vector, grid, before, after, slots);
        }
        NodeKind::Subquery(subquery) => {
            let inner = subquery.grid(grid);
            place(&mut subquery.expr, inner, lookback, slots);
        }
        NodeKind::Sign(_, inner) | NodeKind::Paren(inner) => place(inner, grid, lookback, slots),
        NodeKind::Invariant(inner) => place(inner, grid.first(), lookback, slots),
        NodeKind::Binary(binary) => {
            place(&mut binary.lhs, grid, lookback, slots);
            place(&mut binary.rhs, grid, lookback, slots);
        }
        NodeKind::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                place(param, grid, lookback, slots);
            }
            place(&mut aggregate.expr, grid, lookback, slots);
        }
        NodeKind::Call(call) => {
            // The second argument of `info` only names labels: its series are looked for when the first one is known.
            let selecting = if call.function.name == "info" { 1 } else { call.args.len() };
            call.args.iter_mut().take(selecting).for_each(|arg| place(arg, grid, lookback, slots));
        }
    }
}

fn take_slot(selector: &mut VectorPlan, grid: Grid, before: i64, after: i64, slots: &mut Vec<Slot>) {
    let start = selector.reference(grid.start).saturating_sub(before);
    let end = selector.reference(grid.last()).saturating_add(after);
    let near = |range: MillisRange| range.start <= end && start <= range.end;
    let shared = slots.iter().position(|slot| near(slot.range) && same(&slot.matchers, &selector.matchers));
    selector.slot = shared.unwrap_or_else(|| {
        slots.push(Slot { matchers: selector.matchers.clone(), range: MillisRange { start, end } });
        slots.len() - 1
    });
    let range = &mut slots[selector.slot].range;
    *range = MillisRange { start: range.start.min(start), end: range.end.max(end) };
}

fn same(one: &[LabelMatcher], other: &[LabelMatcher]) -> bool {
    one.len() == other.len() && one.iter().all(|matcher| other.contains(matcher))
}
