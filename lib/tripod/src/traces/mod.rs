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

use crate::context::{Context, SpanContext, SpanId};
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
    /// The ids and bound fields of the task that began it, with what was bound while it was the current span. Sinks
    /// export them as attributes; see [`SpanData::all_attributes`].
    pub bound: Context,
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
    /// The value of an attribute: the span's own, or else the context's.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let own = self.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value);
        own.or_else(|| self.bound.get(name))
    }

    /// What is exported: the span's own attributes, then the context's fields that it does not set itself.
    pub fn all_attributes(&self) -> impl Iterator<Item = &(Name, Value)> {
        self.attributes.iter().chain(self.bound_fields())
    }

    /// The context's fields that the span does not set itself.
    fn bound_fields(&self) -> impl Iterator<Item = &(Name, Value)> {
        self.bound.fields().iter().filter(|(name, _)| !self.attributes.iter().any(|(own, _)| own == name))
    }

    /// Makes the context's fields attributes of its own, as many and as long as the limits allow: where no limit is near,
    /// they stay where they are and are never copied.
    pub(crate) fn limit_bound(&mut self, limits: &SpanLimits) {
        let near = self.attributes.len() + self.bound.fields().len() > limits.attributes;
        if near || limits.value_length != usize::MAX {
            let bound = std::mem::take(&mut self.bound);
            for (name, value) in bound.fields() {
                if !self.attributes.iter().any(|(own, _)| own == name) {
                    limits.set(&mut self.attributes, &mut self.dropped_attributes, name.clone(), value.clone());
                }
            }
        }
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
        let own = size_of::<Self>() + self.name.len() + fields_size(&self.attributes);
        own + fields_size(self.bound.fields()) + events + links
    }
}

fn fields_size(fields: &[(Name, Value)]) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.size()).sum()
}
