//! Names of metrics and labels: which are taken, and what they become in the exposition.

use std::borrow::Cow;

use super::snapshot::Kind;
use crate::field::Name;

/// Why a metric could not be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// Not a metric name.
    #[error("metric name {0:?}: use letters, digits, `_`, `:` and `.`, and do not begin with a digit")]
    InvalidName(String),
    /// Not a label name.
    #[error(
        "label {label:?} of metric {metric:?}: use letters, digits and `_`; `le`, `quantile` and names that begin with `__` are taken"
    )]
    InvalidLabel {
        /// The metric.
        metric: String,
        /// The label.
        label: String,
    },
    /// The same label twice.
    #[error("metric {metric:?} has the label {label:?} twice")]
    DuplicateLabel {
        /// The metric.
        metric: String,
        /// The label.
        label: String,
    },
    /// Bounds that no histogram can have.
    #[error("buckets of metric {0:?}: give finite bounds in ascending order, at most 1000")]
    InvalidBuckets(String),
    /// Something else is exposed under this name already.
    #[error(
        "metric {metric:?} would be exposed as {exposed:?}, which is in use for a metric of another kind, labels, unit or buckets"
    )]
    NameTaken {
        /// The metric.
        metric: String,
        /// The name in the exposition that is in use.
        exposed: String,
    },
}

/// Units that a name may end in and that are then announced as its unit.
const UNITS: &[&str] = &["seconds", "bytes", "ratio", "celsius", "meters", "volts", "amperes", "joules", "grams"];

pub(super) fn check_metric(name: &str) -> Result<(), MetricError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.');
    let starts = name.bytes().next().is_some_and(|first| allowed(first) && !first.is_ascii_digit() && first != b'.');
    if starts && name.bytes().all(allowed) { Ok(()) } else { Err(MetricError::InvalidName(name.to_owned())) }
}

pub(super) fn check_labels(metric: &str, labels: &[Name]) -> Result<(), MetricError> {
    for (index, label) in labels.iter().enumerate() {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts = label.bytes().next().is_some_and(|first| !first.is_ascii_digit());
        let taken = label.starts_with("__") || matches!(&**label, "le" | "quantile");
        if !starts || taken || !label.bytes().all(allowed) {
            return Err(MetricError::InvalidLabel { metric: metric.to_owned(), label: label.to_string() });
        }
        if labels[..index].contains(label) {
            return Err(MetricError::DuplicateLabel { metric: metric.to_owned(), label: label.to_string() });
        }
    }
    Ok(())
}

/// The unit's spelling in Prometheus, for units spelled as in UCUM.
pub(super) fn unit(spelled: Name) -> Name {
    match &*spelled {
        "s" => "seconds".into(),
        "ms" => "milliseconds".into(),
        "By" => "bytes".into(),
        "1" => "ratio".into(),
        "Cel" => "celsius".into(),
        "m" => "meters".into(),
        "V" => "volts".into(),
        "A" => "amperes".into(),
        "J" => "joules".into(),
        "g" => "grams".into(),
        _ => spelled,
    }
}

/// The unit that the name ends in.
pub(super) fn unit_of(name: &str) -> Option<Name> {
    let stem = name.strip_suffix("_total").unwrap_or(name);
    let ends = |unit: &&&str| stem.strip_suffix(**unit).is_some_and(|rest| rest.ends_with(['_', '.']));
    UNITS.iter().find(ends).map(|unit| Cow::Borrowed(*unit))
}

/// The name of the family in OpenMetrics: without the suffix of its samples.
pub(super) fn stem(name: &str, unit: Option<&str>, kind: Kind) -> String {
    let mut stem: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }).collect();
    let suffix = match kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram => "",
    };
    if let Some(short) = stem.strip_suffix(suffix) {
        stem.truncate(short.len());
    }
    if let Some(unit) = unit {
        let carries = stem.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        if !carries && !unit.is_empty() {
            stem.push('_');
            stem.extend(unit.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        }
    }
    stem
}

/// The name of the family in the Prometheus text format.
pub(super) fn exposed(name: &str, unit: Option<&str>, kind: Kind) -> String {
    let mut name = stem(name, unit, kind);
    match kind {
        Kind::Counter => name.push_str("_total"),
        Kind::Info => name.push_str("_info"),
        Kind::Gauge | Kind::Histogram => {}
    }
    name
}

/// All names under which samples of a family may appear: no other family may have one of them.
pub(super) fn claims(stem: &str, kind: Kind) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
        Kind::Info => &["", "_info"],
    };
    suffixes.iter().map(|suffix| format!("{stem}{suffix}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_prometheus_names() {
        assert_eq!(exposed("sixseven_commands_total", None, Kind::Counter), "sixseven_commands_total");
        assert_eq!(exposed("credits.consumed", None, Kind::Counter), "credits_consumed_total");
        assert_eq!(exposed("http.request.duration", Some("seconds"), Kind::Histogram), "http_request_duration_seconds");
        assert_eq!(exposed("job_duration_seconds", Some("seconds"), Kind::Histogram), "job_duration_seconds");
        assert_eq!(exposed("read_bytes_total", Some("bytes"), Kind::Counter), "read_bytes_total");
        assert_eq!(exposed("build_info", None, Kind::Info), "build_info");
    }

    #[test]
    fn units_are_read_from_names() {
        assert_eq!(unit_of("job_duration_seconds").as_deref(), Some("seconds"));
        assert_eq!(unit_of("read_bytes_total").as_deref(), Some("bytes"));
        assert_eq!(unit_of("commands_total"), None);
        assert_eq!(unit_of("seconds"), None);
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "1st", "with space", "ünicode", "dash-ed", ".dot"] {
            assert!(check_metric(name).is_err(), "{name}");
        }
        for label in ["", "le", "__name", "a.b", "0"] {
            assert!(check_labels("metric", &[Cow::Borrowed(label)]).is_err(), "{label}");
        }
        assert!(check_labels("metric", &["a".into(), "a".into()]).is_err());
    }
}
