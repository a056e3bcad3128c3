use std::collections::BTreeMap;

use tripod_model::series::SeriesMetadata;
use tripod_promql::parser::parse_selector;

use super::answer::Answer;
use super::error::ApiError;
use super::parameters::{Parameters, parse_int};
use super::{Shared, json};

/// `metadata`: by metric, what is known of it. Targets that are scraped may say different things of one name; where none
/// of them says anything, it is what was sent last.
pub(super) async fn of_metrics(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let limit = most(&parameters, "limit")?;
    let per_metric = most(&parameters, "limit_per_metric")?.filter(|limit| *limit > 0);
    let metric = Some(parameters.first("metric")).filter(|metric| !metric.is_empty());
    let mut by_metric: BTreeMap<String, Vec<SeriesMetadata>> = BTreeMap::new();
    for target in prometheus.targets.iter().flat_map(|targets| targets.active()) {
        let asked = |(name, _): &(&String, &SeriesMetadata)| metric.is_none_or(|metric| *name == metric);
        for (name, metadata) in target.metadata.iter().filter(asked) {
            let known = by_metric.entry(name.clone()).or_default();
            if !known.contains(metadata) {
                known.push(metadata.clone());
            }
        }
    }
    for (name, metadata) in prometheus.engine.store().metadata(metric).await? {
        by_metric.entry(name).or_insert_with(|| vec![metadata]);
    }
    Ok(Answer::json(|out| {
        out.push(b'{');
        for (index, (name, known)) in by_metric.iter().take(limit.unwrap_or(usize::MAX)).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::text(out, name);
            out.push(b':');
            json::list(out, known.iter().take(per_metric.unwrap_or(usize::MAX)), |out, metadata| {
                out.push(b'{');
                write_fields(out, metadata);
            });
        }
        out.push(b'}');
    }))
}

/// `targets/metadata`: by target, what it says of its metrics.
pub(super) async fn of_targets(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    let limit = most(&parameters, "limit")?.unwrap_or(usize::MAX);
    let matchers = match parameters.first("match_target") {
        "" => Vec::new(),
        text => parse_selector(text).map_err(|error| ApiError::invalid("match_target", error))?.matchers,
    };
    let metric = parameters.first("metric");
    let mut found = Vec::new();
    for target in prometheus.targets.iter().flat_map(|targets| targets.active()) {
        if !matchers.iter().all(|matcher| matcher.matches_labels(&target.labels)) {
            continue;
        }
        if found.len() >= limit {
            break;
        }
        let asked = |(name, _): &(&String, &SeriesMetadata)| metric.is_empty() || *name == metric;
        let mut known: Vec<_> = target.metadata.iter().filter(asked).collect();
        known.sort_unstable_by_key(|(name, _)| *name);
        for (name, metadata) in known {
            // Whoever asks for a metric knows its name.
            found.push((target.labels.clone(), metric.is_empty().then(|| name.clone()), metadata.clone()));
        }
    }
    Ok(Answer::limited(found, 0, |out, (labels, name, metadata)| {
        out.extend_from_slice(b"{\"target\":");
        json::labels(out, labels);
        if let Some(name) = name {
            out.extend_from_slice(b",\"metric\":");
            json::text(out, name);
        }
        out.push(b',');
        write_fields(out, metadata);
    }))
}

/// A limit; `None` without one.
fn most(parameters: &Parameters, name: &str) -> Result<Option<usize>, ApiError> {
    match parameters.first(name) {
        "" => Ok(None),
        text => match parse_int(text) {
            Ok(limit) => Ok(usize::try_from(limit).ok()),
            Err(_) => Err(ApiError::bad_data(format!("{name} must be a number"))),
        },
    }
}

/// The fields of an object and its end.
fn write_fields(out: &mut Vec<u8>, metadata: &SeriesMetadata) {
    out.extend_from_slice(b"\"type\":");
    json::text(out, metadata.metric_type.name());
    out.extend_from_slice(b",\"help\":");
    json::text(out, &metadata.help);
    out.extend_from_slice(b",\"unit\":");
    json::text(out, &metadata.unit);
    out.push(b'}');
}
