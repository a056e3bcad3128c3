//! Research by Yutori: create a task, then ask until it is done.

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, warn};
use tripod::jobs::{JobHandle, JobObserver};

use super::AgentError;
use crate::client::{ProviderError, Providers};

/// Finds out what the query asks for.
///
/// # Errors
/// When the provider fails or the job is cancelled.
pub async fn research(
    job: &JobHandle,
    observer: &JobObserver,
    providers: &Providers,
    query: &str,
    cancelled: &CancellationToken,
) -> Result<String, AgentError> {
    info!(query, "research_started");
    let work = work(job, observer, providers, query);
    let result = tokio::select! {
        result = work => result,
        () = cancelled.cancelled() => Err(AgentError::Cancelled),
    };
    match &result {
        Ok(_) => info!("research_succeeded"),
        Err(AgentError::Cancelled) => {
            job.cancel();
            info!("research_cancelled");
        }
        Err(AgentError::Provider(ProviderError::Refused { status, .. })) => warn!(status, "research_failed"),
        Err(error) => error!(error = error as &dyn std::error::Error, "research_error"),
    }
    result
}

async fn work(
    job: &JobHandle,
    observer: &JobObserver,
    providers: &Providers,
    query: &str,
) -> Result<String, AgentError> {
    let span = observer.trace_span("create_yutori_task", [("job.id", job.id().to_owned())]);
    let task = providers.create_research(query).instrument(span).await?;
    let task_id = task.task_id.ok_or(AgentError::Incomplete("yutori"))?;
    info!(task_id, "research_task_created");
    job.progress(30, "Task created");

    let span = observer.trace_span("poll_yutori_task", [("job.id", job.id().to_owned()), ("task.id", task_id.clone())]);
    let poll = async {
        for polls in 1_u32.. {
            let answer = providers.poll_research(&task_id).await?;
            if answer.status == "succeeded" {
                info!(task_id, polls, "research_poll_completed");
                return answer.result.ok_or(AgentError::Incomplete("yutori"));
            }
            tokio::time::sleep(providers.poll_pause()).await;
        }
        Err(AgentError::Incomplete("yutori"))
    };
    poll.instrument(span).await
}
