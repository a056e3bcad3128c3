//! The crates that most services of this kind use today, set up as their own guides say.

use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::info;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use super::command;

/// The buckets that the SDK has by default.
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

pub(super) fn app() -> Result<Router> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    // The endpoint, the sampler and the batches are read from the environment.
    let exporter = SpanExporter::builder().with_tonic().build()?;
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("bench").build())
        .with_batch_exporter(exporter)
        .build();
    tracing_subscriber::registry()
        .with(EnvFilter::new("info,otel::tracing=trace"))
        .with(fmt::layer().json())
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("bench")))
        .try_init()?;

    let metrics = PrometheusBuilder::new().set_buckets(BUCKETS)?.install_recorder()?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });

    let flush = get(move || {
        let provider = provider.clone();
        async move { tokio::task::spawn_blocking(move || format!("{:?}", provider.force_flush())).await.unwrap_or_default() }
    });
    Ok(Router::new()
        .route("/command", post(command))
        .layer(from_fn(observe))
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default())
        .route("/metrics", get(move || async move { metrics.render() }))
        .route("/flush", flush))
}

/// The middleware that every service of this kind has: the line of the request, and its metrics.
async fn observe(route: MatchedPath, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let endpoint = route.as_str().to_owned();
    let in_flight = gauge!("http_requests_in_flight", "method" => method.clone());
    in_flight.increment(1.0);
    let started = Instant::now();
    let response = next.run(request).await;
    let took = started.elapsed();
    in_flight.decrement(1.0);
    let status = response.status().as_u16();
    let labels = [("endpoint", endpoint.clone()), ("method", method.clone()), ("status_code", status.to_string())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", &labels).record(took.as_secs_f64());
    let duration_ms = took.as_secs_f64() * 1e3;
    info!(method, path, endpoint, status_code = status, duration_ms, "request_completed");
    response
}
