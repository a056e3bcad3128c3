//! Resources, scopes and attributes as OTLP has them.

use super::protobuf::Message;
use crate::field::{Name, Value};

/// `KeyValue` messages in a field of a message.
pub(super) fn attributes<'a>(out: &mut Message, field: u32, attributes: impl IntoIterator<Item = &'a (Name, Value)>) {
    for (name, value) in attributes {
        attribute(out, field, name, value);
    }
}

pub(super) fn attribute(out: &mut Message, field: u32, name: &str, value: &Value) {
    out.message(field, |out| {
        out.text(1, name);
        out.message(2, |out| any_value(out, value));
    });
}

pub(super) fn text_attribute(out: &mut Message, field: u32, name: &str, value: &str) {
    out.message(field, |out| {
        out.text(1, name);
        out.message(2, |out| out.bytes(1, value.as_bytes()));
    });
}

/// The content of an `AnyValue`. Integers above `i64::MAX` have no type there and are sent as text.
pub(super) fn any_value(out: &mut Message, value: &Value) {
    match value {
        Value::Null => {}
        Value::Text(text) => out.bytes(1, text.as_bytes()),
        Value::Bool(value) => out.varint(2, u64::from(*value)),
        Value::Integer(value) => out.varint(3, *value as u64),
        Value::Unsigned(value) => match i64::try_from(*value) {
            Ok(value) => out.varint(3, value as u64),
            Err(_) => out.bytes(1, itoa::Buffer::new().format(*value).as_bytes()),
        },
        Value::Float(value) => out.double(4, *value),
        Value::List(values) => out.message(5, |out| {
            values.iter().for_each(|value| out.message(1, |out| any_value(out, value)));
        }),
        Value::Map(fields) => out.message(6, |out| attributes(out, 1, fields)),
    }
}

/// `InstrumentationScope` in field 1.
pub(super) fn scope(out: &mut Message, name: &str) {
    out.message(1, |out| out.text(1, name));
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::field::Fields;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            any::<u64>().prop_map(Value::Unsigned),
            any::<i32>().prop_map(|n| Value::Float(f64::from(n) / 3.0)),
            "\\PC{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                proptest::collection::vec(("\\PC{1,9}".prop_map(Name::from), inner), 0..6).prop_map(Value::Map),
            ]
        })
    }

    fn expected(value: &Value) -> AnyValue {
        let value = match value {
            Value::Null => None,
            Value::Bool(value) => Some(Any::BoolValue(*value)),
            Value::Integer(value) => Some(Any::IntValue(*value)),
            Value::Unsigned(value) => {
                Some(i64::try_from(*value).map_or_else(|_| Any::StringValue(value.to_string()), Any::IntValue))
            }
            Value::Float(value) => Some(Any::DoubleValue(*value)),
            Value::Text(text) => Some(Any::StringValue(text.to_string())),
            Value::List(values) => Some(Any::ArrayValue(ArrayValue { values: values.iter().map(expected).collect() })),
            Value::Map(fields) => Some(Any::KvlistValue(KeyValueList { values: pairs(fields) })),
        };
        AnyValue { value }
    }

    fn pairs(fields: &Fields) -> Vec<KeyValue> {
        let pair = |(name, value): &(Name, Value)| KeyValue {
            key: name.to_string(),
            value: Some(expected(value)),
            ..KeyValue::default()
        };
        fields.iter().map(pair).collect()
    }

    proptest! {
        #[test]
        fn any_value_is_read_back_by_prost(value in value()) {
            let fields = vec![("name".into(), value)];
            let mut message = Message::default();
            attributes(&mut message, 1, &fields);
            let resource = Resource::decode(message.0.as_slice()).unwrap();
            prop_assert_eq!(resource.attributes, pairs(&fields));
        }
    }
}
