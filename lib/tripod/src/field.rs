//! Names and values of fields, shared by spans, log events and metrics' exemplars.

use std::borrow::Cow;

/// The name of a field or attribute. Names that come from a macro are static and cost nothing to keep.
pub type Name = Cow<'static, str>;

/// A flat, ordered list of fields. Small lists are searched faster than maps and keep the order of the call.
pub type Fields = Vec<(Name, Value)>;

/// The value of a field: what JSON and OTLP can both carry.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: `null` in JSON, an empty `AnyValue` in OTLP.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer. OTLP has no such type: above `i64::MAX` it is sent as text.
    Unsigned(u64),
    /// A floating point number. JSON has no text for infinities and NaN: they are written as strings.
    Float(f64),
    /// Text.
    Text(Cow<'static, str>),
    /// A list of values.
    List(Vec<Value>),
    /// Named values.
    Map(Fields),
}

impl Value {
    /// The text, when the value is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Value {
    /// Memory that it takes, in bytes, about.
    pub fn size(&self) -> usize {
        let inside = match self {
            Self::Text(text) => text.len(),
            Self::List(values) => values.iter().map(Self::size).sum(),
            Self::Map(fields) => fields.iter().map(|(name, value)| name.len() + value.size()).sum(),
            _ => 0,
        };
        size_of::<(Name, Self)>() + inside
    }

    /// Shortens text to so many characters, in lists too.
    pub fn truncate(&mut self, characters: usize) {
        match self {
            // No text is longer in characters than in bytes.
            Self::Text(text) if text.len() > characters => {
                if let Some((at, _)) = text.char_indices().nth(characters) {
                    match text {
                        Cow::Borrowed(borrowed) => *borrowed = &borrowed[..at],
                        Cow::Owned(owned) => owned.truncate(at),
                    }
                }
            }
            Self::List(values) => values.iter_mut().for_each(|value| value.truncate(characters)),
            _ => {}
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(value: Cow<'static, str>) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
