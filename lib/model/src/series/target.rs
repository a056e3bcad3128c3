use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::{Labels, SeriesMetadata};

/// What is scraped, for those who ask.
pub trait Targets: Debug + Send + Sync {
    /// The names of the jobs, in the order of the configuration.
    fn pools(&self) -> Vec<String>;

    /// The targets that are scraped.
    fn active(&self) -> Vec<TargetStatus>;

    /// The targets that relabelling dropped.
    fn dropped(&self) -> Vec<DroppedTarget>;

    /// A job as it is in force, as YAML without secrets; `None` when there is no such job.
    fn config(&self, pool: &str) -> Option<String>;

    /// What a job's rules for targets make of a label set, one after the other; `None` when there is no such job.
    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>>;
}

/// A rule of relabelling and what it made of a label set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelabelStep {
    /// The rule, an object of JSON.
    pub rule: String,
    /// The labels after it; none once the set is dropped.
    pub output: Labels,
    /// Whether the set is kept so far.
    pub keep: bool,
}

/// A target that is scraped.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// The job.
    pub pool: String,
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Labels of its series.
    pub labels: Labels,
    /// What is asked.
    pub url: String,
    /// How the last scrape went.
    pub health: TargetHealth,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
    /// When the last scrape began, milliseconds since the Unix epoch; `None` before the first.
    pub last_scrape: Option<i64>,
    /// How long it took.
    pub last_duration: Duration,
    /// Time between scrapes.
    pub interval: Duration,
    /// How long a scrape may take.
    pub timeout: Duration,
    /// What the target says of its metric families, by name.
    pub metadata: Arc<HashMap<String, SeriesMetadata>>,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug)]
pub struct DroppedTarget {
    /// The job.
    pub pool: String,
    /// Labels before relabelling.
    pub discovered_labels: Labels,
}

/// How a scrape went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetHealth {
    /// There was none yet.
    #[default]
    Unknown,
    /// Well.
    Up,
    /// Not at all.
    Down,
}

impl TargetHealth {
    /// The name in Prometheus' API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}
