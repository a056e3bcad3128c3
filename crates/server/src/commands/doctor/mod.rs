//! Sends one of each signal through a running server, reads it back, and says what is wrong and how to mend it.

mod listeners;
mod sample;

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::Value;

use crate::cli::{DoctorArgs, ReportFormat};
use crate::client::{Client, error_text};
use crate::status::Status;
use sample::Sample;

/// No single check takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    ok: bool,
    duration_ms: f64,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// Runs checks and keeps what they find.
#[derive(Debug, Default)]
struct Examination {
    findings: Vec<Finding>,
}

impl Examination {
    /// Runs a check: `Ok` says what is well. Gives whether it is.
    async fn check(
        &mut self,
        check: impl Into<String>,
        remedy: &str,
        work: impl Future<Output = anyhow::Result<String>>,
    ) -> bool {
        let started = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, work)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs())));
        let (ok, message) = match outcome {
            Ok(message) => (true, message),
            Err(error) => (false, super::describe(&error)),
        };
        self.findings.push(Finding {
            check: check.into(),
            ok,
            duration_ms: (started.elapsed().as_secs_f64() * 1e4).round() / 10.0,
            message,
            remedy: (!ok).then(|| remedy.to_owned()),
        });
        ok
    }
}

/// Examines a server.
pub(super) async fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let reader = Client::new(&args.server)?;
    let sender = reader.with(None, args.ingest_token.clone().or_else(|| args.server.token.clone()));
    let mut examination = Examination::default();
    examine(&mut examination, &reader, &sender).await;
    let findings = examination.findings;
    let well = findings.iter().all(|finding| finding.ok);
    let report = match args.format {
        ReportFormat::Json => format!("{:#}\n", serde_json::json!({ "ok": well, "checks": findings })),
        ReportFormat::Text => describe(&findings, io::stdout().is_terminal()),
    };
    super::print(&report)?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(examination: &mut Examination, reader: &Client, sender: &Client) {
    let answers = examination
        .check("health", "see the server's log; if it is starting, try again in a moment", async {
            health(reader).await
        })
        .await;
    if !answers && reader.send(reader.get("/health/live")).await.is_err() {
        return;
    }
    let mut status = None;
    examination
        .check("status", "use a server of this version, and its front door's address and token", async {
            let found: Status<Value> = reader.ask(reader.get("/api/v1/status")).await?.json().await?;
            let message = format!("version {}, data in {}", found.version, found.data_dir.display());
            status = Some(found);
            Ok(message)
        })
        .await;
    if let Some(status) = &status {
        let remedy = "free disk space or shorten store.retention; what is acknowledged is safe, new data is refused";
        examination.check("disk", remedy, async { disk(&status.store) }).await;
        let remedy = "the server's log names the parts that are kept for inspection; check the disk, a crash alone makes no damage";
        examination.check("write-ahead logs", remedy, async { logs(&status.store) }).await;
    }
    let sample = Sample::new();
    for signal in sample.signals() {
        let remedy = "the message says what the server refuses; give the token with --ingest-token if it asks for one";
        let sent = examination
            .check(format!("send {}", signal.noun), remedy, async {
                let request = sender.post(&format!("/otlp{}", signal.path)).json(&signal.request);
                accepted(&sender.ask(request).await?.text().await?)
            })
            .await;
        if !sent {
            continue;
        }
        let remedy = "what was acknowledged must be found: see the server's log, and report it with this output";
        examination
            .check(format!("read {} by SQL", signal.noun), remedy, async {
                let request = reader.post("/api/v1/sql").json(&serde_json::json!({ "query": signal.query }));
                let answer: Value = reader.ask(request).await?.json().await?;
                found(&answer["rows"], &signal.row)
            })
            .await;
        if signal.noun == "span" {
            examination
                .check("read trace by the Jaeger API", remedy, async {
                    let request = reader.get(&format!("/jaeger/api/traces/{}", sample.trace_id));
                    let answer: Value = reader.ask(request).await?.json().await?;
                    match &answer["data"][0]["spans"][0]["spanID"] {
                        Value::String(id) if *id == sample.span_id => Ok("found".to_owned()),
                        other => bail!("the span is not in the trace; found {other}"),
                    }
                })
                .await;
        }
    }
    for listener in status.iter().flat_map(|status| &status.listeners) {
        listeners::examine(examination, reader, sender, listener).await;
    }
}

async fn health(client: &Client) -> anyhow::Result<String> {
    let response = client.send(client.get("/health/ready")).await?;
    let status = response.status();
    let text = response.text().await.context("the answer broke off")?;
    if status.is_success() {
        return Ok(format!("{} is ready", client.base()));
    }
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let failed: Vec<&str> = report["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|check| check["status"] == "failed")
        .filter_map(|check| check["message"].as_str())
        .collect();
    match failed.as_slice() {
        [] if report["ready"] == false => bail!("{} is starting or stopping ({status})", client.base()),
        [] => bail!("{} answers {status}: {}", client.base(), error_text(&text)),
        failed => bail!("{} is not ready: {}", client.base(), failed.join("; ")),
    }
}

fn disk(store: &Value) -> anyhow::Result<String> {
    let (Some(free), Some(least)) = (store["disk"]["free_bytes"].as_u64(), store["disk"]["min_free_bytes"].as_u64())
    else {
        return Ok("the server does not tell".to_owned());
    };
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    if store["disk"]["has_room"] == false {
        bail!("{} are free, and the server takes nothing new below {}", gib(free), gib(least));
    }
    Ok(format!("{} free", gib(free)))
}

/// Whether all of the logs could be read at the last start.
fn logs(store: &Value) -> anyhow::Result<String> {
    let count = |of: &str, what: &str| store[of][what].as_u64().unwrap_or(0);
    match count("wal", "damaged") + count("series", "wal_damaged") {
        0 => Ok("sound at the last start".to_owned()),
        damaged => bail!(
            "{damaged} parts were damaged at the last start, and {} samples outside of them lost their labels",
            count("series", "wal_unnamed_samples")
        ),
    }
}

/// OTLP's answer to a request of which everything was kept is empty, or has an empty partial success.
fn accepted(body: &str) -> anyhow::Result<String> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    match answer["partialSuccess"]["errorMessage"].as_str() {
        Some(message) if !message.is_empty() => bail!("{message}"),
        _ => Ok("acknowledged".to_owned()),
    }
}

fn found(rows: &Value, expected: &Value) -> anyhow::Result<String> {
    match rows.as_array().map(Vec::as_slice) {
        Some([row]) if row == expected => Ok("found".to_owned()),
        Some([]) => bail!("it was acknowledged and is not found"),
        _ => bail!("found {rows} instead of [{expected}]"),
    }
}

fn describe(findings: &[Finding], colour: bool) -> String {
    let widest = findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = match (finding.ok, colour) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (true, false) => "✓",
            (false, false) => "✗",
        };
        let Finding { check, duration_ms, message, .. } = finding;
        let _ = writeln!(text, "{mark} {check:<widest$}  {duration_ms:>7.1} ms  {message}");
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "    → {remedy}");
        }
    }
    let failed = findings.iter().filter(|finding| !finding.ok).count();
    let _ = match failed {
        0 => writeln!(text, "all is well"),
        1 => writeln!(text, "1 check failed"),
        _ => writeln!(text, "{failed} checks failed"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn findings_say_what_is_wrong_and_what_to_do() {
        let mut examination = Examination::default();
        assert!(examination.check("one", "nothing", async { Ok("well".to_owned()) }).await);
        assert!(!examination.check("other", "mend it", async { bail!("broken") }).await);
        let text = describe(&examination.findings, false);
        assert!(text.contains("✓ one    ") && text.contains("✗ other  ") && text.contains("→ mend it"), "{text}");
        assert!(text.ends_with("1 check failed\n") && !text.contains("→ nothing"), "{text}");
    }

    #[test]
    fn answers_are_judged() {
        assert!(accepted("{}").is_ok());
        assert!(accepted(r#"{"partialSuccess":{}}"#).is_ok());
        assert!(accepted(r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no id"}}"#).is_err());
        let row = serde_json::json!(["a", 1]);
        assert!(found(&serde_json::json!([["a", 1]]), &row).is_ok());
        assert!(found(&serde_json::json!([]), &row).is_err());
        assert!(found(&serde_json::json!([["a", 1], ["a", 1]]), &row).is_err());
        assert!(found(&Value::Null, &row).is_err());
    }
}
