//! Files with many metrics, of which a question reads the blocks that it needs.

use std::collections::{BTreeSet, HashMap};

use tripod_model::series::Labels;
use tripod_storage::series::{
    FloatSample, LabelMatcher, LabelQuery, MatchOp, MillisRange, SelectSeries, SeriesBatch, SeriesStore,
};

use crate::{open_when_free, settings};

/// Series of metrics of many sizes, some without a name, some with names that are longer than what statistics keep.
fn all() -> Vec<Labels> {
    let mut all = Vec::new();
    let mut add = |metric: &str, count: usize| {
        let series = |number| Labels::from_pairs([("__name__", metric), ("host", &*format!("host-{number}"))]);
        all.extend((0..count).map(series));
    };
    add("", 300);
    add("node_cpu", 3000);
    (0..40).for_each(|number| add(&format!("node_disk_{number:02}"), 60));
    let long = "application_with_a_very_long_prefix_of_its_names_".repeat(2);
    ["a", "b", "\u{10ffff}"].iter().for_each(|end| add(&format!("{long}{end}"), 500));
    add("up", 1);
    all
}

fn sets() -> Vec<Vec<Vec<LabelMatcher>>> {
    let matcher = |name: &str, op, value: &str| LabelMatcher::new(name, op, value).unwrap();
    let name = |op, value: &str| matcher("__name__", op, value);
    let (equal, regex) = (MatchOp::Equal, MatchOp::Regex);
    let long = "application_with_a_very_long_prefix_of_its_names_".repeat(2);
    vec![
        vec![],
        vec![vec![name(equal, "up")]],
        vec![vec![name(equal, "node_cpu")]],
        vec![vec![name(equal, "node_cpu"), matcher("host", equal, "host-2999")]],
        vec![vec![name(equal, &format!("{long}b"))]],
        vec![vec![name(equal, &format!("{long}\u{10ffff}"))]],
        vec![vec![name(equal, "none")]],
        vec![vec![name(equal, "")]],
        vec![vec![name(regex, "node_disk_1.")]],
        vec![vec![name(regex, "node_disk_(03|up)|up")]],
        vec![vec![name(regex, "application.*")]],
        vec![vec![name(regex, ".*_17")]],
        vec![vec![name(regex, ".*"), matcher("host", equal, "host-59")]],
        vec![vec![name(regex, "zzz.*")]],
        vec![vec![name(MatchOp::NotEqual, "node_cpu")]],
        vec![vec![name(MatchOp::NotRegex, "node.*")]],
        vec![vec![matcher("host", equal, "host-1000")]],
        vec![vec![name(equal, "up")], vec![name(equal, "node_disk_39")], vec![name(regex, "u.")]],
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_selection_finds_what_it_means_in_files_of_many_metrics() {
    let all = all();
    // With room for everything, for some blocks, and for none.
    for index_cache_bytes in [128 << 20, 400 << 10, 0] {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(directory.path());
        settings.series.index_cache_bytes = index_cache_bytes;
        settings.compaction.min_files = 2;
        let lake = open_when_free(settings.clone()).await;
        for time in 0..4 {
            let float = |series| FloatSample { series, timestamp: time, start: 0, value: f64::from(series) };
            let floats = (0..all.len() as u32).map(float).collect();
            lake.append_series(SeriesBatch { labels: all.clone(), floats, ..SeriesBatch::default() }).await.unwrap();
            lake.flush().await.unwrap();
        }
        assert!(lake.status().series.table.files > 1);
        check(&*lake, &all).await;
        lake.maintain().await.unwrap();
        assert_eq!(lake.status().series.table.files, 1);
        check(&*lake, &all).await;
        lake.close().await.unwrap();
        drop(lake);
        let lake = open_when_free(settings).await;
        // All at once, so that some wait for what others read.
        tokio::join!(check(&*lake, &all), check(&*lake, &all), check(&*lake, &all));
        lake.close().await.unwrap();
    }
}

async fn check(lake: &dyn SeriesStore, all: &[Labels]) {
    let places: HashMap<&Labels, usize> = all.iter().zip(0..).collect();
    for matcher_sets in sets() {
        let is_meant = |labels: &&Labels| {
            let holds = |set: &Vec<LabelMatcher>| set.iter().all(|matcher| matcher.matches_labels(labels));
            matcher_sets.is_empty() || matcher_sets.iter().any(holds)
        };
        let meant: BTreeSet<&Labels> = all.iter().filter(is_meant).collect();
        let found = lake.series(LabelQuery { matcher_sets: matcher_sets.clone(), ..LabelQuery::ALL }).await.unwrap();
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), meant, "{matcher_sets:?}");
        assert_eq!(found.len(), meant.len(), "each once");
        let [matchers] = &matcher_sets[..] else { continue };
        let selected =
            lake.select_series(SelectSeries { matchers: matchers.clone(), range: MillisRange::ALL }).await.unwrap();
        assert_eq!(selected.iter().map(|series| &series.labels).collect::<BTreeSet<_>>(), meant, "{matchers:?}");
        for series in &selected {
            let samples = series.samples(MillisRange::ALL).unwrap();
            assert_eq!(samples.floats.timestamps, [0, 1, 2, 3]);
            assert_eq!(samples.floats.values, [places[&series.labels] as f64; 4]);
        }
    }
}
