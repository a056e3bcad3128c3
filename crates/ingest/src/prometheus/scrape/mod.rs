//! Scraping with Prometheus' own `scrape_configs`.
//!
//! A job watches its sources of targets, makes targets of what they give, and runs a loop per target: fetch, parse,
//! relabel, append, report. [`Scraper::active`] says what each target is and does, for a query API to show.

mod append;
mod config;
mod fetch;
mod http_client;
mod job;
mod shown;
mod status;
mod target;
mod target_loop;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tripod_model::series::{DroppedTarget, Labels, RelabelStep, TargetStatus, Targets};
use tripod_storage::series::SeriesStore;

pub use self::config::{JobConfig, ScrapeConfiguration, ScrapeLimits, ScrapeProtocol};
pub use self::http_client::HttpClientConfig;

pub(in crate::prometheus) use self::config::resolve;
pub(in crate::prometheus) use self::http_client::chain;
use self::job::run_job;
use self::status::PoolStatus;
use super::relabel::relabel_steps;

/// Scrapes the targets of a configuration until it gets another one or is stopped.
pub struct Scraper {
    store: Arc<dyn SeriesStore>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    jobs: Vec<RunningJob>,
}

struct RunningJob {
    job: Arc<JobConfig>,
    pool: Arc<PoolStatus>,
    /// Ends the job with stale markers for all its series, because nobody goes on with them.
    removed: CancellationToken,
    /// Ends it without, because somebody does: the changed job, or the server when it starts again.
    stopped: CancellationToken,
}

impl Scraper {
    /// A scraper that appends to `store` and has nothing to do yet.
    pub fn new(store: Arc<dyn SeriesStore>) -> Arc<Self> {
        Arc::new(Self { store, running: Mutex::default() })
    }

    /// Scrapes what this configuration says from now on. A job that is the same goes on undisturbed; one that changed
    /// begins anew; one that is gone has its series marked stale.
    ///
    /// Must be called within a Tokio runtime.
    pub fn apply(&self, configuration: ScrapeConfiguration) {
        let mut running = self.running.lock();
        let mut before = std::mem::take(&mut running.jobs);
        for job in configuration.jobs {
            let known = before.iter().position(|known| known.pool.name() == job.name).map(|at| before.swap_remove(at));
            match known {
                Some(known) if known.job.source == job.source => {
                    running.jobs.push(known);
                    continue;
                }
                Some(changed) => changed.stopped.cancel(),
                None => {}
            }
            let pool = Arc::new(PoolStatus::new(job.name.clone()));
            let (removed, stopped) = (CancellationToken::new(), CancellationToken::new());
            let job = Arc::new(job);
            running.jobs.push(RunningJob {
                job: Arc::clone(&job),
                pool: Arc::clone(&pool),
                removed: removed.clone(),
                stopped: stopped.clone(),
            });
            running.tasks.spawn(run_job(job, Arc::clone(&self.store), pool, removed, stopped));
        }
        for job in before {
            job.removed.cancel();
        }
        // What has ended needs no room any more.
        while running.tasks.try_join_next().is_some() {}
    }

    /// Stops all loops; returns when none appends any more. Series are not marked stale: a server that starts again
    /// goes on with them.
    pub async fn stop(&self) {
        let mut running = std::mem::take(&mut *self.running.lock());
        for job in &running.jobs {
            job.stopped.cancel();
        }
        while running.tasks.join_next().await.is_some() {}
    }
}

impl Scraper {
    fn job(&self, name: &str) -> Option<Arc<JobConfig>> {
        let running = self.running.lock();
        running.jobs.iter().find(|job| job.job.name == name).map(|job| Arc::clone(&job.job))
    }
}

/// What is known of the targets, for the query API.
impl Targets for Scraper {
    fn pools(&self) -> Vec<String> {
        self.running.lock().jobs.iter().map(|job| job.pool.name().to_owned()).collect()
    }

    fn active(&self) -> Vec<TargetStatus> {
        self.running.lock().jobs.iter().flat_map(|job| job.pool.active()).collect()
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        self.running.lock().jobs.iter().flat_map(|job| job.pool.dropped()).collect()
    }

    fn config(&self, pool: &str) -> Option<String> {
        Some(shown::yaml(&*self.job(pool)?))
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        Some(relabel_steps(&self.job(pool)?.relabel, labels))
    }
}

impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraper").field("pools", &self.pools()).finish_non_exhaustive()
    }
}
