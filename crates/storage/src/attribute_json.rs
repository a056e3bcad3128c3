//! Attributes as JSON text, with their types kept.
//!
//! An object in the order of the attributes: strings, truth values, lists and maps are JSON's own; an integer has
//! digits only, a float always a point or an exponent; an empty value is `null`. What JSON lacks is an object with
//! one `$` key: bytes `{"$bytes":"<base64>"}`, and floats that are not finite `{"$double":"NaN"}`. A key of a nested
//! map that begins with `$` gets one more `$`, so that nothing is mistaken for those.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde_json::value::RawValue;
use tripod_model::{Attribute, Value};

/// Appends attributes as a JSON object.
pub fn write_attributes(attributes: &[Attribute<'_>], out: &mut Vec<u8>) {
    write_members(attributes.iter(), false, out);
}

pub(crate) fn write_members<'a>(attributes: impl Iterator<Item = &'a Attribute<'a>>, nested: bool, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    for attribute in attributes {
        if out.len() > start {
            out.push(b',');
        }
        write_member(attribute, nested, out);
    }
    out.push(b'}');
}

/// `"key":value` of one attribute.
pub(crate) fn write_member(attribute: &Attribute<'_>, nested: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    if nested && attribute.key.starts_with('$') {
        out.push(b'$');
    }
    escape(&attribute.key, out);
    out.extend_from_slice(b"\":");
    write_value(&attribute.value, out);
}

/// Appends one value as JSON.
pub fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Empty => out.extend_from_slice(b"null"),
        Value::Str(text) => write_text(text, out),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes()),
        Value::Double(value) if value.is_finite() => {
            let mut buffer = zmij::Buffer::new();
            let text = buffer.format_finite(*value);
            out.extend_from_slice(text.as_bytes());
            if !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                out.extend_from_slice(b".0");
            }
        }
        Value::Double(value) => {
            let name = if value.is_nan() {
                "NaN"
            } else if *value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            out.extend_from_slice(b"{\"$double\":\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\"}");
        }
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"{\"$bytes\":\"");
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.extend_from_slice(b"\"}");
        }
        Value::Array(values) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(value, out);
            }
            out.push(b']');
        }
        Value::Map(pairs) => write_members(pairs.iter(), true, out),
    }
}

/// Appends a JSON string, quotes included.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

fn escape(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Without a way out of the loop it is done for many bytes at a time, and next to no text has anything special.
    if !bytes.iter().fold(false, |any, byte| any | is_special(*byte)) {
        return out.extend_from_slice(bytes);
    }
    let mut copied = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if !is_special(*byte) {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.push(b"0123456789abcdef"[usize::from(control >> 4)]);
                out.push(b"0123456789abcdef"[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Reads attributes back from [`write_attributes`]' text, or from any other JSON object.
///
/// # Errors
/// When the text is not a JSON object.
pub fn read_attributes(json: &str) -> Result<Vec<Attribute<'static>>, serde_json::Error> {
    let Members::<Typed>(members) = serde_json::from_str(json)?;
    Ok(members.into_iter().map(|(key, value)| Attribute { key: Cow::Owned(key), value: value.0 }).collect())
}

/// Reads a value back from [`write_value`]'s text, or from any other JSON.
///
/// # Errors
/// When the text is not JSON.
pub fn read_value(json: &str) -> Result<Value<'static>, serde_json::Error> {
    serde_json::from_str::<Typed>(json).map(|typed| typed.0)
}

/// The value of one attribute of a JSON object; of the first when the key stands there twice.
pub(crate) fn find(json: &str, key: &Key) -> Option<Value<'static>> {
    // Most rows lack the key: a substring search tells so without parsing.
    key.finder.find(json.as_bytes())?;
    let Members::<&RawValue>(members) = serde_json::from_str(json).ok()?;
    let (_, raw) = members.into_iter().find(|(name, _)| *name == key.name)?;
    read_value(raw.get()).ok()
}

/// Whether the attribute may hold this text, or a number or truth value that is written so. `false` is certain, and
/// costs a search for the key instead of parsing.
pub(crate) fn may_equal(json: &str, key: &Key<'_>, text: &EqualText) -> bool {
    let bytes = json.as_bytes();
    key.finder.find_iter(bytes).any(|place| {
        let value = &bytes[place + key.finder.needle().len()..];
        // Floats are written in more than one way, those that are not finite as an object; they are compared after parsing.
        value.starts_with(&text.quoted) || value.first().is_some_and(|first| b"-0123456789tf{".contains(first))
    })
}

/// A text prepared for [`may_equal`].
pub(crate) struct EqualText {
    quoted: Vec<u8>,
}

impl EqualText {
    pub(crate) fn new(text: &str) -> Self {
        let mut quoted = Vec::with_capacity(text.len() + 2);
        write_text(text, &mut quoted);
        Self { quoted }
    }
}

/// A key prepared for [`find`].
pub(crate) struct Key<'a> {
    name: &'a str,
    finder: memmem::Finder<'static>,
}

impl<'a> Key<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        let mut quoted = Vec::with_capacity(name.len() + 3);
        write_text(name, &mut quoted);
        quoted.push(b':');
        Self { name, finder: memmem::Finder::new(&quoted).into_owned() }
    }
}

/// An object's members in their order, duplicates included.
struct Members<V>(Vec<(String, V)>);

struct Typed(Value<'static>);

impl<'de, V: serde::Deserialize<'de>> serde::Deserialize<'de> for Members<V> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(std::marker::PhantomData))
    }
}

struct MembersVisitor<V>(std::marker::PhantomData<V>);

impl<'de, V: serde::Deserialize<'de>> serde::de::Visitor<'de> for MembersVisitor<V> {
    type Value = Members<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

impl<'de> serde::Deserialize<'de> for Typed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TypedVisitor).map(Typed)
    }
}

struct TypedVisitor;

impl<'de> serde::de::Visitor<'de> for TypedVisitor {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Value::Double(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Str(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Typed(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, Typed(value))) = map.next_entry::<String, _>()? {
            pairs.push(Attribute { key: Cow::Owned(key), value });
        }
        if let Some(special) = special(&pairs) {
            return Ok(special);
        }
        for pair in &mut pairs {
            if pair.key.starts_with("$$") {
                pair.key = Cow::Owned(pair.key[1..].to_owned());
            }
        }
        Ok(Value::Map(pairs))
    }
}

/// The value that an object with one `$` key stands for.
fn special(pairs: &[Attribute<'_>]) -> Option<Value<'static>> {
    let [Attribute { key, value: Value::Str(text) }] = pairs else { return None };
    match (key.as_ref(), text.as_ref()) {
        ("$bytes", base64) => Some(Value::Bytes(Cow::Owned(STANDARD.decode(base64).ok()?))),
        ("$double", "NaN") => Some(Value::Double(f64::NAN)),
        ("$double", "Infinity") => Some(Value::Double(f64::INFINITY)),
        ("$double", "-Infinity") => Some(Value::Double(f64::NEG_INFINITY)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any value, nested up to three levels.
    pub(crate) fn any_value() -> impl Strategy<Value = Value<'static>> {
        let leaf = prop_oneof![
            Just(Value::Empty),
            any::<String>().prop_map(Value::from),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("NaN differs from itself", |v| !v.is_nan()).prop_map(Value::Double),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((any_key(), inner), 0..4)
                    .prop_map(|pairs| Value::Map(pairs.into_iter().map(|(k, v)| Attribute::new(k, v)).collect())),
            ]
        })
    }

    fn any_key() -> impl Strategy<Value = String> {
        prop_oneof!["[$]{0,3}(bytes|double|a)", any::<String>(), "[a-z]{1,8}([.][a-z]{1,8}){0,2}"]
    }

    /// Any attribute list, duplicates included.
    pub(crate) fn any_attributes() -> impl Strategy<Value = Vec<Attribute<'static>>> {
        prop::collection::vec((any_key(), any_value()).prop_map(|(k, v)| Attribute::new(k, v)), 0..6)
    }

    fn json(attributes: &[Attribute<'_>]) -> String {
        let mut out = Vec::new();
        write_attributes(attributes, &mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn attributes_come_back_as_they_were(attributes in any_attributes()) {
            prop_assert_eq!(read_attributes(&json(&attributes)).unwrap(), attributes);
        }

        #[test]
        fn an_attribute_is_found_by_its_key(attributes in any_attributes(), other in any_key()) {
            let text = json(&attributes);
            for key in attributes.iter().map(|a| a.key.as_ref()).chain([other.as_str()]) {
                let wanted = attributes.iter().find(|a| a.key == key).map(|a| a.value.clone());
                if let Some(Value::Str(text_value)) = &wanted {
                    prop_assert!(may_equal(&text, &Key::new(key), &EqualText::new(text_value)));
                }
                prop_assert_eq!(find(&text, &Key::new(key)), wanted);
            }
        }
    }

    #[test]
    fn the_text_is_plain_json() {
        let attributes = [
            Attribute::new("a\"b", "line\nbreak"),
            Attribute::new("n", 1i64),
            Attribute::new("x", 1.0),
            Attribute::new("nan", f64::NAN),
            Attribute::new("raw", Value::Bytes(vec![1, 2].into())),
        ];
        assert_eq!(
            json(&attributes),
            r#"{"a\"b":"line\nbreak","n":1,"x":1.0,"nan":{"$double":"NaN"},"raw":{"$bytes":"AQI="}}"#
        );
    }
}
