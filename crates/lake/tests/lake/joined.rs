//! Large files are joined without being decoded: afterwards there is one, and every question has the same answer.

use tripod_lake::Lake;
use tripod_model::sink::{Sink, SpanSink};
use tripod_model::{Resource, Scope, Span, SpanId, TraceId};
use tripod_storage::record::SpanRows;
use tripod_storage::{Batch, Matcher, Select, Signal, Store};

use crate::settings;

const FILES: u64 = 3;
const ROWS: u64 = 70_000;

fn spans(file: u64) -> Batch {
    let mut rows = SpanRows::new(0);
    rows.resource(&Resource::default());
    rows.scope(&Scope::default());
    for number in file * ROWS..(file + 1) * ROWS {
        let mut trace_id = [7; 16];
        trace_id[..8].copy_from_slice(&(number / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let start = 1_700_000_000_000_000_000 + number;
        rows.span(&Span {
            trace_id: TraceId(trace_id),
            span_id: SpanId((number + 1).to_be_bytes()),
            start_time_unix_nano: start,
            end_time_unix_nano: start + 1,
            ..Span::default()
        });
    }
    rows.finish().0
}

async fn count(lake: &Lake, matcher: Option<Matcher>) -> usize {
    let mut select = Select::all(Signal::Spans).columns(["span_id"]);
    select.matchers.extend(matcher);
    let batches = lake.select(select).await.unwrap().collect().await.unwrap();
    batches.iter().map(|rows| rows.num_rows()).sum()
}

async fn check(lake: &Lake) {
    assert_eq!(count(lake, None).await, (FILES * ROWS) as usize);
    for number in [0, ROWS / 4, FILES * ROWS / 4 - 1] {
        let id = format!("{:016x}{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15), "07".repeat(8));
        assert_eq!(count(lake, Some(Matcher::eq("trace_id", id.as_str()))).await, 4, "{id}");
    }
    assert_eq!(count(lake, Some(Matcher::eq("trace_id", "07".repeat(16)))).await, 0);
}

#[tokio::test]
async fn joined_files_answer_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.compaction.min_files = FILES as usize;
    let lake = Lake::open(settings.clone()).await.unwrap();
    for file in 0..FILES {
        lake.append(spans(file)).await.unwrap();
        lake.flush().await.unwrap();
    }
    let files = |lake: &Lake| {
        let tables = lake.status().tables;
        let spans = tables.iter().find(|table| table.table == Signal::Spans.table()).unwrap();
        (spans.files, spans.file_rows)
    };
    assert_eq!(files(&lake), (FILES as usize, FILES * ROWS));
    check(&lake).await;
    lake.maintain().await.unwrap();
    assert_eq!(files(&lake), (1, FILES * ROWS));
    check(&lake).await;
    lake.close().await.unwrap();
    drop(lake);

    let lake = Lake::open(settings).await.unwrap();
    assert_eq!(files(&lake), (1, FILES * ROWS));
    check(&lake).await;
    lake.close().await.unwrap();
}
