//! Series that come and go, and what stays of them.

use tripod_model::series::{Labels, SeriesExemplar, SeriesMetadata};
use tripod_storage::series::{FloatSample, LabelQuery, MillisRange, SeriesBatch, SeriesStore};

use crate::{open_when_free, settings};

const SERIES: u32 = 300;

/// The generation after which the lake is killed.
const RESTART: i64 = 7;

fn generation(number: i64) -> SeriesBatch {
    let family = format!("family_{number:02}");
    let labels = |series: u32| Labels::from_pairs([("__name__", &*family), ("pod", &*format!("{number}-{series}"))]);
    let exemplar = SeriesExemplar { labels: Labels::from_pairs([("id", "1")]), value: 1.0, timestamp: number };
    SeriesBatch {
        labels: (0..SERIES).map(labels).collect(),
        floats: (0..SERIES).map(|series| FloatSample { series, timestamp: number, start: 0, value: 1.0 }).collect(),
        exemplars: vec![(0, exemplar)],
        metadata: vec![(family.clone(), SeriesMetadata::default())],
        ..SeriesBatch::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_past_take_no_memory_and_are_found_in_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut limited = settings(directory.path());
    // Two generations at once, as there are between two flushes.
    limited.series.max_series = 2 * SERIES as usize;
    let mut lake = open_when_free(limited.clone()).await;
    let mut before = 0;
    for number in 0..12 {
        let appended = lake.append_series(generation(number)).await.unwrap();
        assert_eq!((appended.floats, appended.exemplars, appended.refused), (SERIES as usize, 1, 0), "{number}");
        assert_eq!(lake.status().series.active_series as u32, before + SERIES, "{number}");
        if number == RESTART {
            lake.abandon().await;
            drop(lake);
            lake = open_when_free(limited.clone()).await;
            assert!(lake.status().series.active_series as u32 <= SERIES, "what is in the log alone");
        }
        lake.flush().await.unwrap();
        let status = lake.status().series;
        let active = status.active_series as u32;
        assert_eq!((status.table.hot_rows, status.table.hot_bytes), (0, 0));
        // None of them if the background flushed them after the restart, as it does when it finds a flush that has not
        // ended: then nothing came since.
        assert!(active == SERIES || number == RESTART && active == 0, "{number}: {active}");
        assert_eq!(lake.metadata(None).await.unwrap().len() as i64, number + 1, "few families stay described");
        assert_eq!(lake.statistics(10).await.unwrap().label_pairs, if active == 0 { 0 } else { u64::from(SERIES) + 1 });
        before = active;
    }
    assert_eq!(lake.series(LabelQuery::ALL).await.unwrap().len() as u32, 12 * SERIES);
    let exemplars = lake.exemplars(LabelQuery { range: MillisRange::ALL, ..LabelQuery::ALL }).await.unwrap();
    assert_eq!(exemplars.len(), 12);
    lake.close().await.unwrap();
}
