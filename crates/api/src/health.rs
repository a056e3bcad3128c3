//! Whether the server lives, and whether it can do its work.
//!
//! `/health/live` says that the process answers; `/health/ready` and `/health` say that it is started, not stopping,
//! and that every check passes. A load balancer asks the second, a supervisor that restarts processes the first.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::{BoxFuture, join_all};
use http::StatusCode;
use serde::Serialize;

/// A check that takes longer has failed: whoever asks for health has a deadline of its own.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

type Check = Box<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// The server's state of health.
pub struct Health {
    version: String,
    started: Instant,
    ready: AtomicBool,
    checks: Vec<(String, Check)>,
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    version: &'a str,
    uptime_seconds: u64,
    ready: bool,
    checks: Vec<Outcome<'a>>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    name: &'a str,
    status: &'static str,
    message: String,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.checks.iter().map(|(name, _)| name).collect();
        f.debug_struct("Health").field("ready", &self.ready).field("checks", &names).finish_non_exhaustive()
    }
}

impl Health {
    /// Not ready, without checks. `started` is what the uptime counts from.
    pub fn new(version: impl Into<String>, started: Instant) -> Self {
        Self { version: version.into(), started, ready: AtomicBool::new(false), checks: Vec::new() }
    }

    /// The same with one more check: `Ok` says what is well, `Err` what is wrong, in words for an operator.
    #[must_use]
    pub fn check<F, R>(mut self, name: impl Into<String>, check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.checks.push((name.into(), Box::new(move || Box::pin(check()))));
        self
    }

    /// Set once everything is started, and unset when the server begins to stop.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    async fn report(&self) -> (StatusCode, Report<'_>) {
        let checks = join_all(self.checks.iter().map(|(name, check)| async move {
            let outcome = tokio::time::timeout(CHECK_TIMEOUT, check())
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {}s", CHECK_TIMEOUT.as_secs())));
            let (status, message) = match outcome {
                Ok(message) => ("ok", message),
                Err(message) => ("failed", message),
            };
            Outcome { name, status, message }
        }))
        .await;
        let ready = self.ready.load(Ordering::Acquire);
        let well = ready && checks.iter().all(|check| check.status == "ok");
        let report = Report {
            status: if well { "ok" } else { "unavailable" },
            version: &self.version,
            uptime_seconds: self.started.elapsed().as_secs(),
            ready,
            checks,
        };
        (if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
    }
}

/// `GET /health`, `/health/live` and `/health/ready`.
pub fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/health", get(report))
        .route("/health/live", get(|| async { Json(serde_json::json!({"status": "ok"})) }))
        .route("/health/ready", get(report))
        .with_state(health)
}

async fn report(State(health): State<Arc<Health>>) -> Response {
    let (status, report) = health.report().await;
    (status, Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(health: &Arc<Health>, path: &str) -> (u16, serde_json::Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(Arc::clone(health)).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
    }

    #[tokio::test]
    async fn ready_needs_the_flag_and_every_check() {
        let well = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&well);
        let health = Health::new("1.2.3", Instant::now()).check("store", move || {
            let well = seen.load(Ordering::Relaxed);
            async move { if well { Ok("writable".to_owned()) } else { Err("disk full".to_owned()) } }
        });
        let health = Arc::new(health);
        assert_eq!(ask(&health, "/health/live").await.0, 200);
        assert_eq!(ask(&health, "/health/ready").await.0, 503);
        health.set_ready(true);
        let (status, body) = ask(&health, "/health").await;
        assert_eq!(
            (status, &body["version"], &body["checks"][0]["message"]),
            (200, &"1.2.3".into(), &"writable".into())
        );
        well.store(false, Ordering::Relaxed);
        let (status, body) = ask(&health, "/health/ready").await;
        assert_eq!(
            (status, &body["status"], &body["checks"][0]["message"]),
            (503, &"unavailable".into(), &"disk full".into())
        );
        assert_eq!(ask(&health, "/health/live").await.0, 200);
    }
}
