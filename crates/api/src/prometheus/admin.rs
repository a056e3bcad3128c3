use tripod_storage::series::LabelQuery;

use super::answer::Answer;
use super::error::ApiError;
use super::parameters::{Parameters, parse_bool};
use super::{Prometheus, Shared, json};

impl Prometheus {
    fn check_admin(&self) -> Result<(), ApiError> {
        if self.settings.enable_admin_api { Ok(()) } else { Err(ApiError::unavailable("admin APIs disabled")) }
    }
}

/// `admin/tsdb/delete_series`
pub(super) async fn delete_series(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    prometheus.check_admin()?;
    if parameters.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let range = parameters.range()?;
    let matcher_sets = parameters.selectors().map_err(|reason| ApiError::invalid("match[]", reason))?;
    prometheus.engine.store().delete_series(LabelQuery { matcher_sets, range, limit: 0 }).await?;
    Ok(Answer::Nothing)
}

/// `admin/tsdb/clean_tombstones`
pub(super) async fn clean_tombstones(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    prometheus.check_admin()?;
    prometheus.engine.store().clean_tombstones().await?;
    Ok(Answer::Nothing)
}

/// `admin/tsdb/snapshot`
pub(super) async fn snapshot(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    prometheus.check_admin()?;
    let skip_head = match parameters.first("skip_head") {
        "" => false,
        given => parse_bool(given)
            .map_err(|reason| ApiError::invalid("skip_head", format!("unable to parse boolean: {reason}")))?,
    };
    let name = prometheus.engine.store().snapshot(!skip_head).await?;
    Ok(Answer::json(|out| {
        out.extend_from_slice(b"{\"name\":");
        json::text(out, &name);
        out.push(b'}');
    }))
}
