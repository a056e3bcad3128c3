//! What the server layer adds to a request: `cargo bench -p tripod --bench http`.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tripod::accounts::Accounts;
use tripod::http::HttpLayer;
use tripod::layer::{TripodLayer, TripodSubscriber};
use tripod::logs::Pipeline;
use tripod::metrics::Registry;
use tripod::redaction::Redactor;
use tripod::traces::SpanPipeline;

fn app() -> Router {
    Router::new().route("/users/{id}", get(|| async { "hello" }))
}

async fn request(app: &Router) {
    let request = Request::get("/users/7").header("host", "localhost").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

fn http(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = criterion.benchmark_group("http");
    let bare = app();
    group.bench_function("bare", |bencher| bencher.iter(|| runtime.block_on(request(&bare))));

    let registry = Registry::builder().exemplars(tripod::metrics::sampled_span).build().unwrap();
    let layered = app().layer(HttpLayer::builder().build(&registry).unwrap());
    group.bench_function("layer, no subscriber", |bencher| bencher.iter(|| runtime.block_on(request(&layered))));

    // Spans and lines are made and redacted; there is no sink behind.
    let (redactor, accounts) = (Redactor::default(), Accounts::new());
    let layer = TripodLayer::builder(redactor.clone())
        .spans(SpanPipeline::new(redactor.clone(), &accounts))
        .logs(Pipeline::new(redactor, &accounts))
        .build();
    let subscriber = TripodSubscriber::new(layer);
    tracing::subscriber::with_default(subscriber, || {
        group.bench_function("layer, spans and lines", |bencher| bencher.iter(|| runtime.block_on(request(&layered))));
    });
    group.finish();
}

criterion_group!(benches, http);
criterion_main!(benches);
