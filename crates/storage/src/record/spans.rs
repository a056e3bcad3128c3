use std::sync::LazyLock;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType};
use tripod_model::sink::{Sink, SpanSink};
use tripod_model::{Resource, Scope, Span, SpanEvent, SpanKind, SpanLink, Status, StatusCode};

use super::context::ContextColumns;
use super::promoted::{PromotedColumns, PromotedIndex, set_attributes, set_json};
use super::read::{Columns, Context};
use super::{Batch, Recorded, Rejections, nanos, struct_array};
use crate::column::{ListOffsets, NumberColumn, TextColumn};
use crate::{SelectError, Signal};

type Ints = NumberColumn<Int64Type>;
type Times = NumberColumn<TimestampNanosecondType>;

static PROMOTED: LazyLock<PromotedIndex> = LazyLock::new(|| PromotedIndex::new(Signal::Spans.own_columns()));

/// Spans on their way into the table.
#[derive(Debug)]
pub struct SpanRows {
    rows: usize,
    rejections: Rejections,
    context: ContextColumns,
    start_time: Times,
    duration: Ints,
    trace_id: TextColumn,
    span_id: TextColumn,
    parent_span_id: TextColumn,
    name: TextColumn,
    kind: TextColumn,
    status_code: TextColumn,
    status_message: TextColumn,
    promoted: PromotedColumns,
    attributes: TextColumn,
    dropped_attributes: Ints,
    events: Events,
    dropped_events: Ints,
    links: Links,
    dropped_links: Ints,
    trace_state: TextColumn,
    flags: Ints,
}

#[derive(Debug)]
struct Events {
    count: usize,
    offsets: ListOffsets,
    time: Times,
    name: TextColumn,
    attributes: TextColumn,
    dropped_attributes: Ints,
}

#[derive(Debug)]
struct Links {
    count: usize,
    offsets: ListOffsets,
    trace_id: TextColumn,
    span_id: TextColumn,
    trace_state: TextColumn,
    attributes: TextColumn,
    dropped_attributes: Ints,
    flags: Ints,
}

impl SpanRows {
    /// An empty batch. A span carries its own times; `_arrival_unix_nano` is what the other signals need.
    pub fn new(_arrival_unix_nano: i64) -> Self {
        Self {
            rows: 0,
            rejections: Rejections::default(),
            context: ContextColumns::new(),
            start_time: Times::new(),
            duration: Ints::new(),
            trace_id: TextColumn::new(),
            span_id: TextColumn::new(),
            parent_span_id: TextColumn::new(),
            name: TextColumn::new(),
            kind: TextColumn::new(),
            status_code: TextColumn::new(),
            status_message: TextColumn::new(),
            promoted: PromotedColumns::new(&PROMOTED),
            attributes: TextColumn::new(),
            dropped_attributes: Ints::new(),
            events: Events {
                count: 0,
                offsets: ListOffsets::new(),
                time: Times::new(),
                name: TextColumn::new(),
                attributes: TextColumn::new(),
                dropped_attributes: Ints::new(),
            },
            dropped_events: Ints::new(),
            links: Links {
                count: 0,
                offsets: ListOffsets::new(),
                trace_id: TextColumn::new(),
                span_id: TextColumn::new(),
                trace_state: TextColumn::new(),
                attributes: TextColumn::new(),
                dropped_attributes: Ints::new(),
                flags: Ints::new(),
            },
            dropped_links: Ints::new(),
            trace_state: TextColumn::new(),
            flags: Ints::new(),
        }
    }

    /// How many spans are kept so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no span is kept.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows, and what was rejected.
    pub fn finish(self) -> (Batch, Rejections) {
        let rows = self.rows;
        let mut arrays = vec![
            self.start_time.finish(rows, &time_type()),
            self.duration.finish(rows, &DataType::Int64),
            self.trace_id.finish(rows),
            self.span_id.finish(rows),
            self.parent_span_id.finish(rows),
            self.name.finish(rows),
            self.kind.finish(rows),
            self.status_code.finish(rows),
            self.status_message.finish(rows),
        ];
        arrays.extend(self.promoted.finish(rows));
        arrays.extend([
            self.attributes.finish(rows),
            self.dropped_attributes.finish(rows, &DataType::Int64),
            self.events.finish(rows),
            self.dropped_events.finish(rows, &DataType::Int64),
            self.links.finish(rows),
            self.dropped_links.finish(rows, &DataType::Int64),
            self.trace_state.finish(rows),
            self.flags.finish(rows, &DataType::Int64),
        ]);
        arrays.extend(self.context.finish(rows));
        (super::batch(Signal::Spans, arrays), self.rejections)
    }

    fn check(span: &Span<'_>) -> Result<(i64, i64), String> {
        if span.trace_id.is_zero() {
            return Err(format!("span \"{}\" has no trace id", span.name));
        }
        if span.span_id.is_zero() {
            return Err(format!("span \"{}\" of trace {} has no span id", span.name, span.trace_id));
        }
        let start = nanos("startTimeUnixNano", span.start_time_unix_nano)?;
        let end = nanos("endTimeUnixNano", span.end_time_unix_nano)?;
        for event in &span.events {
            nanos("events.timeUnixNano", event.time_unix_nano)?;
        }
        // Both are not negative, so the difference fits.
        Ok((start, end - start))
    }
}

fn time_type() -> DataType {
    crate::schema::Kind::Time.data_type()
}

impl Sink for SpanRows {
    fn resource(&mut self, resource: &Resource<'_>) {
        self.context.resource(self.rows, resource);
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.context.scope(self.rows, scope);
    }
}

impl SpanSink for SpanRows {
    fn span(&mut self, span: &Span<'_>) {
        let (start, duration) = match Self::check(span) {
            Ok(times) => times,
            Err(reason) => return self.rejections.add(|| reason),
        };
        let row = self.rows;
        self.rows += 1;
        self.start_time.set(row, start);
        self.duration.set(row, duration);
        self.trace_id.set_with(row, |out| out.extend_from_slice(&span.trace_id.hex()));
        self.span_id.set_with(row, |out| out.extend_from_slice(&span.span_id.hex()));
        if !span.parent_span_id.is_zero() {
            self.parent_span_id.set_with(row, |out| out.extend_from_slice(&span.parent_span_id.hex()));
        }
        self.name.set(row, &span.name);
        self.kind.set(row, &span.kind.name());
        self.status_code.set(row, &span.status.code.name());
        self.status_message.set_unless_empty(row, &span.status.message);
        set_attributes(row, &span.attributes, |_| false, &mut self.promoted, &mut self.attributes);
        self.dropped_attributes.set(row, i64::from(span.dropped_attributes_count));
        self.events.set(row, &span.events);
        self.dropped_events.set(row, i64::from(span.dropped_events_count));
        self.links.set(row, &span.links);
        self.dropped_links.set(row, i64::from(span.dropped_links_count));
        self.trace_state.set_unless_empty(row, &span.trace_state);
        self.flags.set(row, i64::from(span.flags));
    }
}

impl Events {
    fn set(&mut self, row: usize, events: &[SpanEvent<'_>]) {
        if events.is_empty() {
            return;
        }
        for event in events {
            let element = self.count;
            self.count += 1;
            // `check` has seen that the time fits.
            self.time.set(element, event.time_unix_nano as i64);
            self.name.set(element, &event.name);
            set_json(element, &event.attributes, &mut self.attributes);
            self.dropped_attributes.set(element, i64::from(event.dropped_attributes_count));
        }
        self.offsets.set(row, self.count);
    }

    fn finish(self, rows: usize) -> ArrayRef {
        let data_type = column_type("events");
        if self.count == 0 {
            return new_null_array(&data_type, rows);
        }
        let elements = struct_array(
            &data_type,
            vec![
                self.time.finish(self.count, &time_type()),
                self.name.finish(self.count),
                self.attributes.finish(self.count),
                self.dropped_attributes.finish(self.count, &DataType::Int64),
            ],
        );
        self.offsets.finish(rows, &data_type, elements)
    }
}

impl Links {
    fn set(&mut self, row: usize, links: &[SpanLink<'_>]) {
        if links.is_empty() {
            return;
        }
        for link in links {
            let element = self.count;
            self.count += 1;
            self.trace_id.set_with(element, |out| out.extend_from_slice(&link.trace_id.hex()));
            self.span_id.set_with(element, |out| out.extend_from_slice(&link.span_id.hex()));
            self.trace_state.set_unless_empty(element, &link.trace_state);
            set_json(element, &link.attributes, &mut self.attributes);
            self.dropped_attributes.set(element, i64::from(link.dropped_attributes_count));
            self.flags.set(element, i64::from(link.flags));
        }
        self.offsets.set(row, self.count);
    }

    fn finish(self, rows: usize) -> ArrayRef {
        let data_type = column_type("links");
        if self.count == 0 {
            return new_null_array(&data_type, rows);
        }
        let elements = struct_array(
            &data_type,
            vec![
                self.trace_id.finish(self.count),
                self.span_id.finish(self.count),
                self.trace_state.finish(self.count),
                self.attributes.finish(self.count),
                self.dropped_attributes.finish(self.count, &DataType::Int64),
                self.flags.finish(self.count, &DataType::Int64),
            ],
        );
        self.offsets.finish(rows, &data_type, elements)
    }
}

fn column_type(name: &str) -> DataType {
    super::column_type(Signal::Spans, name)
}

/// Reads spans back from rows with every column of the table.
///
/// # Errors
/// [`SelectError`] when a column is missing or holds what no span has.
pub fn read_spans(rows: &RecordBatch) -> Result<Vec<Recorded<'_, Span<'_>>>, SelectError> {
    let columns = Columns::new(Signal::Spans, rows);
    let context = Context::new(&columns)?;
    let promoted = columns.promoted(Signal::Spans.own_columns())?;
    let start_time = columns.times("start_time")?;
    let duration = columns.ints("duration_ns")?;
    let trace_id = columns.text("trace_id")?;
    let span_id = columns.text("span_id")?;
    let parent_span_id = columns.text("parent_span_id")?;
    let name = columns.text("name")?;
    let kind = columns.text("kind")?;
    let status_code = columns.text("status_code")?;
    let status_message = columns.text("status_message")?;
    let attributes = columns.text("attributes")?;
    let dropped_attributes = columns.ints("dropped_attributes_count")?;
    let dropped_events = columns.ints("dropped_events_count")?;
    let dropped_links = columns.ints("dropped_links_count")?;
    let trace_state = columns.text("trace_state")?;
    let flags = columns.ints("flags")?;

    let events = columns.structs("events")?;
    let event_time = events.times("time")?;
    let event_name = events.text("name")?;
    let event_attributes = events.text("attributes")?;
    let event_dropped = events.ints("dropped_attributes_count")?;

    let links = columns.structs("links")?;
    let link_trace_id = links.text("trace_id")?;
    let link_span_id = links.text("span_id")?;
    let link_trace_state = links.text("trace_state")?;
    let link_attributes = links.text("attributes")?;
    let link_dropped = links.ints("dropped_attributes_count")?;
    let link_flags = links.ints("flags")?;

    (0..rows.num_rows())
        .map(|row| {
            let start = start_time.value(row);
            let span = Span {
                trace_id: trace_id.id(row)?,
                span_id: span_id.id(row)?,
                parent_span_id: parent_span_id.id(row)?,
                trace_state: trace_state.text(row).into(),
                flags: flags.value(row) as u32,
                name: name.text(row).into(),
                kind: kind.named(row, SpanKind::from_name)?,
                start_time_unix_nano: start as u64,
                end_time_unix_nano: (start + duration.value(row)) as u64,
                attributes: promoted.attributes(row, &attributes, |_, _| false)?,
                dropped_attributes_count: dropped_attributes.value(row) as u32,
                events: events
                    .elements(row)
                    .map(|element| {
                        Ok(SpanEvent {
                            time_unix_nano: event_time.value(element) as u64,
                            name: event_name.text(element).into(),
                            attributes: event_attributes.attributes(element)?,
                            dropped_attributes_count: event_dropped.value(element) as u32,
                        })
                    })
                    .collect::<Result<_, SelectError>>()?,
                dropped_events_count: dropped_events.value(row) as u32,
                links: links
                    .elements(row)
                    .map(|element| {
                        Ok(SpanLink {
                            trace_id: link_trace_id.id(element)?,
                            span_id: link_span_id.id(element)?,
                            trace_state: link_trace_state.text(element).into(),
                            attributes: link_attributes.attributes(element)?,
                            dropped_attributes_count: link_dropped.value(element) as u32,
                            flags: link_flags.value(element) as u32,
                        })
                    })
                    .collect::<Result<_, SelectError>>()?,
                dropped_links_count: dropped_links.value(row) as u32,
                status: Status {
                    code: status_code.named(row, StatusCode::from_name)?,
                    message: status_message.text(row).into(),
                },
            };
            context.recorded(row, span)
        })
        .collect()
}
