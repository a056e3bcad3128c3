//! The proof that nothing acknowledged is lost and nothing is stored twice.
//!
//! Writers send batches of records that carry numbers of their own: rows by OTLP, samples by remote write. The server is
//! killed in the middle of it, and started again, and asked for the numbers, in SQL and in PromQL: an acknowledged record
//! must be there exactly once, a sample with its value at its time, one whose answer never came at most once. Nothing is sent a second time under the same number, so that a repeated number is always the
//! server's doing.

mod asked;
mod corrupt;
mod disk_full;
mod ledger;
mod lost;
mod rounds;
mod samples;
mod verify;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::process::cargo;
use crate::server::Launch;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often the server is stopped and started.
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// Seed of all random choices; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Binary of the server; without it, `cargo build -p tripod-server` makes one.
    #[arg(long)]
    bin: Option<PathBuf>,
    /// How many writers send at once.
    #[arg(long, default_value_t = 6)]
    writers: u32,
    /// Most records in a request.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// How many rounds pass between two checks.
    #[arg(long, default_value_t = 5)]
    check_every: u32,
    /// Instead: fill the disk, see that writes are refused and taken again once there is room. Needs root.
    #[arg(long, conflicts_with = "corrupt")]
    disk_full: bool,
    /// Instead: damage the write-ahead log, see that the damage is reported, set aside, and costs nothing else.
    #[arg(long)]
    corrupt: bool,
    /// Instead: remove a segment of each write-ahead log, see that this proof notices.
    #[arg(long, conflicts_with_all = ["corrupt", "disk_full"])]
    lost: bool,
    /// Fail when the proof cannot be run on this machine, rather than say so.
    #[arg(long)]
    require: bool,
}

/// Runs the proof that was asked for; the exit code is a failure when the server broke its word.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    ensure!(args.writers > 0 && args.batch > 0, "there must be at least one writer and one record in a request");
    let bin = match &args.bin {
        Some(bin) => bin.clone(),
        None => build(false)?,
    };
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    match (args.disk_full, args.corrupt, args.lost) {
        (true, ..) => disk_full::run(&args, &bin, seed).await,
        (_, true, _) => corrupt::run(&args, &bin, seed).await,
        (_, _, true) => lost::run(&args, &bin, seed).await,
        _ => rounds::run(&args, &bin, seed).await,
    }
}

/// Builds the server with the profile that is asked for and gives the binary's path.
///
/// # Errors
/// When it does not build; cargo has said why.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--workspace", "--bin", "tripod", "--message-format", "json-render-diagnostics"]);
    if release {
        command.arg("--release");
    }
    let output = command.stderr(std::process::Stdio::inherit()).output().context("cargo cannot be started")?;
    ensure!(output.status.success(), "the server does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "tripod")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo built no binary \"tripod\"")
}

/// A directory for one proof: the server's data and log.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tripod-crash-").tempdir()?;
        Ok(Self { directory })
    }

    /// How to start the server here, so that it flushes, begins segments and compacts all the time.
    fn launch(&self, bin: &std::path::Path) -> Launch {
        let settings = [
            ("store.flush.rows", "3000"),
            ("store.flush.interval_seconds", "1"),
            ("store.series.flush_interval_seconds", "1"),
            ("store.compaction.interval_seconds", "1"),
            ("store.compaction.min_files", "3"),
            ("store.wal.segment_bytes", "1048576"),
        ];
        Launch {
            bin: bin.to_owned(),
            data_dir: self.directory.path().join("data"),
            log: self.directory.path().join("server.log"),
            settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        }
    }

    /// How to start the server here, so that nothing is flushed and all of it is in logs of many segments.
    fn launch_unflushed(&self, bin: &std::path::Path, segment_bytes: u64) -> Launch {
        let mut launch = self.launch(bin);
        for (key, value) in &mut launch.settings {
            match key.as_str() {
                "store.flush.rows" => *value = "100000000".to_owned(),
                "store.flush.interval_seconds" | "store.series.flush_interval_seconds" => *value = "100000".to_owned(),
                "store.wal.segment_bytes" => *value = segment_bytes.to_string(),
                _ => {}
            }
        }
        launch
    }

    /// Ends the proof. What a failed one left is kept for a closer look.
    fn finish(self, kept_word: bool) -> ExitCode {
        if kept_word {
            return ExitCode::SUCCESS;
        }
        println!("kept for a closer look: {}", self.directory.keep().display());
        ExitCode::FAILURE
    }
}
