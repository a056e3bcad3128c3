use serde::{Deserialize, Serialize};
use std::time::Duration;
use tripod_promql::engine;
use tripod_storage::series::{LabelMatcher, MatchOp};

/// How PromQL is evaluated, and what Prometheus' API allows. The defaults are those of Prometheus 3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusSettings {
    /// How long after its last sample a series still has a value; a request may ask for another time. Seconds.
    pub lookback_seconds: u64,
    /// A query that takes longer is stopped; a request may ask for less. Seconds.
    pub timeout_seconds: u64,
    /// Samples that one query may hold in memory.
    pub max_samples: usize,
    /// Queries that are evaluated at the same time; others wait.
    pub max_concurrent: usize,
    /// The step of a subquery that names none. Seconds.
    pub subquery_step_seconds: u64,
    /// Whether `/api/v1/admin/tsdb/…` may delete series.
    pub enable_admin_api: bool,
    /// Sites whose scripts may ask, as a regular expression for all of the origin.
    pub cors_origin: String,
    /// Functions and aggregations that Prometheus calls experimental.
    pub experimental_functions: bool,
    /// `[5m * 2]` in queries.
    pub duration_expressions: bool,
    /// `anchored` and `smoothed` in queries.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left` and `fill_right` in queries.
    pub fill_modifiers: bool,
    /// Keep a metric's name until the end of the evaluation.
    pub delayed_name_removal: bool,
}

impl Default for PrometheusSettings {
    fn default() -> Self {
        let engine = engine::Options::default();
        Self {
            lookback_seconds: engine.lookback_ms.unsigned_abs() / 1000,
            timeout_seconds: engine.timeout.as_secs(),
            max_samples: engine.max_samples,
            max_concurrent: engine.max_concurrency,
            subquery_step_seconds: engine.subquery_step_ms.unsigned_abs() / 1000,
            enable_admin_api: false,
            cors_origin: ".*".to_owned(),
            experimental_functions: engine.experimental_functions,
            // Prometheus 3.15 has them for good.
            duration_expressions: true,
            extended_range_selectors: engine.extended_range_selectors,
            fill_modifiers: engine.fill_modifiers,
            delayed_name_removal: engine.delayed_name_removal,
        }
    }
}

impl PrometheusSettings {
    /// The engine's part.
    pub fn engine(&self) -> engine::Options {
        let millis = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        engine::Options {
            lookback_ms: millis(self.lookback_seconds),
            timeout: Duration::from_secs(self.timeout_seconds),
            max_samples: self.max_samples,
            max_concurrency: self.max_concurrent,
            subquery_step_ms: millis(self.subquery_step_seconds),
            experimental_functions: self.experimental_functions,
            duration_expressions: self.duration_expressions,
            extended_range_selectors: self.extended_range_selectors,
            fill_modifiers: self.fill_modifiers,
            delayed_name_removal: self.delayed_name_removal,
            ..engine::Options::default()
        }
    }

    /// Whether scripts of a site may ask.
    pub(super) fn allows_origin(&self, origin: &str) -> bool {
        self.origins().is_ok_and(|origins| origins.matches(origin))
    }

    fn origins(&self) -> Result<LabelMatcher, String> {
        LabelMatcher::new("", MatchOp::Regex, self.cors_origin.as_str()).map_err(|error| error.to_string())
    }

    /// Looks for values that cannot work: key and what is wrong with it.
    ///
    /// # Errors
    /// All mistakes.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut mistakes: Vec<String> = [
            ("lookback_seconds", self.lookback_seconds),
            ("timeout_seconds", self.timeout_seconds),
            ("max_samples", self.max_samples as u64),
            ("max_concurrent", self.max_concurrent as u64),
            ("subquery_step_seconds", self.subquery_step_seconds),
        ]
        .into_iter()
        .filter(|(_, value)| *value == 0)
        .map(|(key, _)| format!("{key} must be at least 1"))
        .collect();
        if let Err(error) = self.origins() {
            mistakes.push(format!("cors_origin: {error}"));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }
}
