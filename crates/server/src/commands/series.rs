//! What makes series: scraping, remote write, pushes and OTLP, over the lake.

use std::sync::Arc;

use axum::Router;
use tokio::task::JoinHandle;
use tripod_ingest::Ingest;
use tripod_ingest::otlp::metrics_router;
use tripod_ingest::prometheus::otlp::SeriesTarget;
use tripod_ingest::prometheus::push::{self, Pushes};
use tripod_ingest::prometheus::scrape::Scraper;
use tripod_ingest::prometheus::{Settings, remote_write};
use tripod_storage::series::SeriesStore;

/// What runs beside the listeners, and the routers of the rest.
pub(super) struct SeriesReceivers {
    settings: Settings,
    /// Scrapes targets.
    scraper: Arc<Scraper>,
    /// Keeps appending what was pushed.
    pushing: JoinHandle<()>,
    /// Remote write and OTLP under Prometheus' paths, from `/api/v1/...` on.
    pub(super) prometheus: Router,
    /// Pushes, under `/metrics/job/...`.
    pub(super) push: Router,
    /// Where OTLP metrics go.
    pub(super) otlp: SeriesTarget,
}

impl SeriesReceivers {
    /// Starts scraping.
    ///
    /// # Errors
    /// When the settings name something that cannot be scraped.
    pub(super) fn start(
        settings: &Settings,
        store: &Arc<dyn SeriesStore>,
        ingest: &Arc<Ingest>,
    ) -> anyhow::Result<Self> {
        let scraper = Scraper::new(Arc::clone(store));
        apply(settings, &scraper).map_err(anyhow::Error::msg)?;
        let pushes = Pushes::new(Arc::clone(store), settings.push.clone());
        let pushing = tokio::spawn({
            let pushes = Arc::clone(&pushes);
            async move { pushes.run().await }
        });
        let otlp = SeriesTarget::new(Arc::clone(store), settings.otlp.clone());
        let prometheus = remote_write::router(Arc::clone(ingest), Arc::clone(store))
            .nest("/api/v1/otlp", metrics_router(Arc::clone(ingest), otlp.clone()));
        let push = push::router(Arc::clone(ingest), pushes);
        Ok(Self { settings: settings.clone(), scraper, pushing, prometheus, push, otlp })
    }

    /// What scrapes.
    pub(super) fn scraper(&self) -> Arc<Scraper> {
        Arc::clone(&self.scraper)
    }

    /// Reads what is to be scraped again; with a mistake in it, all stays as it is.
    ///
    /// # Errors
    /// The mistakes.
    pub(super) fn reload(&self) -> Result<(), String> {
        apply(&self.settings, &self.scraper)
    }

    /// Ends what appends by itself; returns when nothing does any more.
    pub(super) async fn stop(&self) {
        self.pushing.abort();
        self.scraper.stop().await;
    }
}

fn apply(settings: &Settings, scraper: &Scraper) -> Result<(), String> {
    let configuration = settings.load().map_err(|mistakes| format!("prometheus: {}", mistakes.join("; ")))?;
    for section in &configuration.unused {
        tracing::warn!(section, "a section of the prometheus.yml is not used");
    }
    scraper.apply(configuration);
    Ok(())
}

/// Reads what is to be scraped again at each SIGHUP.
#[cfg(unix)]
pub(super) async fn reload_on_hangup(receivers: Arc<SeriesReceivers>) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => return tracing::warn!(%error, "SIGHUP cannot be waited for; the configuration is not read again"),
    };
    while hangups.recv().await.is_some() {
        match receivers.reload() {
            Ok(()) => tracing::info!("what is scraped was read again"),
            Err(mistakes) => tracing::error!(mistakes, "what is scraped was not changed"),
        }
    }
}
