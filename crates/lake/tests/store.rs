//! The lake as a store: the promises of the seam whatever it does with the rows meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tripod_lake::{Lake, Settings};
use tripod_storage::{Signal, Store, suite};

fn settings(directory: &std::path::Path) -> Settings {
    let mut settings = Settings { data_dir: directory.to_owned(), ..Settings::default() };
    settings.flush.interval_seconds = 3600;
    settings.min_free_disk_bytes = 0;
    settings
}

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
    let flushed = Arc::clone(&lake);
    let between = |store| {
        let lake = Arc::clone(&flushed);
        async move {
            lake.flush().await.unwrap();
            store
        }
        .boxed()
    };
    suite::run(lake.clone(), &between).await;
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
    let compacted = Arc::clone(&lake);
    let between = |store| {
        let lake = Arc::clone(&compacted);
        async move {
            lake.flush().await.unwrap();
            lake.maintain().await.unwrap();
            store
        }
        .boxed()
    };
    suite::run(lake.clone(), &between).await;
    lake.maintain().await.unwrap();
    let spans = lake.status().tables.remove(Signal::Spans as usize);
    assert_eq!(spans.file_rows, 110);
    assert_eq!(spans.files, 1);
    let left = parquet_files(&directory.path().join("tables/spans"));
    assert_eq!(left, 1, "what was merged is vacuumed when nobody reads it");
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_seams_promises() {
    for clean in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let lake = Lake::open(settings(&path)).await.unwrap();
        let current = Arc::new(parking_lot::Mutex::new(Some(lake)));
        let between = |store: Arc<dyn Store>| {
            let (path, current) = (path.clone(), Arc::clone(&current));
            async move {
                drop(store);
                let lake = current.lock().take().unwrap();
                if clean {
                    lake.close().await.unwrap();
                } else {
                    // Like a crash, but for the process's end: nothing is flushed.
                    lake.abandon().await;
                }
                drop(lake);
                let lake = open_when_free(&path).await;
                *current.lock() = Some(Arc::clone(&lake));
                lake as Arc<dyn Store>
            }
            .boxed()
        };
        let store: Arc<dyn Store> = current.lock().clone().unwrap();
        // A selection from before a restart cannot outlive its lake, so the last test of the suite runs on its own.
        suite::run_across_restarts(store, &between).await;
    }
}

/// Selections that are still being dropped hold the directory a moment longer.
async fn open_when_free(path: &std::path::Path) -> Arc<Lake> {
    loop {
        match Lake::open(settings(path)).await {
            Ok(lake) => return lake,
            Err(tripod_lake::OpenError::Locked(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn parquet_files(directory: &std::path::Path) -> usize {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name != "_delta_log"))
        .map(|path| {
            if path.is_dir() {
                parquet_files(&path)
            } else {
                usize::from(path.extension().is_some_and(|extension| extension == "parquet"))
            }
        })
        .sum()
}
