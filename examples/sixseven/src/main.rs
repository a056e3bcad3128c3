//! The sixseven service: `sixseven --drive 5` beside `providers`, against `tripod serve`.
//!
//! Where telemetry goes is said by the environment, with or without the prefix `SIXSEVEN_`: `OTLP_ENDPOINT`,
//! `LOG_LEVEL`, `ENVIRONMENT`, `TRACE_SAMPLE_RATE` and all of OpenTelemetry's variables.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use sixseven::client::ProviderUrls;
use sixseven::{drive, service};
use tokio::signal::unix::{SignalKind, signal};
use tripod::health::checks;
use tripod::http::HttpMetrics;

/// Commands in words become research and creative jobs.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "SIXSEVEN_LISTEN", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Sends itself so many commands a second.
    #[arg(long, value_name = "N")]
    drive: Option<f64>,
    #[command(flatten)]
    urls: ProviderUrls,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let tripod = tripod::builder("sixseven")
        .prefix("SIXSEVEN_")
        .version(env!("CARGO_PKG_VERSION"))
        .metrics_namespace("sixseven")
        .http(|http| http.metrics(HttpMetrics::api_latency()))
        .init()?;
    tripod.health().add(checks::memory());
    let app = service::router(tripod.metrics(), tripod.health(), tripod.http_layer(), arguments.urls)?;

    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    if let Some(per_second) = arguments.drive {
        tokio::spawn(drive::drive(address, per_second));
    }
    let health = tripod.health().clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let stopped = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        health.drain();
    };
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stopped)
        .await?;
    tracing::info!("stopped");
    tokio::task::spawn_blocking(move || tripod.shutdown(Duration::from_secs(5))).await?;
    Ok(())
}
