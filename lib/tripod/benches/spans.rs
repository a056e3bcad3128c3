//! What a span costs the application's thread: from its beginning until it is encoded in an exporter's queue. The budget
//! is 300 ns.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tracing::{Dispatch, info, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;
use tripod::accounts::Accounts;
use tripod::context::{Context, TraceId, propagation};
use tripod::layer::{TripodLayer, TripodSubscriber};
use tripod::logs::Pipeline;
use tripod::network::{Network, QueueOptions};
use tripod::redaction::Redactor;
use tripod::resource::Resource;
use tripod::sinks::otlp::{OtlpSettings, OtlpSpans, Protocol};
use tripod::traces::SpanPipeline;
use tripod::traces::sampler::{AlwaysOff, AlwaysOn, Sampler};

/// A collector that reads requests and says yes; gives its address.
fn collector() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Ok(mut answers) = stream.try_clone() else { return };
            let mut requests = BufReader::new(stream);
            let (mut line, mut length, mut body) = (String::new(), 0, Vec::new());
            while requests.read_line(&mut line).is_ok_and(|read| read > 0) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                if line.trim().is_empty() {
                    body.resize(length, 0);
                    let answered = requests.read_exact(&mut body);
                    let answered =
                        answered.and_then(|()| answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
                    if answered.is_err() {
                        break;
                    }
                }
                line.clear();
            }
        }
    });
    address
}

fn layer(sampler: impl Sampler, network: &Network) -> TripodLayer {
    let (redactor, accounts) = (Redactor::default(), Accounts::new());
    let options = QueueOptions { max_bytes: 64 << 20, linger: Duration::from_millis(50), ..QueueOptions::default() };
    let settings = OtlpSettings::new(collector().parse().expect("an address"), Protocol::HttpProtobuf);
    let exporter = OtlpSpans::open(settings, options, &Resource::new(), network, &accounts).expect("an exporter");
    let spans =
        SpanPipeline::new(redactor.clone(), &accounts).with_sampler(Arc::new(sampler)).with_sink(Arc::new(exporter));
    let logs = Pipeline::new(redactor.clone(), &accounts);
    TripodLayer::builder(redactor).spans(spans).logs(logs).build()
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
    let recorded = Dispatch::new(TripodSubscriber::new(layer(AlwaysOn, &network)));
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
    let beside_others = Dispatch::new(Registry::default().with(layer(AlwaysOn, &network)));
    tracing::dispatcher::with_default(&beside_others, || {
        group.bench_function("recorded, on a registry", |b| b.iter(|| info_span!("work").in_scope(|| ())));
    });
    let unsampled = Dispatch::new(TripodSubscriber::new(layer(AlwaysOff, &network)));
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
