//! Writes that the log could not take: not seen, told to their senders, and forgotten once there is room.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tripod_lake::{Lake, Settings};
use tripod_storage::AppendError;
use tripod_storage::series::{LabelQuery, SeriesStore};

use super::{all, batch};
use crate::{files, open_when_free, settings};

/// Every group of records gets a segment of its own, so that the name of the next one is known.
fn one_segment_each(directory: &Path) -> Settings {
    let mut settings = settings(directory);
    settings.wal.segment_bytes = 1;
    settings
}

fn segment(directory: &Path, lsn: u64) -> PathBuf {
    directory.join(format!("wal-series/{lsn:020}.wal"))
}

/// The number in the name of the newest segment that has been written.
fn last_segment(directory: &Path) -> u64 {
    let mut written = files(&directory.join("wal-series"), "wal").into_iter().filter(|path| !path.is_symlink());
    written.next_back().map_or(0, |path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap())
}

fn series(names_and_times: &[(&str, &[i64])]) -> Vec<(String, Vec<i64>)> {
    names_and_times.iter().map(|(name, times)| ((*name).to_owned(), times.to_vec())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_disk_refuses_is_not_seen_and_later_samples_survive_with_their_labels() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let lake = open_when_free(one_segment_each(path)).await;
    lake.append_series(batch("a", 0, 1.0)).await.unwrap();
    // A device that takes nothing because it is full.
    symlink("/dev/full", segment(path, 2)).unwrap();
    for name in ["a", "b"] {
        let refused = lake.append_series(batch(name, 10, 1.0)).await;
        let Err(AppendError::Overloaded { reason, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(reason, "the disk is full");
    }
    assert_eq!(all(&lake).await, series(&[("a", &[0])]));
    assert_eq!(lake.series(LabelQuery::ALL).await.unwrap().len(), 1);
    assert_eq!(lake.status().series.table.hot_rows, 1);
    fs::remove_file(segment(path, 2)).unwrap();
    // Again, as its sender does, and more.
    lake.append_series(batch("b", 10, 1.0)).await.unwrap();
    lake.append_series(batch("a", 20, 1.0)).await.unwrap();
    lake.append_series(batch("a", 10, 1.0)).await.unwrap();
    // Anything else in the way is an error of ours.
    fs::create_dir(segment(path, 5)).unwrap();
    let failed = lake.append_series(batch("b", 20, 1.0)).await;
    assert!(matches!(failed, Err(AppendError::Failed(_))), "{failed:?}");
    fs::remove_dir(segment(path, 5)).unwrap();
    lake.append_series(batch("b", 30, 1.0)).await.unwrap();
    let kept = series(&[("a", &[0, 10, 20]), ("b", &[10, 30])]);
    assert_eq!(all(&lake).await, kept);
    lake.abandon().await;
    drop(lake);
    let lake = open_when_free(settings(path)).await;
    assert_eq!(all(&lake).await, kept);
    assert_eq!(lake.status().series.wal_unnamed_samples, 0);
    lake.close().await.unwrap();
}

/// A flush that cannot cut the log changes nothing, however often it is tried, and the next one moves everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_cut_is_cut_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let lake = open_when_free(one_segment_each(path)).await;
    lake.append_series(batch("a", 0, 1.0)).await.unwrap();
    symlink("/dev/full", segment(path, 2)).unwrap();
    for _ in 0..3 {
        lake.flush().await.unwrap_err();
    }
    let status = lake.status().series;
    assert_eq!((status.active_series, status.table.hot_rows, status.table.files), (1, 1, 0));
    fs::remove_file(segment(path, 2)).unwrap();
    lake.append_series(batch("a", 10, 1.0)).await.unwrap();
    lake.flush().await.unwrap();
    let status = lake.status().series;
    assert_eq!((status.active_series, status.table.hot_rows, status.table.files), (1, 0, 1));
    lake.append_series(batch("a", 20, 1.0)).await.unwrap();
    lake.abandon().await;
    drop(lake);
    let lake = open_when_free(settings(path)).await;
    assert_eq!(all(&lake).await, series(&[("a", &[0, 10, 20])]));
    lake.close().await.unwrap();
}

/// Records that were judged while another one failed may lack the labels that it was to bring.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_while_writes_fail_among_many() {
    const WRITERS: u64 = 8;
    const STEPS: i64 = 60;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let lake = open_when_free(one_segment_each(&path)).await;
    // A group has a record of each writer at most, so one begins within each of these stretches.
    let stretches = [20, 50, 150, 300].map(|first| first..first + WRITERS);
    for lsn in stretches.iter().cloned().flatten() {
        symlink("/dev/full", segment(&path, lsn)).unwrap();
    }
    let (refused, clearing) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(())));
    let tasks = (0..WRITERS).map(|writer| {
        let (lake, path, stretches) = (lake.clone(), path.clone(), stretches.clone());
        let (refused, clearing) = (refused.clone(), clearing.clone());
        tokio::spawn(async move {
            for step in 0..STEPS {
                // Series that come and go, of which every writer names some first.
                let name = format!("{:03}", step / 5 * 2 + writer as i64 % 2);
                let time = step * WRITERS as i64 + writer as i64;
                while let Err(error) = lake.append_series(batch(&name, time, 1.0)).await {
                    assert!(matches!(error, AppendError::Overloaded { .. }), "{error}");
                    refused.fetch_add(1, Ordering::Relaxed);
                    // Room for what comes next. What has become a segment stays.
                    let _one_at_a_time = clearing.lock();
                    let last = last_segment(&path);
                    for lsn in stretches.iter().find(|stretch| last < stretch.end).cloned().into_iter().flatten() {
                        if segment(&path, lsn).is_symlink() {
                            fs::remove_file(segment(&path, lsn)).unwrap();
                        }
                    }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(refused.load(Ordering::Relaxed) >= stretches.len(), "{refused:?} writes were refused");
    let left: Vec<u64> = stretches.into_iter().flatten().filter(|lsn| segment(&path, *lsn).is_symlink()).collect();
    assert_eq!(left, [] as [u64; 0], "each was in the way once");
    let sent = |name: i64| (0..STEPS * WRITERS as i64).filter(move |time| time / 8 / 5 * 2 + time % 2 == name);
    let expected: Vec<_> = (0..STEPS / 5 * 2).map(|name| (format!("{name:03}"), sent(name).collect())).collect();
    assert_eq!(all(&lake).await, expected);
    lake.abandon().await;
    drop(lake);
    let lake: Arc<Lake> = open_when_free(settings(&path)).await;
    assert_eq!(all(&lake).await, expected);
    lake.close().await.unwrap();
}
