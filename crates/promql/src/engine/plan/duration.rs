use crate::ast::{BinaryOp, Duration, DurationExpr, DurationKind};
use crate::engine::error::QueryError;

/// What duration expressions may refer to, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The query's step; 0 for an instant query.
    pub step: f64,
    /// From the query's first moment to its last.
    pub range: f64,
}

/// The milliseconds of a duration.
pub(super) fn millis(duration: &Duration, scale: Scale, may_be_negative: bool) -> Result<i64, QueryError> {
    let expr = match duration {
        Duration::Millis(millis) => return Ok(*millis),
        Duration::Expr(expr) => expr,
    };
    let seconds = seconds(expr, scale)?;
    if !seconds.is_finite() {
        return Err(error(expr, "duration is NaN or infinite"));
    }
    if seconds <= 0.0 && !may_be_negative {
        return Err(error(expr, "duration must be greater than 0"));
    }
    // Upstream counts nanoseconds in 64 bits.
    if seconds.abs() > i64::MAX as f64 / 1e9 {
        return Err(error(expr, "duration is out of range"));
    }
    Ok((seconds * 1000.0) as i64)
}

fn seconds(expr: &DurationExpr, scale: Scale) -> Result<f64, QueryError> {
    Ok(match &expr.kind {
        DurationKind::Number { value, .. } => *value,
        DurationKind::Step => scale.step,
        DurationKind::Range => scale.range,
        DurationKind::Paren(inner) => seconds(inner, scale)?,
        DurationKind::Minus(operand) => -seconds(operand, scale)?,
        DurationKind::MinMax { max, lhs, rhs } => {
            let (lhs, rhs) = (seconds(lhs, scale)?, seconds(rhs, scale)?);
            match max {
                _ if lhs.is_nan() || rhs.is_nan() => f64::NAN,
                true => lhs.max(rhs),
                false => lhs.min(rhs),
            }
        }
        DurationKind::Binary { op, lhs, rhs } => {
            let (left, right) = (seconds(lhs, scale)?, seconds(rhs, scale)?);
            match op {
                BinaryOp::Add => left + right,
                BinaryOp::Sub => left - right,
                BinaryOp::Mul => left * right,
                BinaryOp::Div if right == 0.0 => return Err(error(expr, "division by zero")),
                BinaryOp::Div => left / right,
                BinaryOp::Mod if right == 0.0 => return Err(error(expr, "modulo by zero")),
                BinaryOp::Mod => left % right,
                BinaryOp::Pow => left.powf(right),
                _ => return Err(error(expr, "unexpected duration expression operator")),
            }
        }
    })
}

fn error(expr: &DurationExpr, what: &str) -> QueryError {
    QueryError::bad_data(format!("{}:{}: {what}", expr.span.start, expr.span.end))
}
