use std::time::Duration;

/// How an engine works. The defaults are those of Prometheus 3.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many samples a query may hold in memory at once; a native histogram counts as several.
    pub max_samples: usize,
    /// How long a query may take, waiting for its turn included.
    pub timeout: Duration,
    /// How many queries run at once; others wait.
    pub max_concurrency: usize,
    /// How many milliseconds after its last sample a series still has a value.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, milliseconds.
    pub subquery_step_ms: i64,
    /// Keep the metric's name until the end of the evaluation.
    pub delayed_name_removal: bool,
    /// Let `__type__` and `__unit__` tell about a metric, instead of its name's ending.
    pub type_and_unit_labels: bool,
    /// Let `rate` and the like know when a counter began.
    pub start_timestamps: bool,
    /// Functions and aggregations that Prometheus calls experimental.
    pub experimental_functions: bool,
    /// `anchored` and `smoothed`
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left` and `fill_right`
    pub fill_modifiers: bool,
    /// `[5m * 2]`
    pub duration_expressions: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            timeout: Duration::from_secs(120),
            max_concurrency: 20,
            lookback_ms: 5 * 60_000,
            subquery_step_ms: 60_000,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            start_timestamps: false,
            experimental_functions: false,
            extended_range_selectors: false,
            fill_modifiers: false,
            duration_expressions: false,
        }
    }
}

impl Options {
    /// Everything experimental switched on.
    pub fn experimental() -> Self {
        Self {
            delayed_name_removal: true,
            experimental_functions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
            duration_expressions: true,
            ..Self::default()
        }
    }
}

/// What one query wants to have otherwise.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// Instead of [`Options::lookback_ms`].
    pub lookback_ms: Option<i64>,
    /// Instead of [`Options::timeout`], if that is longer.
    pub timeout: Option<Duration>,
    /// Count samples by step.
    pub per_step_stats: bool,
}
