//! Copies that are served by themselves.

use tripod_storage::series::{LabelMatcher, MillisRange, SelectSeries, SeriesStore};

use super::{all, batch};
use crate::{files, open_when_free, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_a_data_directory_that_outlives_what_it_was_made_of() {
    let directory = tempfile::tempdir().unwrap();
    let lake = open_when_free(settings(directory.path())).await;
    for time in 0..10 {
        lake.append_series(batch("a", time, 1.0)).await.unwrap();
    }
    lake.flush().await.unwrap();
    for time in 10..20 {
        lake.append_series(batch("a", time, 2.0)).await.unwrap();
    }
    let in_files = lake.snapshot(false).await.unwrap();
    let whole = lake.snapshot(true).await.unwrap();
    assert!(in_files != whole && whole.len() == "20260101T000000Z-0123456789abcdef".len(), "{whole}");
    let at_the_time = all(&lake).await;

    // What comes later is not in it, and what is deleted stays there.
    lake.append_series(batch("b", 5, 3.0)).await.unwrap();
    lake.delete_series(super::deletion::up_to(i64::MAX)).await.unwrap();
    lake.maintain().await.unwrap();
    assert!(all(&lake).await.is_empty());
    lake.close().await.unwrap();
    drop(lake);

    let snapshots = directory.path().join("snapshots");
    let copy = open_when_free(settings(&snapshots.join(&whole))).await;
    assert_eq!(all(&copy).await, at_the_time);
    // It goes on as a store of its own: what the snapshot holds came first, and counts.
    copy.append_series(batch("a", 19, 2.5)).await.unwrap();
    copy.append_series(batch("a", 20, 4.0)).await.unwrap();
    copy.flush().await.unwrap();
    let matchers = vec![LabelMatcher::equal("__name__", "metric")];
    let found = copy.select_series(SelectSeries { matchers, range: MillisRange::ALL }).await.unwrap();
    let floats = found[0].samples(MillisRange::ALL).unwrap().floats;
    assert_eq!(floats.timestamps, (0..=20).collect::<Vec<i64>>());
    assert_eq!(floats.values[18..], [2.0, 2.0, 4.0]);
    copy.close().await.unwrap();

    let copy = open_when_free(settings(&snapshots.join(&in_files))).await;
    let times = all(&copy).await.remove(0).1;
    assert_eq!(times, (0..10).collect::<Vec<i64>>(), "memory was left out");
    copy.close().await.unwrap();
    assert_eq!(files(&snapshots.join(&in_files), "parquet").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_nothing_can_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let lake = open_when_free(settings(directory.path())).await;
    let name = lake.snapshot(true).await.unwrap();
    let copy = open_when_free(settings(&directory.path().join("snapshots").join(name))).await;
    assert!(all(&copy).await.is_empty());
    copy.close().await.unwrap();
    lake.close().await.unwrap();
}
