use std::fmt::Write;

use tripod_storage::series::LabelMatcher;

use super::match_sign;
use crate::ast::{At, Duration, DurationExpr, DurationKind, Expr, ExprKind, VectorSelector};
use crate::functions::{Arity, signature};
use crate::literal::format_float;

/// The tree as JSON, as `parse_query` gives it.
pub fn to_json(expr: &Expr) -> String {
    let mut json = String::new();
    write_expr(&mut json, expr);
    json
}

/// Writes formatted text; writing into a string cannot fail.
macro_rules! put {
    ($json:expr, $($format:tt)*) => {
        let _ = write!($json, $($format)*);
    };
}

fn write_expr(json: &mut String, expr: &Expr) {
    match &expr.kind {
        ExprKind::Number { value, .. } => {
            put!(json, r#"{{"type":"numberLiteral","val":"{}"}}"#, format_float(*value));
        }
        ExprKind::String(text) => {
            put!(json, r#"{{"type":"stringLiteral","val":{}}}"#, json_text(&valid(text)));
        }
        ExprKind::Paren(inner) => {
            json.push_str(r#"{"type":"parenExpr","expr":"#);
            write_expr(json, inner);
            json.push('}');
        }
        ExprKind::Unary { minus, operand } => {
            put!(json, r#"{{"type":"unaryExpr","op":"{}","expr":"#, if *minus { '-' } else { '+' });
            write_expr(json, operand);
            json.push('}');
        }
        ExprKind::Binary(binary) => {
            put!(json, r#"{{"type":"binaryExpr","op":"{}","lhs":"#, binary.op.sign());
            write_expr(json, &binary.lhs);
            json.push_str(r#","rhs":"#);
            write_expr(json, &binary.rhs);
            json.push_str(r#","matching":"#);
            match &binary.matching {
                None => json.push_str("null"),
                Some(matching) => {
                    put!(json, r#"{{"card":"{}","labels":"#, matching.cardinality.name());
                    write_texts(json, &matching.labels);
                    put!(json, r#","on":{},"include":"#, matching.on);
                    write_texts(json, &matching.include);
                    json.push_str(r#","fillValues":{"lhs":"#);
                    write_fill(json, matching.fill_left);
                    json.push_str(r#","rhs":"#);
                    write_fill(json, matching.fill_right);
                    json.push_str("}}");
                }
            }
            put!(json, r#","bool":{}}}"#, binary.return_bool);
        }
        ExprKind::Aggregate(aggregate) => {
            put!(json, r#"{{"type":"aggregation","op":"{}","expr":"#, aggregate.op.name());
            write_expr(json, &aggregate.expr);
            json.push_str(r#","param":"#);
            match &aggregate.param {
                Some(param) => write_expr(json, param),
                None => json.push_str("null"),
            }
            json.push_str(r#","grouping":"#);
            write_texts(json, &aggregate.labels);
            put!(json, r#","without":{}}}"#, aggregate.without);
        }
        ExprKind::Call(call) => {
            put!(json, r#"{{"type":"call","func":{{"name":"{}","argTypes":["#, call.function);
            if let Some(function) = signature(call.function) {
                for (index, arg) in function.args.iter().enumerate() {
                    put!(json, r#"{}"{}""#, comma(index), arg.name());
                }
                let variadic = match function.arity {
                    Arity::Exact => 0,
                    Arity::Optional(more) => more as i64,
                    Arity::Unbounded => -1,
                };
                put!(json, r#"],"variadic":{variadic},"returnType":"{}"}},"args":["#, function.returns.name());
            }
            for (index, arg) in call.args.iter().enumerate() {
                json.push_str(comma(index));
                write_expr(json, arg);
            }
            json.push_str("]}");
        }
        ExprKind::Vector(vector) => {
            json.push_str(r#"{"type":"vectorSelector","#);
            write_selector(json, vector);
            json.push('}');
        }
        ExprKind::Matrix(matrix) => {
            json.push_str(r#"{"type":"matrixSelector","#);
            write_duration(json, "range", Some(&matrix.range));
            write_selector(json, &matrix.vector);
            json.push('}');
        }
        ExprKind::Subquery(subquery) => {
            json.push_str(r#"{"type":"subquery","expr":"#);
            write_expr(json, &subquery.expr);
            json.push(',');
            write_duration(json, "range", Some(&subquery.range));
            write_duration(json, "offset", subquery.offset.as_ref());
            write_duration(json, "step", subquery.step.as_ref());
            write_at(json, subquery.at);
            json.push('}');
        }
    }
}

/// The fields that selectors share.
fn write_selector(json: &mut String, vector: &VectorSelector) {
    use crate::ast::RangeExtension::{Anchored, Smoothed};
    put!(json, r#""name":{},"#, json_text(vector.name.as_deref().unwrap_or("")));
    write_duration(json, "offset", vector.offset.as_ref());
    json.push_str(r#""matchers":["#);
    for (index, matcher) in vector.matchers.iter().enumerate() {
        json.push_str(comma(index));
        write_matcher(json, matcher);
    }
    json.push_str("],");
    write_at(json, vector.at);
    let (anchored, smoothed) = (vector.extension == Some(Anchored), vector.extension == Some(Smoothed));
    put!(json, r#","anchored":{anchored},"smoothed":{smoothed}"#);
}

fn write_matcher(json: &mut String, matcher: &LabelMatcher) {
    let (name, value) = (json_text(matcher.name()), json_text(matcher.value()));
    put!(json, r#"{{"name":{name},"value":{value},"type":"{}"}}"#, match_sign(matcher.op()));
}

/// Milliseconds under the name, and the expression under the name with `Expr`; one of them is zero or null.
fn write_duration(json: &mut String, name: &str, duration: Option<&Duration>) {
    let millis = match duration {
        Some(Duration::Millis(millis)) => *millis,
        _ => 0,
    };
    put!(json, r#""{name}":{millis},"{name}Expr":"#);
    match duration {
        Some(Duration::Expr(expr)) => write_duration_expr(json, expr, false),
        _ => json.push_str("null"),
    }
    json.push(',');
}

fn write_duration_expr(json: &mut String, expr: &DurationExpr, wrapped: bool) {
    let (op, lhs, rhs) = match &expr.kind {
        DurationKind::Number { value, duration } => {
            put!(json, r#"{{"type":"numberLiteral","val":"{}","duration":{duration}}}"#, format_float(*value));
            return;
        }
        // A number in parentheses is a sum without a left side.
        DurationKind::Paren(inner) => match inner.kind {
            DurationKind::Number { .. } => {
                json.push_str(r#"{"type":"durationExpr","op":"+","lhs":null,"rhs":"#);
                write_duration_expr(json, inner, false);
                json.push_str(r#","wrapped":true}"#);
                return;
            }
            _ => return write_duration_expr(json, inner, true),
        },
        DurationKind::Step => ("step", None, None),
        DurationKind::Range => ("range", None, None),
        DurationKind::MinMax { max, lhs, rhs } => (if *max { "max_of" } else { "min_of" }, Some(lhs), Some(rhs)),
        DurationKind::Minus(operand) => ("-", None, Some(operand)),
        DurationKind::Binary { op, lhs, rhs } => (op.sign(), Some(lhs), Some(rhs)),
    };
    put!(json, r#"{{"type":"durationExpr","op":"{op}""#);
    for (name, side) in [("lhs", lhs), ("rhs", rhs)] {
        put!(json, r#","{name}":"#);
        match side {
            Some(side) => write_duration_expr(json, side, false),
            None => json.push_str("null"),
        }
    }
    put!(json, r#","wrapped":{wrapped}}}"#);
}

fn write_at(json: &mut String, at: Option<At>) {
    match at {
        Some(At::Timestamp(millis)) => {
            put!(json, r#""timestamp":{millis},"startOrEnd":null"#);
        }
        Some(At::Start) => json.push_str(r#""timestamp":null,"startOrEnd":"start""#),
        Some(At::End) => json.push_str(r#""timestamp":null,"startOrEnd":"end""#),
        None => json.push_str(r#""timestamp":null,"startOrEnd":null"#),
    }
}

fn write_fill(json: &mut String, fill: Option<f64>) {
    match fill {
        // JSON has no other numbers.
        Some(fill) if fill.is_finite() => json.push_str(&format_float(fill)),
        _ => json.push_str("null"),
    }
}

fn write_texts(json: &mut String, texts: &[String]) {
    json.push('[');
    for (index, text) in texts.iter().enumerate() {
        json.push_str(comma(index));
        json.push_str(&json_text(text));
    }
    json.push(']');
}

fn comma(index: usize) -> &'static str {
    if index > 0 { "," } else { "" }
}

/// The text with U+FFFD for each byte that is no UTF-8, as Go's encoder has it.
fn valid(text: &[u8]) -> String {
    let mut whole = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        whole.push_str(chunk.valid());
        whole.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    whole
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
