//! The tests that every store must pass: what the seam promises, whoever stands behind it.
//!
//! A store's own tests call [`run`] with its empty store; `between` is called at moments where a store may move rows
//! about (flush, compact, restart) and gives the store to go on with.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use futures::future::BoxFuture;
use tripod_model::sink::{LogSink, Sink, SpanSink};
use tripod_model::{
    Attribute, LogRecord, Resource, Scope, Span, SpanEvent, SpanId, SpanKind, Status, StatusCode, TraceId, Value,
};

use crate::record::{LogRows, SpanRows, read_logs, read_spans};
use crate::{AppendError, Batch, Matcher, Predicate, Scalar, Select, SelectError, Signal, Store, TimeRange};

/// The store to go on with after it was given the chance to move rows.
pub type Between<'a> = &'a dyn Fn(Arc<dyn Store>) -> BoxFuture<'a, Arc<dyn Store>>;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// Runs every test, each after the other on the same store.
///
/// # Panics
/// When a promise is broken.
pub async fn run(store: Arc<dyn Store>, between: Between<'_>) {
    let store = run_across_restarts(store, between).await;
    a_selection_is_of_one_moment(store, between).await;
}

/// Runs the tests that hold no selection while `between` works, so that it may close the store and open it again.
///
/// # Panics
/// When a promise is broken.
pub async fn run_across_restarts(store: Arc<dyn Store>, between: Between<'_>) -> Arc<dyn Store> {
    let store = an_empty_store_answers(store).await;
    refuses_what_does_not_fit(&store).await;
    let store = rows_come_back_as_they_were(store, between).await;
    selects_what_is_asked_for(store, between).await
}

async fn an_empty_store_answers(store: Arc<dyn Store>) -> Arc<dyn Store> {
    for signal in Signal::ALL {
        assert_eq!(rows(&store, Select::all(signal)).await.num_rows(), 0);
    }
    store
}

async fn refuses_what_does_not_fit(store: &Arc<dyn Store>) {
    let other = Batch { signal: Signal::Logs, rows: spans(0..1).rows };
    assert!(matches!(store.append(other).await, Err(AppendError::Invalid(_))));
    let unknown = Select::all(Signal::Spans).columns(["nonsense"]);
    assert!(matches!(store.select(unknown).await, Err(SelectError::Invalid(_))));
    let mistyped = Select::all(Signal::Spans).matching(Matcher::eq("duration_ns", "text"));
    assert!(matches!(store.select(mistyped).await, Err(SelectError::Invalid(_))));
    assert_eq!(rows(store, Select::all(Signal::Logs)).await.num_rows(), 0);
}

async fn rows_come_back_as_they_were(store: Arc<dyn Store>, between: Between<'_>) -> Arc<dyn Store> {
    let sent = [spans(0..50), logs(0..20)];
    for batch in sent.clone() {
        store.append(batch).await.unwrap();
    }
    let store = between(store).await;
    let [sent_spans, sent_logs] = sent;
    let found = rows(&store, Select::all(Signal::Spans)).await;
    assert_same(read_spans(&found).unwrap(), read_spans(&sent_spans.rows).unwrap(), |row| row.record.span_id);
    let found = rows(&store, Select::all(Signal::Logs)).await;
    assert_same(read_logs(&found).unwrap(), read_logs(&sent_logs.rows).unwrap(), |row| row.record.time_unix_nano);
    store
}

fn assert_same<R: PartialEq + std::fmt::Debug, K: Ord>(mut found: Vec<R>, mut sent: Vec<R>, key: impl Fn(&R) -> K) {
    found.sort_by_key(&key);
    sent.sort_by_key(&key);
    assert_eq!(found, sent);
}

async fn selects_what_is_asked_for(store: Arc<dyn Store>, between: Between<'_>) -> Arc<dyn Store> {
    // Some rows in files, some in memory.
    let store = between(store).await;
    store.append(spans(50..100)).await.unwrap();
    let numbers = async |select: Select| numbers(&rows(&store, select.columns(["http_response_status_code"])).await);
    let all = || Select::all(Signal::Spans);
    let test = |predicate| all().matching(Matcher::new("http_response_status_code", predicate));
    assert_eq!(numbers(all()).await, (0..100).collect::<Vec<_>>());
    assert_eq!(numbers(test(Predicate::Eq(Scalar::Int(70)))).await, [70]);
    assert_eq!(numbers(test(Predicate::NotEq(Scalar::Int(3)))).await.len(), 99);
    assert_eq!(numbers(test(Predicate::Lt(Scalar::Int(2)))).await, [0, 1]);
    assert_eq!(numbers(test(Predicate::LtEq(Scalar::Int(2)))).await, [0, 1, 2]);
    assert_eq!(numbers(test(Predicate::Gt(Scalar::Int(97)))).await, [98, 99]);
    assert_eq!(numbers(test(Predicate::GtEq(Scalar::Int(97)))).await, [97, 98, 99]);
    assert_eq!(numbers(test(Predicate::In(vec![Scalar::Int(4), Scalar::Int(60)]))).await, [4, 60]);
    assert_eq!(numbers(test(Predicate::IsNull)).await.len(), 0);
    assert_eq!(numbers(test(Predicate::IsNotNull)).await.len(), 100);

    // Text, ids, absent values, attributes inside JSON, lists.
    let id = format!("{:032x}", 7 + 1);
    assert_eq!(numbers(all().matching(Matcher::eq("trace_id", id.as_str()))).await, [7]);
    assert_eq!(numbers(all().matching(Matcher::eq("service_name", "even"))).await.len(), 50);
    let contains = Matcher::new("name", Predicate::Contains("operation 9".into()));
    assert_eq!(numbers(all().matching(contains)).await, [9, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
    assert_eq!(
        numbers(all().matching(Matcher::new("parent_span_id", Predicate::IsNull))).await,
        [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    );
    let attribute = |predicate| Matcher::attribute("attributes", "number", predicate);
    assert_eq!(numbers(all().matching(attribute(Predicate::Eq(Scalar::Int(12))))).await, [12]);
    assert_eq!(numbers(all().matching(attribute(Predicate::Gt(Scalar::Double(97.5))))).await, [98, 99]);
    assert_eq!(numbers(all().matching(attribute(Predicate::Eq("55".into())))).await, [55]);
    let absent = Matcher::attribute("attributes", "absent", Predicate::IsNotNull);
    assert_eq!(numbers(all().matching(absent)).await.len(), 0);
    let eventful = Matcher::new("events", Predicate::IsNotNull);
    assert_eq!(numbers(all().matching(eventful)).await, [0, 25, 50, 75]);

    // Time ranges are half-open; conditions join; the limit is for all partitions.
    let moment = |second: u64| (START + second * SECOND) as i64;
    let range = TimeRange { start: moment(48), end: moment(52) };
    assert_eq!(numbers(all().during(range)).await, [48, 49, 50, 51]);
    let odd = all().during(range).matching(Matcher::eq("service_name", "odd"));
    assert_eq!(numbers(odd).await, [49, 51]);
    assert_eq!(numbers(all().limit(7)).await.len(), 7);
    assert_eq!(numbers(all().matching(Matcher::eq("service_name", "odd")).limit(45)).await.len(), 45);
    assert_eq!(numbers(all().limit(0)).await.len(), 0);

    // Columns come in the order that is asked for, and none at all still counts.
    let reordered = rows(&store, all().columns(["name", "start_time"])).await;
    assert_eq!(reordered.schema().fields()[0].name(), "name");
    let times = reordered.column(1).as_primitive::<TimestampNanosecondType>();
    assert_eq!(times.values().iter().min(), Some(&moment(0)));
    let none: Vec<String> = Vec::new();
    let counted = store.select(all().columns(none)).await.unwrap().collect().await.unwrap();
    assert_eq!(counted.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
    store
}

/// However late it is read, and whatever became of its rows meanwhile.
async fn a_selection_is_of_one_moment(store: Arc<dyn Store>, between: Between<'_>) {
    let before = store.select(Select::all(Signal::Spans).columns(["http_response_status_code"])).await.unwrap();
    store.append(spans(100..110)).await.unwrap();
    let store = between(store).await;
    let schema = Arc::clone(&before.schema);
    let early = concat_batches(&schema, &before.collect().await.unwrap()).unwrap();
    assert_eq!(numbers(&early), (0..100).collect::<Vec<_>>());
    let now = rows(&store, Select::all(Signal::Spans).columns(["http_response_status_code"])).await;
    assert_eq!(numbers(&now), (0..110).collect::<Vec<_>>());
}

async fn rows(store: &Arc<dyn Store>, select: Select) -> RecordBatch {
    let selection = store.select(select).await.unwrap();
    let schema = Arc::clone(&selection.schema);
    let batches = selection.collect().await.unwrap();
    for batch in &batches {
        assert_eq!(batch.schema(), schema);
    }
    concat_batches(&schema, &batches).unwrap()
}

fn numbers(rows: &RecordBatch) -> Vec<i64> {
    let mut numbers = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
    numbers.sort_unstable();
    numbers
}

/// Spans whose status code is their number; one a second, ten a trace of one root.
fn spans(numbers: std::ops::Range<u64>) -> Batch {
    let mut sink = SpanRows::new(0);
    for number in numbers {
        sink.resource(&Resource {
            attributes: vec![
                Attribute::new("service.name", if number % 2 == 0 { "even" } else { "odd" }),
                Attribute::new("host.cpus", 2i64),
            ],
            dropped_attributes_count: 1,
            schema_url: "https://opentelemetry.io/schemas/1.30.0".into(),
            ..Resource::default()
        });
        sink.scope(&Scope { name: "suite".into(), version: "1".into(), ..Scope::default() });
        let mut span = Span {
            trace_id: TraceId(u128::from(number + 1).to_be_bytes()),
            span_id: SpanId((number + 1).to_be_bytes()),
            parent_span_id: SpanId(if number % 10 == 0 { [0; 8] } else { (number / 10 * 10 + 1).to_be_bytes() }),
            name: format!("operation {number}").into(),
            kind: SpanKind::SERVER,
            flags: 0x101,
            start_time_unix_nano: START + number * SECOND,
            end_time_unix_nano: START + number * SECOND + 1,
            attributes: vec![
                Attribute::new("http.response.status_code", number as i64),
                Attribute::new("number", number as i64),
                Attribute::new("list", Value::Array(vec![Value::Bool(true), Value::Double(0.5)])),
            ],
            status: Status { code: StatusCode::ERROR, message: "it \"failed\"".into() },
            ..Span::default()
        };
        if number % 25 == 0 {
            span.events.push(SpanEvent {
                time_unix_nano: START + 5,
                name: "exception".into(),
                attributes: vec![Attribute::new("exception.type", "Timeout")],
                dropped_attributes_count: 2,
            });
        }
        sink.span(&span);
    }
    sink.finish().0
}

fn logs(numbers: std::ops::Range<u64>) -> Batch {
    let mut sink = LogRows::new(0);
    sink.resource(&Resource::default());
    sink.scope(&Scope::default());
    for number in numbers {
        sink.log(&LogRecord {
            time_unix_nano: START + number,
            observed_time_unix_nano: START,
            body: match number % 3 {
                0 => Value::Empty,
                1 => "a line".into(),
                _ => Value::Map(vec![Attribute::new("$bytes", "not bytes"), Attribute::new("n", 1i64)]),
            },
            attributes: vec![Attribute::new("request_id", format!("request {number}"))],
            ..LogRecord::default()
        });
    }
    sink.finish().0
}
