//! One job from its creation to its end.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::observer::{JobObserver, JobTrace};
use crate::context::{self, Context, SpanContext};
use crate::metrics::GaugeGuard;
use crate::span::SpanExt;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It did what it was made for.
    Succeeded,
    /// It did not, for this reason.
    Failed(String),
    /// Somebody called it off.
    Cancelled,
}

impl Completion {
    /// The value of the label and attribute `status`: `succeeded`, `failed`, `cancelled`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job that has been created and has not ended. When it is dropped it ends as failed.
#[derive(Debug)]
#[must_use = "a job that is dropped has failed"]
pub struct Job {
    handle: JobHandle,
    /// The span in which it was created.
    origin: Option<SpanContext>,
    created: Instant,
    started: Option<Instant>,
    span: Span,
    active: Option<GaugeGuard>,
    ended: bool,
}

/// What the work itself needs of its job. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct JobHandle {
    observer: JobObserver,
    id: Arc<str>,
    kind: Arc<str>,
    context: Context,
    cancelled: Arc<AtomicBool>,
}

impl JobHandle {
    /// The job's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The kind of job, `job_type` in metrics and lines.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The job has come so far, in percent: logs `job_progress`.
    pub fn progress(&self, percent: u8, message: &str) {
        // Without the request's span: the line belongs to the span that is running.
        let _context = self.context.clone().with_parent(None).enter();
        let (progress, job_type) = (percent.min(100), self.kind());
        tracing::info!(target: "tripod::jobs", job_type, progress, progress_message = message, "job_progress");
    }

    /// Says that the work ends because somebody called it off: an error that it returns from now on is not a failure.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Whether the job was called off.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }
}

impl Job {
    pub(super) fn create(observer: JobObserver, id: String, kind: String) -> Self {
        let context = context::current().with(context::JOB_ID, id.clone());
        let origin = context.parent().map(|parent| parent.span.clone());
        observer.0.commands.with([&kind, "created"]).inc();
        let active = observer.0.active.with([&kind]).track();
        let handle = JobHandle { observer, id: id.into(), kind: kind.into(), context, cancelled: Arc::default() };
        {
            let _context = handle.context.clone().enter();
            tracing::info!(target: "tripod::jobs", job_type = handle.kind(), "job_created");
        }
        Self {
            handle,
            origin,
            created: Instant::now(),
            started: None,
            span: Span::none(),
            active: Some(active),
            ended: false,
        }
    }

    /// What the work needs of the job.
    pub fn handle(&self) -> JobHandle {
        self.handle.clone()
    }

    /// The job's id.
    pub fn id(&self) -> &str {
        self.handle.id()
    }

    /// The job's span, from its start on: parent of all spans of its work.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Runs the work of the job to its end, in the job's context and in a span `execute_KIND`. An error is a failure,
    /// unless the job was called off; a panic, or dropping this future, is a failure too.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn run<W, F, T, E>(mut self, work: W) -> Result<T, E>
    where
        W: FnOnce(JobHandle) -> F,
        F: Future<Output = Result<T, E>>,
        E: Display,
    {
        self.start();
        let (context, span) = (self.handle.context.clone(), self.span.clone());
        let work = {
            let _context = context.clone().enter();
            let _span = span.enter();
            work(self.handle())
        };
        let result = context.scope(work.instrument(span)).await;
        let completion = match &result {
            _ if self.handle.is_cancelled() => Completion::Cancelled,
            Ok(_) => Completion::Succeeded,
            Err(error) => Completion::Failed(error.to_string()),
        };
        self.complete(completion);
        result
    }

    pub(super) fn start(&mut self) {
        if self.started.is_some() {
            return;
        }
        self.started = Some(Instant::now());
        let handle = &self.handle;
        macro_rules! span {
            ($($parent:tt)*) => {
                tracing::info_span!(
                    target: "tripod::jobs",
                    $($parent)*
                    "job",
                    otel.name = %format_args!("execute_{}", handle.kind),
                    otel.status_code = Empty,
                    otel.status_description = Empty,
                    job.id = handle.id(),
                    job.type = handle.kind(),
                    job.status = "running",
                )
            };
        }
        self.span = match handle.observer.0.trace {
            JobTrace::Child => handle.context.clone().run(|| span!()),
            JobTrace::Linked => handle.context.clone().run(|| span!(parent: None,)),
        };
        if let (JobTrace::Linked, Some(origin)) = (handle.observer.0.trace, &self.origin) {
            self.span.add_link(origin.clone(), Vec::new());
        }
        let _context = handle.context.clone().enter();
        let _span = self.span.enter();
        tracing::info!(target: "tripod::jobs", job_type = handle.kind(), "job_started");
    }

    pub(super) fn complete(mut self, completion: Completion) {
        self.end(&completion);
    }

    fn end(&mut self, completion: &Completion) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (watched, job_type, status) = (&self.handle.observer.0, self.handle.kind(), completion.as_str());
        let took = self.started.unwrap_or(self.created).elapsed();
        // Once it has a span, its lines belong to that span, also when it is completed within it.
        let context = self.handle.context.clone();
        let _context = if self.span.is_disabled() { context } else { context.with_parent(None) }.enter();
        let _span = self.span.enter();
        self.span.record("job.status", status);
        watched.duration.with([job_type, status]).observe_duration(took);
        watched.commands.with([job_type, status]).inc();
        self.active = None;
        let duration_seconds = (took.as_secs_f64() * 1e6).round() / 1e6;
        match completion {
            Completion::Failed(error) => {
                self.span.record("otel.status_code", "ERROR");
                self.span.record("otel.status_description", error);
                tracing::error!(target: "tripod::jobs", job_type, status, duration_seconds, error, "job_completed");
            }
            Completion::Succeeded | Completion::Cancelled => {
                tracing::info!(target: "tripod::jobs", job_type, status, duration_seconds, "job_completed");
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let reason = if std::thread::panicking() { "The job panicked" } else { "The job was dropped before its end" };
        self.end(&Completion::Failed(reason.to_owned()));
    }
}
