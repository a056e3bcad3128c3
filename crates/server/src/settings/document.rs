use std::fmt;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

/// A place in a file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A YAML value with the place where it stands, kept so that every mistake can name its line.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) value: Value,
    /// The bytes of the document in which it stands.
    bytes: Range<usize>,
    /// A number or truth value as it was written.
    pub(crate) written: Option<String>,
}

/// A YAML value in the order of the file.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) position: Position,
    pub(crate) node: Node,
}

/// Why a text is no YAML document.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) position: Option<Position>,
    pub(crate) message: String,
}

/// Reads one YAML document. A text without any content is an empty map.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let blank = text.lines().all(|line| {
        let line = line.trim_start_matches('\u{feff}').trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    if blank {
        return Ok(Node::new(Position { line: 1, column: 1 }, Value::Map(Vec::new())));
    }
    let mut root = serde_saphyr::from_str::<Node>(text).map_err(|error| {
        let plain = error.without_snippet();
        let message = plain.to_string();
        SyntaxError {
            position: plain.location().filter(|location| location.line() > 0).map(Position::from),
            message: message.lines().next().unwrap_or_default().to_owned(),
        }
    })?;
    root.keep_written(text);
    Ok(root)
}

impl Node {
    pub(crate) fn new(position: Position, value: Value) -> Self {
        Self { position, value, bytes: 0..0, written: None }
    }

    fn keep_written(&mut self, document: &str) {
        match &mut self.value {
            Value::Bool(_) | Value::Number(_) => self.written = document.get(self.bytes.clone()).map(str::to_owned),
            Value::List(items) => items.iter_mut().for_each(|item| item.keep_written(document)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| entry.node.keep_written(document)),
            Value::Null | Value::Text(_) => {}
        }
    }
}

impl Value {
    /// What the value is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a section",
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, defined } = Spanned::<Value>::deserialize(deserializer)?;
        let place = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let start = place(defined.span().byte_offset());
        let bytes = start..start + place(defined.span().byte_len());
        Ok(Self { bytes, ..Self::new(referenced.into(), value) })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Node>()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(Spanned { value: key, referenced, .. }) = entries.next_key::<Spanned<String>>()? {
            let node = entries.next_value::<Node>()?;
            map.push(Entry { key, position: referenced.into(), node });
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(node: &Node) -> &[Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            other => panic!("{other:?} is no map"),
        }
    }

    #[test]
    fn values_know_their_lines() {
        let root = parse("# head\nstore:\n  size: 64MiB\n  flag: true\nlist: [1, two]\n").unwrap();
        let top = entries(&root);
        assert_eq!(top[0].key, "store");
        assert_eq!(top[0].position, Position { line: 2, column: 1 });
        let store = entries(&top[0].node);
        assert_eq!(store[0].position, Position { line: 3, column: 3 });
        assert_eq!(store[0].node.position, Position { line: 3, column: 9 });
        assert!(matches!(&store[0].node.value, Value::Text(text) if text == "64MiB"));
        assert!(matches!(store[1].node.value, Value::Bool(true)));
        assert!(matches!(&top[1].node.value, Value::List(items) if items.len() == 2));
    }

    #[test]
    fn a_file_of_comments_is_empty() {
        for text in ["", "\n# nothing\n", "---\n"] {
            assert!(entries(&parse(text).unwrap()).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn syntax_errors_and_double_keys_have_a_place() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.position.is_some_and(|position| position.line >= 2), "{error:?}");
        let error = parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.position.map(|position| position.line), Some(2), "{error:?}");
        assert!(error.message.contains("uplicate"), "{error:?}");
    }

    #[test]
    fn quoted_numbers_stay_text() {
        let root = parse("token: \"0123\"\n").unwrap();
        assert!(matches!(&entries(&root)[0].node.value, Value::Text(text) if text == "0123"));
    }
}
