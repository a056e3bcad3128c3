//! Which part of a `WHERE` clause a store answers itself.
//!
//! A filter that translates in full and means the same on both sides is *exact*: DataFusion drops it. One that lets
//! at least the right rows through is *inexact*: the store prunes by it and DataFusion evaluates it once more. That
//! goes for floats (the ordering of NaN and of -0.0 is not part of the store's promise) and for attributes in JSON
//! columns (the store compares values, SQL compares their text).

use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use tripod_storage::schema::{Column, Kind};
use tripod_storage::{Matcher, Predicate, Scalar, Signal, TimeRange};

/// What a table has that filters name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The column of event time.
    pub(super) time_column: Option<&'static str>,
    /// All columns.
    pub(super) columns: &'static [Column],
}

impl Shape {
    fn column(self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl From<Signal> for Shape {
    fn from(signal: Signal) -> Self {
        Self { time_column: Some(signal.time_column()), columns: signal.columns() }
    }
}

/// What a filter becomes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pushdown {
    /// Bounds on the time column.
    pub(super) time: TimeRange,
    /// Conditions on other columns.
    pub(super) matchers: Vec<Matcher>,
    /// Whether time and matchers together mean the whole filter.
    pub(super) exact: bool,
}

impl Pushdown {
    /// Everything passes.
    pub(super) fn none() -> Self {
        Self { time: TimeRange::ALL, matchers: Vec::new(), exact: true }
    }

    /// Both hold.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.time.start = self.time.start.max(other.time.start);
        self.time.end = self.time.end.min(other.time.end);
        self.matchers.extend(other.matchers);
        self.exact &= other.exact;
        self
    }

    fn of(shape: Shape, matcher: Matcher) -> Self {
        let exact = matcher.attribute.is_none()
            && shape.column(&matcher.column).is_some_and(|column| column.kind != Kind::Double);
        match time_range(shape, &matcher) {
            Some(time) => Self { time, matchers: Vec::new(), exact },
            None => Self { time: TimeRange::ALL, matchers: vec![matcher], exact },
        }
    }
}

/// The half-open range that a comparison with the time column stands for. A bound whose successor does not exist
/// stays a matcher.
fn time_range(shape: Shape, matcher: &Matcher) -> Option<TimeRange> {
    if Some(matcher.column.as_str()) != shape.time_column {
        return None;
    }
    let all = TimeRange::ALL;
    Some(match &matcher.predicate {
        Predicate::Eq(Scalar::Time(time)) => TimeRange { start: *time, end: bounded(time.checked_add(1)?)? },
        Predicate::Lt(Scalar::Time(time)) => TimeRange { end: bounded(*time)?, ..all },
        Predicate::LtEq(Scalar::Time(time)) => TimeRange { end: bounded(time.checked_add(1)?)?, ..all },
        Predicate::Gt(Scalar::Time(time)) => TimeRange { start: time.checked_add(1)?, ..all },
        Predicate::GtEq(Scalar::Time(time)) => TimeRange { start: *time, ..all },
        _ => return None,
    })
}

/// `i64::MAX` as an end means "without bound", so it cannot also exclude that moment.
fn bounded(end: i64) -> Option<i64> {
    (end != i64::MAX).then_some(end)
}

/// Translates a filter on a table; `None` when the store can do nothing with it.
pub(super) fn translate(shape: Shape, filter: &Expr) -> Option<Pushdown> {
    if let Some(matcher) = matcher(shape, filter) {
        return Some(Pushdown::of(shape, matcher));
    }
    match filter {
        Expr::Alias(alias) => translate(shape, &alias.expr),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (translate(shape, left), translate(shape, right)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (Some(one), None) | (None, Some(one)) => Some(Pushdown { exact: false, ..one }),
                (None, None) => None,
            }
        }
        Expr::Between(between) if !between.negated => {
            let bound = |op, bound: &Expr| comparison(shape, &between.expr, op, bound);
            let low = Pushdown::of(shape, bound(Operator::GtEq, &between.low)?);
            let high = Pushdown::of(shape, bound(Operator::LtEq, &between.high)?);
            Some(low.and(high))
        }
        Expr::InList(InList { expr, list, negated: true }) => list
            .iter()
            .map(|value| Some(Pushdown::of(shape, comparison(shape, expr, Operator::NotEq, value)?)))
            .try_fold(Pushdown::none(), |all, one| Some(all.and(one?))),
        _ => None,
    }
}

/// A filter that is one matcher.
fn matcher(shape: Shape, filter: &Expr) -> Option<Matcher> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            either(matcher(shape, left)?, matcher(shape, right)?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            comparison(shape, left, *op, right).or_else(|| comparison(shape, right, op.swap()?, left))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let matchers = list.iter().map(|value| comparison(shape, expr, Operator::Eq, value));
            matchers.reduce(|all, one| either(all?, one?))?
        }
        Expr::IsNull(expr) => column(shape, expr).map(|(name, _)| Matcher::new(name, Predicate::IsNull)),
        Expr::IsNotNull(expr) => match operand(shape, expr)? {
            Operand::Column(name, _) => Some(Matcher::new(name, Predicate::IsNotNull)),
            Operand::Attribute { column, key, .. } => Some(Matcher::attribute(column, key, Predicate::IsNotNull)),
        },
        Expr::Like(Like { negated: false, expr, pattern, escape_char: None, case_insensitive: false }) => {
            let part = text(pattern)?.strip_prefix('%')?.strip_suffix('%')?;
            contains(shape, expr, part.chars().all(|c| !matches!(c, '%' | '_' | '\\')).then_some(part)?)
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => match (func.name(), args.as_slice()) {
            ("contains", [expr, part]) => contains(shape, expr, text(part)?),
            ("json_contains", [json, key]) => match (column(shape, json)?, text(key)?) {
                ((name, Kind::Json), key) => Some(Matcher::attribute(name, key, Predicate::IsNotNull)),
                _ => None,
            },
            _ => None,
        },
        Expr::Column(_) => truth(shape, filter, true),
        Expr::Not(expr) => truth(shape, expr, false),
        Expr::IsTrue(expr) => truth(shape, expr, true),
        Expr::IsFalse(expr) => truth(shape, expr, false),
        _ => None,
    }
}

fn truth(shape: Shape, expr: &Expr, value: bool) -> Option<Matcher> {
    match column(shape, expr)? {
        (name, Kind::Bool) => Some(Matcher::new(name, Predicate::Eq(Scalar::Bool(value)))),
        _ => None,
    }
}

fn contains(shape: Shape, expr: &Expr, part: &str) -> Option<Matcher> {
    match column(shape, expr)? {
        (name, Kind::Text | Kind::Json | Kind::TraceId | Kind::SpanId) => {
            Some(Matcher::new(name, Predicate::Contains(part.to_owned())))
        }
        _ => None,
    }
}

/// Two equalities of one operand are a list: the optimizer turns short lists into `OR`s.
fn either(left: Matcher, right: Matcher) -> Option<Matcher> {
    if left.column != right.column || left.attribute != right.attribute {
        return None;
    }
    let mut values = equal_to(left.predicate)?;
    values.extend(equal_to(right.predicate)?);
    Some(Matcher { predicate: Predicate::In(values), ..right })
}

fn equal_to(predicate: Predicate) -> Option<Vec<Scalar>> {
    match predicate {
        Predicate::Eq(value) => Some(vec![value]),
        Predicate::In(values) => Some(values),
        _ => None,
    }
}

fn comparison(shape: Shape, left: &Expr, op: Operator, right: &Expr) -> Option<Matcher> {
    let Expr::Literal(literal, _) = right else { return None };
    match operand(shape, left)? {
        Operand::Column(name, kind) => {
            let value = scalar(kind, literal)?;
            Some(Matcher::new(
                name,
                match op {
                    Operator::Eq => Predicate::Eq(value),
                    Operator::NotEq => Predicate::NotEq(value),
                    Operator::Lt => Predicate::Lt(value),
                    Operator::LtEq => Predicate::LtEq(value),
                    Operator::Gt => Predicate::Gt(value),
                    Operator::GtEq => Predicate::GtEq(value),
                    _ => return None,
                },
            ))
        }
        Operand::Attribute { column, key, strings_only } => {
            let value = literal.try_as_str()??;
            (op == Operator::Eq && (strings_only || is_text_of_plain_value(value)))
                .then(|| Matcher::attribute(column, key, Predicate::Eq(value.into())))
        }
    }
}

/// Whether only a string, an integer or a truth value has this text in JSON. The store compares the text of floats
/// in another notation than SQL sees, and knows no text of lists and maps.
fn is_text_of_plain_value(text: &str) -> bool {
    let float = text.parse::<f64>().is_ok() && text.parse::<i64>().is_err();
    !float && !text.starts_with(['[', '{'])
}

enum Operand<'a> {
    Column(&'a str, Kind),
    Attribute { column: &'a str, key: &'a str, strings_only: bool },
}

fn operand<'a>(shape: Shape, expr: &'a Expr) -> Option<Operand<'a>> {
    if let Some((name, kind)) = column(shape, expr) {
        return Some(Operand::Column(name, kind));
    }
    match expr {
        Expr::Alias(alias) => operand(shape, &alias.expr),
        // A cast between zones, or to none, keeps the number of nanoseconds.
        Expr::Cast(cast) => match (column(shape, &cast.expr)?, cast.field.data_type()) {
            ((name, Kind::Time), arrow::datatypes::DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, _)) => {
                Some(Operand::Column(name, Kind::Time))
            }
            _ => None,
        },
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let strings_only = match func.name() {
                "json_as_text" => false,
                "json_get_str" => true,
                _ => return None,
            };
            let [json, key] = args.as_slice() else { return None };
            match (column(shape, json)?, text(key)?) {
                ((column, Kind::Json), key) => Some(Operand::Attribute { column, key, strings_only }),
                _ => None,
            }
        }
        _ => None,
    }
}

fn column(shape: Shape, expr: &Expr) -> Option<(&str, Kind)> {
    match expr {
        Expr::Column(column) => Some((&column.name, shape.column(&column.name)?.kind)),
        Expr::Alias(alias) => column(shape, &alias.expr),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(literal, _) => literal.try_as_str()?,
        _ => None,
    }
}

/// A literal as an operand for a column of this kind; `None` for null and for what does not fit.
fn scalar(kind: Kind, literal: &ScalarValue) -> Option<Scalar> {
    match kind {
        Kind::Text | Kind::Json | Kind::TraceId | Kind::SpanId => Some(Scalar::Text(literal.try_as_str()??.to_owned())),
        Kind::Int => match literal {
            ScalarValue::Int8(value) => Some(Scalar::Int((*value)?.into())),
            ScalarValue::Int16(value) => Some(Scalar::Int((*value)?.into())),
            ScalarValue::Int32(value) => Some(Scalar::Int((*value)?.into())),
            ScalarValue::Int64(value) => Some(Scalar::Int((*value)?)),
            ScalarValue::UInt8(value) => Some(Scalar::Int((*value)?.into())),
            ScalarValue::UInt16(value) => Some(Scalar::Int((*value)?.into())),
            ScalarValue::UInt32(value) => Some(Scalar::Int((*value)?.into())),
            ScalarValue::UInt64(value) => Some(Scalar::Int((*value)?.try_into().ok()?)),
            _ => None,
        },
        Kind::Double => match literal {
            ScalarValue::Float64(value) => Some(Scalar::Double((*value)?)),
            ScalarValue::Float32(value) => Some(Scalar::Double((*value)?.into())),
            _ => None,
        },
        Kind::Bool => match literal {
            ScalarValue::Boolean(value) => Some(Scalar::Bool((*value)?)),
            _ => None,
        },
        Kind::Time => match literal {
            ScalarValue::TimestampNanosecond(value, _) => Some(Scalar::Time((*value)?)),
            ScalarValue::TimestampMicrosecond(value, _) => Some(Scalar::Time((*value)?.checked_mul(1_000)?)),
            ScalarValue::TimestampMillisecond(value, _) => Some(Scalar::Time((*value)?.checked_mul(1_000_000)?)),
            ScalarValue::TimestampSecond(value, _) => Some(Scalar::Time((*value)?.checked_mul(1_000_000_000)?)),
            _ => None,
        },
        Kind::Structs(_) => None,
    }
}
