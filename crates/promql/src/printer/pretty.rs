use super::{write_aggregation, write_operator, write_subquery_range};
use crate::ast::{Expr, ExprKind};

/// What is longer than this is split over lines.
const LINE: usize = 100;

const INDENT: &str = "  ";

/// The expression over as many lines as it needs, as `format_query` gives it.
pub fn pretty(expr: &Expr) -> String {
    let mut text = String::new();
    write(&mut text, expr, 0);
    text
}

/// Writes the expression, each of its lines indented by `level`.
fn write(text: &mut String, expr: &Expr, level: usize) {
    let line = expr.to_string();
    let long = line.len() > LINE;
    match &expr.kind {
        ExprKind::Unary { minus, operand } => {
            indent(text, level);
            text.push(if *minus { '-' } else { '+' });
            let mut inner = String::new();
            write(&mut inner, operand, level);
            text.push_str(inner.trim());
        }
        // As Prometheus has it, a short subquery stands without indentation.
        ExprKind::Subquery(_) if !long => text.push_str(&line),
        ExprKind::Subquery(subquery) => {
            write(text, &subquery.expr, level);
            // Writing into a string cannot fail.
            let _ = write_subquery_range(text, subquery);
        }
        ExprKind::Binary(binary) if long => {
            write(text, &binary.lhs, level + 1);
            text.push('\n');
            indent(text, level);
            let _ = write_operator(text, binary);
            text.push('\n');
            write(text, &binary.rhs, level + 1);
        }
        ExprKind::Aggregate(aggregate) if long => {
            indent(text, level);
            let _ = write_aggregation(text, aggregate);
            write_block(text, aggregate.param.iter().chain([&aggregate.expr]), level);
        }
        ExprKind::Call(call) if long => {
            indent(text, level);
            text.push_str(call.function);
            write_block(text, &call.args, level);
        }
        ExprKind::Paren(inner) if long => {
            indent(text, level);
            write_block(text, [&**inner], level);
        }
        _ => {
            indent(text, level);
            text.push_str(&line);
        }
    }
}

/// Expressions in parentheses, each on lines of its own.
fn write_block<'a>(text: &mut String, exprs: impl IntoIterator<Item = &'a Expr>, level: usize) {
    text.push_str("(\n");
    for (index, expr) in exprs.into_iter().enumerate() {
        text.push_str(if index > 0 { ",\n" } else { "" });
        write(text, expr, level + 1);
    }
    text.push('\n');
    indent(text, level);
    text.push(')');
}

fn indent(text: &mut String, level: usize) {
    for _ in 0..level {
        text.push_str(INDENT);
    }
}
