//! Images by Freepik: delivered at once, or promised and fetched later.

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, warn};
use tripod::jobs::{JobHandle, JobObserver};

use super::AgentError;
use crate::client::{ProviderError, Providers};

/// Makes the image that the prompt describes, and gives its URL.
///
/// # Errors
/// When the provider fails, an image to work on is missing, or the job is cancelled.
pub async fn create(
    job: &JobHandle,
    observer: &JobObserver,
    providers: &Providers,
    prompt: &str,
    has_image: bool,
    cancelled: &CancellationToken,
) -> Result<String, AgentError> {
    info!(prompt, has_image, "creative_started");
    let needs_image = prompt.to_ascii_lowercase().split_whitespace().any(|word| matches!(word, "edit" | "restyle"));
    if needs_image && !has_image {
        warn!("creative_no_image");
        return Err(AgentError::NoImage);
    }
    let work = work(job, observer, providers, prompt);
    let result = tokio::select! {
        result = work => result,
        () = cancelled.cancelled() => Err(AgentError::Cancelled),
    };
    match &result {
        Ok(image_url) => info!(image_url, "creative_succeeded"),
        Err(AgentError::Cancelled) => job.cancel(),
        Err(AgentError::Provider(ProviderError::Refused { status, .. })) => warn!(status, "creative_failed"),
        Err(error) => error!(error = error as &dyn std::error::Error, "creative_error"),
    }
    result
}

async fn work(
    job: &JobHandle,
    observer: &JobObserver,
    providers: &Providers,
    prompt: &str,
) -> Result<String, AgentError> {
    let span = observer.trace_span("create_freepik_image", [("job.id", job.id().to_owned())]);
    let answer = providers.create_image(prompt).instrument(span).await?;
    if let Some(image) = answer.result {
        return Ok(image);
    }
    let task_id = answer.task_id.ok_or(AgentError::Incomplete("freepik"))?;
    info!(task_id, "creative_async");
    job.progress(50, "The provider has promised an image");
    let span =
        observer.trace_span("poll_freepik_image", [("job.id", job.id().to_owned()), ("task.id", task_id.clone())]);
    let poll = async {
        loop {
            let answer = providers.poll_image(&task_id).await?;
            if answer.status == "succeeded" {
                return answer.result.ok_or(AgentError::Incomplete("freepik"));
            }
            tokio::time::sleep(providers.poll_pause()).await;
        }
    };
    poll.instrument(span).await
}
