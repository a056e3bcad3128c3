use std::borrow::Cow;

use crate::{Attribute, SpanId, TraceId};

/// One operation in a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span<'a> {
    /// The trace that the span belongs to; never zero in a checked span.
    pub trace_id: TraceId,
    /// The span's own id; never zero in a checked span.
    pub span_id: SpanId,
    /// The parent's id; zero for a root span.
    pub parent_span_id: SpanId,
    /// W3C trace state as sent; empty when absent.
    pub trace_state: Cow<'a, str>,
    /// W3C trace flags in the low 8 bits, `is_remote` bits above.
    pub flags: u32,
    /// The operation's name.
    pub name: Cow<'a, str>,
    /// The span's role.
    pub kind: SpanKind,
    /// Start, nanoseconds since the Unix epoch.
    pub start_time_unix_nano: u64,
    /// End, nanoseconds since the Unix epoch; may lie before the start when clocks are off.
    pub end_time_unix_nano: u64,
    /// Attributes.
    pub attributes: Vec<Attribute<'a>>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// Timed events.
    pub events: Vec<SpanEvent<'a>>,
    /// How many events the sender dropped.
    pub dropped_events_count: u32,
    /// Links to other spans.
    pub links: Vec<SpanLink<'a>>,
    /// How many links the sender dropped.
    pub dropped_links_count: u32,
    /// Outcome.
    pub status: Status<'a>,
}

/// Something that happened at a moment of a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanEvent<'a> {
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The event's name, for example `exception`.
    pub name: Cow<'a, str>,
    /// Attributes.
    pub attributes: Vec<Attribute<'a>>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A pointer from a span to another span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanLink<'a> {
    /// The other span's trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// The other span's trace state.
    pub trace_state: Cow<'a, str>,
    /// Attributes.
    pub attributes: Vec<Attribute<'a>>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags of the other span.
    pub flags: u32,
}

/// A span's outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status<'a> {
    /// Unset, ok or error.
    pub code: StatusCode,
    /// What went wrong; empty unless the code is error.
    pub message: Cow<'a, str>,
}

/// An open enumeration, as in protobuf: the numbers of later protocol versions are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanKind(pub i32);

/// An open enumeration, as in protobuf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCode(pub i32);

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const CODES: [&str; 3] = ["unset", "ok", "error"];

impl SpanKind {
    /// `SPAN_KIND_SERVER`.
    pub const SERVER: Self = Self(2);
    /// `SPAN_KIND_CLIENT`.
    pub const CLIENT: Self = Self(3);

    /// The lower-case name of the specification; the number itself when it has no name yet.
    pub fn name(self) -> Cow<'static, str> {
        name(self.0, &KINDS)
    }

    /// The inverse of [`SpanKind::name`].
    pub fn from_name(text: &str) -> Option<Self> {
        number(text, &KINDS).map(Self)
    }
}

impl StatusCode {
    /// `STATUS_CODE_ERROR`.
    pub const ERROR: Self = Self(2);

    /// The lower-case name of the specification; the number itself when it has no name yet.
    pub fn name(self) -> Cow<'static, str> {
        name(self.0, &CODES)
    }

    /// The inverse of [`StatusCode::name`].
    pub fn from_name(text: &str) -> Option<Self> {
        number(text, &CODES).map(Self)
    }
}

pub(crate) fn name(number: i32, names: &[&'static str]) -> Cow<'static, str> {
    match usize::try_from(number).ok().and_then(|index| names.get(index)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(number.to_string()),
    }
}

pub(crate) fn number(text: &str, names: &[&'static str]) -> Option<i32> {
    match names.iter().position(|name| *name == text) {
        Some(index) => Some(index as i32),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_numbers_keep_their_meaning() {
        for number in [-1, 0, 1, 2, 3, 4, 5, 6, 99] {
            assert_eq!(SpanKind::from_name(&SpanKind(number).name()), Some(SpanKind(number)));
            assert_eq!(StatusCode::from_name(&StatusCode(number).name()), Some(StatusCode(number)));
        }
        assert_eq!(SpanKind::SERVER.name(), "server");
        assert_eq!(SpanKind::from_name("sideways"), None);
    }
}
