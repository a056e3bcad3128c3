use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;

use super::Shared;

/// `/-/healthy`, `/-/ready`, `/-/reload`, `/-/quit`
pub(super) fn router() -> Router<Shared> {
    // While the store is being opened another router answers, so that who reaches this one finds the server ready.
    Router::new()
        .route("/-/healthy", get(|| async { "Prometheus Server is Healthy.\n" }))
        .route("/-/ready", get(|| async { "Prometheus Server is Ready.\n" }))
        .route("/-/reload", post(reload).put(reload))
        .route("/-/quit", post(disabled).put(disabled))
}

async fn reload(State(prometheus): State<Shared>) -> Response {
    let Some(reload) = prometheus.reload.clone() else {
        return disabled().await;
    };
    // It reads files.
    match tokio::task::spawn_blocking(move || reload()).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(reason)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {reason}\n")).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {error}\n")).into_response()
        }
    }
}

async fn disabled() -> Response {
    (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.").into_response()
}
