//! One check: what it asks, how long it may take, and what it can answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::field::{Fields, Name, Value};

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// As it should.
    Healthy,
    /// Not as it should, but requests are answered.
    Degraded,
    /// Not at all.
    Unhealthy,
}

impl Status {
    /// The name in the JSON: `healthy`, `degraded`, `unhealthy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The value of the gauge `health_check_status`: 1, 0.5 or 0.
    pub fn as_gauge(self) -> f64 {
        match self {
            Self::Healthy => 1.0,
            Self::Degraded => 0.5,
            Self::Unhealthy => 0.0,
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How well it works.
    pub status: Status,
    /// What to tell people.
    pub message: String,
    /// What to tell programs; left out of the JSON when empty.
    pub details: Fields,
}

impl Outcome {
    /// It works.
    pub fn healthy(message: impl Into<String>) -> Self {
        Self { status: Status::Healthy, message: message.into(), details: Fields::new() }
    }

    /// It works, but not as it should.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self { status: Status::Degraded, message: message.into(), details: Fields::new() }
    }

    /// It does not work.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self { status: Status::Unhealthy, message: message.into(), details: Fields::new() }
    }

    /// Adds a detail.
    pub fn detail(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }
}

/// An error is an unhealthy outcome with the error's text.
impl<E: fmt::Display> From<Result<Outcome, E>> for Outcome {
    fn from(result: Result<Outcome, E>) -> Self {
        result.unwrap_or_else(|error| Outcome::unhealthy(error.to_string()))
    }
}

type Run = dyn Fn() -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;

/// A check.
#[derive(Clone)]
pub struct Check {
    pub(super) name: Name,
    pub(super) timeout: Duration,
    pub(super) cache: Duration,
    pub(super) critical: bool,
    pub(super) run: Arc<Run>,
}

impl Check {
    /// A check by a closure. It may take 2 seconds, and its result is kept for one. It must not block the thread; what
    /// blocks belongs into `tokio::task::spawn_blocking`.
    pub fn new<C, F, O>(name: impl Into<Name>, check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = O> + Send + 'static,
        O: Into<Outcome>,
    {
        let run = move || -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
            let outcome = check();
            Box::pin(async move { outcome.await.into() })
        };
        Self {
            name: name.into(),
            timeout: Duration::from_secs(2),
            cache: Duration::from_secs(1),
            critical: true,
            run: Arc::new(run),
        }
    }

    /// The time after which the check is unhealthy.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a result is given again before the check runs again.
    pub fn cache(mut self, time: Duration) -> Self {
        self.cache = time;
        self
    }

    /// The service can do without: when the check is unhealthy the service is degraded, and still ready.
    pub fn optional(mut self) -> Self {
        self.critical = false;
        self
    }

    /// The service cannot do without: the opposite of [`optional`](Self::optional).
    pub fn critical(mut self) -> Self {
        self.critical = true;
        self
    }

    /// Its name in the JSON and in the label `check`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
