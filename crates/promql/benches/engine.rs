//! Queries over 1,000 series of an hour at 15 s, at 60 steps of a minute: `cargo bench -p tripod-promql`.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tripod_model::series::Labels;
use tripod_promql::engine::{Engine, Options, QueryOptions};
use tripod_storage::series::{FloatSample, MemorySeriesStore, SeriesBatch, SeriesStore};

const SERIES: usize = 1_000;
const SAMPLES: i64 = 240;
const INTERVAL: i64 = 15_000;
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

/// Counters that now and then begin anew, and as many buckets of 100 classic histograms.
fn store(runtime: &Runtime) -> Arc<MemorySeriesStore> {
    let mut batch = SeriesBatch::default();
    for index in 0..SERIES {
        let (instance, job) = (format!("host-{index:04}:9090"), format!("job-{}", index % 10));
        let pairs = [("__name__", "requests_total"), ("instance", &instance), ("job", &job), ("code", "200")];
        batch.labels.push(Labels::from_pairs(pairs));
        let instance = format!("host-{:04}:9090", index / BOUNDS.len());
        let job = format!("job-{}", index / BOUNDS.len() % 10);
        let bound = BOUNDS[index % BOUNDS.len()];
        let pairs = [("__name__", "duration_seconds_bucket"), ("instance", &instance), ("job", &job), ("le", bound)];
        batch.labels.push(Labels::from_pairs(pairs));
    }
    for sample in 0..SAMPLES {
        for index in 0..SERIES {
            let began = if sample % 200 >= 150 && index % 7 == 0 { 150 } else { 0 };
            let value = (sample - began) as f64 * (1.0 + (index % 13) as f64 * 0.37);
            let series = 2 * index as u32;
            batch.floats.push(FloatSample { series, timestamp: sample * INTERVAL, start: 0, value });
            let value = sample as f64 * (1 + index % BOUNDS.len()) as f64;
            batch.floats.push(FloatSample { series: series + 1, timestamp: sample * INTERVAL, start: 0, value });
        }
    }
    let store = Arc::new(MemorySeriesStore::new());
    let kept = runtime.block_on(store.append_series(batch)).expect("a store in memory takes samples");
    assert_eq!(kept.refused, 0);
    store
}

fn queries(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let engine = Engine::new(store(&runtime), Options::default());
    let end = (SAMPLES - 1) * INTERVAL;
    let mut range = criterion.benchmark_group("range");
    for (name, query) in [
        ("select", "requests_total"),
        ("rate", "rate(requests_total[5m])"),
        ("sum_by_rate", "sum by (job) (rate(requests_total[5m]))"),
        ("histogram_quantile", "histogram_quantile(0.9, sum by (le, job) (rate(duration_seconds_bucket[5m])))"),
        ("max_over_time", "max_over_time(requests_total[5m])"),
        ("sum_over_time", "sum_over_time(requests_total[5m])"),
        ("binary", "rate(requests_total[5m]) / on (instance, job) requests_total"),
        ("topk", "topk(5, requests_total)"),
        ("subquery", "max_over_time(rate(requests_total[5m])[10m:1m])"),
    ] {
        range.bench_function(name, |bencher| {
            bencher.iter(|| {
                let answer = engine.range(query, end - 59 * 60_000, end, 60_000, QueryOptions::default());
                runtime.block_on(answer).expect("a query without errors")
            });
        });
    }
    range.finish();
    criterion.bench_function("instant/sum_by_rate", |bencher| {
        bencher.iter(|| {
            let answer = engine.instant("sum by (job) (rate(requests_total[5m]))", end, QueryOptions::default());
            runtime.block_on(answer).expect("a query without errors")
        });
    });
}

criterion_group!(benches, queries);
criterion_main!(benches);
