//! A query gives the same rows whether the store answers its conditions or DataFusion does.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use tripod_model::{Attribute, Scope, Span, SpanKind, Value};
use tripod_storage::series::MemorySeriesStore;
use tripod_storage::{Batch, Signal, Store};

use super::engine::{SqlEngine, parse};
use crate::SqlSettings;
use crate::testing::{T0, memory, resource, span_id, spans, trace_id};

/// Spans with many nulls, repeated values, and every type of attribute.
fn batch() -> Batch {
    let values: [Value<'static>; 8] = [
        "1".into(),
        1i64.into(),
        1.0.into(),
        true.into(),
        "true".into(),
        Value::Empty,
        Value::Array(vec![1i64.into()]),
        f64::NAN.into(),
    ];
    let services = [
        resource([Attribute::new("service.name", "a")]),
        resource([Attribute::new("service.name", "b%")]),
        resource([]),
    ];
    let rows = (0..64u8).map(|n| {
        let mut attributes = Vec::new();
        if n % 9 != 0 {
            attributes.push(Attribute::new("x", values[usize::from(n % 8)].clone()));
        }
        if n % 3 == 0 {
            attributes.push(Attribute::new("http.response.status_code", 199 + i64::from(n % 4)));
            attributes.push(Attribute::new("http.route", if n % 2 == 0 { "/a" } else { "" }));
        }
        let span = Span {
            trace_id: trace_id(n % 5 + 1),
            span_id: span_id(n + 1),
            parent_span_id: if n % 2 == 0 { span_id(n) } else { span_id(0) },
            name: ["a", "ab", "A", "", "b%_", "é"][usize::from(n % 6)].into(),
            kind: SpanKind(i32::from(n % 6)),
            start_time_unix_nano: T0 + u64::from(n % 7),
            end_time_unix_nano: T0 + u64::from(n % 7) + u64::from(n % 4) - u64::from(n % 2),
            attributes,
            ..Span::default()
        };
        (&services[usize::from(n % 3)], Scope::default(), span)
    });
    spans(rows.collect::<Vec<_>>())
}

/// A condition in SQL.
#[derive(Clone)]
struct Condition(String);

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn leaf() -> impl Strategy<Value = String> {
    let op = || prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">=", "is distinct from"]);
    let texts = || prop::sample::select(vec!["''", "'a'", "'ab'", "'A'", "'b%'", "'/a'", "'server'", "null"]);
    let text_columns = || prop::sample::select(vec!["name", "service_name", "http_route", "kind", "parent_span_id"]);
    let ids = prop::sample::select(vec!["02", "03", "AA"]);
    let times = || (-1i64..8).prop_map(|n| format!("to_timestamp_nanos({})", T0 as i64 + n));
    let numbers =
        || prop::sample::select(vec!["-1", "0", "1", "2", "199", "200", "null", "1.5", "9223372036854775807"]);
    let int_columns = || prop::sample::select(vec!["duration_ns", "http_response_status_code", "flags"]);
    let json = prop::sample::select(vec![
        "attributes->>'x'",
        "json_get_str(attributes, 'x')",
        "attributes->>'http.route'",
        "attributes->>'missing'",
    ]);
    let json_texts = prop::sample::select(vec!["'1'", "'1.0'", "'true'", "'[1]'", "'NaN'", "'/a'", "''"]);
    let patterns = prop::sample::select(vec!["'%a%'", "'%%'", "'a%'", "'%b\\%%'", "'%_%'", "'%'", "'%é%'"]);
    prop_oneof![
        (text_columns(), op(), texts()).prop_map(|(c, o, v)| format!("{c} {o} {v}")),
        (texts(), op(), text_columns()).prop_map(|(v, o, c)| format!("{v} {o} {c}")),
        (int_columns(), op(), numbers()).prop_map(|(c, o, v)| format!("{c} {o} {v}")),
        (op(), times()).prop_map(|(o, t)| format!("start_time {o} {t}")),
        (times(), times()).prop_map(|(a, b)| format!("start_time between {a} and {b}")),
        (times(), times()).prop_map(|(a, b)| format!("start_time not in ({a}, {b})")),
        (int_columns(), numbers(), numbers()).prop_map(|(c, a, b)| format!("{c} not between {a} and {b}")),
        (text_columns(), prop::collection::vec(texts(), 1..6), any::<bool>()).prop_map(|(c, v, not)| format!(
            "{c} {}in ({})",
            if not { "not " } else { "" },
            v.join(", ")
        )),
        (text_columns(), any::<bool>()).prop_map(|(c, not)| format!("{c} is {}null", if not { "not " } else { "" })),
        (text_columns(), patterns, any::<bool>())
            .prop_map(|(c, p, not)| format!("{c} {}like {p}", if not { "not " } else { "" })),
        (json.clone(), json_texts, op()).prop_map(|(j, v, o)| format!("{j} {o} {v}")),
        (json, any::<bool>()).prop_map(|(j, not)| format!("{j} is {}null", if not { "not " } else { "" })),
        Just("attributes ? 'x'".to_owned()),
        Just("events is null".to_owned()),
        (ids, prop::sample::select(vec!["=", "<>"])).prop_map(|(id, o)| format!("trace_id {o} '{}'", id.repeat(16))),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    // In parentheses: the parser takes what follows `IS DISTINCT FROM` as one expression.
    leaf()
        .prop_map(|leaf| format!("({leaf})"))
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" and "))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|any| format!("({})", any.join(" or "))),
                inner.prop_map(|one| format!("(not {one})")),
            ]
        })
        .prop_map(Condition)
}

/// The two engines over the same rows: one reads a store, the other a table of DataFusion's own.
struct Engines {
    pushing: SessionContext,
    plain: SessionContext,
}

impl Engines {
    fn new(runtime: &tokio::runtime::Runtime) -> Self {
        let batch = batch();
        let rows = batch.rows.clone();
        let store = runtime.block_on(memory([batch])) as Arc<dyn Store>;
        let engine = || {
            SqlEngine::new(Arc::clone(&store), Arc::new(MemorySeriesStore::default()), &SqlSettings::default()).unwrap()
        };
        let (pushing, plain) = (engine().context().clone(), engine().context().clone());
        let schema = plain.state().schema_for_ref("spans").unwrap();
        let marked = runtime.block_on(plain.table_provider("spans")).unwrap().schema();
        let rows = RecordBatch::try_new(Arc::clone(&marked), rows.columns().to_vec()).unwrap();
        schema.deregister_table(Signal::Spans.table()).unwrap();
        schema
            .register_table("spans".to_owned(), Arc::new(MemTable::try_new(marked, vec![vec![rows]]).unwrap()))
            .unwrap();
        Self { pushing, plain }
    }
}

async fn run(context: &SessionContext, condition: &Condition) -> Result<String, String> {
    let query = format!("select span_id from spans where {} order by 1", condition.0);
    let failed = |error: DataFusionError| error.strip_backtrace();
    let plan = context.state().statement_to_plan(parse(&query).map_err(failed)?).await.map_err(failed)?;
    let rows = context.execute_logical_plan(plan).await.map_err(failed)?.collect().await.map_err(failed)?;
    Ok(pretty_format_batches(&rows).map_err(|error| error.to_string())?.to_string())
}

#[test]
fn the_store_and_the_engine_agree() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let engines = Engines::new(&runtime);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    runner
        .run(&condition(), |condition| {
            let (pushed, plain) = runtime
                .block_on(async { (run(&engines.pushing, &condition).await, run(&engines.plain, &condition).await) });
            prop_assert!(plain.is_ok(), "{:?}", plain);
            prop_assert_eq!(pushed, plain);
            Ok(())
        })
        .unwrap();
}
