//! The query API of Jaeger, as the Jaeger UI and Grafana use it.
//!
//! | path | answers |
//! |---|---|
//! | `/api/services` | names of services |
//! | `/api/services/{service}/operations` | names of operations |
//! | `/api/operations?service=&spanKind=` | operations with their kind |
//! | `/api/traces?service=…` | traces that match ([`parameters::Search`]) |
//! | `/api/traces?traceID=…&traceID=…`, `/api/traces/{id}` | traces by id |
//! | `/api/dependencies?endTs=&lookback=` | which service calls which, how often |
//!
//! Every answer is `{"data":[…],"total":n,"limit":n,"offset":0,"errors":null}`, an error has `"data":null` and
//! `"errors":[{"code","msg"}]`. `prettyPrint` and `raw` are accepted and change nothing: nothing is adjusted here.

mod answer;
mod dependencies;
mod duration;
mod names;
mod parameters;
mod search;
mod tags;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, Uri};
use serde::Serialize;
use tripod_storage::{Store, TimeRange};

use crate::{JaegerSettings, self_metrics};
use answer::{Answer, JaegerError};
use names::Names;
use parameters::{Parameters, Search};

struct Jaeger {
    store: Arc<dyn Store>,
    names: Names,
    settings: JaegerSettings,
}

type Shared = State<Arc<Jaeger>>;

/// The paths above, at the router's root.
pub fn router(store: Arc<dyn Store>, settings: &JaegerSettings) -> Router {
    let names = Names::new(Arc::clone(&store));
    Router::new()
        .route("/api/services", get(services))
        .route("/api/services/{service}/operations", get(operation_names))
        .route("/api/operations", get(operations))
        .route("/api/traces", get(traces))
        .route("/api/traces/{id}", get(trace))
        .route("/api/dependencies", get(dependencies))
        .with_state(Arc::new(Jaeger { store, names, settings: settings.clone() }))
}

/// Answers within the time allowed, and counts.
async fn answer(jaeger: &Jaeger, answer: impl Future<Output = Result<Answer, JaegerError>>) -> Response {
    let started = Instant::now();
    let seconds = jaeger.settings.timeout_seconds;
    let answered = tokio::time::timeout(Duration::from_secs(seconds), answer).await.unwrap_or_else(|_| {
        let message = format!("no answer within {seconds}s (setting jaeger.timeout_seconds); narrow the time range");
        Err(JaegerError::new(StatusCode::GATEWAY_TIMEOUT, message))
    });
    let rows = answered.as_ref().map_or(0, |answer| answer.rows);
    let response = answered.into_response();
    self_metrics::record("jaeger", response.status(), started, rows);
    response
}

async fn services(State(jaeger): Shared) -> Response {
    answer(&jaeger, async {
        let services = jaeger.names.services().await?;
        Answer::of(&services, services.len() as u64)
    })
    .await
}

async fn operation_names(State(jaeger): Shared, service: Result<Path<String>, PathRejection>) -> Response {
    answer(&jaeger, async {
        let Path(service) = service.map_err(|rejection| JaegerError::invalid(rejection.body_text()))?;
        let operations = jaeger.names.operations(&service).await?;
        // Sorted by name, so that the kinds of one name are neighbours.
        let mut names: Vec<_> = operations.iter().map(|operation| operation.name.as_str()).collect();
        names.dedup();
        Answer::of(&names, operations.len() as u64)
    })
    .await
}

async fn operations(State(jaeger): Shared, uri: Uri) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Operation<'a> {
        name: &'a str,
        span_kind: &'a str,
    }
    answer(&jaeger, async {
        let parameters = Parameters::new(&uri)?;
        let Some(service) = parameters.first("service") else {
            return Err(JaegerError::invalid("parameter 'service' is required"));
        };
        let operations = jaeger.names.operations(service).await?;
        let kind = parameters.first("spanKind");
        let wanted = operations.iter().filter(|operation| kind.is_none_or(|kind| operation.span_kind == kind));
        let wanted: Vec<_> =
            wanted.map(|operation| Operation { name: &operation.name, span_kind: &operation.span_kind }).collect();
        Answer::of(&wanted, operations.len() as u64)
    })
    .await
}

async fn traces(State(jaeger): Shared, uri: Uri) -> Response {
    answer(&jaeger, async {
        let parameters = Parameters::new(&uri)?;
        let ids = parameters.trace_ids()?;
        if !ids.is_empty() {
            if ids.len() > jaeger.settings.max_traces {
                let most = jaeger.settings.max_traces;
                return Err(JaegerError::invalid(format!("more than {most} traces (setting jaeger.max_traces)")));
            }
            let fetched = search::fetch(&jaeger.store, &ids, parameters.time()?, &jaeger.settings).await?;
            let (data, total, missing, rows) = (fetched.json, fetched.total, fetched.missing, fetched.rows);
            return Ok(Answer { data, total, limit: 0, missing, rows });
        }
        let search = Search::new(&parameters, &jaeger.settings, parameters::now())?;
        let ids = search::find(&jaeger.store, &search).await?;
        let fetched = search::fetch(&jaeger.store, &ids, TimeRange::ALL, &jaeger.settings).await?;
        // A trace that retention removed between the passes is no error of the one who asks.
        let (data, total, rows) = (fetched.json, fetched.total, fetched.rows);
        Ok(Answer { data, total, limit: search.limit, rows, missing: Vec::new() })
    })
    .await
}

async fn trace(State(jaeger): Shared, id: Result<Path<String>, PathRejection>, uri: Uri) -> Response {
    answer(&jaeger, async {
        let Path(id) = id.map_err(|rejection| JaegerError::invalid(rejection.body_text()))?;
        let id = parameters::parse_trace_id(&id)?;
        let time = Parameters::new(&uri)?.time()?;
        let fetched = search::fetch(&jaeger.store, &[id], time, &jaeger.settings).await?;
        match fetched.total {
            0 => Err(JaegerError::not_found()),
            total => Ok(Answer { data: fetched.json, total, rows: fetched.rows, ..Answer::default() }),
        }
    })
    .await
}

async fn dependencies(State(jaeger): Shared, uri: Uri) -> Response {
    answer(&jaeger, async {
        let parameters = Parameters::new(&uri)?;
        let window = parameters::dependency_window(&parameters, parameters::now())?;
        let (mut dependencies, rows) = dependencies::dependencies(&jaeger.store, window).await?;
        if let Some(service) = parameters.first("service") {
            dependencies.retain(|dependency| dependency.parent == service || dependency.child == service);
        }
        Answer::of(&dependencies, rows)
    })
    .await
}
