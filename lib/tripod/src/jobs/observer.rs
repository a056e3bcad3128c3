//! Who watches all jobs of a service.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tracing::Span;

use super::job::{Completion, Job};
use crate::external::ExternalCalls;
use crate::field::{Name, Value};
use crate::metrics::{Counter, Family, Gauge, Histogram, MetricError, Registry};
use crate::span::SpanExt;

/// Where the spans of a job belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum JobTrace {
    /// Into a trace of their own, linked to the request that made the job. A request's trace then ends with its response,
    /// and a job that is tried for hours has a trace of its own.
    #[default]
    Linked,
    /// Into the trace of the request, below the span in which the job was created.
    Child,
}

/// Watches jobs. Cloning is cheap and shares.
///
/// Metrics, each with the registry's namespace: `commands_total` (`intent`, `status`: `created`, `succeeded`, `failed`,
/// `cancelled`), `job_duration_seconds` (`job_type`, `status`), `active_jobs` (`job_type`),
/// `external_api_calls_total` (`provider`, `status`), `external_api_latency_seconds` (`provider`). Log events:
/// `job_created`, `job_started`, `job_progress`, `job_completed`, `external_api_call`, all with the job's `job_id`.
#[derive(Clone, Debug)]
pub struct JobObserver(pub(super) Arc<Watched>);

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) commands: Family<Counter, 2>,
    pub(super) duration: Family<Histogram, 2>,
    pub(super) active: Family<Gauge, 1>,
    calls: ExternalCalls,
    pub(super) trace: JobTrace,
}

/// How a [`JobObserver`] is made.
#[derive(Clone, Debug)]
pub struct JobObserverBuilder {
    counter: Name,
    kind: &'static str,
    buckets: Vec<f64>,
    trace: JobTrace,
}

/// Seconds.
const BUCKETS: &[f64] = &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

impl JobObserver {
    /// An observer with the names above.
    pub fn builder() -> JobObserverBuilder {
        JobObserverBuilder {
            counter: "commands_total".into(),
            kind: "intent",
            buckets: BUCKETS.to_vec(),
            trace: JobTrace::default(),
        }
    }

    /// A job was created: counts it, and logs `job_created`. The ids of the running request stay with the job, and
    /// `job_id` joins them.
    pub fn job_created(&self, id: impl Into<String>, kind: impl Into<String>) -> Job {
        Job::create(self.clone(), id.into(), kind.into())
    }

    /// A job begins: logs `job_started`, and the time for its duration runs.
    pub fn job_started(&self, job: &mut Job) {
        job.start();
    }

    /// A job has come so far, in percent: logs `job_progress`.
    pub fn job_progress(&self, job: &Job, percent: u8, message: &str) {
        job.handle().progress(percent, message);
    }

    /// A job has ended: records its duration, counts it under its status, and logs `job_completed`.
    pub fn job_completed(&self, job: Job, completion: Completion) {
        job.complete(completion);
    }

    /// Another provider was called: counts the call, records its latency, and logs `external_api_call`.
    pub fn external_api_call(&self, provider: &str, operation: &str, took: Duration, success: bool) {
        self.0.calls.record(provider, took, success);
        let duration_seconds = (took.as_secs_f64() * 1e6).round() / 1e6;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "tripod::jobs",
                    provider,
                    operation,
                    duration_seconds,
                    success,
                    "external_api_call"
                )
            };
        }
        if success { line!(info) } else { line!(warn) }
    }

    /// A span with attributes, for a step of a job. Enter it, or instrument a future with it.
    pub fn trace_span<N: Into<Name>, V: Into<Value>>(
        &self,
        name: impl Display,
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> Span {
        let span = tracing::info_span!(target: "tripod::jobs", "span", otel.name = %name);
        for (name, value) in attributes {
            span.set_attribute(name, value);
        }
        span
    }
}

impl JobObserverBuilder {
    /// The name of the counter and of its label for the kind of job, where `commands_total` and `intent` do not fit:
    /// `jobs_total` and `job_type`.
    pub fn counter(mut self, name: &'static str, kind: &'static str) -> Self {
        self.counter = name.into();
        self.kind = kind;
        self
    }

    /// The bounds of the histogram of durations, in seconds; up to an hour unless set.
    pub fn buckets(mut self, bounds: &[f64]) -> Self {
        self.buckets = bounds.to_vec();
        self
    }

    /// Where the spans of jobs belong.
    pub fn trace(mut self, trace: JobTrace) -> Self {
        self.trace = trace;
        self
    }

    /// Registers the metrics and makes the observer.
    ///
    /// # Errors
    /// When a name is not valid or in use for something else.
    pub fn build(self, registry: &Registry) -> Result<JobObserver, MetricError> {
        let commands = registry.counter(self.counter, "Total number of commands received");
        let duration = registry.histogram("job_duration_seconds", "Job execution duration");
        let active = registry.gauge("active_jobs", "Number of currently active jobs");
        Ok(JobObserver(Arc::new(Watched {
            commands: commands.labels([self.kind, "status"]).register()?,
            duration: duration.buckets(&self.buckets).labels(["job_type", "status"]).register()?,
            active: active.labels(["job_type"]).register()?,
            calls: ExternalCalls::register(registry)?,
            trace: self.trace,
        })))
    }
}
