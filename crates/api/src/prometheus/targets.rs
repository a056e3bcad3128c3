use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use tripod_model::series::{Labels, RelabelStep, TargetStatus};
use tripod_promql::literal::{format_millis, quote};

use super::answer::Answer;
use super::error::ApiError;
use super::parameters::Parameters;
use super::{Shared, json};

/// `scrape_pools`
pub(super) async fn pools(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    let mut pools = prometheus.targets.as_ref().map(|targets| targets.pools()).unwrap_or_default();
    pools.sort_unstable();
    Ok(Answer::json(|out| {
        out.extend_from_slice(b"{\"scrapePools\":");
        json::texts(out, &pools);
        out.push(b'}');
    }))
}

/// `scrape_pools/config`: a job as it is in force.
pub(super) async fn pool_config(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let pool = parameters.first_of_url("scrapePool");
    if pool.is_empty() {
        return Err(ApiError::bad_data("no scrapePool parameter provided"));
    }
    let config = prometheus.targets.as_ref().and_then(|targets| targets.config(pool)).ok_or_else(|| no_pool(pool))?;
    Ok(Answer::json(|out| {
        out.extend_from_slice(b"{\"yaml\":");
        json::text(out, &config);
        out.push(b'}');
    }))
}

fn no_pool(pool: &str) -> ApiError {
    ApiError::bad_data(format!("error retrieving scrape config: scrape pool {} not found", quote(pool)))
}

/// `targets/relabel_steps`: what a job's rules do with given labels.
pub(super) async fn relabel_steps(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let (pool, given) = (parameters.first("scrapePool"), parameters.first("labels"));
    for (name, value) in [("scrapePool", pool), ("labels", given)] {
        if value.is_empty() {
            return Err(ApiError::bad_data(format!("no {name} parameter provided")));
        }
    }
    let labels: BTreeMap<String, String> =
        serde_json::from_str(given).map_err(|error| ApiError::bad_data(format!("error parsing labels: {error}")))?;
    let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let steps = prometheus.targets.as_ref().and_then(|targets| targets.relabel_steps(pool, &labels));
    let steps = steps.ok_or_else(|| no_pool(pool))?;
    Ok(Answer::json(|out| {
        out.extend_from_slice(b"{\"steps\":");
        json::list(out, &steps, |out, RelabelStep { rule, output, keep }| {
            out.extend_from_slice(format!("{{\"rule\":{rule},\"output\":").as_bytes());
            json::labels(out, output);
            out.extend_from_slice(format!(",\"keep\":{keep}}}").as_bytes());
        });
        out.push(b'}');
    }))
}

/// `targets`
pub(super) async fn targets(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let pool = parameters.first_of_url("scrapePool");
    let state = parameters.first_of_url("state").to_ascii_lowercase();
    let shown = |kind: &str| state.is_empty() || state == "any" || state == kind;
    let targets = prometheus.targets.as_deref();
    let of_pool = |each: &str| pool.is_empty() || each == pool;
    let mut active = targets.filter(|_| shown("active")).map(|targets| targets.active()).unwrap_or_default();
    active.retain(|target| of_pool(&target.pool));
    active.sort_by(|one, other| one.pool.cmp(&other.pool));
    let mut dropped = targets.filter(|_| shown("dropped")).map(|targets| targets.dropped()).unwrap_or_default();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for target in &dropped {
        *counts.entry(target.pool.clone()).or_default() += 1;
    }
    dropped.retain(|target| of_pool(&target.pool));
    dropped.sort_by(|one, other| one.pool.cmp(&other.pool));
    Ok(Answer::json(|out| {
        out.extend_from_slice(b"{\"activeTargets\":");
        json::list(out, &active, write_active);
        out.extend_from_slice(b",\"droppedTargets\":");
        json::list(out, &dropped, |out, target| {
            out.extend_from_slice(b"{\"discoveredLabels\":");
            json::labels(out, &target.discovered_labels);
            write_text(out, "scrapePool", &target.pool);
            out.push(b'}');
        });
        out.extend_from_slice(b",\"droppedTargetCounts\":");
        if shown("dropped") {
            out.push(b'{');
            for (index, (pool, count)) in counts.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::text(out, pool);
                out.push(b':');
                json::integer(out, *count);
            }
            out.push(b'}');
        } else {
            out.extend_from_slice(b"null");
        }
        out.push(b'}');
    }))
}

fn write_active(out: &mut Vec<u8>, target: &TargetStatus) {
    out.extend_from_slice(b"{\"discoveredLabels\":");
    json::labels(out, &target.discovered_labels);
    out.extend_from_slice(b",\"labels\":");
    json::labels(out, &target.labels);
    write_text(out, "scrapePool", &target.pool);
    write_text(out, "scrapeUrl", &target.url);
    write_text(out, "globalUrl", &target.url);
    write_text(out, "lastError", &target.last_error);
    write_text(out, "lastScrape", &date(target.last_scrape));
    let mut seconds = String::new();
    // Writing into a string cannot fail.
    let _ = write!(seconds, ",\"lastScrapeDuration\":{}", target.last_duration.as_secs_f64());
    out.extend_from_slice(seconds.as_bytes());
    write_text(out, "health", target.health.name());
    write_text(out, "scrapeInterval", &duration(target.interval));
    write_text(out, "scrapeTimeout", &duration(target.timeout));
    out.push(b'}');
}

fn write_text(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    json::text(out, name);
    out.push(b':');
    json::text(out, value);
}

fn duration(duration: Duration) -> String {
    format_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// A date as in RFC 3339; Go's zero time when there is none.
pub(super) fn date(millis: Option<i64>) -> String {
    let time = millis.and_then(chrono::DateTime::from_timestamp_millis);
    time.map_or_else(
        || "0001-01-01T00:00:00Z".to_owned(),
        |time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    )
}
