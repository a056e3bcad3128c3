//! Sending a pool's requests over several connections, as fast as they are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use crate::load::sender::{Outcome, Sender};
use crate::load::template::Pool;
use crate::load::{Protocol, Signal};
use crate::process::Usage;
use crate::table;

/// How often a request is sent again before the run is given up.
const ATTEMPTS: u32 = 200;

/// When to stop sending.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Elapsed(Duration),
    /// So many items were sent, rounded up to whole requests.
    Items(u64),
}

/// What to send and how.
pub(super) struct Load {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) gzip: bool,
    pub(super) connections: usize,
    pub(super) batch: usize,
    pub(super) until: Until,
}

/// What came of it.
pub(super) struct Sent {
    /// Acknowledged items.
    pub(super) items: u64,
    /// Requests that were refused and sent again.
    pub(super) refusals: u64,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
    /// Seconds from a request's send to its acknowledgement, without refused attempts, sorted.
    pub(super) latencies: Vec<f64>,
    /// CPU time of the generator, seconds.
    pub(super) generator_cpu: f64,
    /// Mean size of an encoded request in bytes.
    pub(super) request_bytes: f64,
    /// The pool and the number of requests that were drawn from it, for whoever wants to know what was sent.
    pub(super) pool: Arc<Pool>,
    pub(super) requests: u64,
}

/// Nanoseconds since the epoch.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64)
}

/// Sends the load to `target`.
///
/// # Errors
/// When the target is not there, refuses for good, or rejects items of a sound request.
pub(super) async fn drive(load: &Load, target: &str) -> Result<Sent> {
    let pool = Arc::new(Pool::new(load.signal, load.batch, now())?);
    let next = Arc::new(AtomicU64::new(0));
    let most = match load.until {
        Until::Items(items) => items.div_ceil(load.batch as u64),
        Until::Elapsed(_) => u64::MAX,
    };
    let mut senders = Vec::new();
    for _ in 0..load.connections.max(1) {
        senders.push(Sender::connect(target, load.protocol, load.signal, load.gzip).await?);
    }
    let progress = progress(load)?;
    let cpu = Usage::own()?.cpu_seconds;
    let begun = Instant::now();
    let deadline = match load.until {
        Until::Elapsed(elapsed) => begun.checked_add(elapsed),
        Until::Items(_) => None,
    };
    let mut workers = JoinSet::new();
    for sender in senders {
        let work =
            Work { pool: Arc::clone(&pool), next: Arc::clone(&next), most, deadline, progress: progress.clone() };
        workers.spawn(work.run(sender));
    }
    let mut sent = Sent {
        items: 0,
        refusals: 0,
        elapsed: Duration::ZERO,
        latencies: Vec::new(),
        generator_cpu: 0.0,
        request_bytes: pool.mean_bytes(),
        pool,
        requests: 0,
    };
    while let Some(done) = workers.join_next().await {
        let done = done.context("a sender broke")??;
        sent.items += done.items;
        sent.refusals += done.refusals;
        sent.latencies.extend(done.latencies);
    }
    sent.elapsed = begun.elapsed();
    sent.generator_cpu = Usage::own()?.cpu_seconds - cpu;
    sent.requests = next.load(Ordering::Relaxed).min(most);
    sent.latencies.sort_by(f64::total_cmp);
    progress.finish_and_clear();
    Ok(sent)
}

fn progress(load: &Load) -> Result<ProgressBar> {
    // Hidden by the library when standard error is no terminal.
    let (bar, template) = match load.until {
        Until::Items(items) => (ProgressBar::new(items), "{bar:40} {human_pos}/{human_len}, {per_sec}, {eta} left"),
        Until::Elapsed(_) => (ProgressBar::new_spinner(), "{spinner} {human_pos} sent, {per_sec}, {elapsed}"),
    };
    bar.set_style(ProgressStyle::with_template(template)?);
    Ok(bar)
}

struct Work {
    pool: Arc<Pool>,
    next: Arc<AtomicU64>,
    most: u64,
    deadline: Option<Instant>,
    progress: ProgressBar,
}

#[derive(Default)]
struct Done {
    items: u64,
    refusals: u64,
    latencies: Vec<f64>,
}

impl Work {
    async fn run(self, mut sender: Sender) -> Result<Done> {
        let mut done = Done::default();
        while self.deadline.is_none_or(|deadline| Instant::now() < deadline) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.most {
                break;
            }
            let body = bytes::Bytes::from(self.pool.request(number, now()));
            let mut attempts = 0;
            loop {
                let begun = Instant::now();
                match sender.send(body.clone()).await {
                    Outcome::Accepted { rejected: 0 } => {
                        done.latencies.push(begun.elapsed().as_secs_f64());
                        done.items += self.pool.batch() as u64;
                        self.progress.inc(self.pool.batch() as u64);
                        break;
                    }
                    Outcome::Accepted { rejected } => bail!("{rejected} items of a sound request were rejected"),
                    Outcome::Refused { retry_after, reason } => {
                        attempts += 1;
                        done.refusals += 1;
                        if attempts >= ATTEMPTS {
                            bail!(
                                "a request was refused {} times, at last so: {reason}",
                                table::count(attempts.into())
                            );
                        }
                        tokio::time::sleep(retry_after).await;
                    }
                    Outcome::Failed(reason) => bail!("a request failed: {reason}"),
                }
            }
        }
        Ok(done)
    }
}
