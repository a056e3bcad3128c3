//! Rules are not evaluated yet, so there are no groups, no alerts and nobody who is told; what cannot be asked for is
//! refused all the same.

use super::Shared;
use super::answer::Answer;
use super::error::ApiError;
use super::parameters::{Parameters, parse_bool, parse_int};

/// `rules`
pub(super) async fn rules(_: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    parameters.narrow_selectors().map_err(ApiError::bad_data)?;
    let kind = parameters.first_of_url("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        let kind = tripod_promql::literal::quote(&kind);
        return Err(ApiError::invalid("type", format!("not supported value {kind}")));
    }

    let exclude = parameters.first_of_url("exclude_alerts");
    if !exclude.is_empty() {
        parse_bool(exclude).map_err(|reason| {
            ApiError::invalid("exclude_alerts", format!("error converting exclude_alerts: {reason}"))
        })?;
    }
    let limit = parameters.first_of_url("group_limit");
    let token = parameters.first_of_url("group_next_token");
    if limit.is_empty() && !token.is_empty() {
        let reason = "group_limit needs to be present in order to paginate over the groups";
        return Err(ApiError::invalid("group_next_token", reason));
    }
    if !limit.is_empty() {
        match parse_int(limit) {
            Ok(1..) => {}
            Ok(_) => return Err(ApiError::invalid("group_limit", "group_limit needs to be greater than 0")),
            Err(reason) => {
                let reason = reason.replace("strconv.Atoi", "strconv.ParseInt");
                return Err(ApiError::invalid(
                    "group_limit",
                    format!("group_limit needs to be a valid number: {reason}"),
                ));
            }
        }
        if !token.is_empty() {
            let reason = format!("invalid group_next_token '{token}'. were rule groups changed?");
            return Err(ApiError::invalid("group_next_token", reason));
        }
    }
    Ok(Answer::json(|out| out.extend_from_slice(br#"{"groups":[]}"#)))
}

/// `alerts`
pub(super) async fn alerts(_: Shared, _: Parameters) -> Result<Answer, ApiError> {
    Ok(Answer::json(|out| out.extend_from_slice(br#"{"alerts":[]}"#)))
}

/// `alertmanagers`
pub(super) async fn alertmanagers(_: Shared, _: Parameters) -> Result<Answer, ApiError> {
    Ok(Answer::json(|out| out.extend_from_slice(br#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#)))
}
