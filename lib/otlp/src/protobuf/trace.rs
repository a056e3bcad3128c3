//! Spans.

use std::borrow::Cow;

use tripod_model::sink::SpanSink;
use tripod_model::{Attribute, Span, SpanEvent, SpanId, SpanKind, SpanLink, Status, StatusCode, TraceId};
use tripod_protobuf::{Field, Message};

use super::attribute::push_attribute;
use super::context::Records;
use crate::Limits;
use crate::error::{Enclose, Result};
use crate::limits::RecordCount;
use crate::scratch::{SpareLists, empty_span};
use crate::signal::{Signal, TRACES};

pub(super) struct Spans<'a, 's, S> {
    limits: &'s Limits,
    sink: &'s mut S,
    count: RecordCount,
    span: Span<'a>,
    spare: SpareLists<'a>,
}

impl<'s, S> Spans<'_, 's, S> {
    pub(super) fn new(limits: &'s Limits, sink: &'s mut S) -> Self {
        let count = RecordCount::new(limits);
        Self { limits, sink, count, span: Span::default(), spare: SpareLists::default() }
    }
}

impl<'a, S: SpanSink> Records<'a> for Spans<'a, '_, S> {
    const SIGNAL: Signal = TRACES;
    type Sink = S;

    fn sink(&mut self) -> &mut S {
        self.sink
    }

    fn record(&mut self, message: &'a [u8]) -> Result<()> {
        self.count.admit()?;
        empty_span(&mut self.span, &mut self.spare);
        read_span(&mut self.span, message, self.limits, &mut self.spare)?;
        self.sink.span(&self.span);
        Ok(())
    }
}

fn read_span<'a>(span: &mut Span<'a>, message: &'a [u8], limits: &Limits, spare: &mut SpareLists<'a>) -> Result<()> {
    let mut wire = Message::new(message);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => span.trace_id = TraceId(raw.id().field("traceId")?),
            2 => span.span_id = SpanId(raw.id().field("spanId")?),
            3 => span.trace_state = Cow::Borrowed(raw.text().field("traceState")?),
            4 => span.parent_span_id = SpanId(raw.id().field("parentSpanId")?),
            5 => span.name = Cow::Borrowed(raw.text().field("name")?),
            6 => span.kind = SpanKind(raw.int32().field("kind")?),
            7 => span.start_time_unix_nano = raw.fixed64().field("startTimeUnixNano")?,
            8 => span.end_time_unix_nano = raw.fixed64().field("endTimeUnixNano")?,
            9 => push_attribute(&mut span.attributes, raw, limits).field("attributes")?,
            10 => span.dropped_attributes_count = raw.uint32().field("droppedAttributesCount")?,
            11 => {
                let index = span.events.len();
                let event = limits.admit_element(index).and_then(|()| read_event(raw, limits, spare.take()));
                span.events.push(event.index(index).field("events")?);
            }
            12 => span.dropped_events_count = raw.uint32().field("droppedEventsCount")?,
            13 => {
                let index = span.links.len();
                let link = limits.admit_element(index).and_then(|()| read_link(raw, limits, spare.take()));
                span.links.push(link.index(index).field("links")?);
            }
            14 => span.dropped_links_count = raw.uint32().field("droppedLinksCount")?,
            15 => merge_status(&mut span.status, raw).field("status")?,
            16 => span.flags = raw.fixed32().field("flags")?,
            _ => {}
        }
    }
    Ok(())
}

fn read_event<'a>(raw: Field<'a>, limits: &Limits, attributes: Vec<Attribute<'a>>) -> Result<SpanEvent<'a>> {
    let mut event = SpanEvent { attributes, ..SpanEvent::default() };
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => event.time_unix_nano = raw.fixed64().field("timeUnixNano")?,
            2 => event.name = Cow::Borrowed(raw.text().field("name")?),
            3 => push_attribute(&mut event.attributes, raw, limits).field("attributes")?,
            4 => event.dropped_attributes_count = raw.uint32().field("droppedAttributesCount")?,
            _ => {}
        }
    }
    Ok(event)
}

fn read_link<'a>(raw: Field<'a>, limits: &Limits, attributes: Vec<Attribute<'a>>) -> Result<SpanLink<'a>> {
    let mut link = SpanLink { attributes, ..SpanLink::default() };
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => link.trace_id = TraceId(raw.id().field("traceId")?),
            2 => link.span_id = SpanId(raw.id().field("spanId")?),
            3 => link.trace_state = Cow::Borrowed(raw.text().field("traceState")?),
            4 => push_attribute(&mut link.attributes, raw, limits).field("attributes")?,
            5 => link.dropped_attributes_count = raw.uint32().field("droppedAttributesCount")?,
            6 => link.flags = raw.fixed32().field("flags")?,
            _ => {}
        }
    }
    Ok(link)
}

fn merge_status<'a>(status: &mut Status<'a>, raw: Field<'a>) -> Result<()> {
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            2 => status.message = Cow::Borrowed(raw.text().field("message")?),
            3 => status.code = StatusCode(raw.int32().field("code")?),
            _ => {}
        }
    }
    Ok(())
}
