//! Log records.

use tripod_model::sink::LogSink;
use tripod_model::{LogRecord, SeverityNumber, SpanId, TraceId};

use super::attribute::{read_attributes, read_value};
use super::context::Records;
use super::reader::Reader;
use super::scalar::{SEVERITY_NUMBER, read_enumeration, read_id, read_integer};
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

    fn record(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.count.admit()?;
        empty_log(&mut self.record);
        read_log(reader, &mut self.record, self.limits)?;
        self.sink.log(&self.record);
        Ok(())
    }
}

fn read_log<'a>(reader: &mut Reader<'a>, record: &mut LogRecord<'a>, limits: &Limits) -> Result<()> {
    reader.object(|reader, key| {
        match key {
            "timeUnixNano" | "time_unix_nano" => {
                record.time_unix_nano = read_integer(reader).field("timeUnixNano")?;
            }
            "observedTimeUnixNano" | "observed_time_unix_nano" => {
                record.observed_time_unix_nano = read_integer(reader).field("observedTimeUnixNano")?;
            }
            "severityNumber" | "severity_number" => {
                let number = read_enumeration(reader, &SEVERITY_NUMBER).field("severityNumber")?;
                record.severity_number = SeverityNumber(number);
            }
            "severityText" | "severity_text" => record.severity_text = reader.string().field("severityText")?,
            "body" => record.body = read_value(reader, limits, 1).field("body")?,
            "attributes" => read_attributes(reader, &mut record.attributes, limits).field("attributes")?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                record.dropped_attributes_count = read_integer(reader).field("droppedAttributesCount")?;
            }
            "flags" => record.flags = read_integer(reader).field("flags")?,
            "traceId" | "trace_id" => record.trace_id = TraceId(read_id(reader).field("traceId")?),
            "spanId" | "span_id" => record.span_id = SpanId(read_id(reader).field("spanId")?),
            "eventName" | "event_name" => record.event_name = reader.string().field("eventName")?,
            _ => reader.skip_value()?,
        }
        Ok(())
    })
}
