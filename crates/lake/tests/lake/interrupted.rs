//! A crash at each step of moving rows from the log to a table: what was acknowledged is there exactly once.
//!
//! A step's crash is played by putting together what each step leaves on disk: the log from before a flush, the data
//! files, the table's log entries from after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tripod_lake::Lake;
use tripod_model::sink::{Sink, SpanSink};
use tripod_model::{Resource, Scope, Span, SpanId, TraceId};
use tripod_storage::record::SpanRows;
use tripod_storage::{Batch, Select, Signal, Store};

use crate::{copy, files, settings};

const ROWS: u64 = 100;

fn spans() -> Batch {
    let mut rows = SpanRows::new(0);
    rows.resource(&Resource::default());
    rows.scope(&Scope::default());
    for number in 1..=ROWS {
        rows.span(&Span { trace_id: TraceId([1; 16]), span_id: SpanId(number.to_be_bytes()), ..Span::default() });
    }
    rows.finish().0
}

/// The directory as a crash leaves it right before and right after a flush.
struct Moments {
    _directory: tempfile::TempDir,
    before: PathBuf,
    after: PathBuf,
}

async fn moments() -> Moments {
    let directory = tempfile::tempdir().unwrap();
    let (live, before, after) =
        (directory.path().join("live"), directory.path().join("before"), directory.path().join("after"));
    let lake = Lake::open(settings(&live)).await.unwrap();
    lake.append(spans()).await.unwrap();
    copy(&live, &before);
    lake.flush().await.unwrap();
    copy(&live, &after);
    lake.close().await.unwrap();
    Moments { _directory: directory, before, after }
}

async fn count(lake: &Arc<Lake>) -> usize {
    let select = Select::all(Signal::Spans).columns(["span_id"]);
    let batches = lake.select(select).await.unwrap().collect().await.unwrap();
    batches.iter().map(|rows| rows.num_rows()).sum()
}

/// Opens, counts, flushes, counts, opens again, counts.
async fn exactly_once(directory: &Path) {
    let lake = Lake::open(settings(directory)).await.unwrap();
    assert_eq!(count(&lake).await, ROWS as usize, "after the restart");
    lake.flush().await.unwrap();
    assert_eq!(count(&lake).await, ROWS as usize, "after the next flush");
    lake.append(spans()).await.unwrap();
    lake.close().await.unwrap();
    drop(lake);
    let lake = Lake::open(settings(directory)).await.unwrap();
    assert_eq!(count(&lake).await, 2 * ROWS as usize, "after a clean restart");
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_anything_was_written() {
    let moments = moments().await;
    exactly_once(&moments.before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_the_data_file_and_before_the_log_entry() {
    let moments = moments().await;
    let table = Path::new("tables/spans");
    let written = files(&moments.after.join(table), "parquet");
    assert_eq!(written.len(), 1);
    for file in &written {
        let target = moments.before.join(file.strip_prefix(&moments.after).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        // Half of it: the write may not have ended either.
        let content = fs::read(file).unwrap();
        fs::write(&target, &content[..content.len() / 2]).unwrap();
    }
    let orphan = moments.before.join(written[0].strip_prefix(&moments.after).unwrap());
    // `object_store` writes under such a name before it renames the file.
    let staged = orphan.with_extension("parquet#7");
    fs::write(&staged, "half").unwrap();
    exactly_once(&moments.before).await;
    assert!(!orphan.exists(), "the file that no version names is deleted");
    assert!(!staged.exists(), "the unfinished file is deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_the_log_entry_and_before_the_log_is_released() {
    let moments = moments().await;
    assert!(!files(&moments.before.join("wal"), "wal").is_empty());
    let tables = moments.before.join("tables");
    fs::remove_dir_all(&tables).unwrap();
    copy(&moments.after.join("tables"), &tables);
    exactly_once(&moments.before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_the_log_entry_is_written() {
    let moments = moments().await;
    let log = Path::new("tables/spans/_delta_log");
    let entry = files(&moments.after.join(log), "json").into_iter().max().unwrap();
    // The object store writes aside and links into place; a crash leaves the name that is not looked at.
    let aside = format!("{}#1", entry.file_name().unwrap().to_str().unwrap());
    let content = fs::read(&entry).unwrap();
    fs::write(moments.before.join(log).join(aside), &content[..content.len() / 2]).unwrap();
    exactly_once(&moments.before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_that_fails_loses_nothing_and_is_made_up_for() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(settings(directory.path())).await.unwrap();
    lake.append(spans()).await.unwrap();
    // A file where the partition's directory belongs: the data file cannot be written.
    let blocked = directory.path().join("tables/spans/date=1970-01-01");
    fs::write(&blocked, "in the way").unwrap();
    lake.flush().await.unwrap_err();
    assert_eq!(count(&lake).await, ROWS as usize);
    lake.append(spans()).await.unwrap();
    fs::remove_file(&blocked).unwrap();
    lake.flush().await.unwrap();
    lake.flush().await.unwrap();
    assert_eq!(count(&lake).await, 2 * ROWS as usize);
    lake.close().await.unwrap();
    drop(lake);
    let lake = Lake::open(settings(directory.path())).await.unwrap();
    assert_eq!(count(&lake).await, 2 * ROWS as usize);
    lake.close().await.unwrap();
}
