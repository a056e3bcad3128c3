//! A service under measurement, as a process of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use tokio::process::{Child, Command};

use crate::load::Connection;
use crate::service::Telemetry;

/// How long a service may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// axum and the handler.
    Bare,
    /// The SDK: lines on standard output, spans over OTLP, metrics to be scraped.
    Tripod,
    /// The SDK: besides, lines and metrics over OTLP.
    TripodAll,
    /// The stock stack of Rust, which sends what [`Subject::Tripod`] sends.
    Stock,
    /// FastAPI and the handler.
    PythonBare,
    /// FastAPI with structlog, opentelemetry and prometheus_client.
    Python,
}

impl Subject {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 6] =
        [Self::Bare, Self::Tripod, Self::TripodAll, Self::Stock, Self::PythonBare, Self::Python];

    /// What the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum",
            Self::Tripod => "Tripod",
            Self::TripodAll => "Tripod, lines and metrics over OTLP as well",
            Self::Stock => "stock Rust stack",
            Self::PythonBare => "bare FastAPI",
            Self::Python => "Python set-up",
        }
    }

    /// What it is compared with.
    pub(crate) fn baseline(self) -> Self {
        if self.is_python() { Self::PythonBare } else { Self::Bare }
    }

    /// Whether it runs in Python, which takes fewer requests.
    pub(crate) fn is_python(self) -> bool {
        matches!(self, Self::PythonBare | Self::Python)
    }

    /// Whether the sampling makes a difference.
    pub(crate) fn has_telemetry(self) -> bool {
        self != self.baseline()
    }
}

/// How a service is started.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) collector: &'a str,
    /// Share of the traces that are recorded.
    pub(crate) sampling: f64,
    /// The interpreter with the packages of `python/requirements.txt`.
    pub(crate) python: &'a Path,
    /// Where standard output goes.
    pub(crate) log: PathBuf,
}

/// A running service. Dropping it ends it.
pub(crate) struct Running {
    child: Child,
    pid: u32,
    log: PathBuf,
    /// Where it listens.
    pub(crate) port: u16,
}

/// What a service used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// CPU of all threads, user and system, in seconds.
    pub(crate) cpu: f64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
    /// Bytes on standard output.
    pub(crate) log_bytes: u64,
}

impl Running {
    /// Starts it, and waits until it answers.
    pub(crate) async fn start(subject: Subject, start: Start<'_>) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = command(subject, start.python, port)?;
        let everything = if subject == Subject::TripodAll { "otlp" } else { "none" };
        let child = command
            .env("ENVIRONMENT", "production")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", start.collector)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("OTEL_LOGS_EXPORTER", everything)
            .env("OTEL_METRICS_EXPORTER", everything)
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
            .env("OTEL_TRACES_SAMPLER_ARG", start.sampling.to_string())
            .stdout(File::create(&start.log)?)
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", subject.name()))?;
        let pid = child.id().context("the service ended at once")?;
        let mut running = Self { child, pid, log: start.log, port };
        let deadline = Instant::now() + PATIENCE;
        while Connection::open(port).await.is_err() {
            if let Some(status) = running.child.try_wait()? {
                bail!("{} ended with {status}", subject.name());
            }
            if Instant::now() > deadline {
                bail!("{} does not listen after {} seconds", subject.name(), PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(running)
    }

    /// Has everything delivered that is waiting.
    pub(crate) async fn flush(&self) -> Result<()> {
        Connection::open(self.port).await?.get("/flush").await.map(drop)
    }

    /// Scrapes the metrics.
    pub(crate) async fn scrape(&self) -> Result<()> {
        Connection::open(self.port).await?.get("/metrics").await.map(drop)
    }

    /// What it used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        // Nanoseconds of each thread; `/proc/<pid>/stat` counts in hundredths of a second. Threads that have ended are
        // missing: of what is measured here only those that wait for a flush end.
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let first = text.split_whitespace().next().context("schedstat is empty")?;
            nanoseconds += first.parse::<u64>().context("schedstat begins with no number")?;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("status has no VmRSS")?;
        let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse()?;
        let log_bytes = std::fs::metadata(&self.log)?.len();
        Ok(Usage { cpu: nanoseconds as f64 / 1e9, resident: kilobytes * 1024, log_bytes })
    }

    /// Ends it, and counts the lines that it wrote.
    pub(crate) async fn end(mut self) -> Result<u64> {
        self.child.kill().await?;
        let text = std::fs::read(&self.log)?;
        std::fs::remove_file(&self.log)?;
        Ok(text.iter().filter(|byte| **byte == b'\n').count() as u64)
    }
}

fn command(subject: Subject, python: &Path, port: u16) -> Result<Command> {
    let telemetry = match subject {
        Subject::Bare => Telemetry::Bare,
        Subject::Tripod | Subject::TripodAll => Telemetry::Tripod,
        Subject::Stock => Telemetry::Stock,
        Subject::PythonBare | Subject::Python => {
            let mut command = Command::new(python);
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/service.py")).arg(port.to_string());
            if subject == Subject::PythonBare {
                command.arg("--bare");
            }
            return Ok(command);
        }
    };
    let name = telemetry.to_possible_value().context("a kind of telemetry without a name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("serve").arg(name.get_name()).arg(port.to_string());
    Ok(command)
}
