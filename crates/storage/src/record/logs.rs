use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType};
use tripod_model::sink::{LogSink, Sink};
use tripod_model::{Attribute, LogRecord, Resource, Scope, SeverityNumber, Value};

use super::context::ContextColumns;
use super::promoted::{PromotedColumns, PromotedIndex, set_attributes};
use super::read::{Columns, Context, optional};
use super::{Batch, Recorded, Rejections, nanos};
use crate::attribute_json::{read_value, write_value};
use crate::column::{NumberColumn, StoredText, TextColumn};
use crate::schema::Kind;
use crate::{SelectError, Signal};

type Ints = NumberColumn<Int64Type>;
type Times = NumberColumn<TimestampNanosecondType>;

static PROMOTED: LazyLock<PromotedIndex> = LazyLock::new(|| PromotedIndex::new(Signal::Logs.own_columns()));

/// Attributes whose columns are filled from the record's event name and its scope's name when they are not sent.
const EVENT: &str = "event";
const LOGGER: &str = "logger";

/// Log records on their way into the table.
#[derive(Debug)]
pub struct LogRows {
    arrival: i64,
    rows: usize,
    rejections: Rejections,
    context: ContextColumns,
    time: Times,
    time_unix_nano: Ints,
    observed_time: Times,
    severity_number: Ints,
    severity_text: TextColumn,
    body: TextColumn,
    body_type: TextColumn,
    event_name: TextColumn,
    trace_id: TextColumn,
    span_id: TextColumn,
    promoted: PromotedColumns,
    /// The name of the scope that holds now, and the same in the column `logger`.
    scope_name: String,
    scope_logger: Option<StoredText>,
    attributes: TextColumn,
    dropped_attributes: Ints,
    flags: Ints,
}

impl LogRows {
    /// An empty batch; records without any time of their own get `arrival_unix_nano`.
    pub fn new(arrival_unix_nano: i64) -> Self {
        Self {
            arrival: arrival_unix_nano,
            rows: 0,
            rejections: Rejections::default(),
            context: ContextColumns::new(),
            time: Times::new(),
            time_unix_nano: Ints::new(),
            observed_time: Times::new(),
            severity_number: Ints::new(),
            severity_text: TextColumn::new(),
            body: TextColumn::new(),
            body_type: TextColumn::new(),
            event_name: TextColumn::new(),
            trace_id: TextColumn::new(),
            span_id: TextColumn::new(),
            promoted: PromotedColumns::new(&PROMOTED),
            scope_name: String::new(),
            scope_logger: None,
            attributes: TextColumn::new(),
            dropped_attributes: Ints::new(),
            flags: Ints::new(),
        }
    }

    /// How many records are kept so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no record is kept.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows, and what was rejected.
    pub fn finish(self) -> (Batch, Rejections) {
        let rows = self.rows;
        let time = Kind::Time.data_type();
        let mut arrays = vec![
            self.time.finish(rows, &time),
            self.time_unix_nano.finish(rows, &DataType::Int64),
            self.observed_time.finish(rows, &time),
            self.severity_number.finish(rows, &DataType::Int64),
            self.severity_text.finish(rows),
            self.body.finish(rows),
            self.body_type.finish(rows),
            self.event_name.finish(rows),
            self.trace_id.finish(rows),
            self.span_id.finish(rows),
        ];
        arrays.extend(self.promoted.finish(rows));
        arrays.extend([
            self.attributes.finish(rows),
            self.dropped_attributes.finish(rows, &DataType::Int64),
            self.flags.finish(rows, &DataType::Int64),
        ]);
        arrays.extend(self.context.finish(rows));
        (super::batch(Signal::Logs, arrays), self.rejections)
    }
}

impl Sink for LogRows {
    fn resource(&mut self, resource: &Resource<'_>) {
        self.context.resource(self.rows, resource);
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.context.scope(self.rows, scope);
        self.scope_name.clear();
        self.scope_name.push_str(&scope.name);
        let stored = (!scope.name.is_empty()).then(|| self.promoted.store(LOGGER, &scope.name));
        self.scope_logger = stored.flatten();
    }
}

impl LogSink for LogRows {
    fn log(&mut self, record: &LogRecord<'_>) {
        let times = nanos("timeUnixNano", record.time_unix_nano)
            .and_then(|time| Ok((time, nanos("observedTimeUnixNano", record.observed_time_unix_nano)?)));
        let (sent, observed) = match times {
            Ok(times) => times,
            Err(reason) => return self.rejections.add(|| reason),
        };
        let row = self.rows;
        self.rows += 1;
        let time = [sent, observed].into_iter().find(|time| *time != 0).unwrap_or(self.arrival);
        self.time.set(row, time);
        if sent != time {
            self.time_unix_nano.set(row, sent);
        }
        self.observed_time.set(row, observed);
        self.severity_number.set(row, i64::from(record.severity_number.0));
        self.severity_text.set_unless_empty(row, &record.severity_text);
        let body_type = match &record.body {
            Value::Empty => "empty",
            Value::Str(text) => {
                self.body.set(row, text);
                "string"
            }
            value => {
                self.body.set_with(row, |out| write_value(value, out));
                "json"
            }
        };
        self.body_type.set(row, body_type);
        self.event_name.set_unless_empty(row, &record.event_name);
        if !record.trace_id.is_zero() {
            self.trace_id.set_with(row, |out| out.extend_from_slice(&record.trace_id.hex()));
        }
        if !record.span_id.is_zero() {
            self.span_id.set_with(row, |out| out.extend_from_slice(&record.span_id.hex()));
        }
        let (mut has_event, mut has_logger) = (false, false);
        let (event_name, scope_name) = (&*record.event_name, &*self.scope_name);
        // The name that the record has anyway is no attribute's: one that says the same stays among the others, so that
        // what was sent can be told from what was implied.
        let stays = |attribute: &Attribute<'_>| {
            let (has, implied) = match &*attribute.key {
                EVENT => (&mut has_event, event_name),
                LOGGER => (&mut has_logger, scope_name),
                _ => return false,
            };
            let same = !implied.is_empty() && matches!(&attribute.value, Value::Str(text) if text == implied);
            *has |= !same;
            same
        };
        set_attributes(row, &record.attributes, stays, &mut self.promoted, &mut self.attributes);
        if !has_event
            && !event_name.is_empty()
            && let Some(event) = self.promoted.store(EVENT, event_name)
        {
            self.promoted.imply(row, EVENT, event);
        }
        if let Some(logger) = self.scope_logger.filter(|_| !has_logger) {
            self.promoted.imply(row, LOGGER, logger);
        }
        self.dropped_attributes.set(row, i64::from(record.dropped_attributes_count));
        self.flags.set(row, i64::from(record.flags));
    }
}

/// Reads log records back from rows with every column of the table.
///
/// # Errors
/// [`SelectError`] when a column is missing or holds what no log record has.
pub fn read_logs(rows: &RecordBatch) -> Result<Vec<Recorded<'_, LogRecord<'_>>>, SelectError> {
    let columns = Columns::new(Signal::Logs, rows);
    let context = Context::new(&columns)?;
    let promoted = columns.promoted(Signal::Logs.own_columns())?;
    let time = columns.times("time")?;
    let time_unix_nano = columns.ints("time_unix_nano")?;
    let observed_time = columns.times("observed_time")?;
    let severity_number = columns.ints("severity_number")?;
    let severity_text = columns.text("severity_text")?;
    let body = columns.text("body")?;
    let body_type = columns.text("body_type")?;
    let event_name = columns.text("event_name")?;
    let trace_id = columns.text("trace_id")?;
    let span_id = columns.text("span_id")?;
    let scope_name = columns.text("scope_name")?;
    let attributes = columns.text("attributes")?;
    let dropped_attributes = columns.ints("dropped_attributes_count")?;
    let flags = columns.ints("flags")?;
    (0..rows.num_rows())
        .map(|row| {
            let record = LogRecord {
                time_unix_nano: optional(time_unix_nano, row).unwrap_or_else(|| time.value(row)) as u64,
                observed_time_unix_nano: observed_time.value(row) as u64,
                severity_number: SeverityNumber(severity_number.value(row) as i32),
                severity_text: severity_text.text(row).into(),
                body: match body_type.text(row) {
                    "empty" => Value::Empty,
                    "string" => body.text(row).into(),
                    _ => read_value(body.text(row)).map_err(|_| body.unreadable(body.text(row)))?,
                },
                attributes: promoted.attributes(row, &attributes, |key, text| match key {
                    // An empty name implies nothing.
                    EVENT => !text.is_empty() && text == event_name.text(row),
                    LOGGER => !text.is_empty() && text == scope_name.text(row),
                    _ => false,
                })?,
                dropped_attributes_count: dropped_attributes.value(row) as u32,
                flags: flags.value(row) as u32,
                trace_id: trace_id.id(row)?,
                span_id: span_id.id(row)?,
                event_name: event_name.text(row).into(),
            };
            context.recorded(row, record)
        })
        .collect()
}
