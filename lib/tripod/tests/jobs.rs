//! Jobs from the request that makes them to their end: metrics, lines, spans, and every way to end.

use std::time::Duration;

use tokio::sync::oneshot;
use tracing::info_span;
use tripod::context::Context;
use tripod::jobs::{Completion, JobObserver, JobTrace};
use tripod::logs::Level;
use tripod::metrics::{Registry, Snapshot};
use tripod::testing::Capture;
use tripod::traces::Status;

fn observer(trace: JobTrace) -> (Registry, JobObserver) {
    let registry = Registry::builder().namespace("sixseven").build().unwrap();
    let observer = JobObserver::builder().trace(trace).build(&registry).unwrap();
    (registry, observer)
}

fn commands(snapshot: &Snapshot, status: &str) -> Option<f64> {
    snapshot.value("sixseven_commands_total", &[("intent", "research"), ("status", status)])
}

fn active(snapshot: &Snapshot) -> Option<f64> {
    snapshot.value("sixseven_active_jobs", &[("job_type", "research")])
}

#[test]
fn a_job_is_counted_logged_and_traced_by_hand() {
    let (registry, observer) = observer(JobTrace::Child);
    let capture = Capture::new();
    capture.run(|| {
        let request = Context::new().with("request_id", "r-1").enter();
        let command = info_span!("handle_command").entered();
        let mut job = observer.job_created("j-1", "research");
        assert_eq!(active(&registry.snapshot()), Some(1.0));
        drop((command, request));

        observer.job_started(&mut job);
        observer.job_progress(&job, 50, "Halfway done");
        job.span().in_scope(|| {
            observer.trace_span("create_yutori_task", [("task.priority", 3_i64)]).in_scope(|| {
                observer.external_api_call("yutori", "create_task", Duration::from_millis(1500), true);
            });
        });
        observer.job_completed(job, Completion::Succeeded);
    });

    let snapshot = registry.snapshot();
    assert_eq!((commands(&snapshot, "created"), commands(&snapshot, "succeeded")), (Some(1.0), Some(1.0)));
    assert_eq!(active(&snapshot), Some(0.0));
    let duration = [("job_type", "research"), ("status", "succeeded")];
    assert_eq!(snapshot.value("sixseven_job_duration_seconds", &duration), Some(1.0));
    let call = [("provider", "yutori"), ("status", "success")];
    assert_eq!(snapshot.value("sixseven_external_api_calls_total", &call), Some(1.0));
    assert_eq!(snapshot.value("sixseven_external_api_latency_seconds", &[("provider", "yutori")]), Some(1.0));

    assert_eq!(capture.tree(), "handle_command\n  execute_research\n    create_yutori_task\n");
    let span = capture.span("execute_research");
    assert_eq!(span.get("job.id"), Some(&"j-1".into()));
    assert_eq!((span.get("job_id"), span.get("request_id")), (Some(&"j-1".into()), Some(&"r-1".into())));
    assert_eq!((span.get("job.type"), span.get("job.status")), (Some(&"research".into()), Some(&"succeeded".into())));
    assert_eq!(capture.span("create_yutori_task").get("task.priority"), Some(&3_i64.into()));
    for event in ["job_created", "job_started", "job_progress", "job_completed"] {
        let line = capture.log(event);
        assert_eq!((line.context.job_id(), line.context.request_id()), (Some("j-1"), Some("r-1")), "{event}");
    }
    let line = capture.log("job_completed");
    assert_eq!((line.get("status"), line.level), (Some(&"succeeded".into()), Level::Info));
    assert_eq!(line.span.unwrap(), span.context);
    let line = capture.log("external_api_call");
    assert_eq!((line.get("operation"), line.get("success")), (Some(&"create_task".into()), Some(&true.into())));
    assert_eq!(line.get("duration_seconds"), Some(&1.5.into()));
}

#[tokio::test]
async fn work_runs_in_the_jobs_context_and_a_trace_of_its_own_links_to_the_request() {
    let (registry, observer) = observer(JobTrace::Linked);
    let capture = Capture::new();
    let result = capture
        .attach(async {
            let job = info_span!("handle_command").in_scope(|| observer.job_created("j-2", "research"));
            job.run(async |job| {
                job.progress(120, "Nearly done");
                tracing::info!("research_started");
                Err::<(), _>("the provider is gone")
            })
            .await
        })
        .await;
    assert_eq!(result, Err("the provider is gone"));
    let (request, job) = (capture.span("handle_command"), capture.span("execute_research"));
    assert_ne!(request.context.trace_id, job.context.trace_id);
    assert_eq!(job.parent, None);
    assert_eq!(job.links.len(), 1);
    assert_eq!(job.links[0].context, request.context);
    assert_eq!(job.status, Status::Error("the provider is gone".into()));
    let line = capture.log("research_started");
    assert_eq!((line.context.job_id(), line.span), (Some("j-2"), Some(job.context.clone())));
    let line = capture.log("job_progress");
    assert_eq!((line.get("progress"), line.span.clone()), (Some(&100_u64.into()), Some(job.context.clone())));
    let line = capture.log("job_completed");
    assert_eq!((line.level, line.get("status")), (Level::Error, Some(&"failed".into())));
    assert_eq!(commands(&registry.snapshot(), "failed"), Some(1.0));
}

#[test]
fn a_job_that_is_completed_within_its_span_says_so_there() {
    let (_, observer) = observer(JobTrace::Child);
    let capture = Capture::new();
    capture.run(|| {
        let mut job = info_span!("handle_command").in_scope(|| observer.job_created("j-4", "research"));
        observer.job_started(&mut job);
        let span = job.span().clone();
        span.in_scope(|| observer.job_completed(job, Completion::Succeeded));
    });
    assert_eq!(capture.log("job_completed").span.unwrap(), capture.span("execute_research").context);
}

#[tokio::test]
async fn a_job_that_is_called_off_has_not_failed() {
    let (registry, observer) = observer(JobTrace::Linked);
    // Without one on this thread, `tracing` could decide for the whole process that nobody wants these lines.
    let _captured = Capture::new().enter();
    let job = observer.job_created("j-3", "research");
    let result = job
        .run(async |job| {
            job.cancel();
            Err::<(), _>("cancelled")
        })
        .await;
    assert!(result.is_err());
    let snapshot = registry.snapshot();
    assert_eq!((commands(&snapshot, "cancelled"), commands(&snapshot, "failed")), (Some(1.0), None));
    assert_eq!(active(&snapshot), Some(0.0));
}

#[tokio::test]
async fn a_job_that_panics_is_aborted_or_forgotten_has_failed() {
    let (registry, observer) = observer(JobTrace::Linked);
    let capture = Capture::new();
    // For the whole thread: an aborted task is dropped by the runtime, outside of what was attached to it.
    let _captured = capture.enter();
    let job = observer.job_created("panics", "research");
    let work = async |_| if true { panic!("on purpose") } else { Ok::<(), String>(()) };
    let task = tokio::spawn(job.run(work));
    assert!(task.await.unwrap_err().is_panic());

    let (begun, begins) = oneshot::channel();
    let job = observer.job_created("aborted", "research");
    let work = async |_| {
        begun.send(()).unwrap();
        std::future::pending::<Result<(), String>>().await
    };
    let task = tokio::spawn(job.run(work));
    begins.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    drop(observer.job_created("forgotten", "research"));
    let snapshot = registry.snapshot();
    assert_eq!(commands(&snapshot, "failed"), Some(3.0));
    assert_eq!(active(&snapshot), Some(0.0));
    let errors: Vec<_> = capture
        .logs()
        .into_iter()
        .filter(|line| line.event == "job_completed")
        .map(|line| {
            (
                line.context.job_id().unwrap_or_default().to_owned(),
                line.get("error").cloned().or_else(|| Some(line.error.as_ref()?.message.clone().into())),
            )
        })
        .collect();
    let dropped = Some("The job was dropped before its end".into());
    assert_eq!(
        errors,
        [
            ("panics".to_owned(), Some("The job panicked".into())),
            ("aborted".to_owned(), dropped.clone()),
            ("forgotten".to_owned(), dropped)
        ]
    );
}
