//! The server's metrics about itself: the recorder that all crates count with, and what the process uses.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::process::ProcessSampler;

/// How often histograms are folded when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Upper bounds in seconds: from an in-memory append to a query that runs into its timeout.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

/// Upper bounds in bytes: from a small request to a large file.
const BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
];

/// Gives the text of a scrape.
#[derive(Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    process: Arc<ProcessSampler>,
}

impl Metrics {
    /// Installs the recorder. Must come before anything that counts.
    ///
    /// # Errors
    /// When a recorder is installed already.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| anyhow::anyhow!("{error}")).context("metrics")?;
        metrics::describe_counter!("tripod_panics_total", Unit::Count, "Panics, each a bug; see the log.");
        metrics::describe_gauge!("tripod_connections", Unit::Count, "Open connections, by listener.");
        metrics::describe_counter!("tripod_connections_total", Unit::Count, "Accepted connections, by listener.");
        metrics::describe_counter!(
            "tripod_connections_failed_total",
            Unit::Count,
            "Connections that ended before their time, by listener and reason."
        );
        Ok(Self { handle, process: Arc::new(ProcessSampler::default()) })
    }

    /// Keeps histograms small between scrapes; never returns.
    pub(crate) async fn maintain(self) {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            self.handle.run_upkeep();
        }
    }

    /// All metrics in Prometheus's text format.
    pub(crate) fn render(&self) -> String {
        let mut text = self.handle.render();
        let _ = writeln!(text, "# HELP tripod_build_info What runs here.\n# TYPE tripod_build_info gauge");
        let revision = crate::cli::REVISION.unwrap_or("unknown");
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(text, "tripod_build_info{{version=\"{version}\",revision=\"{revision}\"}} 1");
        self.process.write(&mut text);
        text
    }
}
