//! Calls to other providers: how many, how they went, how long they took.

use std::time::Duration;

use crate::metrics::{Counter, Family, Histogram, MetricError, Registry};

/// `PREFIX_external_api_calls_total` with the labels `provider` and `status` (`success` or `error`), and
/// `PREFIX_external_api_latency_seconds` with the label `provider`. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct ExternalCalls {
    calls: Family<Counter, 2>,
    latency: Family<Histogram, 1>,
}

impl ExternalCalls {
    /// Registers both, or gives those that are registered.
    ///
    /// # Errors
    /// When a name is in use for something else.
    pub fn register(registry: &Registry) -> Result<Self, MetricError> {
        let calls = registry.counter("external_api_calls_total", "Calls to external providers");
        let latency = registry.histogram("external_api_latency_seconds", "Response times of external providers");
        Ok(Self {
            calls: calls.labels(["provider", "status"]).register()?,
            latency: latency.buckets(BUCKETS).labels(["provider"]).register()?,
        })
    }

    /// Counts one call.
    pub fn record(&self, provider: &str, took: Duration, success: bool) {
        self.calls.with([provider, if success { "success" } else { "error" }]).inc();
        self.latency.with([provider]).observe_duration(took);
    }
}

/// Seconds. Models answer in tens of seconds.
const BUCKETS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
