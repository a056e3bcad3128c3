//! `cargo xtask conformance`: published test data of the systems whose answers must be equalled.
//!
//! What is measured is built by a cargo of its own, so that this crate stays without dependencies on the house.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};

use crate::{process, table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Conformance {
    /// Run Prometheus' test scripts against the PromQL engine over every store of series.
    Promql(PromqlArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PromqlArgs {
    /// Only this script, for example `operators.test`.
    #[arg(long)]
    file: Option<String>,
    /// Every failure instead of the first few of each script.
    #[arg(long)]
    verbose: bool,
}

pub(crate) fn run(what: &Conformance) -> anyhow::Result<ExitCode> {
    match what {
        Conformance::Promql(args) => promql(args),
    }
}

/// Failures of a script that are shown without `--verbose`.
const SHOWN: usize = 3;

/// An eval that failed.
struct Failure {
    store: String,
    line: u32,
    query: String,
    reason: String,
    /// Why it is known not to pass yet.
    pending: Option<String>,
}

#[derive(Default)]
struct File {
    /// How many evals passed, by store.
    passed: BTreeMap<String, u64>,
    failures: Vec<Failure>,
}

fn promql(args: &PromqlArgs) -> anyhow::Result<ExitCode> {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
    let scripts = scripts(&house.join("../shared/conformance/promqltest"), args.file.as_deref())?;
    if scripts.is_empty() {
        println!("not run: ../shared/conformance/promqltest is not there");
        return Ok(ExitCode::SUCCESS);
    }
    let pending = pending(&house.join("crates/promql/tests/promqltest.pending"))?;
    let output = Command::new(runner(&house)?).args(&scripts).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout).context("the output of the runner")?;
    let (files, unexpected, passing) = collect(&text, &pending, args.file.is_none())?;
    report(&files, args.verbose);
    for place in &passing {
        println!("{place} passes: take it out of crates/promql/tests/promqltest.pending");
    }
    let good = output.status.success() && !files.is_empty() && unexpected == 0 && passing.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds what runs the scripts. All of the workspace is selected, so that nothing is built with other features than it
/// has already.
fn runner(house: &Path) -> anyhow::Result<PathBuf> {
    let output = process::cargo()
        .args(["build", "--quiet", "--locked", "--workspace", "--example", "promqltest"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(house)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo build")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "promqltest" && message["target"]["kind"][0] == "example")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("the example \"promqltest\" does not build")
}

fn scripts(folder: &Path, only: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .context("the folder of the scripts")?;
    scripts.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".test") && only.is_none_or(|only| name == only || name.strip_suffix(".test") == Some(only))
    });
    scripts.sort();
    if let Some(only) = only
        && scripts.is_empty()
    {
        bail!("no script {only:?} in {}", folder.display());
    }
    Ok(scripts)
}

/// Evals that are known not to pass, `file:line` with the reason.
fn pending(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(place, why)| (place.into(), why.into()))
        .collect())
}

/// The results by file, how many failures are not among the pending ones, and pending ones that passed.
fn collect(
    text: &str,
    pending: &BTreeMap<String, String>,
    all: bool,
) -> anyhow::Result<(BTreeMap<String, File>, usize, Vec<String>)> {
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    let mut unexpected = 0;
    // Places by what became of them in some store.
    let (mut passed, mut failed) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [store, name, line, query, reason] = fields[..] else { bail!("the runner printed {line:?}") };
        let file = files.entry(name.to_owned()).or_default();
        let count = file.passed.entry(store.to_owned()).or_default();
        let place = format!("{name}:{line}");
        if reason.is_empty() {
            *count += 1;
            passed.insert(place);
            continue;
        }
        let known = pending.get(&place).cloned();
        unexpected += usize::from(known.is_none());
        failed.insert(place);
        let (store, query, reason) = (store.to_owned(), query.to_owned(), reason.to_owned());
        file.failures.push(Failure { store, line: line.parse()?, query, reason, pending: known });
    }
    let ran = |place: &str| all || place.split_once(':').is_some_and(|(name, _)| files.contains_key(name));
    let passes = |place: &str| passed.contains(place) || !failed.contains(place);
    let passing = pending.keys().filter(|place| ran(place) && passes(place)).cloned().collect();
    Ok((files, unexpected, passing))
}

impl File {
    /// How many evals over a store passed, failed, and are known not to pass yet.
    fn counts(&self, store: &str) -> [u64; 3] {
        let failures = || self.failures.iter().filter(|failure| failure.store == store);
        let pending = failures().filter(|failure| failure.pending.is_some()).count() as u64;
        [self.passed.get(store).copied().unwrap_or(0), failures().count() as u64 - pending, pending]
    }
}

fn report(files: &BTreeMap<String, File>, verbose: bool) {
    let stores: BTreeSet<&str> = files.values().flat_map(|file| file.passed.keys()).map(String::as_str).collect();
    let titles: Vec<_> = stores
        .iter()
        .flat_map(|store| [format!("{store}: passed"), "failed".to_owned(), "not yet".to_owned()])
        .collect();
    let mut rows = Vec::new();
    let mut total = vec![0; titles.len()];
    for (name, file) in files {
        let counts: Vec<u64> = stores.iter().flat_map(|store| file.counts(store)).collect();
        for (total, count) in total.iter_mut().zip(&counts) {
            *total += count;
        }
        rows.push(std::iter::once(name.clone()).chain(counts.into_iter().map(table::count)).collect());
    }
    rows.push(std::iter::once("all".to_owned()).chain(total.into_iter().map(table::count)).collect());
    let titles: Vec<_> = std::iter::once("script").chain(titles.iter().map(String::as_str)).collect();
    table::print(&titles, &rows);
    for (name, file) in files {
        let shown = if verbose { usize::MAX } else { SHOWN };
        for failure in file.failures.iter().take(shown) {
            println!("\n{}: {name}:{} {}\n    {}", failure.store, failure.line, failure.query, failure.reason);
            if let Some(why) = &failure.pending {
                println!("    not yet: {why}");
            }
        }
        if file.failures.len() > shown {
            println!("\n{name}: {} more (--verbose)", file.failures.len() - shown);
        }
    }
}
