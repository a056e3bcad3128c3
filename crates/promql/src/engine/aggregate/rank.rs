use tripod_model::series::{Labels, ShortFloat};
use twox_hash::XxHash64;

use super::groups::Groups;
use super::param::Param;
use crate::ast::AggregateOp;
use crate::engine::column::{Cell, Column, is_absent};
use crate::engine::error::QueryError;
use crate::engine::evaluator::Evaluator;
use crate::engine::grid::Grid;
use crate::engine::notes::{Note, Notes};
use crate::engine::plan::{AggregatePlan, Node};

/// The numbers that fit into 64 bits lie between these, both excluded; the upper one is Prometheus' bound.
const INTEGERS: (f64, f64) = (-9_223_372_036_854_775_808.0, 9_223_372_036_854_774_784.0);

/// An element of a group at a step: its series and its value.
type Element = (usize, f64);

/// `topk`, `bottomk`, `limitk` and `limit_ratio`: some series of each group.
pub(super) fn evaluate(
    evaluator: &Evaluator,
    node: &Node,
    plan: &AggregatePlan,
    param: Param,
    columns: Vec<Column>,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    let op = plan.op;
    if !check(op, &param, notes)? {
        return Ok(Vec::new());
    }
    let groups = Groups::new(plan, &columns);
    let members = groups.members();
    let ratios: Vec<f64> = match op {
        AggregateOp::LimitRatio => columns.iter().map(|column| place_in_sample(&column.labels)).collect(),
        _ => Vec::new(),
    };
    let mut results: Vec<Option<Column>> = columns.iter().map(|_| None).collect();
    let mut order = Vec::new();
    let mut heap: Vec<Element> = Vec::new();
    for step in 0..grid.steps() {
        evaluator.context.check()?;
        let limit = match op {
            AggregateOp::LimitRatio => param.values[step].clamp(-1.0, 1.0),
            _ => param.values[step].trunc().min(columns.len() as f64),
        };
        if limit == 0.0 || (op != AggregateOp::LimitRatio && limit < 1.0) {
            continue;
        }
        for members in &members {
            heap.clear();
            for &series in members {
                let value = match columns[series].cell(step) {
                    None => continue,
                    Some(Cell::Float(value)) => value,
                    Some(Cell::Histogram(_)) => match op {
                        AggregateOp::Topk | AggregateOp::Bottomk => {
                            let name = if op == AggregateOp::Topk { "topk" } else { "bottomk" };
                            notes.add(Note::histogram_ignored_in_aggregation(node.position, name));
                            continue;
                        }
                        // A histogram has the place of a zero.
                        _ => 0.0,
                    },
                };
                let element = (series, value);
                match op {
                    AggregateOp::Topk => keep_best(&mut heap, element, limit as usize, ascending),
                    AggregateOp::Bottomk => keep_best(&mut heap, element, limit as usize, descending),
                    AggregateOp::Limitk if heap.len() < limit as usize => push(&mut heap, element, ascending),
                    AggregateOp::LimitRatio if in_sample(ratios[series], limit) => push(&mut heap, element, ascending),
                    _ => {}
                }
            }
            match op {
                AggregateOp::Topk => sort(&mut heap, |left, right| ascending(right, left)),
                AggregateOp::Bottomk => sort(&mut heap, |left, right| descending(right, left)),
                _ => {}
            }
            for &(series, _) in &heap {
                let result = results[series].get_or_insert_with(|| {
                    order.push(series);
                    let drop_name = columns[series].drop_name;
                    Column { drop_name, ..Column::absent(columns[series].labels.clone(), grid.steps()) }
                });
                if let Some(cell) = columns[series].cell(step) {
                    result.set(step, cell);
                }
            }
        }
    }
    Ok(order.into_iter().filter_map(|series| results[series].take()).collect())
}

/// Whether the parameter lets anything through.
fn check(op: AggregateOp, param: &Param, notes: &mut Notes) -> Result<bool, QueryError> {
    if op == AggregateOp::LimitRatio {
        if param.max == 0.0 && param.min == 0.0 {
            return Ok(false);
        }
        if param.any_nan {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        if param.max > 1.0 {
            notes.add(Note::invalid_ratio(param.position, param.max, 1.0));
        }
        if param.min < -1.0 {
            notes.add(Note::invalid_ratio(param.position, param.min, -1.0));
        }
        return Ok(true);
    }
    if param.max < 1.0 {
        return Ok(false);
    }
    if param.any_nan {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    if param.min <= INTEGERS.0 {
        return Err(QueryError::execution(format!("Scalar value {} underflows int64", ShortFloat(param.min))));
    }
    if param.max >= INTEGERS.1 {
        return Err(QueryError::execution(format!("Scalar value {} overflows int64", ShortFloat(param.max))));
    }
    Ok(true)
}

fn ascending(left: f64, right: f64) -> bool {
    left.is_nan() || left < right
}

fn descending(left: f64, right: f64) -> bool {
    left.is_nan() || left > right
}

/// Keeps up to `most` elements, the worst of them first. Of equal ones those stay that a binary heap lets stay, which is
/// what Prometheus does.
fn keep_best(heap: &mut Vec<Element>, element: Element, most: usize, less: fn(f64, f64) -> bool) {
    if heap.len() < most {
        push(heap, element, less);
        return;
    }
    let (worst, value) = (heap[0].1, element.1);
    if (worst.is_nan() && !value.is_nan()) || (!worst.is_nan() && less(worst, value) && !value.is_nan()) {
        heap[0] = element;
        sink(heap, 0, less);
    }
}

fn push(heap: &mut Vec<Element>, element: Element, less: fn(f64, f64) -> bool) {
    heap.push(element);
    let mut child = heap.len() - 1;
    while child > 0 {
        let parent = (child - 1) / 2;
        if !less(heap[child].1, heap[parent].1) {
            break;
        }
        heap.swap(child, parent);
        child = parent;
    }
}

fn sink(heap: &mut [Element], mut parent: usize, less: fn(f64, f64) -> bool) {
    loop {
        let (left, right) = (2 * parent + 1, 2 * parent + 2);
        if left >= heap.len() {
            return;
        }
        let child = if right < heap.len() && less(heap[right].1, heap[left].1) { right } else { left };
        if !less(heap[child].1, heap[parent].1) {
            return;
        }
        heap.swap(parent, child);
        parent = child;
    }
}

/// Sorts by value as Prometheus does: short lists by insertion, where NaN is less than everything, itself included.
fn sort(elements: &mut [Element], less: impl Fn(f64, f64) -> bool) {
    /// Up to this length Go's sort inserts.
    const SHORT: usize = 12;
    if elements.len() > SHORT {
        elements.sort_by(|left, right| match (less(left.1, right.1), less(right.1, left.1)) {
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        });
        return;
    }
    for end in 1..elements.len() {
        let mut place = end;
        while place > 0 && less(elements[place].1, elements[place - 1].1) {
            elements.swap(place, place - 1);
            place -= 1;
        }
    }
}

/// Sorts columns by their value at the first step, which all of them have; NaN comes last.
pub(crate) fn sort_by_value(columns: Vec<Column>, falling: bool) -> Vec<Column> {
    let mut elements: Vec<Element> = columns.iter().map(|column| column.floats[0]).enumerate().collect();
    match falling {
        true => sort(&mut elements, |left, right| ascending(right, left)),
        false => sort(&mut elements, |left, right| descending(right, left)),
    }
    debug_assert!(elements.iter().all(|(_, value)| !is_absent(*value)));
    let mut columns: Vec<_> = columns.into_iter().map(Some).collect();
    elements.into_iter().filter_map(|(index, _)| columns[index].take()).collect()
}

/// Where a series stands when all series are spread evenly from 0 to 1: by Prometheus' hash of its labels.
fn place_in_sample(labels: &Labels) -> f64 {
    let mut bytes = Vec::with_capacity(labels.as_bytes().len() + 16);
    let mut put = |text: &str| {
        match u8::try_from(text.len()) {
            Ok(length) if length < u8::MAX => bytes.push(length),
            // A longer one in three bytes, the lowest first.
            _ => {
                bytes.push(u8::MAX);
                bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    };
    for (name, value) in labels.iter() {
        put(name);
        put(value);
    }
    XxHash64::oneshot(0, &bytes) as f64 / u64::MAX as f64
}

/// Whether a place is in the sample; a negative ratio means what its counterpart leaves.
fn in_sample(place: f64, ratio: f64) -> bool {
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}
