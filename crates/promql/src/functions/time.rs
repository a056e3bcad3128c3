//! `timestamp` and `start_timestamp`: when the samples of an instant vector were taken, and when their counters began.

use crate::engine::{
    CallPlan, Column, Evaluated, Evaluator, Grid, Node, NodeKind, Notes, QueryError, is_absent, labels, selector,
};

pub(super) fn timestamp(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    if let NodeKind::Vector(_) = plan.args[0].kind {
        return of_samples(evaluator, plan, grid, notes, |found| found.time);
    }
    // What was computed has the time of its step.
    let columns = evaluator.vector(&plan.args[0], grid, notes)?.into_iter().map(|column| {
        let mut times = Column::absent(column.labels.clone(), grid.steps());
        times.drop_name = column.drop_name;
        for (step, time) in grid.times().enumerate().filter(|(step, _)| column.has(*step)) {
            times.floats[step] = time as f64 / 1000.0;
        }
        labels::drop_name(evaluator, &mut times);
        times
    });
    labels::merge_unless_delayed(evaluator, columns.collect()).map(Evaluated::Vector)
}

/// Only for selectors, and only with start timestamps switched on.
pub(super) fn start_timestamp(
    evaluator: &Evaluator,
    _: &Node,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Evaluated, QueryError> {
    match plan.args[0].kind {
        NodeKind::Vector(_) if evaluator.context.options.start_timestamps => {
            of_samples(evaluator, plan, grid, notes, |found| found.start)
        }
        _ => {
            evaluator.vector(&plan.args[0], grid, notes)?;
            Ok(Evaluated::Vector(Vec::new()))
        }
    }
}

fn of_samples(
    evaluator: &Evaluator,
    plan: &CallPlan,
    grid: Grid,
    notes: &mut Notes,
    millis: impl Fn(&selector::Found<'_>) -> i64 + Sync,
) -> Result<Evaluated, QueryError> {
    let NodeKind::Vector(selector) = &plan.args[0].kind else { return Ok(Evaluated::Vector(Vec::new())) };
    let context = &evaluator.context;
    let series = &evaluator.slots[selector.slot];
    context.check_cells(series.len(), grid)?;
    let columns = context.each(
        series,
        notes,
        || (),
        |(), series, worker| {
            let samples = selector::decode(series, selector, selector::needed(selector, grid, context.lookback_ms))?;
            let mut column = Column::absent(series.labels.clone(), grid.steps());
            let mut held = 0;
            selector::look_up(&samples, selector, grid, context.lookback_ms, |step, found| {
                column.floats[step] = millis(&found) as f64 / 1000.0;
                worker.count(step, 1);
                worker.count_read(1);
                held += 1;
            });
            context.hold(held)?;
            debug_assert!(column.floats.iter().filter(|value| !is_absent(**value)).count() == held);
            labels::drop_name(evaluator, &mut column);
            Ok((held > 0).then_some(column))
        },
    )?;
    labels::merge_unless_delayed(evaluator, columns).map(Evaluated::Vector)
}
