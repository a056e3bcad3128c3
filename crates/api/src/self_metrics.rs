//! The server's metrics about itself, and how the query APIs count.

use axum::Router;
use axum::routing::get;
use http::{StatusCode, header};
use std::time::Instant;

/// `GET /metrics` in Prometheus's text format 0.0.4; `render` gives the text of a scrape.
pub fn router(render: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    let scrape = move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render()) };
    Router::new().route("/metrics", get(scrape))
}

/// Counts one answered request of an API: `tripod_query_requests_total{api,code}`, `tripod_query_duration_seconds{api}`
/// and `tripod_query_rows_total{api}`.
pub(crate) fn record(api: &'static str, code: StatusCode, started: Instant, rows: u64) {
    metrics::counter!("tripod_query_requests_total", "api" => api, "code" => code.as_str().to_owned()).increment(1);
    metrics::histogram!("tripod_query_duration_seconds", "api" => api).record(started.elapsed().as_secs_f64());
    metrics::counter!("tripod_query_rows_total", "api" => api).increment(rows);
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_scrape_gives_what_render_gives() {
        let router = router(|| "up 1\n".to_owned());
        let response = router.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "up 1\n");
    }
}
