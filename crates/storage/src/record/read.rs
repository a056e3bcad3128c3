//! Typed access to the columns of a batch.

use std::ops::Range;
use std::str::FromStr;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringViewArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Fields, Int64Type, TimestampNanosecondType};
use serde_json::value::RawValue;
use tripod_model::{Attribute, EntityRef, Resource, Scope, Value};

use super::Recorded;
use crate::schema::{Column, Kind, RESOURCE};
use crate::{SelectError, Signal, read_attributes};

/// Columns by name: of a batch, or of the elements of a list of structs.
pub(super) struct Columns<'a> {
    place: String,
    fields: &'a Fields,
    arrays: &'a [ArrayRef],
}

impl<'a> Columns<'a> {
    pub(super) fn new(signal: Signal, rows: &'a RecordBatch) -> Self {
        Self { place: signal.to_string(), fields: rows.schema_ref().fields(), arrays: rows.columns() }
    }

    fn get<T>(&self, name: &str, cast: impl Fn(&'a ArrayRef) -> Option<T>) -> Result<T, SelectError> {
        self.fields.find(name).map(|(index, _)| &self.arrays[index]).and_then(cast).ok_or_else(|| {
            SelectError::Invalid(format!("{} were read without column \"{name}\" or with another type", self.place))
        })
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Text<'a>, SelectError> {
        self.get(name, |array| array.as_string_view_opt()).map(|array| Text { name, array })
    }

    pub(super) fn ints(&self, name: &str) -> Result<&'a Int64Array, SelectError> {
        self.get(name, |array| array.as_primitive_opt::<Int64Type>())
    }

    pub(super) fn times(&self, name: &str) -> Result<&'a TimestampNanosecondArray, SelectError> {
        self.get(name, |array| array.as_primitive_opt::<TimestampNanosecondType>())
    }

    pub(super) fn structs(&self, name: &str) -> Result<Structs<'a>, SelectError> {
        let list = self.get(name, |array| array.as_list_opt())?;
        let elements = self.get(name, |_| list.values().as_struct_opt())?;
        let place = format!("{}.{name}", self.place);
        Ok(Structs { list, columns: Columns { place, fields: elements.fields(), arrays: elements.columns() } })
    }

    pub(super) fn promoted(&self, columns: &'static [Column]) -> Result<Promoted<'a>, SelectError> {
        let columns = columns
            .iter()
            .filter_map(|column| column.promoted.map(|key| (key, column)))
            .map(|(key, column)| {
                let values = match column.kind {
                    Kind::Int => PromotedValues::Int(self.ints(column.name)?),
                    _ => PromotedValues::Text(self.text(column.name)?.array),
                };
                Ok((key, values))
            })
            .collect::<Result<_, SelectError>>()?;
        Ok(Promoted { columns })
    }
}

/// A text column.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    name: &'static str,
    array: &'a StringViewArray,
}

impl<'a> Text<'a> {
    /// The text; empty for null.
    pub(super) fn text(&self, row: usize) -> &'a str {
        if self.array.is_null(row) { "" } else { self.array.value(row) }
    }

    pub(super) fn id<T: FromStr + Default>(&self, row: usize) -> Result<T, SelectError> {
        match self.text(row) {
            "" => Ok(T::default()),
            text => text.parse().map_err(|_| self.unreadable(text)),
        }
    }

    pub(super) fn named<T>(&self, row: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, SelectError> {
        let text = self.text(row);
        parse(text).ok_or_else(|| self.unreadable(text))
    }

    pub(super) fn attributes(&self, row: usize) -> Result<Vec<Attribute<'a>>, SelectError> {
        match self.text(row) {
            "" => Ok(Vec::new()),
            json => read_attributes(json).map_err(|_| self.unreadable(json)),
        }
    }

    pub(super) fn unreadable(&self, text: &str) -> SelectError {
        SelectError::Failed(format!("column \"{}\" holds \"{text}\", which it should not", self.name).into())
    }
}

/// Lists of structs, flattened.
pub(super) struct Structs<'a> {
    list: &'a ListArray,
    columns: Columns<'a>,
}

impl<'a> std::ops::Deref for Structs<'a> {
    type Target = Columns<'a>;

    fn deref(&self) -> &Self::Target {
        &self.columns
    }
}

impl Structs<'_> {
    /// Indices of a row's elements among the flattened ones.
    pub(super) fn elements(&self, row: usize) -> Range<usize> {
        if self.list.is_null(row) {
            return 0..0;
        }
        let offsets = self.list.value_offsets();
        offsets[row] as usize..offsets[row + 1] as usize
    }
}

/// The promoted attributes of a row.
pub(super) struct Promoted<'a> {
    columns: Vec<(&'static str, PromotedValues<'a>)>,
}

enum PromotedValues<'a> {
    Text(&'a StringViewArray),
    Int(&'a Int64Array),
}

impl<'a> Promoted<'a> {
    /// Promoted attributes in the order of their columns, then those of the JSON column. A text that is `implied` by
    /// another column is no attribute.
    pub(super) fn attributes(
        &self,
        row: usize,
        json: &Text<'a>,
        implied: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<Attribute<'a>>, SelectError> {
        let mut attributes = Vec::new();
        for (key, values) in &self.columns {
            match values {
                PromotedValues::Text(array) if array.is_valid(row) && !implied(key, array.value(row)) => {
                    attributes.push(Attribute::new(*key, array.value(row)));
                }
                PromotedValues::Int(array) if array.is_valid(row) => {
                    attributes.push(Attribute::new(*key, array.value(row)));
                }
                _ => {}
            }
        }
        attributes.append(&mut json.attributes(row)?);
        Ok(attributes)
    }
}

/// The scope and resource columns.
pub(super) struct Context<'a> {
    scope_name: Text<'a>,
    scope_version: Text<'a>,
    scope_attributes: Text<'a>,
    scope_dropped: &'a Int64Array,
    scope_schema_url: Text<'a>,
    promoted: Promoted<'a>,
    resource_attributes: Text<'a>,
    resource_dropped: &'a Int64Array,
    resource_entity_refs: Text<'a>,
    resource_schema_url: Text<'a>,
}

impl<'a> Context<'a> {
    pub(super) fn new(columns: &Columns<'a>) -> Result<Self, SelectError> {
        Ok(Self {
            scope_name: columns.text("scope_name")?,
            scope_version: columns.text("scope_version")?,
            scope_attributes: columns.text("scope_attributes")?,
            scope_dropped: columns.ints("scope_dropped_attributes_count")?,
            scope_schema_url: columns.text("scope_schema_url")?,
            promoted: columns.promoted(RESOURCE)?,
            resource_attributes: columns.text("resource_attributes")?,
            resource_dropped: columns.ints("resource_dropped_attributes_count")?,
            resource_entity_refs: columns.text("resource_entity_refs")?,
            resource_schema_url: columns.text("resource_schema_url")?,
        })
    }

    pub(super) fn recorded<R>(&self, row: usize, record: R) -> Result<Recorded<'a, R>, SelectError> {
        let refs = self.resource_entity_refs.text(row);
        let resource = Resource {
            attributes: self.promoted.attributes(row, &self.resource_attributes, |_, _| false)?,
            dropped_attributes_count: optional(self.resource_dropped, row).unwrap_or(0) as u32,
            entity_refs: match refs {
                "" => Vec::new(),
                json => read_entity_refs(json).ok_or_else(|| self.resource_entity_refs.unreadable(json))?,
            },
            schema_url: self.resource_schema_url.text(row).into(),
        };
        let scope = Scope {
            name: self.scope_name.text(row).into(),
            version: self.scope_version.text(row).into(),
            attributes: self.scope_attributes.attributes(row)?,
            dropped_attributes_count: optional(self.scope_dropped, row).unwrap_or(0) as u32,
            schema_url: self.scope_schema_url.text(row).into(),
        };
        Ok(Recorded { resource, scope, record })
    }
}

/// A number that may be null.
pub(super) fn optional<T: arrow::datatypes::ArrowPrimitiveType>(
    array: &arrow::array::PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

fn read_entity_refs(json: &str) -> Option<Vec<EntityRef<'static>>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    elements
        .into_iter()
        .map(|element| {
            let mut entity = EntityRef::default();
            for Attribute { key, value } in read_attributes(element.get()).ok()? {
                match (key.as_ref(), value) {
                    ("schemaUrl", Value::Str(text)) => entity.schema_url = text,
                    ("type", Value::Str(text)) => entity.kind = text,
                    ("idKeys", Value::Array(keys)) => entity.id_keys = texts(keys)?,
                    ("descriptionKeys", Value::Array(keys)) => entity.description_keys = texts(keys)?,
                    _ => return None,
                }
            }
            Some(entity)
        })
        .collect()
}

fn texts(values: Vec<Value<'static>>) -> Option<Vec<std::borrow::Cow<'static, str>>> {
    values.into_iter().map(|value| if let Value::Str(text) = value { Some(text) } else { None }).collect()
}
