//! The tokio runtime: workers, tasks, queue, busy time.

use tokio::runtime::Handle;

use super::collector::{Collection, Collector};
use super::exemplar::now;

/// The metrics of a tokio runtime.
#[derive(Debug)]
pub struct RuntimeMetrics {
    handle: Handle,
    created: u64,
}

impl RuntimeMetrics {
    /// Of this runtime.
    pub fn new(handle: Handle) -> Self {
        Self { handle, created: now() }
    }

    /// Of the runtime that is running, if one is.
    pub fn current() -> Option<Self> {
        Handle::try_current().ok().map(Self::new)
    }
}

impl Collector for RuntimeMetrics {
    fn collect(&self, out: &mut Collection) {
        let metrics = self.handle.metrics();
        out.since(self.created);
        out.gauge("tokio_workers", "Worker threads of the runtime", [], metrics.num_workers() as f64);
        out.gauge("tokio_alive_tasks", "Tasks that have not ended", [], metrics.num_alive_tasks() as f64);
        out.gauge(
            "tokio_global_queue_depth",
            "Tasks that wait for any worker",
            [],
            metrics.global_queue_depth() as f64,
        );
        #[cfg(target_has_atomic = "64")]
        for worker in 0..metrics.num_workers() {
            let labels = || [("worker".into(), worker.to_string())];
            out.counter(
                "tokio_worker_busy_seconds_total",
                "Time in which a worker ran tasks",
                labels(),
                metrics.worker_total_busy_duration(worker).as_secs_f64(),
            );
            out.counter(
                "tokio_worker_parks_total",
                "How often a worker had nothing to do and slept",
                labels(),
                metrics.worker_park_count(worker) as f64,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_runtime_counts_its_tasks_and_workers() {
        let registry = crate::metrics::Registry::new();
        registry.collect(RuntimeMetrics::current().unwrap());
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(released);
        let snapshot = registry.snapshot();
        assert_eq!(snapshot.value("tokio_workers", &[]), Some(2.0));
        assert!(snapshot.value("tokio_alive_tasks", &[]).unwrap() >= 1.0);
        assert!(snapshot.value("tokio_worker_busy_seconds_total", &[("worker", "1")]).is_some());
        release.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
}
