//! Spans.

use tripod_model::sink::SpanSink;
use tripod_model::{Attribute, Span, SpanEvent, SpanId, SpanKind, SpanLink, Status, StatusCode, TraceId};

use super::attribute::read_attributes;
use super::context::Records;
use super::reader::Reader;
use super::scalar::{SPAN_KIND, STATUS_CODE, read_enumeration, read_id, read_integer};
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

    fn record(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.count.admit()?;
        empty_span(&mut self.span, &mut self.spare);
        read_span(reader, &mut self.span, self.limits, &mut self.spare)?;
        self.sink.span(&self.span);
        Ok(())
    }
}

fn read_span<'a>(
    reader: &mut Reader<'a>,
    span: &mut Span<'a>,
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    reader.object(|reader, key| {
        match key {
            "traceId" | "trace_id" => span.trace_id = TraceId(read_id(reader).field("traceId")?),
            "spanId" | "span_id" => span.span_id = SpanId(read_id(reader).field("spanId")?),
            "parentSpanId" | "parent_span_id" => {
                span.parent_span_id = SpanId(read_id(reader).field("parentSpanId")?);
            }
            "traceState" | "trace_state" => span.trace_state = reader.string().field("traceState")?,
            "flags" => span.flags = read_integer(reader).field("flags")?,
            "name" => span.name = reader.string().field("name")?,
            "kind" => span.kind = SpanKind(read_enumeration(reader, &SPAN_KIND).field("kind")?),
            "startTimeUnixNano" | "start_time_unix_nano" => {
                span.start_time_unix_nano = read_integer(reader).field("startTimeUnixNano")?;
            }
            "endTimeUnixNano" | "end_time_unix_nano" => {
                span.end_time_unix_nano = read_integer(reader).field("endTimeUnixNano")?;
            }
            "attributes" => read_attributes(reader, &mut span.attributes, limits).field("attributes")?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                span.dropped_attributes_count = read_integer(reader).field("droppedAttributesCount")?;
            }
            "events" => {
                spare.empty_events(&mut span.events);
                reader
                    .array(|reader, index| {
                        limits.admit_element(index)?;
                        span.events.push(read_event(reader, limits, spare.take())?);
                        Ok(())
                    })
                    .field("events")?;
            }
            "droppedEventsCount" | "dropped_events_count" => {
                span.dropped_events_count = read_integer(reader).field("droppedEventsCount")?;
            }
            "links" => {
                spare.empty_links(&mut span.links);
                reader
                    .array(|reader, index| {
                        limits.admit_element(index)?;
                        span.links.push(read_link(reader, limits, spare.take())?);
                        Ok(())
                    })
                    .field("links")?;
            }
            "droppedLinksCount" | "dropped_links_count" => {
                span.dropped_links_count = read_integer(reader).field("droppedLinksCount")?;
            }
            "status" => span.status = read_status(reader).field("status")?,
            _ => reader.skip_value()?,
        }
        Ok(())
    })
}

fn read_event<'a>(reader: &mut Reader<'a>, limits: &Limits, attributes: Vec<Attribute<'a>>) -> Result<SpanEvent<'a>> {
    let mut event = SpanEvent { attributes, ..SpanEvent::default() };
    reader.object(|reader, key| {
        match key {
            "timeUnixNano" | "time_unix_nano" => {
                event.time_unix_nano = read_integer(reader).field("timeUnixNano")?;
            }
            "name" => event.name = reader.string().field("name")?,
            "attributes" => read_attributes(reader, &mut event.attributes, limits).field("attributes")?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                event.dropped_attributes_count = read_integer(reader).field("droppedAttributesCount")?;
            }
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    Ok(event)
}

fn read_link<'a>(reader: &mut Reader<'a>, limits: &Limits, attributes: Vec<Attribute<'a>>) -> Result<SpanLink<'a>> {
    let mut link = SpanLink { attributes, ..SpanLink::default() };
    reader.object(|reader, key| {
        match key {
            "traceId" | "trace_id" => link.trace_id = TraceId(read_id(reader).field("traceId")?),
            "spanId" | "span_id" => link.span_id = SpanId(read_id(reader).field("spanId")?),
            "traceState" | "trace_state" => link.trace_state = reader.string().field("traceState")?,
            "attributes" => read_attributes(reader, &mut link.attributes, limits).field("attributes")?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                link.dropped_attributes_count = read_integer(reader).field("droppedAttributesCount")?;
            }
            "flags" => link.flags = read_integer(reader).field("flags")?,
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    Ok(link)
}

fn read_status<'a>(reader: &mut Reader<'a>) -> Result<Status<'a>> {
    let mut status = Status::default();
    reader.object(|reader, key| {
        match key {
            "message" => status.message = reader.string().field("message")?,
            "code" => status.code = StatusCode(read_enumeration(reader, &STATUS_CODE).field("code")?),
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    Ok(status)
}
