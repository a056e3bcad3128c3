//! Traces are looked up by the index inside each file, and found all the same where there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tripod_lake::{Lake, Settings};
use tripod_model::sink::{Sink, SpanSink};
use tripod_model::{Attribute, Resource, Scope, Span, SpanId, TraceId};
use tripod_storage::record::SpanRows;
use tripod_storage::{Batch, Matcher, Predicate, Select, Signal, Store, TimeRange};

const TRACES: u64 = 14_000;
const START: u64 = 1_700_000_000_000_000_000;

fn trace(number: u64) -> TraceId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    TraceId(id)
}

/// Five spans of each trace, over three services; every third trace has an error.
fn spans(file: u64) -> Batch {
    let mut rows = SpanRows::new(0);
    for service in 0..3 {
        rows.resource(&Resource {
            attributes: vec![Attribute::new("service.name", format!("service-{service}"))],
            ..Resource::default()
        });
        rows.scope(&Scope::default());
        for number in file * TRACES..(file + 1) * TRACES {
            for span in (0..5).filter(|span| span % 3 == service) {
                let start = START + number * 1_000 + span;
                let failed = number.is_multiple_of(3).then(|| Attribute::new("error.type", "timeout"));
                rows.span(&Span {
                    trace_id: trace(number),
                    span_id: SpanId((number * 5 + span + 1).to_be_bytes()),
                    name: format!("span {span}").into(),
                    start_time_unix_nano: start,
                    end_time_unix_nano: start + 1,
                    attributes: failed.into_iter().chain([Attribute::new("tenant", "a")]).collect(),
                    ..Span::default()
                });
            }
        }
    }
    rows.finish().0
}

fn settings(directory: &Path) -> Settings {
    let mut settings = crate::settings(directory);
    settings.compaction.min_files = 2;
    settings.vacuum_grace_seconds = 0;
    settings
}

/// Names of the spans that a select gives, sorted.
async fn names(lake: &Lake, select: Select) -> Vec<String> {
    let batches = lake.select(select).await.unwrap().collect().await.unwrap();
    let mut names: Vec<_> = batches
        .iter()
        .flat_map(|rows| {
            rows.column_by_name("name").unwrap().as_string_view().iter().map(|name| name.unwrap().to_owned())
        })
        .collect();
    names.sort_unstable();
    names
}

fn by_id(numbers: &[u64]) -> Select {
    let ids = numbers.iter().map(|number| trace(*number).to_string().into()).collect();
    Select::all(Signal::Spans).matching(Matcher::new("trace_id", Predicate::In(ids)))
}

async fn check(lake: &Lake, files: u64) {
    let all = ["span 0", "span 1", "span 2", "span 3", "span 4"];
    for number in [0, 1, TRACES / 2, files * TRACES - 1] {
        let id = trace(number).to_string();
        let select = Select::all(Signal::Spans).matching(Matcher::eq("trace_id", id.as_str()));
        assert_eq!(names(lake, select.clone()).await, all, "{number}");
        assert_eq!(names(lake, select.clone().columns(["name"])).await, all, "{number}");
        assert_eq!(names(lake, select.clone().limit(2)).await.len(), 2);
        // Other conditions hold too: on a column, on an attribute in JSON, on time.
        let failed = select.clone().matching(Matcher::eq("error_type", "timeout")).columns(["name"]);
        assert_eq!(names(lake, failed).await.len(), if number.is_multiple_of(3) { 5 } else { 0 });
        let tenant = |name: &str| Matcher::attribute("attributes", "tenant", Predicate::Eq(name.into()));
        assert_eq!(names(lake, select.clone().matching(tenant("a")).columns(["name"])).await, all);
        assert_eq!(names(lake, select.clone().matching(tenant("b"))).await.len(), 0);
        let start = (START + number * 1_000) as i64;
        let time = TimeRange { start: start + 1, end: start + 3 };
        assert_eq!(names(lake, select.columns(["name"]).during(time)).await, ["span 1", "span 2"]);
    }
    assert_eq!(names(lake, by_id(&[0, 3, files * TRACES])).await.len(), 10);
    assert_eq!(names(lake, by_id(&[])).await.len(), 0);
    // Every row has all that was stored.
    let rows = lake.select(by_id(&[3])).await.unwrap().collect().await.unwrap();
    for rows in rows {
        let text = |name: &str| rows.column_by_name(name).unwrap().as_string_view().value(0).to_owned();
        assert_eq!(rows.schema(), Signal::Spans.schema());
        assert_eq!(text("error_type"), "timeout");
        assert_eq!(text("attributes"), r#"{"tenant":"a"}"#);
        assert!(text("service_name").starts_with("service-"));
    }
}

fn data_files(directory: &Path) -> Vec<PathBuf> {
    crate::files(&directory.join("tables/spans"), "parquet")
}

/// Where a file's index is.
fn index(file: &Path) -> Option<(usize, usize)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap()).unwrap();
    let pairs = reader.metadata().file_metadata().key_value_metadata()?;
    let place = pairs.iter().find(|pair| pair.key == "tripod.trace_index")?.value.clone()?;
    let (offset, length) = place.split_once(' ')?;
    Some((offset.parse().ok()?, length.parse().ok()?))
}

/// Makes a file one that names no index, of the same size, which the table knows.
fn hide_index(file: &Path) {
    let mut content = std::fs::read(file).unwrap();
    let key = b"tripod.trace_index";
    let at = content.windows(key.len()).rposition(|window| window == key).unwrap();
    content[at..at + key.len()].copy_from_slice(b"someone.else.index");
    std::fs::write(file, content).unwrap();
}

async fn reopen(lake: Arc<Lake>, directory: &Path) -> Arc<Lake> {
    lake.close().await.unwrap();
    drop(lake);
    Lake::open(settings(directory)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_found_in_every_state_of_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut lake = Lake::open(settings(path)).await.unwrap();
    for file in 0..2 {
        lake.append(spans(file)).await.unwrap();
        check(&lake, file + 1).await;
        lake.flush().await.unwrap();
        check(&lake, file + 1).await;
    }
    assert!(data_files(path).iter().all(|file| index(file).is_some()));

    // A file without an index, as one of an earlier version, and one whose index is damaged.
    lake.close().await.unwrap();
    drop(lake);
    let files = data_files(path);
    hide_index(&files[0]);
    assert_eq!(index(&files[0]), None);
    let (offset, _) = index(&files[1]).unwrap();
    let mut content = std::fs::read(&files[1]).unwrap();
    content[offset + 100] ^= 1;
    std::fs::write(&files[1], content).unwrap();
    lake = Lake::open(settings(path)).await.unwrap();
    check(&lake, 2).await;

    // Joining makes the missing index.
    lake.maintain().await.unwrap();
    check(&lake, 2).await;
    lake = reopen(lake, path).await;
    check(&lake, 2).await;
    lake.close().await.unwrap();
    drop(lake);
    let files = data_files(path);
    assert_eq!(files.len(), 1);
    let (offset, length) = index(&files[0]).unwrap();
    assert_eq!(&std::fs::read(&files[0]).unwrap()[offset..offset + 4], b"TRI1");
    assert!(length > TRACES as usize);
}
