//! Conditions on tags.
//!
//! Jaeger knows a tag as a key with a text, and finds it on the span, on its process and in its logs; here those are
//! the attributes of the span, of the resource and of the events, and what the translation to Jaeger adds
//! ([`super::trace`]): `error`, `span.kind`, `otel.status_code` and so on.

use arrow::array::{Array, AsArray, BooleanArray, BooleanBuilder, RecordBatch};
use arrow::compute::{or_kleene, prep_null_mask_filter};
use arrow::datatypes::{Field, Schema};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tripod_storage::schema::{Column, Kind};
use tripod_storage::{Matcher, Predicate, Scalar, SelectError, Signal};

/// A tag that has this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

impl Tag {
    /// From `key:value`; the value may have colons.
    pub(super) fn from_pair(pair: &str) -> Result<Self, String> {
        let (key, value) = pair
            .split_once(':')
            .ok_or_else(|| format!("malformed 'tag' parameter, expecting key:value, received: {pair}"))?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }

    /// From a JSON object; numbers and truth values are taken as their text.
    pub(super) fn from_object(json: &str) -> Result<Vec<Self>, String> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Text(String),
            Bool(bool),
            Number(serde_json::Number),
        }
        let object: BTreeMap<String, Given> = serde_json::from_str(json)
            .map_err(|error| format!("malformed 'tags' parameter, cannot unmarshal JSON: {error}"))?;
        let tag = |(key, value)| Self {
            key,
            value: match value {
                Given::Text(text) => text,
                Given::Bool(value) => value.to_string(),
                Given::Number(number) => number.to_string(),
            },
        };
        Ok(object.into_iter().map(tag).collect())
    }

    /// The condition as one matcher, for tags that the translation makes from a column. The specification of
    /// OpenTelemetry reserves these keys, so an attribute of the same name is not looked for.
    pub(super) fn matcher(&self) -> Option<Matcher> {
        let value = self.value.as_str();
        match (self.key.as_str(), value) {
            ("span.kind", "internal" | "server" | "client" | "producer" | "consumer") => {
                Some(Matcher::eq("kind", value))
            }
            ("otel.status_code", "OK") => Some(Matcher::eq("status_code", "ok")),
            ("otel.status_code", "ERROR") => Some(Matcher::eq("status_code", "error")),
            ("otel.status_description", value) => Some(Matcher::eq("status_message", value)),
            ("otel.scope.name", value) => Some(Matcher::eq("scope_name", value)),
            ("otel.scope.version", value) => Some(Matcher::eq("scope_version", value)),
            ("w3c.tracestate", value) => Some(Matcher::eq("trace_state", value)),
            _ => None,
        }
    }

    /// The columns that [`Tag::evaluate`] needs.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        let error = self.is_error().then_some("status_code");
        self.promoted().map(|column| column.name).chain(["attributes", "resource_attributes", "events"]).chain(error)
    }

    fn is_error(&self) -> bool {
        self.key == "error" && self.value == "true"
    }

    fn promoted(&self) -> impl Iterator<Item = &'static Column> {
        Signal::Spans.columns().iter().filter(|column| column.promoted == Some(self.key.as_str()))
    }

    /// Which spans have the tag, wherever it stands.
    pub(super) fn evaluate(&self, rows: &RecordBatch) -> Result<BooleanArray, SelectError> {
        let equals = || Predicate::Eq(Scalar::Text(self.value.clone()));
        let mut found = Matcher::attribute("attributes", &self.key, equals()).evaluate(rows)?;
        let mut any = |more: BooleanArray| -> Result<(), SelectError> {
            found = or_kleene(&found, &more)?;
            Ok(())
        };
        any(Matcher::attribute("resource_attributes", &self.key, equals()).evaluate(rows)?)?;
        any(self.in_events(rows)?)?;
        for column in self.promoted() {
            let operand = match column.kind {
                Kind::Text => Some(Scalar::Text(self.value.clone())),
                // Exactly the number's text: neither "+1" nor "01".
                Kind::Int => {
                    self.value.parse().ok().filter(|number: &i64| number.to_string() == self.value).map(Scalar::Int)
                }
                Kind::Bool => self.value.parse().ok().map(Scalar::Bool),
                Kind::Double => self.value.parse().ok().map(Scalar::Double),
                _ => None,
            };
            if let Some(operand) = operand {
                any(Matcher::new(column.name, Predicate::Eq(operand)).evaluate(rows)?)?;
            }
        }
        if self.is_error() {
            any(Matcher::eq("status_code", "error").evaluate(rows)?)?;
        }
        Ok(match found.null_count() {
            0 => found,
            _ => prep_null_mask_filter(&found),
        })
    }

    /// Which spans have an event with the tag: as an attribute, or as the event's name under `event`.
    fn in_events(&self, rows: &RecordBatch) -> Result<BooleanArray, SelectError> {
        let unreadable = || SelectError::Invalid("spans were read without their events".to_owned());
        let lists =
            rows.column_by_name("events").and_then(|array| array.as_list_opt::<i32>()).ok_or_else(unreadable)?;
        let events = lists.values().as_struct_opt().ok_or_else(unreadable)?;
        if events.is_empty() {
            return Ok(BooleanArray::from(vec![false; rows.num_rows()]));
        }
        let column = |name: &str| {
            let array = events.column_by_name(name).ok_or_else(unreadable)?;
            let schema = Schema::new(vec![Field::new("attributes", array.data_type().clone(), true)]);
            Ok::<_, SelectError>(RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(array)])?)
        };
        let equals = Predicate::Eq(Scalar::Text(self.value.clone()));
        let mut found = Matcher::attribute("attributes", &self.key, equals.clone()).evaluate(&column("attributes")?)?;
        if self.key == "event" {
            found = or_kleene(&found, &Matcher::new("attributes", equals).evaluate(&column("name")?)?)?;
        }
        let offsets = lists.value_offsets();
        let mut spans = BooleanBuilder::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let mut elements = offsets[row] as usize..offsets[row + 1] as usize;
            let has = |element: usize| found.is_valid(element) && found.value(element);
            spans.append_value(lists.is_valid(row) && elements.any(has));
        }
        Ok(spans.finish())
    }
}
