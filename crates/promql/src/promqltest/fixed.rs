use crate::ast::{At, Expr, ExprKind};
use crate::parser::{Options, parse};

/// Functions that depend on the moment of the evaluation even when all their arguments are fixed by `@`.
const OF_THE_MOMENT: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// The query with its selectors fixed at a moment by `@`, and the moments at which it then gives the same; nothing for a
/// query that depends on the moment of its evaluation all the same.
///
/// # Errors
/// When the query is no PromQL.
pub(super) fn fixed(query: &str, at: i64) -> Result<Vec<(String, i64)>, String> {
    let mut expr = parse(query, Options::ALL).map_err(|error| error.to_string())?;
    if !fix(&mut expr, at) {
        return Ok(Vec::new());
    }
    let text = expr.to_string();
    let moments = match at {
        0 => vec![-1000, 0, 1000],
        _ => vec![-10 * at, 0, at / 5, at, 10 * at],
    };
    Ok(moments.into_iter().map(|moment| (text.clone(), moment)).collect())
}

/// Fixes every selector and subquery that has no moment of its own; what is under such a subquery stays. Whether the
/// expression now gives the same at every moment.
fn fix(expr: &mut Expr, at: i64) -> bool {
    let fixed = |place: &mut Option<At>| {
        if !matches!(place, Some(At::Timestamp(_))) {
            *place = Some(At::Timestamp(at));
        }
    };
    match &mut expr.kind {
        ExprKind::Vector(vector) => fixed(&mut vector.at),
        ExprKind::Matrix(matrix) => fixed(&mut matrix.vector.at),
        ExprKind::Subquery(subquery) => {
            fixed(&mut subquery.at);
            return unmoved(&subquery.expr);
        }
        ExprKind::Unary { operand: inner, .. } | ExprKind::Paren(inner) => return fix(inner, at),
        ExprKind::Binary(binary) => {
            let left = fix(&mut binary.lhs, at);
            return fix(&mut binary.rhs, at) && left;
        }
        ExprKind::Aggregate(aggregate) => {
            let inner = fix(&mut aggregate.expr, at);
            return aggregate.param.as_mut().is_none_or(|param| fix(param, at)) && inner;
        }
        ExprKind::Call(call) => {
            let safe = !OF_THE_MOMENT.contains(&call.function);
            return call.args.iter_mut().fold(safe, |safe, arg| fix(arg, at) && safe);
        }
        ExprKind::Number { .. } | ExprKind::String(_) => {}
    }
    true
}

/// Whether no function below is one of [`OF_THE_MOMENT`].
fn unmoved(expr: &Expr) -> bool {
    let own = !matches!(&expr.kind, ExprKind::Call(call) if OF_THE_MOMENT.contains(&call.function));
    own && expr.children().all(unmoved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_get_a_moment_of_their_own() {
        let text = |query| fixed(query, 60_000).unwrap().first().map(|(text, _)| text.clone());
        assert_eq!(text("a + rate(b[5m] @ 10)").unwrap(), "a @ 60.000 + rate(b[5m] @ 10.000)");
        assert_eq!(text("max_over_time(rate(a[1m])[5m:1m])").unwrap(), "max_over_time(rate(a[1m])[5m:1m] @ 60.000)");
        assert_eq!(text("topk(scalar(a), b)").unwrap(), "topk(scalar(a @ 60.000), b @ 60.000)");
        assert_eq!(text("a @ start()").unwrap(), "a @ 60.000");
        assert_eq!(text("a + time()"), None);
        assert_eq!(text("sum_over_time(timestamp(a)[5m:])"), None);
        assert_eq!(fixed("a", 0).unwrap().len(), 3);
        assert!(fixed("a +", 0).is_err());
    }
}
