//! The routes of `/metrics` and `/health`.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderMap, StatusCode};

use crate::health::{Health, Report};
use crate::metrics::Registry;
use crate::metrics::exposition::{Format, openmetrics_text, prometheus_text};

/// `/metrics` (Prometheus text or OpenMetrics, as `Accept` asks), `/health`, `/health/ready` and `/health/live`.
pub fn routes<S: Clone + Send + Sync + 'static>(registry: &Registry, health: &Health) -> Router<S> {
    let registry = registry.clone();
    let (all, ready, live) = (health.clone(), health.clone(), health.clone());
    Router::new()
        .route("/metrics", get(move |headers: HeaderMap| async move { metrics(&registry, &headers) }))
        .route("/health", get(move || async move { answer(&all.report().await) }))
        .route("/health/ready", get(move || async move { answer(&ready.readiness().await) }))
        .route("/health/live", get(move || async move { answer(&live.liveness()) }))
}

fn metrics(registry: &Registry, headers: &HeaderMap) -> Response {
    // A header given twice means the same as one with both values.
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accept.join(","));
    let snapshot = registry.snapshot();
    let body = match format {
        Format::Prometheus => prometheus_text(&snapshot),
        Format::OpenMetrics => openmetrics_text(&snapshot),
    };
    ([(CONTENT_TYPE, format.content_type()), (VARY, "Accept")], body).into_response()
}

fn answer(report: &Report) -> Response {
    let status = StatusCode::from_u16(report.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], report.to_json()).into_response()
}
