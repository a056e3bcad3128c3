//! What is answered while the store is being opened, which may have a log to replay.

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::RETRY_AFTER;

use super::answer;
use super::status::WalReplay;

/// `/-/healthy` and `/api/v1/status/walreplay`, and that the server is not ready for all else, as Prometheus has it.
pub fn router(progress: Arc<dyn Fn() -> WalReplay + Send + Sync>) -> Router {
    let replay = move || async move { answer::into_response(Ok(progress().answer()), false) };
    Router::new()
        .route("/-/healthy", get(|| async { "Prometheus Server is Healthy.\n" }))
        .route("/api/v1/status/walreplay", get(replay))
        .fallback(not_ready)
}

async fn not_ready() -> Response {
    let headers = [("x-prometheus-stopping", "false"), (RETRY_AFTER.as_str(), "1")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, "Service Unavailable").into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn it_tells_how_far_the_log_was_replayed_and_that_it_is_not_ready() {
        let router = router(Arc::new(|| WalReplay { min: 0, max: 7, current: 3 }));
        for (path, status, text) in [
            ("/-/healthy", 200, "Prometheus Server is Healthy.\n"),
            ("/-/ready", 503, "Service Unavailable"),
            ("/api/v1/query?query=up", 503, "Service Unavailable"),
            ("/api/v1/write", 503, "Service Unavailable"),
            ("/api/v1/status/walreplay", 200, r#"{"status":"success","data":{"min":0,"max":7,"current":3}}"#),
        ] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers().contains_key("x-prometheus-stopping"), status == 503, "{path}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text, "{path}");
        }
    }
}
