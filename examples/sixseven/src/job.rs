//! Jobs as the API shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// What a command wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Find something out.
    Research,
    /// Make an image.
    Creative,
    /// Nobody knows.
    Unknown,
}

impl Intent {
    /// The name in labels and lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Research => "research",
            Self::Creative => "creative",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Being done.
    Running,
    /// Done.
    Succeeded,
    /// Given up.
    Failed,
    /// Called off.
    Cancelled,
}

/// A job as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub job_id: String,
    /// What it does.
    pub job_type: Intent,
    /// Where it stands.
    pub status: JobStatus,
    /// The command it was made for.
    pub command: String,
    /// What came out, or why nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// All jobs, the newest thousand of them. Cloning is cheap and shares.
#[derive(Clone, Debug, Default)]
pub struct JobStore(Arc<Mutex<Jobs>>);

#[derive(Debug, Default)]
struct Jobs {
    by_number: BTreeMap<u64, (JobView, CancellationToken)>,
    next: u64,
}

const KEPT: usize = 1000;

impl JobStore {
    /// Adds a running job. The token says when it is called off.
    pub fn create(&self, job_type: Intent, command: &str) -> (JobView, CancellationToken) {
        let view = JobView {
            job_id: uuid::Uuid::new_v4().to_string(),
            job_type,
            status: JobStatus::Running,
            command: command.to_owned(),
            result: None,
        };
        let token = CancellationToken::new();
        let mut jobs = self.0.lock();
        jobs.next += 1;
        let number = jobs.next;
        jobs.by_number.insert(number, (view.clone(), token.clone()));
        while jobs.by_number.len() > KEPT {
            jobs.by_number.pop_first();
        }
        (view, token)
    }

    /// Notes how a job ended.
    pub fn finish(&self, job_id: &str, status: JobStatus, result: String) {
        if let Some((view, _)) = self.0.lock().by_number.values_mut().rev().find(|(view, _)| view.job_id == job_id) {
            view.status = status;
            view.result = Some(result);
        }
    }

    /// One job.
    pub fn get(&self, job_id: &str) -> Option<JobView> {
        self.0.lock().by_number.values().rev().find(|(view, _)| view.job_id == job_id).map(|(view, _)| view.clone())
    }

    /// All jobs, newest first.
    pub fn list(&self) -> Vec<JobView> {
        self.0.lock().by_number.values().rev().map(|(view, _)| view.clone()).collect()
    }

    /// Calls a job off. `None` when there is no such job, false when it has ended.
    pub fn cancel(&self, job_id: &str) -> Option<bool> {
        let jobs = self.0.lock();
        let (view, token) = jobs.by_number.values().rev().find(|(view, _)| view.job_id == job_id)?;
        token.cancel();
        Some(view.status == JobStatus::Running)
    }
}
