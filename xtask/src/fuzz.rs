//! `cargo xtask fuzz`: every fuzz target for a bounded time, on the stable toolchain.
//!
//! `cargo fuzz` does the same and more with a nightly toolchain; the targets are laid out for it. Here the coverage
//! instrumentation is asked for directly, which stable allows, so that CI needs no other toolchain.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz");
    let host = host()?;
    let target_dir = target_dir();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target", &host, "--manifest-path"])
        .arg(fuzz.join("Cargo.toml"))
        .env("RUSTFLAGS", COVERAGE)
        .env("CARGO_TARGET_DIR", &target_dir)
        .status()
        .context("cargo build")?;
    if !built.success() {
        bail!("the fuzz targets do not build");
    }
    let mut targets: Vec<String> = std::fs::read_dir(fuzz.join("fuzz_targets"))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .filter(|name| args.target.as_ref().is_none_or(|wanted| wanted == name))
        .collect();
    targets.sort();
    if targets.is_empty() {
        bail!("no such target; fuzz/fuzz_targets has them");
    }
    for name in &targets {
        run_target(&fuzz, &target_dir.join(&host).join("release").join(name), name, args.seconds)?;
    }
    println!("{} targets, {} s each, no findings", targets.len(), args.seconds);
    Ok(ExitCode::SUCCESS)
}

fn run_target(fuzz: &Path, binary: &Path, name: &str, seconds: u64) -> anyhow::Result<()> {
    println!("fuzzing {name} for {seconds} s");
    let artifacts = fuzz.join("artifacts").join(name);
    std::fs::create_dir_all(&artifacts)?;
    // New inputs go to a directory that is thrown away; the committed ones are only read.
    let found = tempfile::tempdir()?;
    let mut command = Command::new(binary);
    command.arg(format!("-max_total_time={seconds}")).arg("-verbosity=0").arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(found.path());
    let seeds = fuzz.join("corpus").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let done = command.status().with_context(|| binary.display().to_string())?;
    if !done.success() {
        bail!("{name} failed; the input is in {}", artifacts.display());
    }
    Ok(())
}

/// Beside the target directory in use, as instrumented builds share nothing with others.
fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => PathBuf::from(directory).with_file_name("fuzz-target"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz").join("target"),
    }
}

fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc -vV")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say its host")
}
