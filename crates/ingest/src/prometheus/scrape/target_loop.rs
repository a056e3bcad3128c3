//! The loop of one target.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Client;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tripod_model::series::{Labels, METRIC_NAME, STALE_NAN};
use tripod_storage::series::{SeriesBatch, SeriesStore};

use super::append::{Appended, SeriesCache, push_float};
use super::config::JobConfig;
use super::fetch::{Fetched, fetch};
use super::status::LoopStatus;
use super::target::Target;
use crate::prometheus::store::now_millis;

/// From this size on a body is parsed on a thread of its own.
const MAX_INLINE_BYTES: usize = 256 * 1024;

/// A scrape that begins so near to when it should takes the time at which it should: even times are stored smaller.
const TOLERANCE_MILLIS: i64 = 2;

/// All that a loop works with.
pub(super) struct TargetLoop {
    pub(super) job: Arc<JobConfig>,
    pub(super) target: Target,
    pub(super) client: Result<Client, String>,
    pub(super) store: Arc<dyn SeriesStore>,
    pub(super) status: Arc<LoopStatus>,
    /// Why every scrape fails from the start, for example too many targets.
    pub(super) forced_error: Option<String>,
    /// The target is gone: its series are marked stale.
    pub(super) gone: CancellationToken,
    /// The server stops: nothing is marked.
    pub(super) stopped: CancellationToken,
}

impl TargetLoop {
    pub(super) async fn run(self) {
        let interval = self.target.interval;
        let mut ticks = interval_at(Instant::now() + first_delay(interval, self.target.offset()), interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut cache = SeriesCache::default();
        let mut last = None;
        loop {
            tokio::select! {
                biased;
                () = self.stopped.cancelled() => return,
                () = self.gone.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let now = aligned(now_millis(), last, interval);
            let scrape = self.scrape(cache, now);
            tokio::select! {
                biased;
                () = self.stopped.cancelled() => return,
                after = scrape => cache = after,
            }
            last = Some(now);
        }
        if last.is_some() {
            let now = now_millis();
            let mut batch = SeriesBatch::default();
            cache.stale_all(&mut batch, now);
            for name in REPORTS.into_iter().chain(EXTRA_REPORTS.into_iter().filter(|_| self.job.extra_metrics)) {
                push_float(&mut batch, self.report_labels(name), now, STALE_NAN);
            }
            self.keep(batch).await;
        }
    }

    /// One scrape, from the request to the report. The cache goes through it and comes back.
    async fn scrape(&self, cache: SeriesCache, now: i64) -> SeriesCache {
        let started = Instant::now();
        let fetched = match (&self.forced_error, &self.client) {
            (Some(error), _) | (None, Err(error)) => Err(error.clone()),
            (None, Ok(client)) => fetch(client, &self.job, &self.target).await,
        };
        let bytes = fetched.as_ref().map_or(0, |fetched| fetched.body.len());
        let (cache, mut appended, outcome) = match fetched {
            Ok(fetched) => self.append(cache, fetched, now).await,
            Err(error) => {
                let mut cache = cache;
                let mut appended = Appended::default();
                cache.stale_all(&mut appended.batch, now);
                (cache, appended, Err(error))
            }
        };
        let took = started.elapsed();
        if let Some(metadata) = appended.new_metadata.take() {
            self.status.set_metadata(metadata);
        }
        let up = if outcome.is_ok() { 1.0 } else { 0.0 };
        let values =
            [up, took.as_secs_f64(), appended.scraped as f64, appended.kept as f64, appended.new_series as f64];
        for (name, value) in REPORTS.into_iter().zip(values) {
            push_float(&mut appended.batch, self.report_labels(name), now, value);
        }
        if self.job.extra_metrics {
            let values = [self.target.timeout.as_secs_f64(), self.job.limits.samples as f64, bytes as f64];
            for (name, value) in EXTRA_REPORTS.into_iter().zip(values) {
                push_float(&mut appended.batch, self.report_labels(name), now, value);
            }
        }
        self.keep(appended.batch).await;
        self.status.scraped(now, took, outcome.as_ref().err().map(String::as_str));
        cache
    }

    async fn append(
        &self,
        mut cache: SeriesCache,
        fetched: Fetched,
        now: i64,
    ) -> (SeriesCache, Appended, Result<(), String>) {
        if fetched.body.len() <= MAX_INLINE_BYTES {
            let (appended, outcome) = cache.append(&self.job, &self.target.labels, fetched.format, &fetched.body, now);
            return (cache, appended, outcome);
        }
        let (job, labels) = (Arc::clone(&self.job), self.target.labels.clone());
        let appended = tokio::task::spawn_blocking(move || {
            let (appended, outcome) = cache.append(&job, &labels, fetched.format, &fetched.body, now);
            (cache, appended, outcome)
        });
        appended.await.unwrap_or_else(|error| {
            tracing::error!(%error, "reading an exposition panicked");
            (SeriesCache::default(), Appended::default(), Err("the server failed to read the exposition".to_owned()))
        })
    }

    async fn keep(&self, batch: SeriesBatch) {
        if batch.floats.is_empty() && batch.histograms.is_empty() {
            return;
        }
        let (job, url) = (&self.job.name, self.target.url.as_str());
        match self.store.append_series(batch).await {
            Ok(appended) if appended.refused > 0 => {
                let refused = appended.refused;
                let first = appended.rejected.first().map(|sample| format!("{}: {}", sample.labels, sample.reason));
                tracing::warn!(
                    job,
                    url,
                    refused,
                    first = first.unwrap_or_default(),
                    "samples of a scrape were refused"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(job, url, %error, "a scrape could not be stored and is lost"),
        }
    }

    fn report_labels(&self, name: &str) -> Labels {
        let mut labels = self.target.labels.to_builder();
        labels.set(METRIC_NAME, name);
        labels.build()
    }
}

/// The series about a scrape, in the order in which their values are made.
const REPORTS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

const EXTRA_REPORTS: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// Until the target's place in the interval, counted from the Unix epoch.
fn first_delay(interval: Duration, offset: Duration) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos();
    let (interval, offset) = (interval.as_nanos().max(1), offset.as_nanos());
    let into = now % interval;
    let delay = (offset + interval - into) % interval;
    Duration::from_nanos(u64::try_from(delay).unwrap_or(0))
}

fn aligned(now: i64, last: Option<i64>, interval: Duration) -> i64 {
    let Some(last) = last else { return now };
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let planned = last.saturating_add(((now - last + interval / 2) / interval).saturating_mul(interval));
    let tolerance = TOLERANCE_MILLIS.min(interval / 100);
    if (now - planned).abs() <= tolerance && planned > last { planned } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_even_when_they_nearly_are() {
        let interval = Duration::from_secs(1);
        assert_eq!(aligned(5, None, interval), 5);
        assert_eq!(aligned(2002, Some(1000), interval), 2000);
        assert_eq!(aligned(1998, Some(1000), interval), 2000);
        assert_eq!(aligned(2003, Some(1000), interval), 2003);
        assert_eq!(aligned(4001, Some(1000), interval), 4000);
        assert_eq!(aligned(1001, Some(1000), interval), 1001);
    }

    #[test]
    fn the_first_scrape_comes_within_an_interval() {
        let interval = Duration::from_secs(10);
        for offset in [0, 1, 5, 9] {
            assert!(first_delay(interval, Duration::from_secs(offset)) < interval);
        }
    }
}
