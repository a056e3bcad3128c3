//! Writes trees as text that reads back as the same tree, in the form that Prometheus gives its own.

mod json;
mod pretty;

use std::fmt::{self, Display, Formatter, Write};

use tripod_model::series::{METRIC_NAME, ShortFloat};
use tripod_storage::series::{LabelMatcher, MatchOp};

use crate::ast::{
    Aggregate, At, Binary, Cardinality, Duration, DurationExpr, DurationKind, Expr, ExprKind, MatrixSelector,
    RangeExtension, Subquery, VectorMatching, VectorSelector,
};
use crate::literal::{format_float, format_millis, quote};

pub use json::to_json;
pub use pretty::pretty;

impl Display for Expr {
    /// On one line.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, duration } => write_number(f, *value, *duration),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Vector(vector) => vector.fmt(f),
            ExprKind::Matrix(matrix) => matrix.fmt(f),
            ExprKind::Subquery(subquery) => {
                write!(f, "{}", subquery.expr)?;
                write_subquery_range(f, subquery)
            }
            ExprKind::Unary { minus, operand } => write!(f, "{}{operand}", if *minus { '-' } else { '+' }),
            ExprKind::Binary(binary) => {
                write!(f, "{} ", binary.lhs)?;
                write_operator(f, binary)?;
                write!(f, " {}", binary.rhs)
            }
            ExprKind::Aggregate(aggregate) => {
                write_aggregation(f, aggregate)?;
                f.write_char('(')?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function)?;
                for (index, arg) in call.args.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    arg.fmt(f)?;
                }
                f.write_char(')')
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(f, self)?;
        let offset = offset_text(self.offset.as_ref());
        write_offset_before(f, &offset)?;
        write_at(f, self.at)?;
        write_extension(f, self.extension)?;
        write_offset_after(f, &offset)
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(f, &self.vector)?;
        write!(f, "[{}]", self.range)?;
        let offset = offset_text(self.vector.offset.as_ref());
        write_offset_before(f, &offset)?;
        write_extension(f, self.vector.extension)?;
        write_at(f, self.vector.at)?;
        write_offset_after(f, &offset)
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(millis) => f.write_str(&format_millis(*millis)),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Number { value, duration } => write_number(f, *value, *duration),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::MinMax { max, lhs, rhs } => {
                write!(f, "{}({lhs}, {rhs})", if *max { "max_of" } else { "min_of" })
            }
            DurationKind::Minus(operand) => write!(f, "-{operand}"),
            DurationKind::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.sign()),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn write_number(f: &mut Formatter<'_>, value: f64, duration: bool) -> fmt::Result {
    if duration {
        f.write_str(&format_millis((value * 1e9) as i64 / 1_000_000))
    } else {
        f.write_str(&format_float(value))
    }
}

/// The name and the matchers, those sorted by their text.
fn write_series(f: &mut Formatter<'_>, vector: &VectorSelector) -> fmt::Result {
    let name = vector.name.as_deref().unwrap_or("");
    f.write_str(name)?;
    let is_the_name = |each: &&LabelMatcher| {
        each.name() == METRIC_NAME && each.op() == MatchOp::Equal && each.value() == name && !name.is_empty()
    };
    let mut matchers: Vec<String> =
        vector.matchers.iter().filter(|each| !is_the_name(each)).map(matcher_text).collect();
    if matchers.is_empty() {
        return Ok(());
    }
    matchers.sort_unstable();
    write!(f, "{{{}}}", matchers.join(","))
}

fn matcher_text(matcher: &LabelMatcher) -> String {
    format!("{}{}{}", label_text(matcher.name()), match_sign(matcher.op()), quote(matcher.value()))
}

fn match_sign(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    }
}

/// A label's name, in quotes when it is no plain word.
fn label_text(name: &str) -> String {
    let plain = |each: char| each == '_' || each.is_ascii_alphanumeric();
    if name.starts_with(|first: char| !first.is_ascii_digit()) && name.chars().all(plain) {
        name.to_owned()
    } else {
        quote(name)
    }
}

fn write_labels(f: &mut impl Write, labels: &[String]) -> fmt::Result {
    f.write_char('(')?;
    for (index, label) in labels.iter().enumerate() {
        f.write_str(if index > 0 { ", " } else { "" })?;
        f.write_str(&label_text(label))?;
    }
    f.write_char(')')
}

fn write_at(f: &mut impl Write, at: Option<At>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Timestamp(millis)) => write!(f, " @ {:.3}", millis as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

/// ` offset duration`, or nothing.
fn offset_text(offset: Option<&Duration>) -> String {
    match offset {
        None | Some(Duration::Millis(0)) => String::new(),
        Some(offset) => {
            let text = offset.to_string();
            let binary = matches!(offset, Duration::Expr(expr) if matches!(expr.kind, DurationKind::Binary { .. }));
            // Two signs are what lets the operators belong to the offset.
            let signs = if binary && !is_greedy(&text) { "++" } else { "" };
            format!(" offset {signs}{text}")
        }
    }
}

/// Whether operators after such a duration are taken to be part of it.
fn is_greedy(duration: &str) -> bool {
    ["(", "--", "++"].iter().any(|begin| duration.starts_with(begin))
}

/// Prometheus writes an offset last, where one that takes what follows would not read back.
fn write_offset_before(f: &mut impl Write, offset: &str) -> fmt::Result {
    if offset.strip_prefix(" offset ").is_some_and(is_greedy) { f.write_str(offset) } else { Ok(()) }
}

fn write_offset_after(f: &mut impl Write, offset: &str) -> fmt::Result {
    if offset.strip_prefix(" offset ").is_some_and(is_greedy) { Ok(()) } else { f.write_str(offset) }
}

fn write_extension(f: &mut impl Write, extension: Option<RangeExtension>) -> fmt::Result {
    f.write_str(match extension {
        None => "",
        Some(RangeExtension::Anchored) => " anchored",
        Some(RangeExtension::Smoothed) => " smoothed",
    })
}

/// `[range:step] @ timestamp offset duration`
fn write_subquery_range(f: &mut impl Write, subquery: &Subquery) -> fmt::Result {
    write!(f, "[{}:", subquery.range)?;
    if let Some(step) = subquery.step.as_ref().filter(|step| **step != Duration::Millis(0)) {
        write!(f, "{step}")?;
    }
    f.write_char(']')?;
    let offset = offset_text(subquery.offset.as_ref());
    write_offset_before(f, &offset)?;
    write_at(f, subquery.at)?;
    write_offset_after(f, &offset)
}

/// `sum by (labels) `, without the arguments.
fn write_aggregation(f: &mut impl Write, aggregate: &Aggregate) -> fmt::Result {
    f.write_str(aggregate.op.name())?;
    if aggregate.labels.is_empty() && !aggregate.without {
        return Ok(());
    }
    f.write_str(if aggregate.without { " without " } else { " by " })?;
    write_labels(f, &aggregate.labels)?;
    f.write_char(' ')
}

/// `+ on (labels) group_left (labels)`
fn write_operator(f: &mut impl Write, binary: &Binary) -> fmt::Result {
    f.write_str(binary.op.sign())?;
    if binary.return_bool {
        f.write_str(" bool")?;
    }
    match &binary.matching {
        Some(matching) => write_matching(f, matching),
        None => Ok(()),
    }
}

fn write_matching(f: &mut impl Write, matching: &VectorMatching) -> fmt::Result {
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some(" group_left "),
        Cardinality::OneToMany => Some(" group_right "),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || group.is_some() {
        f.write_str(if matching.on { " on " } else { " ignoring " })?;
        write_labels(f, &matching.labels)?;
    }
    if let Some(group) = group {
        f.write_str(group)?;
        write_labels(f, &matching.include)?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => write!(f, " fill ({})", ShortFloat(left)),
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", ShortFloat(left))?;
            }
            if let Some(right) = right {
                write!(f, " fill_right ({})", ShortFloat(right))?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
