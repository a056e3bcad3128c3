//! The routes of `/metrics` and `/health`.

use std::io::Write as _;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, StatusCode};

use crate::health::{Health, Report};
use crate::metrics::Registry;
use crate::metrics::exposition::{Format, openmetrics_text, prometheus_text};

/// `/metrics` (Prometheus text or OpenMetrics, as `Accept` asks, packed with gzip where `Accept-Encoding` allows it), `/health`, `/health/ready` and `/health/live`.
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
    let head = [(CONTENT_TYPE, format.content_type()), (VARY, "Accept, Accept-Encoding")];
    match accepts_gzip(headers).then(|| gzip(body.as_bytes())) {
        Some(Ok(packed)) => (head, [(CONTENT_ENCODING, "gzip")], packed).into_response(),
        Some(Err(_)) | None => (head, body).into_response(),
    }
}

/// Whether `Accept-Encoding` names gzip, or anything, with a weight above 0 (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let weight = |coding: &str| {
        let all = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let mut found = all.flat_map(|value| value.split(',')).filter_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next()?.eq_ignore_ascii_case(coding).then(|| {
                let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
                weight.map_or(1.0, |weight| weight.trim().parse::<f32>().unwrap_or_default())
            })
        });
        found.next()
    };
    weight("gzip").or_else(|| weight("x-gzip")).or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::with_capacity(text.len() / 6), Compression::fast());
    packed.write_all(text)?;
    packed.finish()
}

fn answer(report: &Report) -> Response {
    let status = StatusCode::from_u16(report.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], report.to_json()).into_response()
}
