use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tripod_model::series::{DroppedTarget, Labels, SeriesMetadata, TargetHealth, TargetStatus};

use super::target::Target;

/// What a job's loops write and the API reads.
#[derive(Debug)]
pub(super) struct PoolStatus {
    name: String,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    active: Vec<Arc<LoopStatus>>,
    dropped: Vec<Labels>,
}

/// What one loop writes.
#[derive(Debug)]
pub(super) struct LoopStatus(Mutex<TargetStatus>);

impl PoolStatus {
    pub(super) fn new(name: String) -> Self {
        Self { name, state: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn set(&self, active: Vec<Arc<LoopStatus>>, dropped: Vec<Labels>) {
        *self.state.lock() = PoolState { active, dropped };
    }

    pub(super) fn active(&self) -> Vec<TargetStatus> {
        self.state.lock().active.iter().map(|status| status.0.lock().clone()).collect()
    }

    pub(super) fn dropped(&self) -> Vec<DroppedTarget> {
        let state = self.state.lock();
        let dropped = state.dropped.iter();
        dropped.map(|labels| DroppedTarget { pool: self.name.clone(), discovered_labels: labels.clone() }).collect()
    }
}

impl LoopStatus {
    pub(super) fn new(pool: &str, target: &Target) -> Self {
        Self(Mutex::new(TargetStatus {
            pool: pool.to_owned(),
            discovered_labels: target.discovered.clone(),
            labels: target.labels.clone(),
            url: target.url.to_string(),
            health: TargetHealth::Unknown,
            last_error: String::new(),
            last_scrape: None,
            last_duration: Duration::ZERO,
            interval: target.interval,
            timeout: target.timeout,
            metadata: Arc::default(),
        }))
    }

    pub(super) fn scraped(&self, at: i64, took: Duration, error: Option<&str>) {
        let mut status = self.0.lock();
        status.last_scrape = Some(at);
        status.last_duration = took;
        status.health = if error.is_none() { TargetHealth::Up } else { TargetHealth::Down };
        status.last_error = error.unwrap_or("").to_owned();
    }

    pub(super) fn set_metadata(&self, metadata: Arc<HashMap<String, SeriesMetadata>>) {
        self.0.lock().metadata = metadata;
    }
}
