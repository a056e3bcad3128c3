//! What `init` starts, and how it ends.

use std::time::{Duration, Instant};

use tracing::Dispatch;

use crate::accounts::{Accounts, Balance};
use crate::health::Health;
use crate::layer::TripodLayer;
use crate::logs::Levels;
use crate::metrics::Registry;
use crate::network::Network;
use crate::redaction::Redactor;
use crate::settings::Settings;
use crate::sinks::ConsoleMetrics;
use crate::sinks::otlp::OtlpMetrics;

/// How long dropping the guard waits at most for what is still in the queues.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// A running service's telemetry: the guard that [`init`](crate::init) gives. Keep it until the end of `main`.
#[derive(Debug)]
pub struct Tripod {
    pub(crate) settings: Settings,
    pub(crate) layer: TripodLayer,
    pub(crate) dispatch: Dispatch,
    pub(crate) network: Network,
    pub(crate) accounts: Accounts,
    pub(crate) registry: Registry,
    pub(crate) health: Health,
    pub(crate) redactor: Redactor,
    pub(crate) metrics: Vec<OtlpMetrics>,
    pub(crate) console_metrics: Option<ConsoleMetrics>,
    #[cfg(feature = "http")]
    pub(crate) metrics_address: Option<std::net::SocketAddr>,
    #[cfg(feature = "http")]
    pub(crate) http: crate::http::HttpLayer,
    pub(crate) is_down: bool,
}

/// What a shutdown came to.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Whether nothing was given up because of the deadline.
    pub complete: bool,
    /// The books of all sinks.
    pub balances: Vec<Balance>,
}

impl Tripod {
    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The service's metrics.
    pub fn metrics(&self) -> &Registry {
        &self.registry
    }

    /// The service's health checks.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The levels of log lines, changeable while the service runs.
    pub fn levels(&self) -> &Levels {
        self.layer.levels()
    }

    /// The books: what was emitted, delivered and dropped.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The redactor of all sinks.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The network thread, for sinks of one's own.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The layer, for a subscriber of one's own.
    pub fn layer(&self) -> TripodLayer {
        self.layer.clone()
    }

    /// The subscriber, for a thread or future of its own instead of the whole process.
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// The layer for an axum router or any other tower service: ids, spans, log lines, latency.
    #[cfg(feature = "http")]
    pub fn http_layer(&self) -> crate::http::HttpLayer {
        self.http.clone()
    }

    /// Where the listener of metrics answers, if there is one (`PROMETHEUS_PORT`).
    #[cfg(feature = "http")]
    pub fn metrics_address(&self) -> Option<std::net::SocketAddr> {
        self.metrics_address
    }

    /// `/metrics`, `/health`, `/health/ready`, `/health/live`.
    #[cfg(feature = "http")]
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        crate::routes(&self.registry, &self.health)
    }

    /// Waits until everything that was recorded before is delivered or dropped, at most so long. True when it is.
    ///
    /// Blocks the calling thread; no runtime is needed and none can be deadlocked.
    pub fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.metrics.iter().for_each(OtlpMetrics::push);
        let network = self.network.flush(deadline);
        self.layer.flush(deadline) && network
    }

    /// As [`Tripod::flush`], without blocking the task's thread: a collector that runs on the same runtime can answer.
    pub async fn flush_async(&self, patience: Duration) -> bool {
        let (done, flushed) = tokio::sync::oneshot::channel();
        let (network, layer, metrics) = (self.network.clone(), self.layer.clone(), self.metrics.clone());
        let flush = move || {
            let deadline = Instant::now() + patience;
            metrics.iter().for_each(OtlpMetrics::push);
            let network = network.flush(deadline);
            _ = done.send(layer.flush(deadline) && network);
        };
        match std::thread::Builder::new().name("tripod-flush".into()).spawn(flush) {
            Ok(_) => flushed.await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Delivers what is recorded, at most so long, and counts the rest as dropped. What is recorded later is dropped.
    ///
    /// Blocks the calling thread; no runtime is needed and none can be deadlocked.
    pub fn shutdown(mut self, patience: Duration) -> Shutdown {
        let complete = self.end(patience);
        Shutdown { complete, balances: self.accounts.balances() }
    }

    fn end(&mut self, patience: Duration) -> bool {
        self.is_down = true;
        let deadline = Instant::now() + patience;
        self.health.drain();
        self.metrics.iter().for_each(OtlpMetrics::push);
        self.console_metrics.iter().for_each(ConsoleMetrics::print);
        // Lines first: what Loki does not take goes to the console.
        let network = self.network.shutdown(deadline);
        self.layer.flush(deadline.max(Instant::now() + Duration::from_millis(100))) && network
    }
}

impl Drop for Tripod {
    /// Delivers what is recorded, at most five seconds long.
    fn drop(&mut self) {
        if !self.is_down {
            self.end(DROP_PATIENCE);
        }
    }
}
