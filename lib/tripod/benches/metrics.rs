//! What updating a metric costs: `cargo bench -p tripod --bench metrics`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tripod::metrics::Registry;

fn metrics(criterion: &mut Criterion) {
    let registry = Registry::new();
    let counter = registry.counter("hits_total", "Hits").labels(["page", "status"]).register().unwrap();
    let histogram = registry.histogram("latency_seconds", "Latency").register().unwrap();
    let gauge = registry.gauge("in_flight", "In flight").register().unwrap();
    let bound = counter.with(["/home", "200"]);
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("counter, bound", |bencher| bencher.iter(|| black_box(&bound).inc()));
    group.bench_function("counter, looked up", |bencher| {
        bencher.iter(|| counter.with([black_box("/home"), black_box("200")]).inc());
    });
    group.bench_function("gauge, bound", |bencher| bencher.iter(|| black_box(&gauge).inc()));
    group.bench_function("histogram, bound", |bencher| bencher.iter(|| histogram.observe(black_box(0.02))));
    for series in 0..2000 {
        counter.with([&format!("/page/{series}"), "200"]).inc();
    }
    group.bench_function("exposition of 2000 series", |bencher| bencher.iter(|| registry.prometheus_text()));
    group.finish();
}

criterion_group!(benches, metrics);
criterion_main!(benches);
