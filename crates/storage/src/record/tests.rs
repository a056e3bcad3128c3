//! What goes in comes out: every field of every record, through rows and back.

use arrow::array::{Array as _, AsArray as _};
use proptest::prelude::*;
use tripod_model::sink::{LogSink, Sink, SpanSink};
use tripod_model::{
    Attribute, EntityRef, LogRecord, Resource, Scope, SeverityNumber, Span, SpanEvent, SpanId, SpanKind, SpanLink,
    Status, StatusCode, TraceId, Value,
};

use super::*;
use crate::attribute_json::tests::{any_attributes, any_value};
use crate::schema::{Column, Kind, RESOURCE};

/// A time that a table can hold.
fn any_time() -> impl Strategy<Value = u64> {
    0..=i64::MAX as u64
}

/// Attributes among which some are promoted, with the right type and with others, once and twice.
fn attributes(columns: &'static [Column]) -> impl Strategy<Value = Vec<Attribute<'static>>> {
    let keys: Vec<&'static str> = columns.iter().filter_map(|column| column.promoted).chain(["other"]).collect();
    let one = (prop::sample::select(keys), prop_oneof![any_value(), any::<String>().prop_map(Value::from)])
        .prop_map(|(key, value)| Attribute::new(key, value));
    (any_attributes(), prop::collection::vec(one, 0..5)).prop_map(|(mut all, mut promoted)| {
        all.append(&mut promoted);
        all
    })
}

/// Attributes in the order in which they are read back: the promoted by their columns, then the rest.
fn in_order(columns: &[Column], attributes: &[Attribute<'static>]) -> Vec<Attribute<'static>> {
    let mut rest = attributes.to_vec();
    let mut ordered = Vec::new();
    for column in columns {
        let fits = |value: &Value<'_>| match column.kind {
            Kind::Text => matches!(value, Value::Str(_)),
            Kind::Int => matches!(value, Value::Int(_)),
            _ => false,
        };
        let place = rest.iter().position(|found| Some(found.key.as_ref()) == column.promoted && fits(&found.value));
        if let Some(place) = place {
            ordered.push(rest.remove(place));
        }
    }
    ordered.append(&mut rest);
    ordered
}

prop_compose! {
    fn any_resource()(
        attributes in attributes(RESOURCE),
        dropped_attributes_count: u32,
        keys in prop::collection::vec(any::<String>(), 0..3),
        schema_url: String,
    ) -> Resource<'static> {
        let entity = EntityRef {
            schema_url: schema_url.clone().into(),
            kind: "service".into(),
            id_keys: keys.iter().cloned().map(Into::into).collect(),
            description_keys: Vec::new(),
        };
        let entity_refs = if keys.len() > 1 { vec![entity.clone(), entity] } else { vec![] };
        Resource { attributes, dropped_attributes_count, entity_refs, schema_url: schema_url.into() }
    }
}

prop_compose! {
    fn any_scope()(
        name: String,
        version: String,
        attributes in any_attributes(),
        dropped_attributes_count: u32,
        schema_url: String,
    ) -> Scope<'static> {
        Scope {
            name: name.into(),
            version: version.into(),
            attributes,
            dropped_attributes_count,
            schema_url: schema_url.into(),
        }
    }
}

prop_compose! {
    fn any_span()(
        ids: (u128, u64, u64),
        texts: (String, String, String),
        numbers: (u32, i32, i32, u32, u32, u32),
        start in any_time(),
        end in any_time(),
        attributes in attributes(Signal::Spans.own_columns()),
        events in prop::collection::vec((any_time(), any::<String>(), any_attributes(), any::<u32>()), 0..3),
        links in prop::collection::vec((any::<u128>(), any::<u64>(), any::<String>(), any_attributes(), any::<u32>()), 0..3),
    ) -> Span<'static> {
        Span {
            trace_id: TraceId(ids.0.max(1).to_be_bytes()),
            span_id: SpanId(ids.1.max(1).to_be_bytes()),
            parent_span_id: SpanId(ids.2.to_be_bytes()),
            trace_state: texts.0.into(),
            flags: numbers.0,
            name: texts.1.into(),
            kind: SpanKind(numbers.1),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: numbers.3,
            events: events.into_iter().map(|(time, name, attributes, dropped)| SpanEvent {
                time_unix_nano: time,
                name: name.into(),
                attributes,
                dropped_attributes_count: dropped,
            }).collect(),
            dropped_events_count: numbers.4,
            links: links.into_iter().map(|(trace, span, state, attributes, flags)| SpanLink {
                trace_id: TraceId(trace.to_be_bytes()),
                span_id: SpanId(span.to_be_bytes()),
                trace_state: state.into(),
                attributes,
                dropped_attributes_count: flags / 2,
                flags,
            }).collect(),
            dropped_links_count: numbers.5,
            status: Status { code: StatusCode(numbers.2), message: texts.2.into() },
        }
    }
}

prop_compose! {
    fn any_log()(
        times in (any_time(), any_time()),
        severity: i32,
        texts: (String, String),
        body in any_value(),
        attributes in attributes(Signal::Logs.own_columns()),
        numbers: (u32, u32),
        ids: (u128, u64),
    ) -> LogRecord<'static> {
        LogRecord {
            time_unix_nano: times.0,
            observed_time_unix_nano: times.1,
            severity_number: SeverityNumber(severity),
            severity_text: texts.0.into(),
            body,
            attributes,
            dropped_attributes_count: numbers.0,
            flags: numbers.1,
            trace_id: TraceId(ids.0.to_be_bytes()),
            span_id: SpanId(ids.1.to_be_bytes()),
            event_name: texts.1.into(),
        }
    }
}

/// One to three resources, each with a scope and a few records.
fn any_request<R: std::fmt::Debug>(
    record: impl Strategy<Value = R>,
) -> impl Strategy<Value = Vec<(Resource<'static>, Scope<'static>, Vec<R>)>> {
    prop::collection::vec((any_resource(), any_scope(), prop::collection::vec(record, 0..4)), 1..4)
}

fn expected<R>(request: Vec<(Resource<'static>, Scope<'static>, Vec<R>)>) -> Vec<Recorded<'static, R>> {
    let mut rows = Vec::new();
    for (mut resource, scope, records) in request {
        resource.attributes = in_order(RESOURCE, &resource.attributes);
        rows.extend(records.into_iter().map(|record| Recorded {
            resource: resource.clone(),
            scope: scope.clone(),
            record,
        }));
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spans_come_back_as_they_were(request in any_request(any_span())) {
        let mut sink = SpanRows::new(0);
        for (resource, scope, spans) in &request {
            sink.resource(resource);
            sink.scope(scope);
            spans.iter().for_each(|span| sink.span(span));
        }
        let (batch, rejections) = sink.finish();
        prop_assert_eq!(rejections, Rejections::default());
        let mut expected = expected(request);
        for row in &mut expected {
            row.record.attributes = in_order(Signal::Spans.own_columns(), &row.record.attributes);
        }
        prop_assert_eq!(read_spans(&batch.rows).unwrap(), expected);
    }

    #[test]
    fn logs_come_back_as_they_were(request in any_request(any_log())) {
        let mut sink = LogRows::new(7);
        for (resource, scope, records) in &request {
            sink.resource(resource);
            sink.scope(scope);
            records.iter().for_each(|record| sink.log(record));
        }
        let (batch, rejections) = sink.finish();
        prop_assert_eq!(rejections, Rejections::default());
        let mut expected = expected(request);
        for row in &mut expected {
            row.record.attributes = in_order(Signal::Logs.own_columns(), &row.record.attributes);
        }
        prop_assert_eq!(read_logs(&batch.rows).unwrap(), expected);
    }
}

#[test]
fn the_event_and_the_logger_of_a_log_record_have_their_columns_however_they_were_sent() {
    // Attributes and event name as sent; event and logger as found.
    type Case<'a> = (&'a [(&'a str, Value<'static>)], &'a str, Option<&'a str>, Option<&'a str>);
    let cases: [Case<'_>; 7] = [
        (&[], "job.done", Some("job.done"), Some("app::jobs")),
        (&[], "", None, Some("app::jobs")),
        (&[("event", "".into()), ("logger", "".into())], "", Some(""), Some("")),
        (&[("event", "sent".into()), ("logger", "own".into())], "job.done", Some("sent"), Some("own")),
        // The same said twice.
        (
            &[("event", "job.done".into()), ("logger", "app::jobs".into())],
            "job.done",
            Some("job.done"),
            Some("app::jobs"),
        ),
        (&[("event", "job.done".into()), ("event", "other".into())], "job.done", Some("other"), Some("app::jobs")),
        // Of another type it has no column, and nothing else may stand there in its place.
        (&[("event", Value::Int(1)), ("logger", Value::Bool(true))], "job.done", None, None),
    ];
    let mut sink = LogRows::new(7);
    sink.resource(&Resource::default());
    sink.scope(&Scope { name: "app::jobs".into(), ..Scope::default() });
    for (attributes, event_name, _, _) in &cases {
        let attributes = attributes.iter().map(|(key, value)| Attribute::new(*key, value.clone())).collect();
        sink.log(&LogRecord { attributes, event_name: (*event_name).into(), ..LogRecord::default() });
    }
    sink.scope(&Scope::default());
    sink.log(&LogRecord::default());
    let (batch, _) = sink.finish();
    let text = |column: &str, row: usize| {
        let array = batch.rows.column_by_name(column).unwrap().as_string_view();
        array.is_valid(row).then(|| array.value(row).to_owned())
    };
    for (row, (sent, _, event, logger)) in cases.iter().enumerate() {
        assert_eq!((text("event", row).as_deref(), text("logger", row).as_deref()), (*event, *logger), "row {row}");
        let mut found = read_logs(&batch.rows).unwrap().swap_remove(row).record.attributes;
        found.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        let mut sent: Vec<_> = sent.iter().map(|(key, value)| Attribute::new(*key, value.clone())).collect();
        sent.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        assert_eq!(found, sent, "row {row}");
    }
    assert_eq!((text("event", cases.len()), text("logger", cases.len())), (None, None));
}

#[test]
fn a_record_that_cannot_be_kept_is_counted_and_the_others_are_kept() {
    let good = Span { trace_id: TraceId([1; 16]), span_id: SpanId([1; 8]), name: "good".into(), ..Span::default() };
    let mut sink = SpanRows::new(0);
    sink.resource(&Resource::default());
    sink.scope(&Scope::default());
    sink.span(&Span { trace_id: TraceId::default(), name: "bad".into(), ..good.clone() });
    sink.span(&good);
    sink.span(&Span { start_time_unix_nano: u64::MAX, ..good.clone() });
    let (batch, rejections) = sink.finish();
    assert_eq!(batch.rows.num_rows(), 1);
    assert_eq!(rejections.count, 2);
    assert_eq!(rejections.first.as_deref(), Some("span \"bad\" has no trace id"));
}

#[test]
fn a_log_record_has_the_best_time_that_is_known() {
    let mut sink = LogRows::new(7);
    for (time, observed) in [(3, 2), (0, 2), (0, 0)] {
        let record = LogRecord { time_unix_nano: time, observed_time_unix_nano: observed, ..LogRecord::default() };
        sink.log(&record);
    }
    let (batch, _) = sink.finish();
    let times = batch.rows.column_by_name("time").unwrap();
    let times = arrow::array::AsArray::as_primitive::<arrow::datatypes::TimestampNanosecondType>(times.as_ref());
    assert_eq!(times.values(), &[3, 2, 7]);
}
