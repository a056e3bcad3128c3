use std::borrow::Cow;

use crate::{Attribute, SpanId, TraceId, Value};

/// One log record or event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogRecord<'a> {
    /// When it happened, nanoseconds since the Unix epoch; 0 when unknown.
    pub time_unix_nano: u64,
    /// When it was collected, nanoseconds since the Unix epoch; 0 when unknown.
    pub observed_time_unix_nano: u64,
    /// Severity from 1 (trace) to 24 (fatal4); 0 when unspecified.
    pub severity_number: SeverityNumber,
    /// Severity as the source wrote it; empty when absent.
    pub severity_text: Cow<'a, str>,
    /// The message: text or structure.
    pub body: Value<'a>,
    /// Attributes.
    pub attributes: Vec<Attribute<'a>>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
    /// The trace that the record belongs to; zero when none.
    pub trace_id: TraceId,
    /// The span that the record belongs to; zero when none.
    pub span_id: SpanId,
    /// The event's name; empty for a plain log record.
    pub event_name: Cow<'a, str>,
}

/// An open enumeration, as in protobuf: 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn, 17–20 error, 21–24 fatal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeverityNumber(pub i32);
