//! How much one span may hold (OpenTelemetry specification, Span Limits).

use crate::field::{Fields, Name, Value};

/// How much one span may hold. What is over is counted in the span's `dropped_*` and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanLimits {
    /// Attributes of a span (`OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`).
    pub attributes: usize,
    /// Characters of a text value (`OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`).
    pub value_length: usize,
    /// Events of a span (`OTEL_SPAN_EVENT_COUNT_LIMIT`).
    pub events: usize,
    /// Links of a span (`OTEL_SPAN_LINK_COUNT_LIMIT`).
    pub links: usize,
    /// Attributes of an event (`OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`).
    pub event_attributes: usize,
    /// Attributes of a link (`OTEL_LINK_ATTRIBUTE_COUNT_LIMIT`).
    pub link_attributes: usize,
}

impl Default for SpanLimits {
    fn default() -> Self {
        Self {
            attributes: 128,
            value_length: usize::MAX,
            events: 128,
            links: 128,
            event_attributes: 128,
            link_attributes: 128,
        }
    }
}

impl SpanLimits {
    /// Sets an attribute; the one of the same name is replaced. One too many is counted in `dropped`.
    pub(crate) fn set(&self, fields: &mut Fields, dropped: &mut u32, name: Name, mut value: Value) {
        if self.value_length != usize::MAX {
            value.truncate(self.value_length);
        }
        if let Some(field) = fields.iter_mut().find(|(present, _)| *present == name) {
            field.1 = value;
        } else if fields.len() < self.attributes {
            fields.push((name, value));
        } else {
            *dropped = dropped.saturating_add(1);
        }
    }

    /// Cuts the attributes of an event or link; gives how many were cut.
    pub(crate) fn cut(&self, fields: &mut Fields, count: usize) -> u32 {
        let dropped = fields.len().saturating_sub(count);
        fields.truncate(count);
        if self.value_length != usize::MAX {
            fields.iter_mut().for_each(|(_, value)| value.truncate(self.value_length));
        }
        dropped.try_into().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_lengths_are_kept() {
        let limits = SpanLimits { attributes: 2, value_length: 2, ..SpanLimits::default() };
        let (mut fields, mut dropped) = (Fields::new(), 0);
        for (name, value) in [("a", "äöü"), ("b", "x"), ("c", "y"), ("a", "long")] {
            limits.set(&mut fields, &mut dropped, name.into(), value.into());
        }
        limits.set(&mut fields, &mut dropped, "b".into(), vec!["abc"].into());
        assert_eq!(fields, [("a".into(), "lo".into()), ("b".into(), vec!["ab"].into())]);
        assert_eq!(dropped, 1);
        let mut text: Value = "äöü".into();
        text.truncate(2);
        assert_eq!(text, "äö".into());
    }
}
