//! Spans as OTLP has them.

use super::attributes::attributes;
use super::packed::{self, Packed};
use super::protobuf::Message;
use super::transport::Encode;
use crate::traces::{Link, SpanData, SpanEvent, SpanKind, Status};

/// Encodes spans.
pub(super) struct Spans;

/// Bits of `Span.flags` and `Link.flags` beside those of W3C.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

impl Encode for Spans {
    type Item = Packed;
    const SERVICE: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";

    fn encode(&mut self, resource: &[u8], batch: Vec<Packed>, out: &mut Message) {
        packed::request(resource, &batch, out);
    }
}

/// The content of a `Span`.
pub(super) fn write(out: &mut Message, span: &SpanData) {
    out.bytes(1, &span.context.trace_id.0);
    out.bytes(2, &span.context.span_id.0);
    out.text(3, span.context.state.as_str());
    if let Some(parent) = &span.parent {
        out.bytes(4, &parent.0);
    }
    out.text(5, &span.name);
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    out.varint(6, kind);
    out.fixed64(7, span.start);
    out.fixed64(8, span.end);
    attributes(out, 9, &span.attributes);
    out.optional_varint(10, span.dropped_attributes.into());
    span.events.iter().for_each(|event| out.message(11, |out| write_event(out, event)));
    out.optional_varint(12, span.dropped_events.into());
    span.links.iter().for_each(|link| out.message(13, |out| write_link(out, link)));
    out.optional_varint(14, span.dropped_links.into());
    match &span.status {
        Status::Unset => {}
        Status::Ok => out.message(15, |out| out.varint(3, 1)),
        Status::Error(message) => out.message(15, |out| {
            out.text(2, message);
            out.varint(3, 2);
        }),
    }
    let remote = if span.parent_is_remote { IS_REMOTE } else { 0 };
    out.fixed32(16, u32::from(span.context.flags.0) | HAS_IS_REMOTE | remote);
}

fn write_event(out: &mut Message, event: &SpanEvent) {
    out.fixed64(1, event.time);
    out.text(2, &event.name);
    attributes(out, 3, &event.attributes);
    out.optional_varint(4, event.dropped_attributes.into());
}

fn write_link(out: &mut Message, link: &Link) {
    out.bytes(1, &link.context.trace_id.0);
    out.bytes(2, &link.context.span_id.0);
    out.text(3, link.context.state.as_str());
    attributes(out, 4, &link.attributes);
    out.fixed32(6, link.context.flags.0.into());
}
