//! Conditions on rows, and their evaluation on Arrow.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, Scalar as ArrowScalar, StringViewArray};
use arrow::array::{ArrayRef, BooleanBuilder, Float64Array, Int64Array, TimestampNanosecondArray};
use arrow::compute::kernels::{cmp, comparison};
use arrow::compute::{and, is_not_null, is_null, or, prep_null_mask_filter};
use arrow::error::ArrowError;
use tripod_model::Value;

use crate::schema::Kind;
use crate::{SelectError, Signal, attribute_json};

/// A condition on one column or on one attribute of a JSON column.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    /// Name of the column.
    pub column: String,
    /// For a JSON column, the attribute key inside it; the predicate then sees the attribute's value, and rows
    /// without the attribute see null.
    pub attribute: Option<String>,
    /// What must hold.
    pub predicate: Predicate,
}

/// What must hold of a value. As in SQL, a null value matches no predicate but [`Predicate::IsNull`].
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Equal.
    Eq(Scalar),
    /// Present and not equal.
    NotEq(Scalar),
    /// Less.
    Lt(Scalar),
    /// Less or equal.
    LtEq(Scalar),
    /// Greater.
    Gt(Scalar),
    /// Greater or equal.
    GtEq(Scalar),
    /// Equal to one of these.
    In(Vec<Scalar>),
    /// Text that has this part.
    Contains(String),
    /// Absent.
    IsNull,
    /// Present.
    IsNotNull,
}

/// An operand; its variant must fit the column's kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// For text and ids.
    Text(String),
    /// For integers.
    Int(i64),
    /// For floats.
    Double(f64),
    /// For truth values.
    Bool(bool),
    /// For times: nanoseconds since the Unix epoch.
    Time(i64),
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Scalar::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Scalar::Text(text)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Scalar::Int(value)
    }
}

impl Matcher {
    /// A condition on a column.
    pub fn new(column: impl Into<String>, predicate: Predicate) -> Self {
        Self { column: column.into(), attribute: None, predicate }
    }

    /// `column = value`.
    pub fn eq(column: impl Into<String>, value: impl Into<Scalar>) -> Self {
        Self::new(column, Predicate::Eq(value.into()))
    }

    /// A condition on an attribute inside a JSON column.
    pub fn attribute(column: impl Into<String>, key: impl Into<String>, predicate: Predicate) -> Self {
        Self { column: column.into(), attribute: Some(key.into()), predicate }
    }

    /// Checks that the matcher fits the signal's schema.
    ///
    /// # Errors
    /// [`SelectError::Invalid`] naming the column and what it holds.
    pub fn check(&self, signal: Signal) -> Result<(), SelectError> {
        let invalid = |why: String| Err(SelectError::Invalid(why));
        let Some(column) = signal.column(&self.column) else {
            return invalid(format!("{signal} have no column \"{}\"", self.column));
        };
        if self.attribute.is_some() {
            return match column.kind {
                Kind::Json => Ok(()),
                kind => invalid(format!("column \"{}\" holds {kind:?}, it has no attributes", self.column)),
            };
        }
        let fits = |scalar: &Scalar| {
            matches!(
                (column.kind, scalar),
                (Kind::Text | Kind::Json | Kind::TraceId | Kind::SpanId, Scalar::Text(_))
                    | (Kind::Int, Scalar::Int(_))
                    | (Kind::Double, Scalar::Double(_))
                    | (Kind::Bool, Scalar::Bool(_))
                    | (Kind::Time, Scalar::Time(_))
            )
        };
        match self.operands().iter().find(|scalar| !fits(scalar)) {
            Some(scalar) => invalid(format!(
                "column \"{}\" holds {:?} and cannot be compared with {scalar:?}",
                self.column, column.kind
            )),
            None if matches!(self.predicate, Predicate::Contains(_)) && !fits(&Scalar::Text(String::new())) => {
                invalid(format!("column \"{}\" holds {:?}, not text", self.column, column.kind))
            }
            None => Ok(()),
        }
    }

    fn operands(&self) -> &[Scalar] {
        match &self.predicate {
            Predicate::Eq(scalar)
            | Predicate::NotEq(scalar)
            | Predicate::Lt(scalar)
            | Predicate::LtEq(scalar)
            | Predicate::Gt(scalar)
            | Predicate::GtEq(scalar) => std::slice::from_ref(scalar),
            Predicate::In(scalars) => scalars,
            Predicate::Contains(_) | Predicate::IsNull | Predicate::IsNotNull => &[],
        }
    }

    /// Which rows of a batch match. The batch must hold the matcher's column.
    ///
    /// # Errors
    /// [`SelectError::Failed`] when the batch does not fit a matcher that passed [`Matcher::check`].
    pub fn evaluate(&self, rows: &RecordBatch) -> Result<BooleanArray, SelectError> {
        let column = rows
            .column_by_name(&self.column)
            .ok_or_else(|| SelectError::Invalid(format!("column \"{}\" is not among those read", self.column)))?;
        match &self.attribute {
            Some(key) => Ok(evaluate_attribute(column.as_string_view(), key, &self.predicate)),
            None => Ok(evaluate_column(column, &self.predicate)?),
        }
    }
}

fn evaluate_column(column: &ArrayRef, predicate: &Predicate) -> Result<BooleanArray, ArrowError> {
    match predicate {
        Predicate::Eq(scalar) => cmp::eq(column, &operand(scalar)),
        Predicate::NotEq(scalar) => cmp::neq(column, &operand(scalar)),
        Predicate::Lt(scalar) => cmp::lt(column, &operand(scalar)),
        Predicate::LtEq(scalar) => cmp::lt_eq(column, &operand(scalar)),
        Predicate::Gt(scalar) => cmp::gt(column, &operand(scalar)),
        Predicate::GtEq(scalar) => cmp::gt_eq(column, &operand(scalar)),
        Predicate::In(scalars) => {
            let none = BooleanArray::from(vec![false; column.len()]);
            scalars.iter().try_fold(none, |matched, scalar| or(&matched, &cmp::eq(column, &operand(scalar))?))
        }
        Predicate::Contains(part) => comparison::contains(column, &StringViewArray::new_scalar(part)),
        Predicate::IsNull => is_null(column),
        Predicate::IsNotNull => is_not_null(column),
    }
}

fn operand(scalar: &Scalar) -> ArrowScalar<ArrayRef> {
    ArrowScalar::new(match scalar {
        Scalar::Text(text) => Arc::new(StringViewArray::from(vec![text.as_str()])) as ArrayRef,
        Scalar::Int(value) => Arc::new(Int64Array::from(vec![*value])),
        Scalar::Double(value) => Arc::new(Float64Array::from(vec![*value])),
        Scalar::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Scalar::Time(nanos) => Arc::new(TimestampNanosecondArray::from(vec![*nanos]).with_timezone("UTC")),
    })
}

fn evaluate_attribute(column: &StringViewArray, key: &str, predicate: &Predicate) -> BooleanArray {
    let key = attribute_json::Key::new(key);
    let equal = match predicate {
        Predicate::Eq(Scalar::Text(text)) => Some(attribute_json::EqualText::new(text)),
        _ => None,
    };
    let mut matched = BooleanBuilder::with_capacity(column.len());
    for json in column {
        let hopeless = |json: &&str| equal.as_ref().is_some_and(|text| !attribute_json::may_equal(json, &key, text));
        if json.as_ref().is_some_and(hopeless) {
            matched.append_value(false);
            continue;
        }
        let value = json.and_then(|json| attribute_json::find(json, &key));
        matched.append_value(match (&value, predicate) {
            (None, Predicate::IsNull) => true,
            (None, _) | (Some(_), Predicate::IsNull) => false,
            (Some(_), Predicate::IsNotNull) => true,
            (Some(value), Predicate::Contains(part)) => value.as_str().is_some_and(|text| text.contains(part)),
            (Some(value), Predicate::In(scalars)) => {
                scalars.iter().any(|scalar| order(value, scalar) == Some(std::cmp::Ordering::Equal))
            }
            (Some(value), Predicate::Eq(scalar)) => order(value, scalar).is_some_and(|order| order.is_eq()),
            (Some(value), Predicate::NotEq(scalar)) => order(value, scalar).is_none_or(|order| order.is_ne()),
            (Some(value), Predicate::Lt(scalar)) => order(value, scalar).is_some_and(|order| order.is_lt()),
            (Some(value), Predicate::LtEq(scalar)) => order(value, scalar).is_some_and(|order| order.is_le()),
            (Some(value), Predicate::Gt(scalar)) => order(value, scalar).is_some_and(|order| order.is_gt()),
            (Some(value), Predicate::GtEq(scalar)) => order(value, scalar).is_some_and(|order| order.is_ge()),
        });
    }
    matched.finish()
}

/// Attributes compare within their type; a number compares with any number, and text with the text of a scalar
/// attribute, because query APIs such as Jaeger's know tags as text only.
fn order(value: &Value<'_>, scalar: &Scalar) -> Option<std::cmp::Ordering> {
    match (value, scalar) {
        (Value::Str(value), Scalar::Text(text)) => Some(value.as_ref().cmp(text)),
        (Value::Bool(value), Scalar::Bool(other)) => Some(value.cmp(other)),
        (Value::Int(value), Scalar::Int(other)) => Some(value.cmp(other)),
        (Value::Int(value), Scalar::Double(other)) => (*value as f64).partial_cmp(other),
        (Value::Double(value), Scalar::Int(other)) => value.partial_cmp(&(*other as f64)),
        (Value::Double(value), Scalar::Double(other)) => value.partial_cmp(other),
        (Value::Bool(value), Scalar::Text(text)) => Some(value.to_string().as_str().cmp(text)),
        (Value::Int(value), Scalar::Text(text)) => Some(value.to_string().as_str().cmp(text)),
        (Value::Double(value), Scalar::Text(text)) => Some(value.to_string().as_str().cmp(text)),
        _ => None,
    }
}

/// Which rows match all matchers and lie in the time range of `time_column`; null counts as no match.
///
/// # Errors
/// As [`Matcher::evaluate`].
pub fn evaluate_all(
    matchers: &[Matcher],
    time: Option<(&str, crate::TimeRange)>,
    rows: &RecordBatch,
) -> Result<Option<BooleanArray>, SelectError> {
    let mut all: Option<BooleanArray> = None;
    let mut keep = |matched: BooleanArray| -> Result<(), ArrowError> {
        all = Some(match all.take() {
            Some(before) => and(&before, &matched)?,
            None => matched,
        });
        Ok(())
    };
    if let Some((column, range)) = time {
        if range.start != i64::MIN {
            keep(Matcher::new(column, Predicate::GtEq(Scalar::Time(range.start))).evaluate(rows)?)?;
        }
        if range.end != i64::MAX {
            keep(Matcher::new(column, Predicate::Lt(Scalar::Time(range.end))).evaluate(rows)?)?;
        }
    }
    for matcher in matchers {
        keep(matcher.evaluate(rows)?)?;
    }
    // Filters treat null as false already; making it explicit keeps callers that invert or count right.
    Ok(all.map(|matched| match matched.null_count() {
        0 => matched,
        _ => prep_null_mask_filter(&matched),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_equals_the_text_of_any_plain_attribute() {
        let json = [
            r#"{"k":"NaN"}"#,
            r#"{"k":{"$double":"NaN"}}"#,
            r#"{"k":5}"#,
            r#"{"k":5.0}"#,
            r#"{"k":true}"#,
            r#"{"other":{"k":"NaN"}}"#,
        ];
        let column = StringViewArray::from(json.to_vec());
        let matched = |text: &str| {
            let matched = evaluate_attribute(&column, "k", &Predicate::Eq(text.into()));
            (0..json.len()).filter(|row| matched.value(*row)).collect::<Vec<_>>()
        };
        assert_eq!(matched("NaN"), [0, 1]);
        assert_eq!(matched("5"), [2, 3]);
        assert_eq!(matched("true"), [4]);
        assert_eq!(matched("false"), [0; 0]);
    }
}
