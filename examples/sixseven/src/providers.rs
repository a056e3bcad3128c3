//! Stand-ins for the two providers, with settable latency, error rate and share of asynchronous answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How the stand-ins behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Milliseconds that each call takes.
    #[arg(long, env = "PROVIDERS_LATENCY_MS", default_value_t = 50)]
    pub latency_ms: u64,
    /// Share of calls that are answered with 500, from 0 to 1.
    #[arg(long, env = "PROVIDERS_ERROR_RATE", default_value_t = 0.0)]
    pub error_rate: f64,
    /// Share of images that are promised instead of delivered, from 0 to 1.
    #[arg(long, env = "PROVIDERS_ASYNC_SHARE", default_value_t = 0.3)]
    pub async_share: f64,
    /// Polls after which a task is done.
    #[arg(long, env = "PROVIDERS_POLLS", default_value_t = 2)]
    pub polls: u32,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { latency_ms: 50, error_rate: 0.0, async_share: 0.3, polls: 2 }
    }
}

#[derive(Clone)]
struct Providers(Arc<Mutex<Inner>>);

struct Inner {
    behaviour: Behaviour,
    /// Polls of each task so far. Forgotten when it is done.
    tasks: HashMap<String, (u32, String)>,
}

/// `POST /research/tasks`, `GET /research/tasks/{id}` (Yutori-like), `POST /images`, `GET /images/{id}` (Freepik-like),
/// and `PUT /behaviour` to change how they behave.
pub fn router(behaviour: Behaviour) -> Router {
    let providers = Providers(Arc::new(Mutex::new(Inner { behaviour, tasks: HashMap::new() })));
    Router::new()
        .route("/research/tasks", post(create_task))
        .route("/research/tasks/{id}", get(poll))
        .route("/images", post(create_image))
        .route("/images/{id}", get(poll))
        .route("/behaviour", put(behave))
        .with_state(providers)
}

impl Providers {
    /// Takes the time of a call, and fails as often as it shall.
    async fn call(&self) -> Result<Behaviour, Response> {
        let behaviour = self.0.lock().behaviour.clone();
        if behaviour.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(behaviour.latency_ms)).await;
        }
        if rand::random::<f64>() < behaviour.error_rate {
            let error = json!({"error": "the provider has a bad day"});
            return Err((StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response());
        }
        Ok(behaviour)
    }

    fn add(&self, what: String) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.0.lock().tasks.insert(id.clone(), (0, what));
        id
    }
}

async fn behave(State(providers): State<Providers>, Json(behaviour): Json<Behaviour>) -> StatusCode {
    providers.0.lock().behaviour = behaviour;
    StatusCode::NO_CONTENT
}

async fn create_task(State(providers): State<Providers>, Json(body): Json<Value>) -> Response {
    if let Err(response) = providers.call().await {
        return response;
    }
    let query = body["query"].as_str().unwrap_or_default();
    let id = providers.add(format!("What is known about {query:?}"));
    (StatusCode::CREATED, Json(json!({"task_id": id, "status": "queued"}))).into_response()
}

async fn create_image(State(providers): State<Providers>, Json(body): Json<Value>) -> Response {
    let behaviour = match providers.call().await {
        Ok(behaviour) => behaviour,
        Err(response) => return response,
    };
    let url = format!("https://images.example/{}.png", uuid::Uuid::new_v4());
    if body["prompt"].as_str().unwrap_or_default().is_empty() {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "give a prompt"}))).into_response();
    }
    if rand::random::<f64>() < behaviour.async_share {
        let id = providers.add(url);
        return (StatusCode::ACCEPTED, Json(json!({"task_id": id, "status": "queued"}))).into_response();
    }
    Json(json!({"status": "succeeded", "result": url})).into_response()
}

async fn poll(State(providers): State<Providers>, Path(id): Path<String>) -> Response {
    let behaviour = match providers.call().await {
        Ok(behaviour) => behaviour,
        Err(response) => return response,
    };
    let mut inner = providers.0.lock();
    let Some((polls, result)) = inner.tasks.get_mut(&id) else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "no such task"}))).into_response();
    };
    *polls += 1;
    if *polls < behaviour.polls {
        return Json(json!({"task_id": id, "status": "running"})).into_response();
    }
    let body = json!({"task_id": id, "status": "succeeded", "result": result});
    inner.tasks.remove(&id);
    Json(body).into_response()
}
