//! The lake as a store: the promises of the seam whatever it does with the rows meanwhile.

use std::sync::Arc;

use futures::FutureExt;
use parking_lot::Mutex;
use tripod_lake::Lake;
use tripod_storage::{Signal, Store, suite};

use crate::{files, moved, restarted, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_memory_keep_the_seams_promises() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(settings(directory.path())).await.unwrap();
    suite::run(lake.clone(), &|store| std::future::ready(store).boxed()).await;
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_rows_keep_the_seams_promises() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(settings(directory.path())).await.unwrap();
    suite::run(lake.clone(), &|store| moved(&lake, false, store).boxed()).await;
    assert!(lake.status().tables.iter().all(|table| table.files > 0));
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compacted_rows_keep_the_seams_promises() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.compaction.min_files = 2;
    settings.vacuum_grace_seconds = 0;
    let lake = Lake::open(settings).await.unwrap();
    suite::run(lake.clone(), &|store| moved(&lake, true, store).boxed()).await;
    lake.maintain().await.unwrap();
    let spans = lake.status().tables.remove(Signal::Spans as usize);
    assert_eq!(spans.file_rows, 110);
    assert_eq!(spans.files, 1);
    let left = files(&directory.path().join("tables/spans"), "parquet").len();
    assert_eq!(left, 1, "what was merged is vacuumed when nobody reads it");
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_seams_promises() {
    for clean in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let lake = Lake::open(settings(path)).await.unwrap();
        // A selection from before a restart cannot outlive its lake, so the last test of the suite runs on its own.
        let current = Mutex::new(Some(Arc::clone(&lake)));
        let between =
            |store| restarted(&current, settings(path), clean, store).map(|lake| lake as Arc<dyn Store>).boxed();
        suite::run_across_restarts(lake, &between).await;
    }
}
