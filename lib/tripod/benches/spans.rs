//! What a span costs the application's thread: from its beginning until it is in an exporter's queue. The budget is
//! 300 ns. Encoding and sending happen on the network thread and are measured as `encode`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;
use tripod::accounts::Accounts;
use tripod::context::{Context, TraceId, propagation};
use tripod::layer::TripodLayer;
use tripod::logs::Pipeline;
use tripod::network::{Delivery, Network, Queue, QueueOptions, Transport};
use tripod::redaction::Redactor;
use tripod::traces::sampler::{AlwaysOff, AlwaysOn, Sampler};
use tripod::traces::{Keep, SpanData, SpanPipeline, SpanSink};

/// Takes everything at once.
struct Swallow;

impl Transport<Arc<SpanData>> for Swallow {
    type Request = Vec<Arc<SpanData>>;

    fn encode(&mut self, batch: Vec<Arc<SpanData>>) -> Option<Self::Request> {
        Some(batch)
    }

    async fn send(&mut self, _: &Self::Request) -> Delivery {
        Delivery::Delivered
    }
}

struct Queued(Queue<Arc<SpanData>>);

impl SpanSink for Queued {
    fn emit(&self, span: &Arc<SpanData>) {
        let _ = self.0.try_send(span.clone(), span.size());
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.0.flush(deadline)
    }
}

fn dispatch(sampler: impl Sampler, keep: Keep, network: &Network) -> Dispatch {
    let (redactor, accounts) = (Redactor::default(), Accounts::new());
    let options = QueueOptions { max_bytes: 64 << 20, linger: Duration::from_millis(50), ..QueueOptions::default() };
    let queue = network.queue(accounts.open("bench", "spans"), options, Swallow);
    let spans = SpanPipeline::new(redactor.clone(), &accounts)
        .with_sampler(Arc::new(sampler))
        .with_keep(keep)
        .with_sink(Arc::new(Queued(queue)));
    let logs = Pipeline::new(redactor.clone(), &accounts);
    Dispatch::new(Registry::default().with(TripodLayer::builder(redactor).spans(spans).logs(logs).build()))
}

fn spans(criterion: &mut Criterion) {
    let network = Network::start().expect("a thread");
    let mut group = criterion.benchmark_group("span");
    group.throughput(Throughput::Elements(1));
    let bare = Dispatch::new(Registry::default());
    tracing::dispatcher::with_default(&bare, || {
        group.bench_function("registry alone", |b| {
            b.iter(|| info_span!("work", n = black_box(1u64)).in_scope(|| ()));
        });
    });
    let recorded = dispatch(AlwaysOn, Keep::default(), &network);
    tracing::dispatcher::with_default(&recorded, || {
        group.bench_function("recorded, no attributes", |b| b.iter(|| info_span!("work").in_scope(|| ())));
        group.bench_function("recorded, 3 attributes", |b| {
            b.iter(|| {
                let status = black_box(200u64);
                info_span!("work", job.kind = black_box("research"), status, cached = true).in_scope(|| ())
            });
        });
        let root = info_span!("root").entered();
        group.bench_function("child, 3 attributes", |b| {
            b.iter(|| {
                let status = black_box(200u64);
                info_span!("work", job.kind = black_box("research"), status, cached = true).in_scope(|| ())
            });
        });
        drop(root);
    });
    let unsampled = dispatch(AlwaysOff, Keep::default(), &network);
    tracing::dispatcher::with_default(&unsampled, || {
        group.bench_function("not sampled", |b| {
            b.iter(|| info_span!("work", n = black_box(1u64)).in_scope(|| ()));
        });
    });
    group.finish();
    network.shutdown(Instant::now() + Duration::from_secs(5));
}

fn context(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("context");
    group.bench_function("trace id", |b| b.iter(TraceId::random));
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    group.bench_function("parse traceparent", |b| b.iter(|| propagation::w3c::parse(black_box(header))));
    let context = Context::new().with("request_id", "r").with("user_id", "u");
    group.bench_function("enter", |b| b.iter(|| context.clone().run(|| black_box(()))));
    group.bench_function("bound", |b| context.clone().run(|| b.iter(tripod::context::bound)));
    let none = Dispatch::none();
    tracing::dispatcher::with_default(&none, || group.bench_function("disabled line", |b| b.iter(|| info!("x"))));
    group.finish();
}

criterion_group!(benches, spans, context);
criterion_main!(benches);
