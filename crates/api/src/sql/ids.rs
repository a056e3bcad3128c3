//! Trace and span ids compare in either case.
//!
//! The columns hold lower-case digits. A literal that is compared with such a column is turned to lower case while
//! the query is planned, so that an id copied from a tool that prints upper case finds its rows, and a store still
//! sees a plain equality. Columns are known by their field's metadata, which a rename, a join or a subquery keeps and
//! a function such as `upper` drops.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ExprSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

use super::table::ID_METADATA;

#[derive(Debug)]
pub(super) struct LowerCaseIds;

impl FunctionRewrite for LowerCaseIds {
    fn name(&self) -> &str {
        "lower_case_ids"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if compares(op) => {
                let changed =
                    (is_id(&left, schema) && lower(&mut right)) || (is_id(&right, schema) && lower(&mut left));
                with(Expr::BinaryExpr(BinaryExpr { left, op, right }), changed)
            }
            Expr::InList(InList { expr, mut list, negated }) if is_id(&expr, schema) => {
                let mut changed = false;
                for value in &mut list {
                    changed |= lower(value);
                }
                with(Expr::InList(InList { expr, list, negated }), changed)
            }
            other => Transformed::no(other),
        })
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn with(expr: Expr, changed: bool) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

fn is_id(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Column(column) => {
            schema.field_from_column(column).is_ok_and(|field| field.metadata().contains_key(ID_METADATA))
        }
        Expr::OuterReferenceColumn(field, _) => field.metadata().contains_key(ID_METADATA),
        Expr::Alias(alias) => is_id(&alias.expr, schema),
        _ => false,
    }
}

/// Lowers a text literal of hexadecimal digits; tells whether that changed it.
fn lower(expr: &mut Expr) -> bool {
    let Expr::Literal(literal, _) = expr else { return false };
    let (ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text))) =
        literal
    else {
        return false;
    };
    let changes =
        text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.bytes().any(|byte| byte.is_ascii_uppercase());
    if changes {
        text.make_ascii_lowercase();
    }
    changes
}
