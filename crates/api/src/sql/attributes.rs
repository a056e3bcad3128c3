//! `attributes ->> 'key'` finds the attribute wherever it is kept.
//!
//! A well-known attribute is not in the JSON column but in a column of its own (see [`tripod_storage::schema`]), so
//! the JSON operators alone would find nothing. This planner sees them first, looks the key up among the promoted
//! attributes, and takes the column when it stands beside the JSON column in the query's scope:
//!
//! | written | planned |
//! |---|---|
//! | `attributes ->> 'k'` | `coalesce(k::text, json_as_text(attributes, 'k'))` |
//! | `attributes -> 'k'` | `k`, with the column's type |
//! | `attributes ? 'k'` | `k IS NOT NULL OR json_contains(attributes, 'k')` |
//!
//! An attribute that was sent with another type than its column's (a number as `user_id`) stays in the JSON, which is
//! why text falls back to it; the fallback is evaluated for rows only whose column is null. A typed `->` has one type
//! and gives the column. Whoever wants a store to use its index names the column itself: `http_route = '/cart'`.
//!
//! Behind a subquery that passes `attributes` on without the promoted column there is nothing to look up, and the
//! operators see the JSON alone; so does a call of a `json_…` function.

use std::sync::Arc;

use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{Expr, ScalarUDF, cast};
use datafusion_functions_json::udfs::{json_as_text_udf, json_contains_udf};
use tripod_storage::Signal;

use arrow::datatypes::DataType;

#[derive(Debug)]
pub(super) struct PromotedAttributes;

impl ExprPlanner for PromotedAttributes {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some((column, key)) = promoted(&expr, schema) else { return Ok(PlannerResult::Original(expr)) };
        let json = |function: Arc<ScalarUDF>| function.call(vec![expr.left.clone(), expr.right.clone()]);
        let value = match expr.op {
            BinaryOperator::LongArrow => coalesce(vec![cast(column, DataType::Utf8View), json(json_as_text_udf())]),
            BinaryOperator::Arrow => column,
            BinaryOperator::Question => column.is_not_null().or(json(json_contains_udf())),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let json_column = match &expr.left {
            Expr::Column(column) => column.name.as_str(),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        // The title that the JSON operators give their columns.
        Ok(PlannerResult::Planned(value.alias(format!("{json_column} {} '{key}'", expr.op))))
    }
}

/// The promoted column that a JSON operator means, and the key.
fn promoted(expr: &RawBinaryExpr, schema: &DFSchema) -> Option<(Expr, String)> {
    let Expr::Column(json) = &expr.left else { return None };
    let Expr::Literal(key, _) = &expr.right else { return None };
    let key = key.try_as_str()??;
    let column = Signal::ALL.into_iter().find_map(|signal| {
        let columns = signal.columns();
        let resource = &columns[signal.own_columns().len()..];
        let candidates = match json.name.as_str() {
            "attributes" => signal.own_columns(),
            "resource_attributes" => resource,
            _ => return None,
        };
        candidates.iter().find(|column| {
            let beside = Column::new(json.relation.clone(), column.name);
            column.promoted == Some(key)
                && schema.field_from_column(&beside).is_ok_and(|field| *field.data_type() == column.kind.data_type())
        })
    })?;
    Some((Expr::Column(Column::new(json.relation.clone(), column.name)), key.to_owned()))
}
