//! The HTTP API: commands in, jobs out.

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::{info, warn};
use tripod::context;
use tripod::jobs::{JobObserver, JobTrace};
use tripod::metrics::{MetricError, Registry};

use crate::client::{ProviderUrls, Providers};
use crate::job::{Intent, JobStore};
use crate::orchestrator::Orchestrator;

/// Longer commands are refused.
const MAX_COMMAND_BYTES: usize = 4096;

#[derive(Clone)]
struct App {
    orchestrator: Orchestrator,
    store: JobStore,
}

/// The API, without `/health` and `/metrics`.
///
/// # Errors
/// When a metric's name is in use.
pub fn router(registry: &Registry, urls: ProviderUrls) -> Result<Router, MetricError> {
    let observer = JobObserver::builder().trace(JobTrace::Child).build(registry)?;
    let store = JobStore::default();
    let providers = Providers::new(registry, observer.clone(), urls)?;
    let orchestrator = Orchestrator::new(registry, store.clone(), observer, providers)?;
    Ok(Router::new()
        .route("/command", post(command))
        .route("/jobs", get(list))
        .route("/jobs/{id}", get(read).delete(cancel))
        .route("/jobs/{id}/cancel", post(cancel))
        .layer(DefaultBodyLimit::max(8 << 20))
        .with_state(App { orchestrator, store }))
}

/// Says in the log that the health endpoint was called.
pub fn with_health_line(routes: Router) -> Router {
    routes.layer(from_fn(|request: Request, next: Next| async move {
        if request.uri().path().starts_with("/health") {
            info!(path = request.uri().path(), "health_check");
        }
        next.run(request).await
    }))
}

/// A command.
#[derive(Debug, Deserialize)]
struct Command {
    /// What to do, in words.
    text: String,
    /// An image to work on, in base64.
    image: Option<String>,
    /// The user's session.
    session_id: Option<String>,
}

/// What became of a command.
#[derive(Debug, Serialize)]
struct Reply {
    intent: Intent,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    message: &'static str,
}

async fn command(State(app): State<App>, Json(command): Json<Command>) -> Response {
    if let Some(session) = command.session_id.filter(|session| session.len() <= 128) {
        context::bind(context::SESSION_ID, session);
    }
    let (text, has_image) = (command.text.trim(), command.image.is_some_and(|image| !image.is_empty()));
    info!(command = text, has_image, "command_received");
    if text.is_empty() || text.len() > MAX_COMMAND_BYTES {
        warn!(reason = "length", "command_error");
        let error = json!({"error": format!("give a text of 1 to {MAX_COMMAND_BYTES} bytes")});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let handled = app.orchestrator.handle_command(text, has_image).await;
    info!(intent = handled.intent.as_str(), created_job_id = handled.job_id, "command_handled");
    let message = match handled.intent {
        Intent::Research => "I am looking into it",
        Intent::Creative => "I am making it",
        Intent::Unknown => "Ask me to research something or to create an image",
    };
    Json(Reply { intent: handled.intent, job_id: handled.job_id, message }).into_response()
}

async fn list(State(app): State<App>) -> Response {
    let jobs = app.store.list();
    info!(count = jobs.len(), "jobs_listed");
    Json(json!({ "jobs": jobs })).into_response()
}

async fn read(State(app): State<App>, Path(id): Path<String>) -> Response {
    context::bind(context::JOB_ID, id.clone());
    let job = app.store.get(&id);
    info!(found = job.is_some(), "get_job");
    job.map_or_else(|| missing().into_response(), |job| Json(job).into_response())
}

async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Response {
    context::bind(context::JOB_ID, id.clone());
    match app.store.cancel(&id) {
        None => missing().into_response(),
        Some(running) => {
            info!(running, "job_cancelled");
            Json(json!({"job_id": id, "cancelled": running})).into_response()
        }
    }
}

fn missing() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Json(json!({"error": "there is no such job"})))
}
