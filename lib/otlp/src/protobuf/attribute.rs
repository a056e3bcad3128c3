//! `AnyValue` and `KeyValue`.

use std::borrow::Cow;

use tripod_model::{Attribute, Value};
use tripod_protobuf::{Field, Message};

use crate::Limits;
use crate::error::{Enclose, Result};

/// Adds the `KeyValue` to the list. An error's path begins with its index.
#[inline]
pub(super) fn push_attribute<'a>(list: &mut Vec<Attribute<'a>>, raw: Field<'a>, limits: &Limits) -> Result<()> {
    push_pair(list, raw, limits, 1)
}

fn push_pair<'a>(list: &mut Vec<Attribute<'a>>, raw: Field<'a>, limits: &Limits, depth: usize) -> Result<()> {
    let index = list.len();
    let attribute = limits.admit_attribute(index).and_then(|()| read_pair(raw.bytes()?, limits, depth));
    list.push(attribute.index(index)?);
    Ok(())
}

fn read_pair<'a>(message: &'a [u8], limits: &Limits, depth: usize) -> Result<Attribute<'a>> {
    let mut attribute = Attribute::default();
    let mut wire = Message::new(message);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => attribute.key = Cow::Borrowed(raw.text().field("key")?),
            2 => merge_value(&mut attribute.value, raw, limits, depth).field("value")?,
            // Only the profiling signal has the table that this is an index into.
            3 => {
                raw.int32().field("keyStrindex")?;
            }
            _ => {}
        }
    }
    Ok(attribute)
}

/// Reads an `AnyValue` on top of what the field held before: lists of the same type are joined, all else is replaced.
/// `depth` is 1 for a value that no other value holds.
pub(super) fn merge_value<'a>(value: &mut Value<'a>, raw: Field<'a>, limits: &Limits, depth: usize) -> Result<()> {
    limits.admit_depth(depth)?;
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => *value = Value::Str(Cow::Borrowed(raw.text().field("stringValue")?)),
            2 => *value = Value::Bool(raw.boolean().field("boolValue")?),
            3 => *value = Value::Int(raw.varint().field("intValue")? as i64),
            4 => *value = Value::Double(raw.double().field("doubleValue")?),
            5 => merge_array(value, raw, limits, depth).field("arrayValue")?,
            6 => merge_map(value, raw, limits, depth).field("kvlistValue")?,
            7 => *value = Value::Bytes(Cow::Borrowed(raw.bytes().field("bytesValue")?)),
            // An index into a table that only the profiling signal has: set, but to nothing.
            8 => {
                raw.varint().field("stringValueStrindex")?;
                *value = Value::Empty;
            }
            _ => {}
        }
    }
    Ok(())
}

fn merge_array<'a>(value: &mut Value<'a>, raw: Field<'a>, limits: &Limits, depth: usize) -> Result<()> {
    let mut values = match std::mem::take(value) {
        Value::Array(values) => values,
        _ => Vec::new(),
    };
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        if number == 1 {
            let index = values.len();
            let mut element = Value::Empty;
            limits
                .admit_element(index)
                .and_then(|()| merge_value(&mut element, raw, limits, depth + 1))
                .index(index)
                .field("values")?;
            values.push(element);
        }
    }
    *value = Value::Array(values);
    Ok(())
}

fn merge_map<'a>(value: &mut Value<'a>, raw: Field<'a>, limits: &Limits, depth: usize) -> Result<()> {
    let mut pairs = match std::mem::take(value) {
        Value::Map(pairs) => pairs,
        _ => Vec::new(),
    };
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        if number == 1 {
            push_pair(&mut pairs, raw, limits, depth + 1).field("values")?;
        }
    }
    *value = Value::Map(pairs);
    Ok(())
}
