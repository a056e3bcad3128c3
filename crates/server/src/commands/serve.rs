//! Start from the bottom floor up, stop from the top down.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tripod_api::health::{self, Health};
use tripod_api::prometheus::{self, Prometheus};
use tripod_api::sql::{self, SqlEngine};
use tripod_api::{jaeger, require_bearer, self_metrics};
use tripod_ingest::{Ingest, otlp};
use tripod_lake::{Lake, ReplayProgress};
use tripod_storage::Store;
use tripod_storage::series::SeriesStore;

use super::series::SeriesReceivers;
use crate::banner;
use crate::cli::ServeArgs;
use crate::listen::{self, Listening, Skipped};
use crate::logging::{self, Style};
use crate::metrics::Metrics;
use crate::settings::{Loaded, Settings};
use crate::status::{self, ListenerStatus};

/// What a shell reports for a program that was stopped by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// The store gets this long to flush even when connections have used up the deadline.
const LEAST_TIME_TO_CLOSE: Duration = Duration::from_secs(3);

/// Runs the server until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let loaded = super::load_settings(&args.settings, &args.overrides())?;
    let level = std::env::var(logging::VARIABLE).ok().filter(|level| !level.trim().is_empty());
    if let Some(level) = &level {
        logging::check(level).map_err(|message| anyhow::anyhow!("{}: {message}", logging::VARIABLE))?;
    }
    let style = logging::init(&loaded.settings.logging, level.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(loaded, style, started));
    // Whatever still runs on another thread works for nobody any more.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn serve(loaded: Loaded, style: Style, started: Instant) -> anyhow::Result<()> {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Signals first: from here on Ctrl-C never leaves anything half done.
    let mut signals = Signals::new()?;
    let metrics = Metrics::install()?;
    tokio::spawn(metrics.clone().maintain());
    tripod_ingest::describe();
    tripod_lake::describe();
    let settings = &loaded.settings;
    let data_dir = std::path::absolute(&settings.data_dir)
        .with_context(|| format!("the data directory {}", settings.data_dir.display()))?;

    // Ports, which answer that the server is starting.
    let (listeners, skipped) = listen::bind(&loaded).await.map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(|error| format!("\n  {error}")).collect();
        anyhow::anyhow!("cannot open what was asked for:{}", lines.concat())
    })?;
    report_skipped(&skipped);
    if listeners.is_empty() {
        bail!(
            "no port could be opened, all of them are taken; is another tripod running? Stop it, or choose other \
             ports, for example: tripod serve --listen 127.0.0.1:0"
        );
    }
    let lake_slot: Arc<OnceLock<Arc<Lake>>> = Arc::default();
    let health = Arc::new(health(started, &lake_slot));
    let progress = Arc::new(ReplayProgress::default());
    let listening = Listening::new(settings.server.clone());
    let mut open = Vec::new();
    let mut slots = Vec::new();
    for listener in listeners {
        let name = listener.name;
        let status = ListenerStatus { name: name.to_owned(), address: listener.address, tls: listener.encrypted };
        tracing::info!(listener = name, address = %status.address, url = status.url(), tls = status.tls, "listening");
        warn_if_exposed(name, status.address, settings);
        slots.push((name, listening.open(listener, starting(name, &health, &progress))));
        open.push(status);
    }

    // The store, which may have a log to replay.
    let mut store_settings = settings.store.clone();
    store_settings.data_dir.clone_from(&data_dir);
    let lake = tokio::select! {
        lake = Lake::open_watched(store_settings, &progress) => lake.context("the store cannot be opened")?,
        () = signals.received() => return Ok(()),
    };
    let _ = lake_slot.set(Arc::clone(&lake));

    // Receivers and query APIs.
    let store: Arc<dyn Store> = Arc::<Lake>::clone(&lake);
    let ingest = Ingest::new(store, settings.ingest.clone());
    let series: Arc<dyn SeriesStore> = Arc::<Lake>::clone(&lake);
    let receivers = Arc::new(SeriesReceivers::start(&settings.prometheus, &series, &ingest)?);
    #[cfg(unix)]
    tokio::spawn(super::series::reload_on_hangup(Arc::clone(&receivers)));
    let prometheus =
        super::prometheus::answers(settings, &series, &receivers, super::prometheus::wal_replay(&progress))?;
    let routers = Routers::new(settings, &lake, &ingest, &receivers, prometheus, &health, &metrics)?
        .with_status(settings, status::router(Arc::clone(&lake), data_dir.clone(), open.clone()));
    for (name, slot) in slots {
        let _ = slot.set(routers.of(name));
    }
    health.set_ready(true);
    announce(style, &open, &data_dir, started.elapsed(), settings);

    signals.received().await;
    stop(signals, settings, &health, listening, &ingest, &receivers, &lake).await;
    Ok(())
}

/// Everything that is running, in the order in which it stops.
async fn stop(
    mut signals: Signals,
    settings: &Settings,
    health: &Health,
    listening: Listening,
    ingest: &Ingest,
    receivers: &SeriesReceivers,
    lake: &Lake,
) {
    let deadline = settings.server.shutdown_deadline();
    let started = Instant::now();
    tracing::info!(deadline_seconds = deadline.as_secs(), "stopping; Ctrl-C again to stop at once");
    tokio::spawn(async move {
        signals.received().await;
        tracing::warn!("stopped at once; what was acknowledged is in the write-ahead log");
        std::process::exit(INTERRUPTED);
    });
    health.set_ready(false);
    listening.stop_accepting();
    ingest.begin_shutdown();
    tokio::join!(listening.drain(deadline), receivers.stop());
    let patience = deadline.saturating_sub(started.elapsed()).max(LEAST_TIME_TO_CLOSE);
    match tokio::time::timeout(patience, lake.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "rows could not be flushed; they are replayed from the log at the next start")
        }
        Err(_) => tracing::warn!("rows were not flushed in time; they are replayed from the log at the next start"),
    }
    tracing::info!(took_ms = started.elapsed().as_millis() as u64, "stopped");
}

/// What each listener answers.
struct Routers {
    front_door: Router,
    otlp_grpc: Router,
    otlp_http: Router,
    jaeger: Router,
    prometheus: Router,
}

impl Routers {
    fn new(
        settings: &Settings,
        lake: &Arc<Lake>,
        ingest: &Arc<Ingest>,
        receivers: &Arc<SeriesReceivers>,
        prometheus: Prometheus,
        health: &Arc<Health>,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let guard = |router| require_bearer(router, settings.api.bearer_token.clone());
        let (store, series): (Arc<dyn Store>, Arc<dyn SeriesStore>) =
            (Arc::<Lake>::clone(lake), Arc::<Lake>::clone(lake));
        let sql = SqlEngine::new(Arc::clone(&store), series, &settings.api.sql)?;
        let jaeger = guard(jaeger::router(store, &settings.api.jaeger));
        let answers = guard(prometheus::router(prometheus));
        let prometheus = answers.merge(receivers.prometheus.clone());
        let otlp_http = otlp::http_router(Arc::clone(ingest), receivers.otlp.clone());
        let otlp_grpc = otlp::grpc_router(Arc::clone(ingest), receivers.otlp.clone());
        let metrics = metrics.clone();
        let front_door = Router::new()
            .merge(health::router(Arc::clone(health)))
            .merge(self_metrics::router(move || metrics.render()))
            .merge(guard(sql::router(sql)))
            .merge(receivers.push.clone())
            .nest("/jaeger", jaeger.clone())
            .nest("/prometheus", prometheus.clone())
            .nest("/otlp", otlp_http.clone());
        Ok(Self { front_door, otlp_grpc, otlp_http, jaeger, prometheus })
    }

    fn with_status(mut self, settings: &Settings, status: Router) -> Self {
        self.front_door = self.front_door.merge(require_bearer(status, settings.api.bearer_token.clone()));
        self
    }

    fn of(&self, listener: &str) -> Router {
        match listener {
            "otlp_grpc" => self.otlp_grpc.clone(),
            "otlp_http" => self.otlp_http.clone(),
            "jaeger" => self.jaeger.clone(),
            "prometheus" => self.prometheus.clone(),
            _ => self.front_door.clone(),
        }
    }
}

/// What answers while the store is being opened: the truth about health and the replay, and "try again" for all else.
fn starting(listener: &str, health: &Arc<Health>, progress: &Arc<ReplayProgress>) -> Router {
    async fn wait() -> Response {
        let body = r#"{"error":"the server is starting; try again in a moment"}"#;
        let headers = [(header::RETRY_AFTER, "1"), (header::CONTENT_TYPE, "application/json")];
        (StatusCode::SERVICE_UNAVAILABLE, headers, body).into_response()
    }
    let progress = Arc::clone(progress);
    let prometheus = prometheus::starting_router(Arc::new(move || super::prometheus::wal_replay(&progress)));
    match listener {
        "prometheus" => prometheus,
        "front_door" => health::router(Arc::clone(health)).nest("/prometheus", prometheus).fallback(wait),
        _ => Router::new().fallback(wait),
    }
}

fn health(started: Instant, lake: &Arc<OnceLock<Arc<Lake>>>) -> Health {
    let lake = Arc::clone(lake);
    Health::new(env!("CARGO_PKG_VERSION"), started).check("store", move || {
        let lake = lake.get().cloned();
        async move {
            match lake {
                Some(lake) => store_health(&lake),
                None => Err("the store is being opened; a write-ahead log may be replayed".to_owned()),
            }
        }
    })
}

/// Whether the store takes what comes, in words for an operator.
fn store_health(lake: &Lake) -> Result<String, String> {
    let status = lake.status();
    if !status.disk.has_room {
        return Err(format!(
            "the disk is full: {} bytes are free and {} must stay so (store.min_free_disk_bytes); new data is refused \
             until there is room",
            status.disk.free_bytes, status.disk.min_free_bytes
        ));
    }
    Ok(match status.wal.damaged + status.series.wal_damaged {
        0 => "writable".to_owned(),
        damaged => format!(
            "writable; {damaged} damaged parts of the write-ahead logs were set aside at the last start, and {} samples \
             outside of them lost their labels; see the log",
            status.series.wal_unnamed_samples
        ),
    })
}

fn report_skipped(skipped: &[Skipped]) {
    for Skipped { name, address } in skipped {
        let what_to_do = format!("set listeners.{name}.address to another port, or stop the program that has it");
        if *name == "front_door" {
            tracing::error!(
                listener = name,
                address,
                "the front door's port is taken by another program: there is NO SQL, health or metrics; {what_to_do}"
            );
        } else {
            tracing::warn!(
                listener = name,
                address,
                "the port is taken by another program and was skipped; {what_to_do}"
            );
        }
    }
}

/// A port that strangers may reach and that asks nobody who they are.
fn warn_if_exposed(listener: &str, address: SocketAddr, settings: &Settings) {
    let receives = listener.starts_with("otlp") || listener == "front_door";
    let answers = !listener.starts_with("otlp");
    let open = [
        (receives && settings.ingest.bearer_token.is_none(), "ingest.bearer_token"),
        (answers && settings.api.bearer_token.is_none(), "api.bearer_token"),
    ];
    let missing: Vec<_> = open.into_iter().filter(|(missing, _)| *missing).map(|(_, key)| key).collect();
    if !address.ip().is_loopback() && !missing.is_empty() {
        tracing::warn!(listener, %address, "reachable from other machines without a token; set {}", missing.join(" and "));
    }
}

fn announce(style: Style, listeners: &[ListenerStatus], data_dir: &Path, took: Duration, settings: &Settings) {
    let ready_ms = took.as_millis() as u64;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), data_dir = %data_dir.display(), ready_ms, "ready");
    if style == Style::Pretty {
        eprint!("{}", banner::banner(listeners, data_dir, took, settings.ingest.bearer_token.is_some()));
    }
}

/// What asks the server to stop: Ctrl-C and SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt()).context("SIGINT")?,
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate()).context("SIGTERM")?,
        })
    }

    async fn received(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_server_that_starts_lives_but_takes_nothing() {
        let health = Arc::new(health(Instant::now(), &Arc::default()));
        for (listener, path, status) in [
            ("front_door", "/health/live", 200),
            ("front_door", "/health/ready", 503),
            ("front_door", "/api/v1/sql", 503),
            ("front_door", "/prometheus/-/healthy", 200),
            ("prometheus", "/api/v1/status/walreplay", 200),
            ("prometheus", "/-/ready", 503),
            ("otlp_http", "/v1/traces", 503),
            ("otlp_grpc", "/health/live", 503),
        ] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = starting(listener, &health, &Arc::default()).oneshot(request).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{listener} {path}");
            let retry = response.headers().contains_key("retry-after");
            assert_eq!(retry, status == 503 && path != "/health/ready", "{listener} {path}");
        }
    }
}
