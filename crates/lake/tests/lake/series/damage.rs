//! Damage to the log of series: what it costs is no more than what was damaged, or is told.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, SeriesExemplar};
use tripod_storage::series::{HistogramSample, LabelMatcher, LabelQuery, MillisRange, SelectSeries, SeriesStore};
use tripod_wal::{Found, HEADER_BYTES, encode_record, scan, segment_header};

use super::{all, batch, times};
use crate::{files, open_when_free, settings};

/// Where the records of a log with one segment lie.
fn records(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut offset = segment_header().len();
    let place = |found| {
        let Found::Record { payload, .. } = found else { panic!("{found:?}") };
        let start = offset;
        offset += HEADER_BYTES + payload.len();
        start..offset
    };
    scan(bytes).map(place).collect()
}

/// Flips a byte in each of these records of the newest segment.
fn damage(directory: &Path, which: impl IntoIterator<Item = usize>) {
    let segment = files(&directory.join("wal-series"), "wal").pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let records = records(&bytes);
    for record in which {
        bytes[records[record].end - 1] ^= 1;
    }
    fs::write(&segment, bytes).unwrap();
}

/// Makes the log what an earlier build would have written: its records did not begin with the run, which takes a byte here.
fn make_earlier(directory: &Path) {
    for segment in files(&directory.join("wal-series"), "wal") {
        let bytes = fs::read(&segment).unwrap();
        let mut earlier = segment_header().to_vec();
        for found in scan(&bytes) {
            let Found::Record { lsn, tag, payload } = found else { panic!("{found:?}") };
            let (tag, payload) = if tag == 3 { (1, &payload[1..]) } else { (tag, payload) };
            earlier.extend(encode_record(lsn, tag, &[payload]));
            earlier.extend(payload);
        }
        fs::write(&segment, earlier).unwrap();
    }
}

/// A lake that was given a record at each of these times and then crashed.
async fn crashed(records: std::ops::Range<i64>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let lake = open_when_free(settings(directory.path())).await;
    for time in records {
        lake.append_series(batch("x", time, 1.0)).await.unwrap();
    }
    lake.abandon().await;
    directory
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_takes_no_other_with_it() {
    for damaged in 0..6 {
        let directory = crashed(0..7).await;
        damage(directory.path(), [damaged]);
        let mut expected: Vec<i64> = (0..7).collect();
        expected.remove(damaged);
        for round in 7..9 {
            let lake = open_when_free(settings(directory.path())).await;
            assert_eq!(times(&lake).await, expected, "record {damaged}");
            let status = lake.status().series;
            assert_eq!((status.wal_damaged, status.wal_unnamed_samples), (1, 0));
            lake.append_series(batch("x", round, 1.0)).await.unwrap();
            expected.push(round);
            lake.abandon().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_stretch_takes_at_most_as_much_with_it_and_says_so() {
    for damaged in 1..7usize {
        let directory = crashed(0..7).await;
        damage(directory.path(), 0..damaged);
        // Labels are in the records 1, 2 and 4.
        let lost = if damaged < 4 { damaged } else { 7 };
        let lake = open_when_free(settings(directory.path())).await;
        assert_eq!(times(&lake).await, (lost as i64..7).collect::<Vec<_>>(), "{damaged} records");
        let status = lake.status().series;
        assert_eq!(status.wal_unnamed_samples, lost - damaged);
        assert!(status.wal_unnamed_samples <= damaged && status.wal_damaged > 0);
        lake.close().await.unwrap();
        drop(lake);
        let lake = open_when_free(settings(directory.path())).await;
        assert_eq!(times(&lake).await.len(), 7 - lost);
        // The flush at the end released the log, unless there was nothing to flush.
        let status = lake.status().series;
        assert_eq!((status.wal_unnamed_samples, status.wal_damaged), if lost < 7 { (0, 0) } else { (7 - damaged, 1) });
        lake.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histograms_and_exemplars_wait_for_their_labels_too() {
    let directory = tempfile::tempdir().unwrap();
    let lake = open_when_free(settings(directory.path())).await;
    let exemplar = |timestamp| SeriesExemplar { labels: Labels::from_pairs([("id", "1")]), value: 0.5, timestamp };
    for time in 0..4 {
        let mut batch = batch("floats", time, 1.0);
        batch.labels.push(Labels::from_pairs([("__name__", "histograms")]));
        let value = Arc::new(FloatHistogram { count: 2.0, zero_count: 2.0, ..FloatHistogram::default() });
        batch.histograms.push(HistogramSample { series: 1, timestamp: time, start: 0, value });
        batch.exemplars.push((1, exemplar(time)));
        lake.append_series(batch).await.unwrap();
    }
    lake.abandon().await;
    drop(lake);
    damage(directory.path(), 0..2);
    let lake = open_when_free(settings(directory.path())).await;
    let matchers = vec![LabelMatcher::equal("__name__", "histograms")];
    let found = lake.select_series(SelectSeries { matchers, range: MillisRange::ALL }).await.unwrap();
    assert_eq!(found[0].samples(MillisRange::ALL).unwrap().histograms.timestamps, [2, 3]);
    let exemplars = lake.exemplars(LabelQuery::ALL).await.unwrap();
    assert_eq!(exemplars.iter().map(|(_, each)| each.clone()).collect::<Vec<_>>(), [[exemplar(2), exemplar(3)]]);
    assert_eq!(lake.status().series.wal_unnamed_samples, 0);
    lake.abandon().await;
}

/// A number means what it does in one run of the server only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_without_labels_join_no_series_of_an_earlier_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let lake = open_when_free(settings(path)).await;
    lake.append_series(batch("a", 1, 1.0)).await.unwrap();
    lake.append_series(batch("b", 1, 1.0)).await.unwrap();
    lake.flush().await.unwrap();
    // Number 1 is b here, and the next run gives it to c.
    lake.append_series(batch("b", 2, 1.0)).await.unwrap();
    lake.abandon().await;
    drop(lake);
    let lake = open_when_free(settings(path)).await;
    for time in 11..14 {
        lake.append_series(batch("c", time, 1.0)).await.unwrap();
    }
    lake.abandon().await;
    drop(lake);
    damage(path, 0..2);
    let lake = open_when_free(settings(path)).await;
    assert_eq!(all(&lake).await, [("a".to_owned(), vec![1]), ("b".to_owned(), vec![1, 2])]);
    assert_eq!(lake.status().series.wal_unnamed_samples, 1);
    lake.abandon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_earlier_builds_are_read() {
    let directory = crashed(0..3).await;
    make_earlier(directory.path());
    let lake = open_when_free(settings(directory.path())).await;
    assert_eq!(times(&lake).await, [0, 1, 2]);
    lake.append_series(batch("x", 3, 1.0)).await.unwrap();
    lake.abandon().await;
    drop(lake);
    let lake = open_when_free(settings(directory.path())).await;
    assert_eq!(times(&lake).await, [0, 1, 2, 3]);
    lake.close().await.unwrap();
}

/// In records of earlier builds, which do not name their run, labels say anew what a number means.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_earlier_builds_mean_what_was_said_last() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let lake = open_when_free(settings(path)).await;
    lake.append_series(batch("a", 1, 1.0)).await.unwrap();
    lake.append_series(batch("b", 1, 1.0)).await.unwrap();
    lake.flush().await.unwrap();
    lake.append_series(batch("b", 2, 1.0)).await.unwrap();
    lake.abandon().await;
    drop(lake);
    let lake = open_when_free(settings(path)).await;
    for time in 11..14 {
        lake.append_series(batch("c", time, 1.0)).await.unwrap();
    }
    lake.abandon().await;
    drop(lake);
    make_earlier(path);
    let lake = open_when_free(settings(path)).await;
    let found = [("a".to_owned(), vec![1]), ("b".to_owned(), vec![1, 2]), ("c".to_owned(), vec![11, 12, 13])];
    assert_eq!(all(&lake).await, found);
    lake.abandon().await;
}
