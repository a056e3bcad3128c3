//! Deleting while others write, flush and read.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tripod_storage::series::{LabelMatcher, LabelQuery, MillisRange, SeriesStore};

use super::{all, batch};
use crate::{files, open_when_free, settings};

pub(super) fn up_to(time: i64) -> LabelQuery {
    let matchers = vec![LabelMatcher::equal("__name__", "metric")];
    LabelQuery { matcher_sets: vec![matchers], range: MillisRange { start: i64::MIN, end: time }, limit: 0 }
}

/// Every sample that was acknowledged before is gone, every one that was begun after is there, wherever they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_during_a_deletion_is_neither_lost_nor_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let lake = open_when_free(settings(directory.path())).await;
    let (begun, acknowledged) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let writer = {
        let (lake, begun, acknowledged) = (lake.clone(), begun.clone(), acknowledged.clone());
        tokio::spawn(async move {
            for time in 1..=2_000 {
                begun.store(time, Ordering::SeqCst);
                assert_eq!(lake.append_series(batch("x", time, time as f64)).await.unwrap().floats, 1);
                acknowledged.store(time, Ordering::SeqCst);
            }
        })
    };
    let flusher = {
        let (lake, acknowledged) = (lake.clone(), acknowledged.clone());
        tokio::spawn(async move {
            while acknowledged.load(Ordering::SeqCst) < 2_000 {
                lake.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    let mut deletions = 0;
    while acknowledged.load(Ordering::SeqCst) < 1_900 {
        let before = acknowledged.load(Ordering::SeqCst);
        lake.delete_series(up_to(i64::MAX)).await.unwrap();
        let after = begun.load(Ordering::SeqCst);
        deletions += 1;
        let known = acknowledged.load(Ordering::SeqCst);
        let found = all(&lake).await;
        let Some((_, times)) = found.first() else {
            assert!(known <= after, "{known} was begun after the deletion's end, at {after}, and is not found");
            continue;
        };
        assert!(times.iter().all(|time| *time > before), "{before} was acknowledged before: {times:?}");
        // One after the other, from some moment during the deletion on.
        let (first, last) = (times[0], times[times.len() - 1]);
        assert!(first <= after + 1, "{after} was the last that was begun before the end, and {first} is the first");
        assert!(last >= known, "{known} was acknowledged, and {last} is the last");
        assert_eq!(times.len() as i64, last - first + 1, "{times:?}");
    }
    writer.await.unwrap();
    flusher.await.unwrap();
    assert!(deletions > 0);
    lake.append_series(batch("x", 2_001, 1.0)).await.unwrap();
    let kept = all(&lake).await;
    assert_eq!(kept[0].1.last(), Some(&2_001));
    lake.abandon().await;
    drop(lake);
    let lake = open_when_free(settings(directory.path())).await;
    assert_eq!(all(&lake).await, kept);
    lake.close().await.unwrap();
}

/// A part of the time of one of two series, over several files of which one holds nothing that is meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_meant_is_deleted_from_each_file() {
    let directory = tempfile::tempdir().unwrap();
    let lake = open_when_free(settings(directory.path())).await;
    for file in 0..4 {
        for time in 0..10 {
            lake.append_series(batch("a", file * 10 + time, 1.0)).await.unwrap();
            lake.append_series(batch("b", file * 10 + time, 1.0)).await.unwrap();
        }
        lake.flush().await.unwrap();
    }
    let a = vec![LabelMatcher::equal("instance", "a")];
    let query = LabelQuery { matcher_sets: vec![a], range: MillisRange { start: 5, end: 24 }, limit: 0 };
    lake.delete_series(query).await.unwrap();
    let left = [("a".to_owned(), (0..5).chain(25..40).collect()), ("b".to_owned(), (0..40).collect())];
    assert_eq!(all(&lake).await, left);
    assert!(lake.status().series.table.files >= 4);
    lake.close().await.unwrap();
    drop(lake);
    let lake = open_when_free(settings(directory.path())).await;
    assert_eq!(all(&lake).await, left);
    lake.close().await.unwrap();
}

/// Samples that an earlier flush could not move, and those that came after it, are deleted alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_flush_left_is_deleted_with_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let lake = open_when_free(settings(directory.path())).await;
    lake.append_series(batch("x", 1, 1.0)).await.unwrap();
    // A file where the partition's directory belongs.
    let blocked = directory.path().join("tables/series/date=1970-01-01");
    fs::write(&blocked, "in the way").unwrap();
    lake.flush().await.unwrap_err();
    lake.append_series(batch("x", 2, 1.0)).await.unwrap();
    lake.append_series(batch("x", 3, 1.0)).await.unwrap();
    fs::remove_file(&blocked).unwrap();
    lake.delete_series(up_to(2)).await.unwrap();
    assert_eq!(all(&lake).await, [("x".to_owned(), vec![3])]);
    assert_eq!(files(&directory.path().join("wal-series"), "wal").len(), 1);
    lake.close().await.unwrap();
}
