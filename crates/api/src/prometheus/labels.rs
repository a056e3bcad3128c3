use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use tripod_promql::literal::quote;
use tripod_storage::series::LabelQuery;

use super::answer::Answer;
use super::error::ApiError;
use super::label_name::unescape;
use super::parameters::Parameters;
use super::{Shared, json, respond};

/// `labels`
pub(super) async fn names(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let (query, limit) = query(&parameters)?;
    let names = prometheus.engine.store().label_names(query).await?;
    Ok(Answer::limited(names, limit, |out, name| json::text(out, name)))
}

/// `label/{name}/values`
pub(super) async fn values(
    State(prometheus): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let name = name.map(|Path(name)| unescape(&name)).map_err(|rejection| rejection.body_text());
    respond(prometheus, request, move |prometheus, parameters| values_of(prometheus, parameters, name)).await
}

async fn values_of(
    prometheus: Shared,
    parameters: Parameters,
    name: Result<String, String>,
) -> Result<Answer, ApiError> {
    let name = name.map_err(ApiError::bad_data)?;
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {}", quote(&name))));
    }
    let (query, limit) = query(&parameters)?;
    let values = prometheus.engine.store().label_values(&name, query).await?;
    Ok(Answer::limited(values, limit, |out, value| json::text(out, value)))
}

/// `series`
pub(super) async fn series(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    if parameters.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = parameters.limit()?;
    let range = parameters.range()?;
    let matcher_sets = parameters.narrow_selectors().map_err(|reason| ApiError::invalid("match[]", reason))?;
    let query = LabelQuery { matcher_sets, range, limit: one_more(limit) };
    let found = prometheus.engine.store().series(query).await?;
    Ok(Answer::limited(found, limit, json::labels))
}

fn query(parameters: &Parameters) -> Result<(LabelQuery, usize), ApiError> {
    let limit = parameters.limit()?;
    let range = parameters.range()?;
    let matcher_sets = parameters.narrow_selectors().map_err(ApiError::bad_data)?;
    Ok((LabelQuery { matcher_sets, range, limit: one_more(limit) }, limit))
}

/// So that an answer knows whether there is more.
fn one_more(limit: usize) -> usize {
    if limit == 0 { 0 } else { limit.saturating_add(1) }
}
