//! Aggregation operators. Which series belongs to which group is found out once, then each step is aggregated.

mod count_values;
mod fold;
mod groups;
mod param;
mod quantile;
mod rank;

use super::column::Column;
use super::error::QueryError;
use super::evaluator::Evaluator;
use super::grid::Grid;
use super::notes::Notes;
use super::plan::{AggregatePlan, Node};
use crate::ast::AggregateOp;

pub(crate) use quantile::quantile;
pub(crate) use rank::sort_by_value;

/// Evaluates an aggregation.
pub(super) fn evaluate(
    evaluator: &Evaluator,
    node: &Node,
    plan: &AggregatePlan,
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    if plan.op == AggregateOp::CountValues {
        return count_values::evaluate(evaluator, plan, grid, notes);
    }
    let param = match &plan.param {
        Some(param) => Some(param::Param::of(param, evaluator.scalar(param, grid, notes)?)),
        None => None,
    };
    let columns = evaluator.vector(&plan.expr, grid, notes)?;
    match plan.op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
            let param = param.ok_or_else(|| QueryError::execution("the aggregation needs a parameter"))?;
            rank::evaluate(evaluator, node, plan, param, columns, grid, notes)
        }
        AggregateOp::Quantile => {
            let param = param.ok_or_else(|| QueryError::execution("the aggregation needs a parameter"))?;
            quantile::evaluate(evaluator, plan, &param, &columns, grid, notes)
        }
        _ => fold::evaluate(evaluator, plan, &columns, grid, notes),
    }
}
