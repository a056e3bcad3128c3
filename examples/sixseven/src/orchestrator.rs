//! From a command in words to a job in the background.

use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span, error, info, info_span};
use tripod::jobs::{JobHandle, JobObserver};
use tripod::metrics::{Counter, Family, MetricError, Registry};

use crate::agents::{self, AgentError};
use crate::client::Providers;
use crate::job::{Intent, JobStatus, JobStore};

/// Turns commands into jobs. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    store: JobStore,
    observer: JobObserver,
    providers: Providers,
    commands: Family<Counter, 2>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// What it wants.
    pub intent: Intent,
    /// The job that does it, when the intent is known.
    pub job_id: Option<String>,
}

impl Orchestrator {
    /// An orchestrator that keeps its jobs in the store.
    ///
    /// # Errors
    /// When a metric's name is in use.
    pub fn new(
        registry: &Registry,
        store: JobStore,
        observer: JobObserver,
        providers: Providers,
    ) -> Result<Self, MetricError> {
        let commands = registry.counter("commands_total", "Total number of commands received");
        let commands = commands.labels(["intent", "status"]).register()?;
        Ok(Self { store, observer, providers, commands })
    }

    /// Understands a command and begins the job that does it.
    pub async fn handle_command(&self, text: &str, has_image: bool) -> Handled {
        let span = info_span!(
            "handle_command",
            command.text = text,
            command.has_image = has_image,
            response.intent = Empty,
            response.job_id = Empty,
        );
        async {
            let intent = info_span!("parse_intent", command.text = text, response.intent = Empty).in_scope(|| {
                let intent = parse_intent(text);
                Span::current().record("response.intent", intent.as_str());
                info!(intent = intent.as_str(), "intent_parsed");
                intent
            });
            Span::current().record("response.intent", intent.as_str());
            if intent == Intent::Unknown {
                self.commands.with(["unknown", "rejected"]).inc();
                return Handled { intent, job_id: None };
            }
            let (job, token) =
                info_span!("create_job", job.type = intent.as_str(), job.status = "running", response.job_id = Empty)
                    .in_scope(|| {
                        let created = self.store.create(intent, text);
                        Span::current().record("response.job_id", &created.0.job_id);
                        created
                    });
            Span::current().record("response.job_id", &job.job_id);
            self.begin(intent, &job.job_id, text, has_image, token);
            Handled { intent, job_id: Some(job.job_id) }
        }
        .instrument(span)
        .await
    }

    fn begin(&self, intent: Intent, job_id: &str, text: &str, has_image: bool, token: CancellationToken) {
        let job = self.observer.job_created(job_id, intent.as_str());
        let (this, text) = (self.clone(), text.to_owned());
        tokio::spawn(job.run(move |job| async move {
            let result = this.execute(intent, &job, &text, has_image, &token).await;
            let (status, outcome) = match &result {
                Ok(outcome) => (JobStatus::Succeeded, outcome.clone()),
                Err(AgentError::Cancelled) => (JobStatus::Cancelled, AgentError::Cancelled.to_string()),
                Err(error) => (JobStatus::Failed, error.to_string()),
            };
            this.store.finish(job.id(), status, outcome);
            result
        }));
    }

    async fn execute(
        &self,
        intent: Intent,
        job: &JobHandle,
        text: &str,
        has_image: bool,
        token: &CancellationToken,
    ) -> Result<String, AgentError> {
        let (observer, providers) = (&self.observer, &self.providers);
        let result = match intent {
            Intent::Creative => agents::create(job, observer, providers, text, has_image, token).await,
            Intent::Research | Intent::Unknown => agents::research(job, observer, providers, text, token).await,
        };
        match &result {
            Ok(_) | Err(AgentError::Cancelled) => {}
            Err(error) => {
                let error = error as &dyn std::error::Error;
                match intent {
                    Intent::Creative => error!(error, "creative_execution_error"),
                    Intent::Research | Intent::Unknown => error!(error, "research_execution_error"),
                }
            }
        }
        result
    }
}

/// What the words want.
pub fn parse_intent(text: &str) -> Intent {
    const RESEARCH: &[&str] = &["research", "find", "search", "what", "why", "how", "who"];
    const CREATIVE: &[&str] = &["create", "draw", "paint", "generate", "image", "edit", "restyle"];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        if RESEARCH.contains(&word) {
            return Intent::Research;
        }
        if CREATIVE.contains(&word) {
            return Intent::Creative;
        }
    }
    Intent::Unknown
}
