//! The systems beside each other: how each is started, stopped and asked for its files.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::process::{Usage, bytes_under};
use crate::server::{self, FRONT_DOOR, Launch, PROMETHEUS, Server};

/// How long a start may take.
const START: Duration = Duration::from_secs(300);

/// How long a stop in order may take.
const STOP: Duration = Duration::from_secs(300);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum System {
    Tripod,
    Prometheus,
    VictoriaMetrics,
}

impl System {
    pub(super) const ALL: [Self; 3] = [Self::Tripod, Self::Prometheus, Self::VictoriaMetrics];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Tripod => "Tripod",
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// In names of files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tripod => "tripod",
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }
}

/// How to start a system.
pub(super) struct Place {
    pub(super) system: System,
    pub(super) binary: PathBuf,
    pub(super) directory: PathBuf,
    /// Tripod's settings by their full key.
    pub(super) settings: Vec<(String, String)>,
}

/// A system that runs.
pub(super) struct Running {
    process: Process,
    /// Where Prometheus' HTTP API is, without `/api/v1`.
    pub(super) url: String,
    /// From the start of the process to the first answer to a query.
    pub(super) started_after: Duration,
}

enum Process {
    Tripod(Server),
    Peer { child: Child, pid: u32 },
}

/// Sizes on disk in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct OnDisk {
    /// What a reader of all samples needs.
    pub(super) stored: u64,
    /// All files.
    pub(super) all: u64,
}

impl Place {
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// The first line of what the binary says of its version.
    pub(super) async fn version(&self) -> Result<String> {
        let flag = if self.system == System::VictoriaMetrics { "-version" } else { "--version" };
        let output = Command::new(&self.binary).arg(flag).output().await;
        let output = output.with_context(|| format!("\"{}\" cannot be started", self.binary.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().find(|line| !line.trim().is_empty()).unwrap_or("says no version").trim().to_owned())
    }

    /// Starts it and waits until a query is answered with `least` series at least.
    pub(super) async fn start(&self, query: &str, time: f64, least: usize) -> Result<Running> {
        let begun = Instant::now();
        let (mut process, url) = match self.system {
            System::Tripod => {
                let launch = Launch {
                    bin: self.binary.clone(),
                    data_dir: self.data(),
                    log: self.log(),
                    settings: self.settings.clone(),
                };
                let server = Server::start(&launch).await?;
                let url = server.url(PROMETHEUS).to_owned();
                (Process::Tripod(server), url)
            }
            System::Prometheus | System::VictoriaMetrics => self.spawn()?,
        };
        let client = reqwest::Client::new();
        let question = reqwest::Url::parse_with_params(
            &format!("{url}/api/v1/query"),
            [("query", query), ("time", &time.to_string())],
        )?;
        loop {
            if let Ok(response) = client.get(question.clone()).send().await
                && response.status().is_success()
                && let Ok(answer) = response.json::<Value>().await
                && answer["data"]["result"].as_array().map_or(0, Vec::len) >= least
            {
                break;
            }
            if let Process::Peer { child, .. } = &mut process
                && let Some(status) = child.try_wait()?
            {
                bail!(
                    "{} ended with {status}; its log ends so:\n{}",
                    self.system.title(),
                    server::tail(&self.log(), 10)
                );
            }
            ensure!(
                begun.elapsed() < START,
                "{} does not answer in time; its log ends so:\n{}",
                self.system.title(),
                server::tail(&self.log(), 10)
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Running { process, url, started_after: begun.elapsed() })
    }

    fn spawn(&self) -> Result<(Process, String)> {
        let data = self.data();
        std::fs::create_dir_all(&data)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(&self.binary);
        if self.system == System::Prometheus {
            let configuration = self.directory.join("prometheus.yml");
            std::fs::write(&configuration, "global: {}\n")?;
            command
                .arg(format!("--config.file={}", configuration.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg("--storage.tsdb.retention.time=30d")
                .arg(format!("--web.listen-address={address}"))
                .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--log.level=warn"]);
        } else {
            command
                .arg(format!("-storageDataPath={}", data.display()))
                .arg(format!("-httpListenAddr={address}"))
                .args(["-retentionPeriod=12", "-loggerLevel=WARN"]);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("\"{}\" cannot be started", self.binary.display()))?;
        let pid = child.id().context("it ended at once")?;
        Ok((Process::Peer { child, pid }, format!("http://{address}")))
    }
}

impl Running {
    /// What the process has used since its start.
    pub(super) fn usage(&self) -> Result<Usage> {
        match &self.process {
            Process::Tripod(server) => server.usage(),
            Process::Peer { pid, .. } => Usage::of(*pid),
        }
    }

    /// Waits until the process does nothing any more: less than a twentieth of a core for four seconds.
    pub(super) async fn settle(&self, most: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut quiet = 0;
        while quiet < 4 && begun.elapsed() < most {
            let before = self.usage()?.cpu_seconds;
            tokio::time::sleep(Duration::from_secs(1)).await;
            quiet = if self.usage()?.cpu_seconds - before <= 0.05 { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    pub(super) async fn stop(self) -> Result<()> {
        match self.process {
            Process::Tripod(server) => server.stop().await,
            Process::Peer { mut child, pid } => {
                server::terminate(pid).await?;
                let status = tokio::time::timeout(STOP, child.wait()).await;
                status.context("it does not stop in time")??;
                Ok(())
            }
        }
    }

    /// Has everything written into its final form and tells how large that is. Tripod did so when it stopped.
    pub(super) async fn on_disk(&self, place: &Place) -> Result<OnDisk> {
        let data = place.data();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(600)).build()?;
        let stored = match &self.process {
            Process::Tripod(server) => {
                let url = format!("{}/api/v1/status", server.url(FRONT_DOOR));
                let status: Value = client.get(url).send().await?.error_for_status()?.json().await?;
                let table = &status["store"]["series"]["table"];
                ensure!(table["hot_rows"] == 0, "samples wait to be flushed: {table}");
                table["file_bytes"].as_u64().context("the server's status has no file_bytes")?
            }
            Process::Peer { .. } if place.system == System::Prometheus => {
                // Blocks, that of the samples in memory too.
                let url = format!("{}/api/v1/admin/tsdb/snapshot", self.url);
                let answer: Value = client.post(url).send().await?.error_for_status()?.json().await?;
                let name = answer["data"]["name"].as_str().context("the snapshot has no name")?;
                let bytes = bytes_under(&data.join("snapshots").join(name));
                std::fs::remove_dir_all(data.join("snapshots"))?;
                bytes
            }
            Process::Peer { .. } => {
                for path in ["/internal/force_flush", "/internal/force_merge"] {
                    client.get(format!("{}{path}", self.url)).send().await?.error_for_status()?;
                }
                self.settle(Duration::from_secs(120)).await?;
                bytes_under(&data.join("data")) + bytes_under(&data.join("indexdb"))
            }
        };
        Ok(OnDisk { stored, all: bytes_under(&data) })
    }

    /// Makes what was sent visible to queries.
    pub(super) async fn make_visible(&self, system: System) -> Result<()> {
        if system == System::VictoriaMetrics {
            reqwest::get(format!("{}/internal/force_flush", self.url)).await?.error_for_status()?;
        }
        Ok(())
    }
}

/// Looks for a program as a shell does.
pub(super) fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.exists().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}
