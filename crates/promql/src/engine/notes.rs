use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat};
use tripod_model::series::ShortFloat;

use super::answer::Annotations;
use crate::literal::quote;

/// Remarks as they come up during an evaluation. Each text is kept once; of the places that gave rise to it the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    list: Vec<Note>,
    by_text: HashMap<String, usize>,
}

/// A remark.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    level: Level,
    /// Without level and place.
    text: String,
    /// In bytes from the start of the query.
    position: usize,
    detail: Detail,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Warning,
    Info,
}

/// What is added to the text when it is shown, summed up over all occurrences.
#[derive(Clone, Debug)]
enum Detail {
    None,
    /// How often it happened.
    Occurrences(u64),
    /// Where classic histograms had to be made monotonic.
    Monotonicity(ForcedMonotonicity),
}

/// What was changed to make the buckets of classic histograms monotonic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForcedMonotonicity {
    /// The lowest and highest upper bound of a bucket that was changed.
    pub min_bucket: f64,
    /// See above.
    pub max_bucket: f64,
    /// The greatest decrease between two buckets.
    pub max_diff: f64,
    /// The first and last moment, milliseconds.
    pub min_time: i64,
    /// See above.
    pub max_time: i64,
    /// How many histograms.
    pub samples: u64,
}

impl Notes {
    /// Adds a remark.
    pub(crate) fn add(&mut self, mut note: Note) {
        let Some(&at) = self.by_text.get(&note.text) else {
            self.by_text.insert(note.text.clone(), self.list.len());
            self.list.push(note);
            return;
        };
        let before = &mut self.list[at];
        match (&mut note.detail, &before.detail) {
            (Detail::Occurrences(count), Detail::Occurrences(more)) => *count += more,
            (Detail::Monotonicity(now), Detail::Monotonicity(then)) => {
                now.min_bucket = now.min_bucket.min(then.min_bucket);
                now.max_bucket = now.max_bucket.max(then.max_bucket);
                now.max_diff = now.max_diff.max(then.max_diff);
                now.min_time = now.min_time.min(then.min_time);
                now.max_time = now.max_time.max(then.max_time);
                now.samples += then.samples;
            }
            _ => {}
        }
        *before = note;
    }

    /// Adds all of another list.
    pub(crate) fn merge(&mut self, other: Self) {
        other.list.into_iter().for_each(|note| self.add(note));
    }

    /// The remarks as they are shown, with places as line and column.
    pub(crate) fn shown(&self, query: &str) -> Annotations {
        let mut shown = Annotations::default();
        for note in &self.list {
            match note.level {
                Level::Warning => shown.warnings.push(format!("PromQL warning: {}", note.shown(query))),
                Level::Info => shown.infos.push(format!("PromQL info: {}", note.shown(query))),
            }
        }
        shown
    }
}

impl Note {
    fn warning(position: usize, text: impl Into<String>) -> Self {
        Self { level: Level::Warning, text: text.into(), position, detail: Detail::None }
    }

    fn info(position: usize, text: impl Into<String>) -> Self {
        Self { level: Level::Info, text: text.into(), position, detail: Detail::None }
    }

    /// Whether it warns, rather than informs.
    pub(crate) fn is_warning(&self) -> bool {
        self.level == Level::Warning
    }

    fn shown(&self, query: &str) -> String {
        let place = place(query, self.position);
        match &self.detail {
            Detail::None => format!("{} ({place})", self.text),
            Detail::Occurrences(count) if *count > 1 => format!("{} ({count} occurrences) ({place})", self.text),
            Detail::Occurrences(_) => format!("{} ({place})", self.text),
            Detail::Monotonicity(forced) => {
                let time = |millis: i64| {
                    DateTime::from_timestamp(millis.div_euclid(1000), 0)
                        .map_or_else(|| millis.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
                };
                format!(
                    "{}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {} ({place})",
                    self.text,
                    ShortFloat(forced.min_bucket),
                    ShortFloat(forced.max_bucket),
                    two_digits(forced.max_diff),
                    forced.samples,
                    time(forced.min_time),
                    time(forced.max_time),
                )
            }
        }
    }
}

/// Line and column of a byte of the query, from 1; the column in bytes.
fn place(query: &str, position: usize) -> String {
    let Some(before) = query.as_bytes().get(..position) else {
        return "invalid position".to_owned();
    };
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = position - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
    format!("{line}:{column}")
}

/// A number in two digits, as `%.2g` of Go gives it.
fn two_digits(value: f64) -> String {
    if !value.is_finite() {
        return ShortFloat(value).to_string();
    }
    let scientific = format!("{value:.1e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..2).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let decimals = digits.trim_start_matches('-').len().saturating_sub(2) as i32 - exponent;
    format!("{value:.*}", decimals.max(0) as usize)
}

fn for_metric(text: &str, metric: &str) -> String {
    if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {}", quote(metric)) }
}

/// The operation in which histograms did not fit together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOperation {
    fn name(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// The remarks that Prometheus makes, in its words (its `util/annotations`). `at` is the place in the query.
impl Note {
    pub(crate) fn invalid_quantile(at: usize, quantile: f64) -> Self {
        Self::warning(at, format!("quantile value should be between 0 and 1, got {}", ShortFloat(quantile)))
    }

    pub(crate) fn invalid_ratio(at: usize, ratio: f64, capped: f64) -> Self {
        let (ratio, capped) = (ShortFloat(ratio), ShortFloat(capped));
        Self::warning(at, format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}"))
    }

    pub(crate) fn bad_bucket_label(at: usize, metric: &str, label: &str) -> Self {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}", quote(label));
        Self::warning(at, for_metric(&text, metric))
    }

    pub(crate) fn mixed_floats_histograms(at: usize, metric: &str) -> Self {
        Self::warning(at, format!("encountered a mix of histograms and floats for metric name {}", quote(metric)))
    }

    pub(crate) fn mixed_floats_histograms_in_aggregation(at: usize) -> Self {
        Self::warning(at, "encountered a mix of histograms and floats for aggregation")
    }

    pub(crate) fn mixed_classic_native(at: usize, metric: &str) -> Self {
        Self::warning(at, for_metric("vector contains a mix of classic and native histograms", metric))
    }

    pub(crate) fn histogram_not_counter(at: usize, metric: &str) -> Self {
        Self::warning(at, format!("this native histogram metric is not a counter: {}", quote(metric)))
    }

    pub(crate) fn histogram_not_gauge(at: usize, metric: &str) -> Self {
        Self::warning(at, format!("this native histogram metric is not a gauge: {}", quote(metric)))
    }

    pub(crate) fn mixed_exponential_custom(at: usize, metric: &str) -> Self {
        let text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
        Self::warning(at, format!("{text} {}", quote(metric)))
    }

    pub(crate) fn incompatible_bucket_layout(at: usize, operator: &str) -> Self {
        Self::warning(at, format!("incompatible bucket layout encountered for binary operator {operator}"))
    }

    pub(crate) fn sort_in_range_query(at: usize) -> Self {
        Self::warning(at, "sort is ineffective for range queries since results are always ordered by labels")
    }

    pub(crate) fn possible_non_counter(at: usize, metric: &str) -> Self {
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        Self::info(at, format!("{text} {}", quote(metric)))
    }

    pub(crate) fn possible_non_counter_label(at: usize, metric: &str, label: &str) -> Self {
        let text = r#"metric might not be a counter, __type__ label is not set to "counter" or "histogram""#;
        Self::info(at, format!("{text}, got {}: {}", quote(label), quote(metric)))
    }

    pub(crate) fn forced_monotonicity(at: usize, metric: &str, forced: ForcedMonotonicity) -> Self {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        Self { detail: Detail::Monotonicity(forced), ..Self::info(at, for_metric(text, metric)) }
    }

    pub(crate) fn incompatible_types(at: usize, left: &str, operator: &str, right: &str) -> Self {
        let text = "incompatible sample types encountered for binary operator";
        Self::info(at, format!("{text} {}: {left} {operator} {right}", quote(operator)))
    }

    pub(crate) fn histogram_ignored_in_aggregation(at: usize, aggregation: &str) -> Self {
        Self::info(at, format!("ignored histogram in {aggregation} aggregation"))
    }

    pub(crate) fn histogram_ignored_in_mixed_range(at: usize, metric: &str) -> Self {
        let text = "ignored histograms in a range containing both floats and histograms for metric name";
        Self::info(at, format!("{text} {}", quote(metric)))
    }

    pub(crate) fn quantile_nan_result(at: usize, metric: &str) -> Self {
        Self::info(at, for_metric("input to histogram_quantile has NaN observations, result is NaN", metric))
    }

    pub(crate) fn quantile_nan_skew(at: usize, metric: &str) -> Self {
        Self::info(at, for_metric("input to histogram_quantile has NaN observations, result is skewed higher", metric))
    }

    pub(crate) fn fraction_nans(at: usize, metric: &str) -> Self {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        Self::info(at, for_metric(text, metric))
    }

    pub(crate) fn counter_reset_collision(at: usize, operation: HistogramOperation) -> Self {
        Self::warning(at, format!("conflicting counter resets during histogram {}", operation.name()))
    }

    pub(crate) fn mismatched_custom_buckets(at: usize, operation: HistogramOperation) -> Self {
        Self::info(at, format!("mismatched custom buckets were reconciled during {}", operation.name()))
    }

    pub(crate) fn start_time_overlap(at: usize, metric: &str) -> Self {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        Self { detail: Detail::Occurrences(1), ..Self::warning(at, format!("{text} {}", quote(metric))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_with_its_last_place() {
        let mut notes = Notes::default();
        notes.add(Note::possible_non_counter(5, "foo"));
        notes.add(Note::start_time_overlap(7, "foo"));
        notes.add(Note::possible_non_counter(13, "foo"));
        notes.add(Note::start_time_overlap(7, "foo"));
        let shown = notes.shown("rate(foo[5m])\n + rate(foo[5m])");
        let text = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        assert_eq!(shown.infos, [format!("{text} \"foo\" (1:14)")]);
        let text = "sample has start time that overlaps with previous sample timestamp for metric \"foo\"";
        assert_eq!(shown.warnings, [format!("PromQL warning: {text} (2 occurrences) (1:8)")]);
        assert_eq!(place("a\nbc", 3), "2:2");
        assert_eq!(place("a\nbc", 9), "invalid position");
    }

    #[test]
    fn differences_are_written_in_two_digits() {
        assert_eq!(two_digits(0.000123), "0.00012");
        assert_eq!(two_digits(1234.0), "1.2e+03");
        assert_eq!(two_digits(12.0), "12");
        assert_eq!(two_digits(0.1), "0.1");
        assert_eq!(two_digits(f64::NEG_INFINITY), "-Inf");
    }
}
