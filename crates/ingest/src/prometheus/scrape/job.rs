//! A job: its sources of targets, and a loop for each target that they give.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tripod_storage::series::SeriesStore;

use super::config::JobConfig;
use super::status::{LoopStatus, PoolStatus};
use super::target::{Target, targets};
use super::target_loop::TargetLoop;
use crate::prometheus::discovery::TargetGroup;

type Groups = watch::Receiver<Option<Vec<TargetGroup>>>;

/// Runs a job until it is replaced (its series are then marked stale) or stopped.
pub(super) async fn run_job(
    job: Arc<JobConfig>,
    store: Arc<dyn SeriesStore>,
    pool: Arc<PoolStatus>,
    replaced: CancellationToken,
    stopped: CancellationToken,
) {
    let mut discovery = JoinSet::new();
    let mut sources: Vec<Groups> = Vec::new();
    for index in 0..job.discovery.len() {
        let (sender, receiver) = watch::channel(None);
        sources.push(receiver);
        let job = Arc::clone(&job);
        discovery.spawn(async move {
            if let Some(source) = job.discovery.get(index) {
                source.run(&job.name, sender).await;
            }
        });
    }
    let mut changes: BoxStream<'static, ()> = stream::select_all(sources.iter().map(|source| {
        stream::unfold(source.clone(), |mut source| async move { source.changed().await.ok().map(|()| ((), source)) })
            .boxed()
    }))
    .boxed();
    let mut running =
        RunningLoops { job, store, pool, stopped: stopped.clone(), loops: Vec::new(), tasks: JoinSet::new() };
    loop {
        let change = async {
            if changes.next().await.is_none() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped.cancelled() => break,
            () = replaced.cancelled() => {
                running.sync(&[]);
                break;
            }
            () = change => {
                let groups: Vec<TargetGroup> =
                    sources.iter().flat_map(|source| source.borrow().clone().unwrap_or_default()).collect();
                running.sync(&groups);
            }
            Some(_) = running.tasks.join_next() => {}
        }
    }
    discovery.abort_all();
    while running.tasks.join_next().await.is_some() {}
}

struct RunningLoops {
    job: Arc<JobConfig>,
    store: Arc<dyn SeriesStore>,
    pool: Arc<PoolStatus>,
    stopped: CancellationToken,
    loops: Vec<RunningLoop>,
    tasks: JoinSet<()>,
}

struct RunningLoop {
    target: Target,
    forced_error: Option<String>,
    gone: CancellationToken,
    status: Arc<LoopStatus>,
}

impl RunningLoops {
    /// Ends the loops of targets that are gone and begins those of new ones; the others go on undisturbed.
    fn sync(&mut self, groups: &[TargetGroup]) {
        let found = targets(&self.job, groups);
        for mistake in &found.mistakes {
            tracing::warn!(job = self.job.name, mistake, "a target cannot be scraped");
        }
        let (count, limit) = (found.active.len() as u64, self.job.limits.targets);
        let forced_error = (limit > 0 && count > limit)
            .then(|| format!("target_limit exceeded (number of targets: {count}, limit: {limit})"));
        self.loops.retain(|running| {
            let stays = running.forced_error == forced_error && found.active.contains(&running.target);
            if !stays {
                running.gone.cancel();
            }
            stays
        });
        let mut shared = None;
        for target in found.active {
            if self.loops.iter().any(|running| running.target == target) {
                continue;
            }
            // A certificate for another name needs a client of its own; all others share one and its connections.
            let client = match self.job.http.server_name() {
                Some(_) => self.job.http.client(target.url.host_str()),
                None => shared.get_or_insert_with(|| self.job.http.client(None)).clone(),
            };
            let status = Arc::new(LoopStatus::new(&self.job.name, &target));
            let gone = CancellationToken::new();
            let task = TargetLoop {
                job: Arc::clone(&self.job),
                target: target.clone(),
                client,
                store: Arc::clone(&self.store),
                status: Arc::clone(&status),
                forced_error: forced_error.clone(),
                gone: gone.clone(),
                stopped: self.stopped.clone(),
            };
            self.tasks.spawn(task.run());
            self.loops.push(RunningLoop { target, forced_error: forced_error.clone(), gone, status });
        }
        self.pool.set(self.loops.iter().map(|running| Arc::clone(&running.status)).collect(), found.dropped);
    }
}
