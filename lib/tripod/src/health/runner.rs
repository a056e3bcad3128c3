//! Runs the checks: side by side, with a timeout and a cache for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::check::{Check, Outcome, Status};
use super::report::{CheckReport, Report};
use crate::field::Name;
use crate::logs::timestamp;
use crate::metrics::{Family, Gauge, MetricError, Registry};

/// What the reports say about the service itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The version of the service.
    pub version: String,
    /// Where it runs: `production`, `development`, ….
    pub environment: String,
}

impl Service {
    /// A service of a version, in an environment.
    pub fn new(version: impl Into<String>, environment: impl Into<String>) -> Self {
        Self { version: version.into(), environment: environment.into() }
    }
}

/// All checks of a service. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Service,
    started: Instant,
    checks: RwLock<Vec<Arc<Slot>>>,
    gauges: RwLock<Option<Family<Gauge, 1>>>,
    draining: AtomicBool,
    /// Where checks run: what they use, such as a pool's connections, belongs to the application's runtime.
    runtime: Option<Handle>,
}

/// A check and its last result. The lock is held while the check runs: who comes meanwhile waits for that run.
#[derive(Debug)]
struct Slot {
    check: Check,
    last: Mutex<Option<(Instant, CheckReport)>>,
}

/// How much longer than the check itself its task is waited for: a check that blocks its thread does not see its own
/// timeout.
const GRACE: Duration = Duration::from_millis(250);

impl Health {
    /// No checks yet: healthy. Checks run on the tokio runtime on which this is called, if on one, whoever asks for a
    /// report.
    pub fn new(service: Service) -> Self {
        Self(Arc::new(Inner {
            service,
            started: Instant::now(),
            checks: RwLock::default(),
            gauges: RwLock::default(),
            draining: AtomicBool::new(false),
            runtime: Handle::try_current().ok(),
        }))
    }

    /// Exposes a gauge per check, `health_check_status` with the label `check`: 1 healthy, 0.5 degraded, 0 unhealthy, as
    /// of the last run.
    ///
    /// # Errors
    /// When the registry has another metric of that name.
    pub fn expose(&self, registry: &Registry) -> Result<(), MetricError> {
        let gauges = registry
            .gauge("health_check_status", "Result of a health check: 1 healthy, 0.5 degraded, 0 unhealthy")
            .labels(["check"])
            .register()?;
        *self.0.gauges.write() = Some(gauges);
        Ok(())
    }

    /// Adds a check. One of the same name is replaced.
    pub fn add(&self, check: Check) {
        let slot = Arc::new(Slot { check, last: Mutex::new(None) });
        let mut checks = self.0.checks.write();
        match checks.iter_mut().find(|known| known.check.name == slot.check.name) {
            Some(known) => *known = slot,
            None => checks.push(slot),
        }
    }

    /// Says that the service is shutting down: from now on it is not ready, so that load balancers send no more requests
    /// while those under way are finished.
    pub fn drain(&self) {
        self.0.draining.store(true, Relaxed);
    }

    /// All checks: the answer of `/health`. Must be awaited on a tokio runtime.
    pub async fn report(&self) -> Report {
        let checks = self.0.checks.read().clone();
        self.run(checks).await
    }

    /// The checks that the service cannot do without: the answer of `/health/ready`. Unhealthy while the service shuts
    /// down.
    pub async fn readiness(&self) -> Report {
        let checks = self.0.checks.read().iter().filter(|slot| slot.check.critical).cloned().collect();
        let mut report = self.run(checks).await;
        if self.0.draining.load(Relaxed) {
            report.status = Status::Unhealthy;
            let outcome = Outcome::unhealthy("The service is shutting down");
            report.checks.push(CheckReport { name: "shutdown".into(), duration_ms: 0.0, outcome });
        }
        report
    }

    /// That the process answers: the answer of `/health/live`. Asks nothing, for a failed dependency is no reason to
    /// restart the service.
    pub fn liveness(&self) -> Report {
        self.report_of(Vec::new(), Status::Healthy)
    }

    async fn run(&self, checks: Vec<Arc<Slot>>) -> Report {
        // A task for each: one that panics or blocks takes no other with it, and a caller that goes away cancels nothing.
        let tasks: Vec<_> = checks
            .iter()
            .map(|slot| {
                let (slot, gauges) = (slot.clone(), self.0.gauges.read().clone());
                let check = async move { slot.result(gauges.as_ref()).await };
                match &self.0.runtime {
                    Some(runtime) => runtime.spawn(check),
                    None => tokio::spawn(check),
                }
            })
            .collect();
        let started = Instant::now();
        let (mut reports, mut status) = (Vec::with_capacity(tasks.len()), Status::Healthy);
        for (slot, mut task) in checks.iter().zip(tasks) {
            let check = &slot.check;
            let left = (check.timeout + GRACE).saturating_sub(started.elapsed());
            let report = match timeout(left, &mut task).await {
                Ok(Ok(report)) => report,
                Ok(Err(_)) => check.failed(started, "The check panicked"),
                Err(_) => {
                    task.abort();
                    check.failed(started, &check.timed_out())
                }
            };
            let worst = if check.critical { Status::Unhealthy } else { Status::Degraded };
            status = status.max(report.outcome.status.min(worst));
            reports.push(report);
        }
        self.report_of(reports, status)
    }

    fn report_of(&self, checks: Vec<CheckReport>, status: Status) -> Report {
        Report {
            status,
            time: timestamp::now(),
            version: self.0.service.version.clone(),
            environment: self.0.service.environment.clone(),
            uptime_seconds: self.0.started.elapsed().as_secs_f64(),
            checks,
        }
    }
}

impl Slot {
    async fn result(&self, gauges: Option<&Family<Gauge, 1>>) -> CheckReport {
        let mut last = self.last.lock().await;
        if let Some((when, report)) = last.as_ref().filter(|(when, _)| when.elapsed() < self.check.cache) {
            let _ = when;
            return report.clone();
        }
        let started = Instant::now();
        let gauge = gauges.map(|gauges| gauges.with([&self.check.name]));
        // Until the check says otherwise: it may panic.
        let unknown = Unhealthy(gauge.as_ref());
        let report = match timeout(self.check.timeout, (self.check.run)()).await {
            Ok(outcome) => CheckReport { name: self.check.name.clone(), duration_ms: milliseconds(started), outcome },
            Err(_) => self.check.failed(started, &self.check.timed_out()),
        };
        std::mem::forget(unknown);
        if let Some(gauge) = gauge {
            gauge.set(report.outcome.status.as_gauge());
        }
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

/// Sets the gauge to unhealthy when it is dropped.
struct Unhealthy<'a>(Option<&'a Gauge>);

impl Drop for Unhealthy<'_> {
    fn drop(&mut self) {
        if let Some(gauge) = self.0 {
            gauge.set(Status::Unhealthy.as_gauge());
        }
    }
}

impl Check {
    fn failed(&self, started: Instant, message: &str) -> CheckReport {
        let name: Name = self.name.clone();
        CheckReport { name, duration_ms: milliseconds(started), outcome: Outcome::unhealthy(message) }
    }

    fn timed_out(&self) -> String {
        format!("The check took longer than {:?}", self.timeout)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
