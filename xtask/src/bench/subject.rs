//! What is measured: a server of ours, a peer, or something that runs elsewhere.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::SubjectArgs;
use crate::load::Signal;
use crate::peer::Peer;
use crate::process::{Usage, bytes_under};
use crate::server::{self, FRONT_DOOR, JAEGER, Launch, OTLP_GRPC, OTLP_HTTP, Server};

/// How long to wait until everything that was taken is stored.
const SETTLE: Duration = Duration::from_secs(600);

/// A peer that has stored nothing for so long has stored everything that it will.
const STANDSTILL: Duration = Duration::from_secs(15);

/// How long a peer may take to start.
const START: Duration = Duration::from_secs(60);

/// Something that takes OTLP and, in most cases, answers.
pub(super) struct Subject {
    binary: PathBuf,
    data_dir: PathBuf,
    settings: Vec<(String, String)>,
    peer: Option<Peer>,
    running: Option<Running>,
    /// Removed in the end, unless the user named a directory.
    _scratch: Option<TempDir>,
    log: PathBuf,
}

enum Running {
    Tripod(Server),
    Jaeger(JaegerProcess),
}

struct JaegerProcess {
    child: Child,
    pid: u32,
    ports: JaegerPorts,
}

#[derive(Clone, Copy)]
struct JaegerPorts {
    grpc: u16,
    http: u16,
    query: u16,
    admin: u16,
}

/// Sizes on disk in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnDisk {
    pub(super) stored: u64,
    /// What only serves recovery.
    pub(super) log: u64,
}

impl Subject {
    /// Starts what the arguments name, on free ports.
    pub(super) async fn start(args: &SubjectArgs) -> Result<Self> {
        let binary = args.binary()?;
        let scratch = super::scratch()?;
        let data_dir = args.data_dir.clone().unwrap_or_else(|| scratch.path().join("data"));
        let log = scratch.path().join("server.log");
        let settings = args.settings()?;
        let mut subject =
            Self { binary, data_dir, settings, peer: args.peer, running: None, _scratch: Some(scratch), log };
        subject.resume().await?;
        Ok(subject)
    }

    async fn resume(&mut self) -> Result<()> {
        self.running = Some(match self.peer {
            None => {
                let launch = Launch {
                    bin: self.binary.clone(),
                    data_dir: self.data_dir.clone(),
                    log: self.log.clone(),
                    settings: self.settings.clone(),
                };
                Running::Tripod(Server::start(&launch).await?)
            }
            Some(Peer::Jaeger) => Running::Jaeger(JaegerProcess::start(&self.binary, &self.data_dir, &self.log).await?),
        });
        Ok(())
    }

    /// Stops it in order and starts it again.
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.resume().await
    }

    /// Stops it in order.
    pub(super) async fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            None => Ok(()),
            Some(Running::Tripod(server)) => server.stop().await,
            Some(Running::Jaeger(jaeger)) => jaeger.stop().await,
        }
    }

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("the server is stopped")
    }

    /// Where OTLP over gRPC is taken.
    pub(super) fn grpc(&self) -> Result<String> {
        Ok(match self.running()? {
            Running::Tripod(server) => server.url(OTLP_GRPC).to_owned(),
            Running::Jaeger(jaeger) => jaeger.url(jaeger.ports.grpc),
        })
    }

    /// Where OTLP over HTTP is taken.
    pub(super) fn http(&self) -> Result<String> {
        Ok(match self.running()? {
            Running::Tripod(server) => server.url(OTLP_HTTP).to_owned(),
            Running::Jaeger(jaeger) => jaeger.url(jaeger.ports.http),
        })
    }

    /// Where Jaeger's query API is.
    pub(super) fn jaeger(&self) -> Result<String> {
        Ok(match self.running()? {
            Running::Tripod(server) => server.url(JAEGER).to_owned(),
            Running::Jaeger(jaeger) => jaeger.url(jaeger.ports.query),
        })
    }

    /// The front door, where SQL is answered; peers have none.
    pub(super) fn front_door(&self) -> Result<Option<String>> {
        Ok(match self.running()? {
            Running::Tripod(server) => Some(server.url(FRONT_DOOR).to_owned()),
            Running::Jaeger(_) => None,
        })
    }

    /// What the process has used since its start.
    pub(super) fn usage(&self) -> Result<Usage> {
        match self.running()? {
            Running::Tripod(server) => server.usage(),
            Running::Jaeger(jaeger) => Usage::of(jaeger.pid),
        }
    }

    /// Waits until `expected` items more than `before` are stored; gives how many there are. A peer that acknowledges
    /// what it has not stored yet may lose some of it; then this is what it has when it stops making progress.
    ///
    /// # Errors
    /// When that takes too long.
    pub(super) async fn settle(&self, signal: Signal, before: u64, expected: u64) -> Result<u64> {
        let begun = Instant::now();
        let mut progress = (self.stored(signal).await?, Instant::now());
        loop {
            let total = self.stored(signal).await?;
            let stored = total - before;
            if total != progress.0 {
                progress = (total, Instant::now());
            }
            let given_up = self.peer.is_some() && progress.1.elapsed() > STANDSTILL;
            if stored >= expected || given_up {
                return Ok(stored);
            }
            ensure!(
                begun.elapsed() < SETTLE,
                "only {stored} of {expected} items are stored after {} s; the server's log ends so:\n{}",
                SETTLE.as_secs(),
                server::tail(&self.log, 10)
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many items are stored now.
    pub(super) async fn stored(&self, signal: Signal) -> Result<u64> {
        match self.running()? {
            Running::Tripod(server) => tripod_rows(server, signal).await,
            Running::Jaeger(jaeger) => jaeger.spans().await,
        }
    }

    /// What lies on disk now.
    pub(super) fn on_disk(&self) -> OnDisk {
        match self.peer {
            None => OnDisk {
                stored: bytes_under(&self.data_dir.join("tables")),
                log: bytes_under(&self.data_dir.join("wal")),
            },
            Some(Peer::Jaeger) => jaeger_files(&self.data_dir),
        }
    }
}

/// Rows in files of a table; rows in memory do not count.
async fn tripod_rows(server: &Server, signal: Signal) -> Result<u64> {
    let url = format!("{}/api/v1/status", server.url(FRONT_DOOR));
    let status: Value = reqwest::get(&url).await?.error_for_status()?.json().await?;
    let tables = status["store"]["tables"].as_array().context("the server's status has no tables")?;
    let table = tables.iter().find(|table| table["table"] == signal.table()).context("a table is not in the status")?;
    table["file_rows"].as_u64().context("the server's status has no file_rows")
}

impl JaegerProcess {
    async fn start(binary: &Path, data_dir: &Path, log: &Path) -> Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let ports = JaegerPorts { grpc: free_port()?, http: free_port()?, query: free_port()?, admin: free_port()? };
        let output = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let on = |port: u16| format!("127.0.0.1:{port}");
        let child = Command::new(binary)
            .env("SPAN_STORAGE_TYPE", "badger")
            .arg("--badger.ephemeral=false")
            // As it comes: with an fsync for every span, it stores a thousand spans a second.
            .arg("--badger.consistency=false")
            .arg(format!("--badger.directory-key={}", data_dir.join("keys").display()))
            .arg(format!("--badger.directory-value={}", data_dir.join("values").display()))
            .arg(format!("--collector.otlp.grpc.host-port={}", on(ports.grpc)))
            .arg(format!("--collector.otlp.http.host-port={}", on(ports.http)))
            .arg(format!("--collector.grpc-server.host-port={}", on(free_port()?)))
            .arg(format!("--collector.http-server.host-port={}", on(free_port()?)))
            .arg(format!("--query.http-server.host-port={}", on(ports.query)))
            .arg(format!("--query.grpc-server.host-port={}", on(free_port()?)))
            .arg(format!("--admin.http.host-port={}", on(ports.admin)))
            .arg("--log-level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("\"{}\" cannot be started", binary.display()))?;
        let pid = child.id().context("the peer ended at once")?;
        let mut process = Self { child, pid, ports };
        let begun = Instant::now();
        while !process.is_ready().await {
            if let Some(status) = process.child.try_wait()? {
                bail!("the peer ended with {status}; its log ends so:\n{}", server::tail(log, 10));
            }
            ensure!(begun.elapsed() < START, "the peer is not ready in time:\n{}", server::tail(log, 10));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(process)
    }

    fn url(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }

    async fn is_ready(&self) -> bool {
        let query = reqwest::get(format!("{}/api/services", self.url(self.ports.query))).await;
        let admin = reqwest::get(self.url(self.ports.admin)).await;
        matches!((query, admin), (Ok(query), Ok(admin)) if query.status().is_success() && admin.status().is_success())
    }

    /// Spans that are stored. Its collector acknowledges what waits in a queue, which does not count.
    async fn spans(&self) -> Result<u64> {
        let metrics = reqwest::get(format!("{}/metrics", self.url(self.ports.admin))).await?.text().await?;
        let saved = metrics.lines().filter(|line| {
            line.starts_with("jaeger_collector_spans_saved_by_svc_total") && line.contains("result=\"ok\"")
        });
        Ok(saved.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
    }

    async fn stop(mut self) -> Result<()> {
        server::terminate(self.pid).await?;
        let status = tokio::time::timeout(Duration::from_secs(120), self.child.wait()).await;
        status.context("the peer did not stop within two minutes")??;
        Ok(())
    }
}

/// Badger keeps write-ahead logs of its memory tables as `.mem`, preallocated; everything else is data.
fn jaeger_files(data_dir: &Path) -> OnDisk {
    let mut sizes = OnDisk::default();
    for part in ["keys", "values"] {
        let Ok(entries) = std::fs::read_dir(data_dir.join(part)) else { continue };
        for entry in entries.flatten() {
            // Files are preallocated: what counts is what they occupy.
            let Ok(metadata) = entry.metadata() else { continue };
            let bytes = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
            match entry.path().extension().is_some_and(|extension| extension == "mem") {
                true => sizes.log += bytes,
                false => sizes.stored += bytes,
            }
        }
    }
    sizes
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}
