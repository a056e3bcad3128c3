//! The lake, seen from outside: the promises of its seams whatever it does with what it holds.

mod interrupted;
mod joined;
mod lookup;
mod series;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tripod_lake::{Lake, OpenError, Settings};

/// What a test does not do itself is not done.
fn settings(directory: &Path) -> Settings {
    let mut settings = Settings { data_dir: directory.to_owned(), ..Settings::default() };
    settings.flush.interval_seconds = 3600;
    settings.compaction.interval_seconds = 3600;
    settings.min_free_disk_bytes = 0;
    settings
}

/// Selections that are still being dropped hold the directory a moment longer.
async fn open_when_free(settings: Settings) -> Arc<Lake> {
    loop {
        match Lake::open(settings.clone()).await {
            Ok(lake) => return lake,
            Err(OpenError::Locked(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Between two steps of a suite: a flush and, if asked for, a compaction.
async fn moved<S>(lake: &Lake, compacts: bool, store: S) -> S {
    lake.flush().await.unwrap();
    if compacts {
        lake.maintain().await.unwrap();
    }
    store
}

/// Between two steps of a suite: a restart. An unclean one is like a crash, but for the process's end: nothing is flushed.
async fn restarted<S>(current: &Mutex<Option<Arc<Lake>>>, settings: Settings, clean: bool, store: S) -> Arc<Lake> {
    drop(store);
    let lake = current.lock().take().unwrap();
    if clean {
        lake.close().await.unwrap();
    } else {
        lake.abandon().await;
    }
    drop(lake);
    let lake = open_when_free(settings).await;
    *current.lock() = Some(Arc::clone(&lake));
    lake
}

/// Files under a directory with this extension, those of tables' logs left out.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("_delta_log") {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
