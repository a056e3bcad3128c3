//! The services under measurement: one handler, three kinds of telemetry around it.

mod full;
mod stock;

use std::net::Ipv4Addr;

use anyhow::Result;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tracing::{Instrument, info, info_span};

/// What is around the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Telemetry {
    /// Nothing: no subscriber, no metrics.
    Bare,
    /// The SDK as `init` sets it up.
    Tripod,
    /// `tracing-subscriber` (JSON), `tracing-opentelemetry`, `axum-tracing-opentelemetry`, `metrics-exporter-prometheus`.
    Stock,
}

/// Serves until the process is ended.
pub(crate) async fn serve(telemetry: Telemetry, port: u16) -> Result<()> {
    let app = match telemetry {
        Telemetry::Bare => bare(),
        Telemetry::Tripod => full::app()?,
        Telemetry::Stock => stock::app()?,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

fn bare() -> Router {
    Router::new().route("/command", post(command)).route("/flush", get(|| async {})).route("/metrics", get(|| async {}))
}

/// What is posted.
#[derive(Debug, Deserialize)]
struct Command {
    text: String,
}

/// What is answered.
#[derive(Debug, Serialize)]
struct Answer {
    intent: &'static str,
    job_id: &'static str,
}

/// Two spans inside the request's own, four lines beside the one of the request. The fifth line, the server span and the
/// four metrics come from the layers around it.
async fn command(Json(command): Json<Command>) -> Json<Answer> {
    info!(command = %command.text, has_image = false, session_id = "abc-123", "command_received");
    let span = info_span!("parse_intent", command.text = %command.text, command.has_image = false);
    let intent = async {
        let intent = if command.text.starts_with("research") { "research" } else { "creative" };
        info!(intent, confidence = 0.93, "intent_parsed");
        intent
    };
    let intent = intent.instrument(span).await;
    let span = info_span!("create_job", job.r#type = intent, response.job_id = "job-42");
    async {
        tokio::task::yield_now().await;
        info!(job_id = "job-42", provider = "yutori", attempt = 1, "job_created");
    }
    .instrument(span)
    .await;
    info!(intent, job_id = "job-42", status = "accepted", "command_handled");
    Json(Answer { intent, job_id: "job-42" })
}
