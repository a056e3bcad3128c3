//! Prometheus' HTTP API, as Grafana, promtool and other clients of Prometheus use it.
//!
//! | path under `/api/v1` | answers |
//! |---|---|
//! | `query`, `query_range`, `query_exemplars` | PromQL at a moment, over a range, and exemplars of its series |
//! | `format_query`, `parse_query` | a query made pretty, and as a tree |
//! | `series`, `labels`, `label/{name}/values`, `metadata` | which series there are, and what is known of them |
//! | `targets`, `targets/metadata`, `targets/relabel_steps`, `scrape_pools`, `scrape_pools/config` | what is scraped ([`Targets`]) |
//! | `rules`, `alerts`, `alertmanagers` | empty: rules are not evaluated yet |
//! | `status/…`, `features`, `notifications` | about the server |
//! | `admin/tsdb/…` | deletion and snapshots; switched on by [`crate::PrometheusSettings::enable_admin_api`] |
//!
//! Beside them `/api/v1/read` (remote read), `/federate`, `/-/healthy`, `/-/ready` and `/-/reload`. Error types, messages and
//! status codes are those of Prometheus 3. Answers are written as they are sent, without a tree of JSON between.

mod admin;
mod answer;
mod compression;
mod cors;
mod error;
mod federate;
mod json;
mod label_name;
mod labels;
mod lifecycle;
mod metadata;
mod parameters;
mod query;
mod remote_read;
mod rules;
mod settings;
mod starting;
mod status;
mod targets;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use tripod_model::series::Targets;
use tripod_promql::engine::Engine;

use crate::self_metrics;
use answer::Answer;
use error::ApiError;
use parameters::Parameters;

pub(crate) use json::{histogram_json, labels_json};
pub use settings::PrometheusSettings;
pub use starting::router as starting_router;
pub use status::{About, WalReplay};

/// What the API answers from.
pub struct Prometheus {
    engine: Engine,
    settings: PrometheusSettings,
    about: About,
    targets: Option<Arc<dyn Targets>>,
    reload: Option<Reload>,
    wal_replay: WalReplay,
}

/// Loads the configuration anew; says what is wrong with it.
pub type Reload = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

type Shared = Arc<Prometheus>;

impl Prometheus {
    /// An API over an engine and its store.
    pub fn new(engine: Engine, settings: PrometheusSettings, about: About) -> Self {
        Self { engine, settings, about, targets: None, reload: None, wal_replay: WalReplay::default() }
    }

    /// Shows what is scraped.
    #[must_use]
    pub fn with_targets(mut self, targets: Arc<dyn Targets>) -> Self {
        self.targets = Some(targets);
        self
    }

    /// Tells how much of the log was replayed on start.
    #[must_use]
    pub fn with_wal_replay(mut self, replayed: WalReplay) -> Self {
        self.wal_replay = replayed;
        self
    }

    /// Lets `/-/reload` load the configuration anew.
    #[must_use]
    pub fn with_reload(mut self, reload: Reload) -> Self {
        self.reload = Some(reload);
        self
    }
}

/// The paths above, at the router's root.
pub fn router(prometheus: Prometheus) -> Router {
    let prometheus = Arc::new(prometheus);
    let api = Router::new()
        .route("/query", get_or_post(query::instant))
        .route("/query_range", get_or_post(query::range))
        .route("/query_exemplars", get_or_post(query::exemplars))
        .route("/format_query", get_or_post(query::format))
        .route("/parse_query", get_or_post(query::parse))
        .route("/labels", get_or_post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/series", get_or_post(labels::series))
        .route("/metadata", get_only(metadata::of_metrics))
        .route("/scrape_pools", get_only(targets::pools))
        .route("/scrape_pools/config", get_only(targets::pool_config))
        .route("/targets", get_only(targets::targets))
        .route("/targets/metadata", get_only(metadata::of_targets))
        .route("/targets/relabel_steps", get_only(targets::relabel_steps))
        .route("/rules", get_only(rules::rules))
        .route("/alerts", get_only(rules::alerts))
        .route("/alertmanagers", get_only(rules::alertmanagers))
        .route("/status/config", get_only(status::config))
        .route("/status/flags", get_only(status::flags))
        .route("/status/runtimeinfo", get_only(status::runtime))
        .route("/status/buildinfo", get_only(status::build))
        .route("/status/tsdb", get_only(status::tsdb))
        .route("/status/tsdb/blocks", get_only(status::blocks))
        .route("/status/walreplay", get_only(status::wal_replay))
        .route("/features", get_only(status::features))
        .route("/notifications", get_only(status::notifications))
        .route("/notifications/live", get_only(status::live_notifications))
        .route("/search/{names}", get_or_post(status::search))
        .route("/read", post(remote_read::read))
        .route("/admin/tsdb/delete_series", post_or_put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post_or_put(admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post_or_put(admin::snapshot))
        .layer(middleware::from_fn_with_state(Arc::clone(&prometheus), cors::cors));
    Router::new()
        .nest("/api/v1", api)
        .route("/federate", get(federate::federate))
        .merge(lifecycle::router())
        .with_state(prometheus)
}

fn get_only<A, F>(answer: A) -> MethodRouter<Shared>
where
    A: Fn(Shared, Parameters) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Answer, ApiError>> + Send + 'static,
{
    get(move |State(prometheus): State<Shared>, request: Request| respond(prometheus, request, answer))
}

fn get_or_post<A, F>(answer: A) -> MethodRouter<Shared>
where
    A: Fn(Shared, Parameters) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Answer, ApiError>> + Send + 'static,
{
    let posted = answer.clone();
    get_only(answer)
        .post(move |State(prometheus): State<Shared>, request: Request| respond(prometheus, request, posted))
}

fn post_or_put<A, F>(answer: A) -> MethodRouter<Shared>
where
    A: Fn(Shared, Parameters) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Answer, ApiError>> + Send + 'static,
{
    let put = answer.clone();
    post(move |State(prometheus): State<Shared>, request: Request| respond(prometheus, request, answer))
        .put(move |State(prometheus): State<Shared>, request: Request| respond(prometheus, request, put))
}

/// Reads the parameters, answers, and counts.
async fn respond<A, F>(prometheus: Shared, request: Request, answer: A) -> Response
where
    A: FnOnce(Shared, Parameters) -> F,
    F: Future<Output = Result<Answer, ApiError>>,
{
    let started = Instant::now();
    let gzip = compression::accepts_gzip(request.headers());
    let answered = match Parameters::read(request).await {
        Ok(parameters) => answer(prometheus, parameters).await,
        Err(error) => Err(error),
    };
    let rows = answered.as_ref().map_or(0, Answer::rows);
    let response = answer::into_response(answered, gzip);
    self_metrics::record("prometheus", response.status(), started, rows);
    response
}
