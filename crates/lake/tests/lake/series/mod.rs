//! The seam's tests of series on the lake, in each state that samples can be in.

mod blocks;
mod churn;
mod damage;
mod deletion;
mod refused;
mod scripted;
mod scripts;
mod snapshot;

use std::sync::Arc;

use futures::FutureExt;
use parking_lot::Mutex;
use tripod_lake::Lake;
use tripod_model::series::Labels;
use tripod_storage::series::{
    FloatSample, LabelMatcher, LabelQuery, MillisRange, Rejection, SelectSeries, SelectedSeries, SeriesBatch,
    SeriesStore, suite,
};

use crate::{files, moved, open_when_free, restarted, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_in_memory_keep_the_seams_promises() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(settings(directory.path())).await.unwrap();
    suite::run(lake.clone(), &|store| std::future::ready(store).boxed()).await;
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_series_keep_the_seams_promises() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(settings(directory.path())).await.unwrap();
    suite::run(lake.clone(), &|store| moved(&lake, false, store).boxed()).await;
    let status = lake.status().series;
    assert!(status.table.files > 0);
    assert_eq!(status.table.hot_rows, 0);
    assert!(status.active_series < 1500, "series of generations past leave memory: {}", status.active_series);
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compacted_series_keep_the_seams_promises() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.compaction.min_files = 2;
    settings.vacuum_grace_seconds = 0;
    let lake = Lake::open(settings).await.unwrap();
    suite::run(lake.clone(), &|store| moved(&lake, true, store).boxed()).await;
    lake.maintain().await.unwrap();
    let stored = files(&directory.path().join("tables/series"), "parquet").len();
    assert_eq!(stored, lake.status().series.table.files, "what was merged is vacuumed when nobody reads it");
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_seams_promises() {
    for clean in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let lake = Lake::open(settings(path)).await.unwrap();
        let current = Mutex::new(Some(Arc::clone(&lake)));
        let between =
            |store| restarted(&current, settings(path), clean, store).map(|lake| lake as Arc<dyn SeriesStore>).boxed();
        suite::run(lake, &between).await;
    }
}

/// A flush, then more, then a crash: what the log keeps after a flush stands on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_a_flush_is_replayed_with_its_labels() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for round in 0..4i64 {
        let lake = open_when_free(settings(path)).await;
        for step in 0..3 {
            lake.append_series(batch("x", round * 100 + step * 10, 1.0)).await.unwrap();
            if step == 1 && round % 2 == 0 {
                lake.flush().await.unwrap();
            }
        }
        assert_eq!(times(&lake).await.len() as i64, (round + 1) * 3);
        lake.abandon().await;
    }
    let lake = open_when_free(settings(path)).await;
    let expected: Vec<i64> = (0..4).flat_map(|round| (0..3).map(move |step| round * 100 + step * 10)).collect();
    assert_eq!(times(&lake).await, expected);
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_flushes_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::open(settings(directory.path())).await.unwrap();
    let writers = (0..8i64).map(|writer| {
        let lake = Arc::clone(&lake);
        tokio::spawn(async move {
            for step in 0..50 {
                let appended = lake.append_series(batch("x", step * 8 + writer, step as f64)).await.unwrap();
                assert_eq!(appended.floats, 1, "{appended:?}");
                if step % 10 == writer {
                    lake.flush().await.unwrap();
                }
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    assert_eq!(times(&lake).await, (0..400).collect::<Vec<_>>());
    lake.abandon().await;
    drop(lake);
    let lake = open_when_free(settings(directory.path())).await;
    assert_eq!(times(&lake).await, (0..400).collect::<Vec<_>>());
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_told_by_the_sample() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.series.max_series = 2;
    settings.series.max_labels_per_series = 3;
    settings.series.max_label_value_bytes = 10;
    settings.series.max_samples_per_request = 5;
    settings.series.out_of_order_window_seconds = 1;
    let lake = Lake::open(settings).await.unwrap();
    let refusal = async |batch| {
        let appended = lake.append_series(batch).await.unwrap();
        appended.rejected.into_iter().next().map(|rejected| rejected.reason)
    };
    assert!(
        matches!(refusal(batch("a label too long", 1, 1.0)).await, Some(Rejection::Limit(text)) if text.contains("max_label_value_bytes"))
    );
    let mut wide = batch("x", 1, 1.0);
    wide.labels = vec![Labels::from_pairs([("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")])];
    assert!(matches!(refusal(wide).await, Some(Rejection::Limit(text)) if text.contains("4 labels")));
    assert_eq!(refusal(batch("x", 5000, 1.0)).await, None);
    assert_eq!(refusal(batch("y", 5000, 1.0)).await, None);
    assert!(
        matches!(refusal(batch("z", 5000, 1.0)).await, Some(Rejection::Limit(text)) if text.contains("max_series"))
    );
    assert_eq!(refusal(batch("x", 4000, 1.0)).await, None);
    assert_eq!(refusal(batch("x", 3999, 1.0)).await, Some(Rejection::TooOld));
    assert_eq!(refusal(batch("x", 4000, 2.0)).await, Some(Rejection::DuplicateTimestamp));
    let mut long = batch("x", 6000, 1.0);
    long.floats = vec![long.floats[0]; 6];
    assert!(lake.append_series(long).await.is_err());
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_past_its_retention_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    let lake = Lake::open(settings.clone()).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    lake.append_series(batch("x", 1000, 1.0)).await.unwrap();
    lake.append_series(batch("x", now + 3_600_000, 1.0)).await.unwrap();
    lake.flush().await.unwrap();
    lake.maintain().await.unwrap();
    assert_eq!(times(&lake).await.len(), 2, "what has just come is kept, however old");
    lake.close().await.unwrap();
    drop(lake);
    settings.retention.series_seconds = 1;
    let lake = open_when_free(settings).await;
    while times(&lake).await.len() == 2 {
        lake.maintain().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(times(&lake).await, [now + 3_600_000]);
    lake.close().await.unwrap();
}

fn batch(name: &str, timestamp: i64, value: f64) -> SeriesBatch {
    SeriesBatch {
        labels: vec![Labels::from_pairs([("__name__", "metric"), ("instance", name)])],
        floats: vec![FloatSample { series: 0, timestamp, start: 0, value }],
        ..SeriesBatch::default()
    }
}

async fn times(lake: &Arc<Lake>) -> Vec<i64> {
    let matchers = vec![LabelMatcher::equal("__name__", "metric")];
    let select = SelectSeries { matchers, range: MillisRange::ALL };
    let found = lake.select_series(select).await.unwrap();
    assert!(found.len() <= 1);
    assert_eq!(lake.series(LabelQuery::ALL).await.unwrap().len(), found.len());
    found.first().map_or(Vec::new(), |series| series.samples(MillisRange::ALL).unwrap().floats.timestamps)
}

/// All series by their instance, with the times of their samples.
async fn all(lake: &Arc<Lake>) -> Vec<(String, Vec<i64>)> {
    let select = SelectSeries { matchers: vec![LabelMatcher::equal("__name__", "metric")], range: MillisRange::ALL };
    let found = lake.select_series(select).await.unwrap();
    let times = |series: &SelectedSeries| series.samples(MillisRange::ALL).unwrap().floats.timestamps;
    found.iter().map(|series| (series.labels.get("instance").unwrap().to_owned(), times(series))).collect()
}
