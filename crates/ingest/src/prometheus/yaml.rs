//! YAML as Prometheus reads it: where a text is wanted, what stands in the file is the text, whatever else it could be.
//!
//! `labels: {version: 1.10, zip: 01234, on: y}` has three texts, not a number that ends in 1, one without its zero, and a
//! truth value. Other readers of YAML know only after their guess that a text was wanted.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// Keys whose values are texts, or hold nothing but texts.
const TEXT_KEYS: [&str; 20] = [
    "targets",
    "labels",
    "params",
    "external_labels",
    "job_name",
    "metrics_path",
    "source_labels",
    "target_label",
    "separator",
    "regex",
    "replacement",
    "username",
    "password",
    "credentials",
    "type",
    "bearer_token",
    "values",
    "secrets",
    "server_name",
    "files",
];

/// Whether all values under a key of Prometheus' configuration are texts.
pub fn is_text_key(key: &str) -> bool {
    TEXT_KEYS.contains(&key)
}

/// Reads a document.
///
/// # Errors
/// What is wrong with it and where, in words.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let root: Node = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    Ok(root.into_value(text, false))
}

/// A value with the place of its bytes in the file.
struct Node {
    content: Content,
    bytes: Range<usize>,
}

enum Content {
    /// A text, or what was written without quotes and could be something else.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn into_value(self, file: &str, is_text: bool) -> Value {
        match self.content {
            Content::Scalar(Value::Bool(_) | Value::Number(_)) if is_text => {
                file.get(self.bytes).unwrap_or_default().into()
            }
            Content::Scalar(value) => value,
            Content::List(nodes) => nodes.into_iter().map(|node| node.into_value(file, is_text)).collect(),
            Content::Map(entries) => {
                let value = |(key, node): (String, Self)| {
                    let is_text = is_text || is_text_key(&key);
                    (key, node.into_value(file, is_text))
                };
                Value::Object(entries.into_iter().map(value).collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Content>::deserialize(deserializer)?;
        let span = defined.span();
        let place = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let start = place(span.byte_offset());
        Ok(Self { content: value, bytes: start..start + place(span.byte_len()) })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Content, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Content::Scalar(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Content::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_what_stands_in_the_file() {
        let text = "labels: {version: 1.10, zip: 01234, on: y, off: 'no', hex: 0x1F, big: 1e3, \u{fc}: 1_000}\n\
                    honor_labels: yes\nsample_limit: 10\nregex: 5\ntargets:\n- 007\n- &a 1.0\n- *a\n- plain text\n\
                    empty:\nother: [1, true, 1.5]\n";
        assert_eq!(
            read(text).unwrap(),
            json!({
                "labels": {
                    "version": "1.10", "zip": "01234", "on": "y", "off": "no", "hex": "0x1F", "big": "1e3",
                    "\u{fc}": "1_000",
                },
                "honor_labels": true, "sample_limit": 10, "regex": "5", "targets": ["007", "1.0", "1.0", "plain text"],
                "empty": null, "other": [1, true, 1.5],
            })
        );
        assert_eq!(read("").unwrap(), Value::Null);
        assert!(read("a: [1").unwrap_err().contains("line"));
        assert!(read("a: 1\na: 2").is_err());
    }
}
