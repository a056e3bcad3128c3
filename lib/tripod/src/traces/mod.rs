//! Spans: what they are, which are kept, and their limits.

mod limits;
mod pipeline;
pub(crate) mod pool;
pub mod sampler;
mod tail;

pub use limits::SpanLimits;
pub use pipeline::{SpanPipeline, SpanSink};
pub use tail::Keep;
pub(crate) use tail::Tail;

use crate::context::{SpanContext, SpanId};
use crate::field::{Fields, Name, Value};

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

impl SpanData {
    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value)
    }

    /// How long it took.
    pub fn duration(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.end.saturating_sub(self.start))
    }

    /// Whether it failed.
    pub fn is_error(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }

    /// Memory that it takes, in bytes, about. Queues that are bounded in bytes count with it.
    pub fn size(&self) -> usize {
        let events: usize =
            self.events.iter().map(|event| size_of::<SpanEvent>() + fields_size(&event.attributes)).sum();
        let links: usize = self.links.iter().map(|link| size_of::<Link>() + fields_size(&link.attributes)).sum();
        size_of::<Self>() + self.name.len() + fields_size(&self.attributes) + events + links
    }
}

fn fields_size(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.size()).sum()
}
