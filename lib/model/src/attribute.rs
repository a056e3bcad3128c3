use std::borrow::Cow;

/// An attribute's value with its type: OpenTelemetry's `AnyValue`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// No value at all; distinct from an empty string.
    #[default]
    Empty,
    /// UTF-8 text.
    Str(Cow<'a, str>),
    /// A truth value.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A 64-bit float, NaN and infinities included.
    Double(f64),
    /// Raw bytes.
    Bytes(Cow<'a, [u8]>),
    /// An ordered list; elements may differ in type.
    Array(Vec<Value<'a>>),
    /// Key-value pairs in their order.
    Map(Vec<Attribute<'a>>),
}

/// A key with its value: OpenTelemetry's `KeyValue`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribute<'a> {
    /// The key, for example `http.request.method`.
    pub key: Cow<'a, str>,
    /// The value.
    pub value: Value<'a>,
}

impl<'a> Attribute<'a> {
    /// A pair from anything that turns into a key and a value.
    pub fn new(key: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl<'a> Value<'a> {
    /// The text, when the value is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The same value with nothing borrowed.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Empty => Value::Empty,
            Value::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Value::Bool(value) => Value::Bool(value),
            Value::Int(value) => Value::Int(value),
            Value::Double(value) => Value::Double(value),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Value::Array(values) => Value::Array(values.into_iter().map(Value::into_owned).collect()),
            Value::Map(pairs) => Value::Map(pairs.into_iter().map(Attribute::into_owned).collect()),
        }
    }
}

impl Attribute<'_> {
    /// The same pair with nothing borrowed.
    pub fn into_owned(self) -> Attribute<'static> {
        Attribute { key: Cow::Owned(self.key.into_owned()), value: self.value.into_owned() }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Str(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Str(Cow::Owned(text))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Value::Double(value)
    }
}
