//! `AnyValue` and `KeyValue`.

use std::borrow::Cow;

use tripod_model::{Attribute, Value};

use super::reader::Reader;
use super::scalar::{read_bytes, read_double, read_integer};
use crate::Limits;
use crate::error::{Enclose, Result};

/// Reads a list of `KeyValue`s in place of what the list held.
pub(super) fn read_attributes<'a>(
    reader: &mut Reader<'a>,
    list: &mut Vec<Attribute<'a>>,
    limits: &Limits,
) -> Result<()> {
    read_pairs(reader, list, limits, 1)
}

fn read_pairs<'a>(reader: &mut Reader<'a>, list: &mut Vec<Attribute<'a>>, limits: &Limits, depth: usize) -> Result<()> {
    list.clear();
    reader.array(|reader, index| {
        limits.admit_attribute(index)?;
        let mut attribute = Attribute::default();
        reader.object(|reader, key| {
            match key {
                "key" => attribute.key = reader.string().field("key")?,
                "value" => attribute.value = read_value(reader, limits, depth).field("value")?,
                _ => reader.skip_value()?,
            }
            Ok(())
        })?;
        list.push(attribute);
        Ok(())
    })
}

/// Reads an `AnyValue`. `depth` is 1 for a value that no other value holds.
pub(super) fn read_value<'a>(reader: &mut Reader<'a>, limits: &Limits, depth: usize) -> Result<Value<'a>> {
    limits.admit_depth(depth)?;
    let mut value = Value::Empty;
    reader.object(|reader, key| {
        value = match key {
            "stringValue" | "string_value" => Value::Str(reader.string().field("stringValue")?),
            "boolValue" | "bool_value" => Value::Bool(reader.boolean().field("boolValue")?),
            "intValue" | "int_value" => Value::Int(read_integer(reader).field("intValue")?),
            "doubleValue" | "double_value" => Value::Double(read_double(reader).field("doubleValue")?),
            "arrayValue" | "array_value" => Value::Array(read_array(reader, limits, depth).field("arrayValue")?),
            "kvlistValue" | "kvlist_value" => Value::Map(read_map(reader, limits, depth).field("kvlistValue")?),
            "bytesValue" | "bytes_value" => Value::Bytes(Cow::Owned(read_bytes(reader).field("bytesValue")?)),
            // An index into a table that only the profiling signal has: set, but to nothing.
            "stringValueStrindex" | "string_value_strindex" => {
                reader.skip_value().field("stringValueStrindex")?;
                Value::Empty
            }
            _ => return reader.skip_value(),
        };
        Ok(())
    })?;
    Ok(value)
}

fn read_array<'a>(reader: &mut Reader<'a>, limits: &Limits, depth: usize) -> Result<Vec<Value<'a>>> {
    let mut values = Vec::new();
    reader.object(|reader, key| match key {
        "values" => {
            values.clear();
            reader
                .array(|reader, index| {
                    limits.admit_element(index)?;
                    // Some exporters write an empty value as `null`.
                    let value = if reader.null()? { Value::Empty } else { read_value(reader, limits, depth + 1)? };
                    values.push(value);
                    Ok(())
                })
                .field("values")
        }
        _ => reader.skip_value(),
    })?;
    Ok(values)
}

fn read_map<'a>(reader: &mut Reader<'a>, limits: &Limits, depth: usize) -> Result<Vec<Attribute<'a>>> {
    let mut pairs = Vec::new();
    reader.object(|reader, key| match key {
        "values" => read_pairs(reader, &mut pairs, limits, depth + 1).field("values"),
        _ => reader.skip_value(),
    })?;
    Ok(pairs)
}
