//! Log records.

use std::borrow::Cow;

use tripod_model::sink::LogSink;
use tripod_model::{LogRecord, SeverityNumber, SpanId, TraceId};
use tripod_protobuf::Message;

use super::attribute::{merge_value, push_attribute};
use super::context::Records;
use crate::Limits;
use crate::error::{Enclose, Result};
use crate::limits::RecordCount;
use crate::scratch::empty_log;
use crate::signal::{LOGS, Signal};

pub(super) struct LogRecords<'a, 's, S> {
    limits: &'s Limits,
    sink: &'s mut S,
    count: RecordCount,
    record: LogRecord<'a>,
}

impl<'s, S> LogRecords<'_, 's, S> {
    pub(super) fn new(limits: &'s Limits, sink: &'s mut S) -> Self {
        Self { limits, sink, count: RecordCount::new(limits), record: LogRecord::default() }
    }
}

impl<'a, S: LogSink> Records<'a> for LogRecords<'a, '_, S> {
    const SIGNAL: Signal = LOGS;
    type Sink = S;

    fn sink(&mut self) -> &mut S {
        self.sink
    }

    fn record(&mut self, message: &'a [u8]) -> Result<()> {
        self.count.admit()?;
        empty_log(&mut self.record);
        read_log(&mut self.record, message, self.limits)?;
        self.sink.log(&self.record);
        Ok(())
    }
}

fn read_log<'a>(record: &mut LogRecord<'a>, message: &'a [u8], limits: &Limits) -> Result<()> {
    let mut wire = Message::new(message);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => record.time_unix_nano = raw.fixed64().field("timeUnixNano")?,
            2 => record.severity_number = SeverityNumber(raw.int32().field("severityNumber")?),
            3 => record.severity_text = Cow::Borrowed(raw.text().field("severityText")?),
            5 => merge_value(&mut record.body, raw, limits, 1).field("body")?,
            6 => push_attribute(&mut record.attributes, raw, limits).field("attributes")?,
            7 => record.dropped_attributes_count = raw.uint32().field("droppedAttributesCount")?,
            8 => record.flags = raw.fixed32().field("flags")?,
            9 => record.trace_id = TraceId(raw.id().field("traceId")?),
            10 => record.span_id = SpanId(raw.id().field("spanId")?),
            11 => record.observed_time_unix_nano = raw.fixed64().field("observedTimeUnixNano")?,
            12 => record.event_name = Cow::Borrowed(raw.text().field("eventName")?),
            _ => {}
        }
    }
    Ok(())
}
