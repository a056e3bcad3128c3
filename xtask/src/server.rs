//! A `tripod serve` process: started on free ports, watched, killed, measured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::fs::OpenOptions;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use crate::process::Usage;

/// How long a start may take. A debug build replays a long log slowly.
const START: Duration = Duration::from_secs(120);

/// How long a stop on request may take before it counts as hanging.
const STOP: Duration = Duration::from_secs(60);

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The binary `tripod`.
    pub(crate) bin: PathBuf,
    /// Where the data lies.
    pub(crate) data_dir: PathBuf,
    /// Where the server's own log is appended to.
    pub(crate) log: PathBuf,
    /// Settings by their full key.
    pub(crate) settings: Vec<(String, String)>,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pid: u32,
    /// URLs by the listener's name.
    urls: BTreeMap<String, String>,
    /// From the start of the process to readiness.
    pub(crate) ready_after: Duration,
}

/// The listeners of a server, by their names in its settings.
pub(crate) const FRONT_DOOR: &str = "front_door";
pub(crate) const OTLP_GRPC: &str = "otlp_grpc";
pub(crate) const OTLP_HTTP: &str = "otlp_http";
pub(crate) const JAEGER: &str = "jaeger";
pub(crate) const PROMETHEUS: &str = "prometheus";
const LISTENERS: [&str; 5] = [FRONT_DOOR, OTLP_GRPC, OTLP_HTTP, JAEGER, PROMETHEUS];

impl Server {
    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends at once or is not ready in time; the end of its log is part of the message.
    pub(crate) async fn start(launch: &Launch) -> Result<Self> {
        Self::start_until(launch, |health| health["status"] == "ok").await
    }

    /// Starts the server and waits until it is ready, or would be if there were room on the disk.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) async fn start_on_full_disk(launch: &Launch) -> Result<Self> {
        let lacks_only_room = |health: &Value| {
            let checks = health["checks"].as_array().map_or(&[][..], Vec::as_slice);
            let is_well = |check: &Value| {
                check["status"] == "ok"
                    || check["message"].as_str().is_some_and(|message| message.starts_with("the disk is full"))
            };
            health["ready"] == true && checks.iter().all(is_well)
        };
        Self::start_until(launch, lacks_only_room).await
    }

    async fn start_until(launch: &Launch, is_ready: impl Fn(&Value) -> bool) -> Result<Self> {
        let begun = Instant::now();
        let mut command = Command::new(&launch.bin);
        command.arg("serve").arg("--data-dir").arg(&launch.data_dir);
        for flag in ["--listen", "--otlp-grpc-listen", "--otlp-http-listen", "--jaeger-listen", "--prometheus-listen"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        for (key, value) in &launch.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("\"{}\" cannot be started", launch.bin.display()))?;
        let pid = child.id().context("the server ended at once")?;
        let stderr = child.stderr.take().context("the server's log cannot be read")?;
        let (sender, mut listening) = watch::channel(BTreeMap::new());
        let log = OpenOptions::new().create(true).append(true).open(&launch.log).await;
        let log = log.with_context(|| format!("\"{}\" cannot be written", launch.log.display()))?;
        tokio::spawn(follow(stderr, log, sender));
        let mut server = Self { child, pid, urls: BTreeMap::new(), ready_after: Duration::ZERO };
        let started = tokio::time::timeout(START, async {
            listening
                .wait_for(|urls| LISTENERS.iter().all(|name| urls.contains_key(*name)))
                .await
                .context("it ended before it listened")
                .map(|urls| urls.clone())
        });
        match started.await {
            Ok(Ok(urls)) => server.urls = urls,
            Ok(Err(error)) => return Err(server.explain(error, launch).await),
            Err(_) => return Err(server.explain(anyhow::anyhow!("it does not listen in time"), launch).await),
        }
        while let Err(error) = server.check_ready(&is_ready).await {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(server.explain(anyhow::anyhow!("it ended with {status}"), launch).await);
            }
            if begun.elapsed() > START {
                return Err(server.explain(error.context("it is not ready in time"), launch).await);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.ready_after = begun.elapsed();
        Ok(server)
    }

    async fn explain(&mut self, error: anyhow::Error, launch: &Launch) -> anyhow::Error {
        // The last lines arrive with the end of the process.
        let _ = self.child.kill().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        error.context(format!("the server does not start; its log ends so:\n{}", tail(&launch.log, 15)))
    }

    async fn check_ready(&self, is_ready: impl Fn(&Value) -> bool) -> Result<()> {
        let response = reqwest::get(format!("{}/health/ready", self.url(FRONT_DOOR))).await?;
        let (status, body) = (response.status(), response.text().await?);
        if !serde_json::from_str(&body).is_ok_and(|health| is_ready(&health)) {
            bail!("/health/ready answers {status}: {body}");
        }
        Ok(())
    }

    /// The URL of a listener, for example `http://127.0.0.1:41234`.
    pub(crate) fn url(&self, listener: &str) -> &str {
        self.urls.get(listener).map(String::as_str).unwrap_or_default()
    }

    /// What the process has used so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.pid)
    }

    /// Whether the process still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("the server cannot be killed")
    }

    /// Asks the process to stop as an operator would and waits for it.
    ///
    /// # Errors
    /// When it does not stop in time or with another status than 0.
    pub(crate) async fn stop(mut self) -> Result<()> {
        terminate(self.pid).await?;
        match tokio::time::timeout(STOP, self.child.wait()).await {
            Ok(status) => check_exit(status?),
            Err(_) => {
                let _ = self.child.kill().await;
                bail!("the server did not stop within {} s of SIGTERM", STOP.as_secs())
            }
        }
    }

    /// The server's metrics in Prometheus' text format.
    pub(crate) async fn metrics(&self) -> Result<String> {
        Ok(reqwest::get(format!("{}/metrics", self.url(FRONT_DOOR))).await?.error_for_status()?.text().await?)
    }
}

/// Sends SIGTERM, by the system's own tool: a signal is the one thing here that would need unsafe code or a crate.
pub(crate) async fn terminate(pid: u32) -> Result<()> {
    let status = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await.context("no tool \"kill\"")?;
    if !status.success() {
        bail!("SIGTERM cannot be sent to process {pid}");
    }
    Ok(())
}

fn check_exit(status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("the server stopped with {status} after SIGTERM instead of 0");
    }
    Ok(())
}

/// Copies the server's log into a file and picks out where it listens.
async fn follow(stderr: ChildStderr, mut log: tokio::fs::File, listening: watch::Sender<BTreeMap<String, String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A log that cannot be written must not stop the reading, or the server would wait for a full pipe.
        let _ = log.write_all(format!("{line}\n").as_bytes()).await;
        let _ = log.flush().await;
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        if event["message"] == "listening"
            && let (Some(listener), Some(address)) = (event["listener"].as_str(), event["address"].as_str())
        {
            listening.send_modify(|urls| {
                urls.insert(listener.to_owned(), format!("http://{address}"));
            });
        }
    }
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
