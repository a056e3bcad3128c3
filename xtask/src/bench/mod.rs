//! Measurements of the whole server from outside, and of peers in the same way.
//!
//! CPU time is that of the server's process; the generator's is told apart. The two share the machine, so what is
//! comparable between runs and machines is items per second *of the server's CPU time*.

mod drive;
mod ingest;
mod metrics;
mod query;
mod subject;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Subcommand;

use crate::peer::{self, Peer};

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Send as much as is taken, and tell what it costs.
    Ingest(ingest::Args),
    /// Fill a store with spans and ask it questions, hot and from disk.
    Query(query::Args),
    /// Fill Tripod, Prometheus and VictoriaMetrics with the same metrics and compare them.
    Metrics(metrics::Args),
}

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SubjectArgs {
    /// Binary of the server; without it, `cargo build --release -p tripod-server` makes one.
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Measure a peer instead; `cargo xtask peer` builds it.
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// The peer's binary, when it is somewhere else.
    #[arg(long, requires = "peer")]
    peer_bin: Option<PathBuf>,
    /// A setting of the server by its full key, for example store.wal.fsync=false; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the server keeps its data; without it, in a temporary directory that is removed.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Measure with builds as they are, to try the measurement itself; its numbers mean nothing.
    #[arg(long)]
    unoptimised: bool,
}

impl SubjectArgs {
    /// The binary that is measured; built when it is the server's and none was named.
    fn binary(&self) -> Result<PathBuf> {
        if let Some(peer) = self.peer {
            let binary = self.peer_bin.clone().unwrap_or_else(|| peer.binary());
            ensure!(
                binary.exists(),
                "there is no \"{}\"; build the peer with: cargo xtask peer {}",
                binary.display(),
                format!("{peer:?}").to_lowercase()
            );
            return Ok(binary);
        }
        match &self.bin {
            Some(bin) => Ok(bin.clone()),
            None => crate::crash::build(!self.unoptimised),
        }
    }

    fn settings(&self) -> Result<Vec<(String, String)>> {
        self.set
            .iter()
            .map(|pair| {
                let (key, value) = pair.split_once('=').with_context(|| format!("\"{pair}\" is not KEY=VALUE"))?;
                Ok((key.to_owned(), value.to_owned()))
            })
            .collect()
    }

    fn title(&self) -> String {
        self.peer.map_or_else(|| "Tripod".to_owned(), Peer::title)
    }
}

pub(crate) async fn run(what: Bench) -> Result<ExitCode> {
    let unoptimised = match &what {
        Bench::Ingest(args) => args.subject.unoptimised,
        Bench::Query(args) => args.subject.unoptimised,
        Bench::Metrics(args) => args.unoptimised,
    };
    if cfg!(debug_assertions) && !unoptimised {
        return hand_over();
    }
    match what {
        Bench::Ingest(args) => ingest::run(args).await?,
        Bench::Query(args) => query::run(args).await?,
        Bench::Metrics(args) => metrics::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the same command in a release build: a slow generator would take the time that the server should have.
fn hand_over() -> Result<ExitCode> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(std::env::args_os().skip(1))
        .status()
        .context("cargo cannot be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A directory that lies on the disk with the build and not in memory, where `/tmp` may be.
fn scratch() -> Result<tempfile::TempDir> {
    let parent = peer::target_directory();
    std::fs::create_dir_all(&parent).with_context(|| format!("\"{}\" cannot be created", parent.display()))?;
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(parent)?)
}

/// The value below which this share of the sorted values lies; 0 of none.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let index = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(index.saturating_sub(1)).or(sorted.last()).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 100.0);
        assert_eq!(percentile(&values, 0.99), 198.0);
        assert_eq!(percentile(&values, 1.0), 200.0);
        assert_eq!(percentile(&[7.0], 0.5), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
