//! Spans: what they are, which are kept, and their limits.

use crate::context::{SpanContext, SpanId};
use crate::field::{Fields, Name};

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SpanKind {
    /// Work inside the service.
    #[default]
    Internal,
    /// Handles a request.
    Server,
    /// Makes a request.
    Client,
    /// Puts a message into a queue.
    Producer,
    /// Takes a message out of a queue.
    Consumer,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Status {
    /// Nobody said.
    #[default]
    Unset,
    /// The application said that all is well.
    Ok,
    /// It failed, with a description.
    Error(Name),
}

/// A finished span, built once and handed to every sink.
#[derive(Clone, Debug)]
pub struct SpanData {
    /// Its ids.
    pub context: SpanContext,
    /// Its parent, if it has one.
    pub parent: Option<SpanId>,
    /// Whether the parent is in another process.
    pub parent_is_remote: bool,
    /// Its name.
    pub name: Name,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// The target of the `tracing` span: its instrumentation scope.
    pub scope: Name,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
    /// Its attributes.
    pub attributes: Fields,
    /// Attributes over the limit.
    pub dropped_attributes: u32,
    /// What happened during the span.
    pub events: Vec<SpanEvent>,
    /// Events over the limit.
    pub dropped_events: u32,
    /// Spans of other traces that it belongs to.
    pub links: Vec<Link>,
    /// Links over the limit.
    pub dropped_links: u32,
    /// How it ended.
    pub status: Status,
}

/// Something that happened during a span.
#[derive(Clone, Debug)]
pub struct SpanEvent {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// What happened.
    pub name: Name,
    /// Its attributes.
    pub attributes: Fields,
    /// Attributes over the limit.
    pub dropped_attributes: u32,
}

/// A span that another span belongs to.
#[derive(Clone, Debug)]
pub struct Link {
    /// The other span.
    pub context: SpanContext,
    /// Attributes of the link.
    pub attributes: Fields,
}
