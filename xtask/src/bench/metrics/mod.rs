//! Tripod, Prometheus and VictoriaMetrics with the same metrics: what it costs to take, keep and find them.
//!
//! Each system gets the same bytes over remote write and the same questions over Prometheus' HTTP API; their answers are
//! compared before a figure is worth anything. Results are kept in a directory, a file for each system and size, so that a
//! run can be broken off and gone on with, or repeated for one system alone.

mod feed;
mod questions;
mod report;
mod system;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use self::questions::{Answer, Asker, Covered, QUESTIONS};
use self::system::{OnDisk, Place, Running, System};
use super::percentile;
use crate::load::exporter::{self, INTERVAL_MILLIS};
use crate::peer;

/// How long a server may still work on what it has taken.
const SETTLE: Duration = Duration::from_secs(180);

/// Bytes that a sample takes in Tripod's log.
const LOG_BYTES: u64 = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many series.
    #[arg(long, default_value_t = 10_000)]
    series: usize,
    /// How many hours of samples, one every 15 seconds.
    #[arg(long, default_value_t = 24.0)]
    hours: f64,
    /// Whom to measure; the others' results are taken from the directory, if they are there.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = System::ALL)]
    systems: Vec<System>,
    /// Binary of Tripod; without it, `cargo build --release -p tripod-server` makes one.
    #[arg(long)]
    bin: Option<PathBuf>,
    /// Binary of Prometheus 3.
    #[arg(long, default_value = "prometheus")]
    prometheus: PathBuf,
    /// Binary of VictoriaMetrics.
    #[arg(long, default_value = "victoria-metrics")]
    victoria_metrics: PathBuf,
    /// Connections over which samples are sent, each with one request on its way at a time.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Series in a request, one sample each.
    #[arg(long, default_value_t = 2000)]
    batch: usize,
    /// How often each question is asked hot.
    #[arg(long, default_value_t = 20)]
    hot_runs: usize,
    /// How often everything is asked after a restart with nothing of the files in memory; needs root.
    #[arg(long, default_value_t = 3)]
    cold_runs: usize,
    /// What the values follow from.
    #[arg(long, default_value_t = 67)]
    seed: u64,
    /// A setting of Tripod by its full key; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where results are kept; without it, in the build directory.
    #[arg(long)]
    results: Option<PathBuf>,
    /// Measure again what has a result.
    #[arg(long)]
    again: bool,
    /// Print all results as JSON instead of as tables.
    #[arg(long)]
    json: bool,
    /// Measure with builds as they are, to try the measurement itself; its numbers mean nothing.
    #[arg(long)]
    pub(super) unoptimised: bool,
}

/// What was measured of one system.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    system: System,
    version: String,
    series: usize,
    /// Samples of each series.
    steps: usize,
    hosts: usize,
    seed: u64,
    /// Time of the first samples, milliseconds since the epoch.
    start: i64,
    ingest: Ingest,
    on_disk: OnDisk,
    starts: Starts,
    questions: Vec<Asked>,
    /// CPU seconds of the server for a question that is asked hot, on average.
    hot_cpu_seconds: f64,
    /// The answers, in the order of the questions.
    answers: Vec<Answer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ingest {
    samples: u64,
    /// From the first request to the last answer.
    seconds: f64,
    /// Until it had nothing more to do.
    cpu_seconds: f64,
    samples_per_core_second: f64,
    generator_cpu_seconds: f64,
    refusals: u64,
    bytes: u64,
    compressed_bytes: u64,
    peak_bytes: u64,
    /// Median of the second half of the time.
    resident_bytes: u64,
    /// The same without pages of files.
    anonymous_bytes: u64,
}

/// Seconds from the start of the process to the first answer.
#[derive(Debug, Serialize, Deserialize)]
struct Starts {
    empty: f64,
    after_kill: f64,
    /// Share of the samples that a kill takes along.
    lost: f64,
    /// With nothing of the files in memory, if the system let that be arranged.
    after_stop: f64,
    /// How long it took to stop.
    stop: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    title: String,
    /// Seconds.
    hot: Vec<f64>,
    cold: Vec<f64>,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let steps = (args.hours * 3_600_000.0 / INTERVAL_MILLIS as f64).round() as usize;
    ensure!(steps >= 480, "at least two hours, or the questions find nothing");
    ensure!(args.series >= exporter::series_per_host(), "at least one host: {} series", exporter::series_per_host());
    let results = args.results.clone().unwrap_or_else(|| peer::target_directory().join("bench-metrics"));
    std::fs::create_dir_all(&results).with_context(|| format!("\"{}\" cannot be created", results.display()))?;
    let mut there = load(&results, &args, steps)?;
    if args.again {
        there.retain(|measured| !args.systems.contains(&measured.system));
    }
    // The same data for all: what was measured earlier says when it begins.
    let start = there.first().map_or_else(|| first_scrape(steps), |measured| measured.start);
    let mut missing = Vec::new();
    for system in &args.systems {
        if there.iter().any(|measured| measured.system == *system) {
            eprintln!("{}: measured before; --again repeats it", system.title());
            continue;
        }
        let binary = match system {
            System::Tripod => match &args.bin {
                Some(binary) => Some(binary.clone()),
                None => Some(crate::crash::build(!args.unoptimised)?),
            },
            System::Prometheus => system::find(&args.prometheus),
            System::VictoriaMetrics => system::find(&args.victoria_metrics),
        };
        let Some(binary) = binary else {
            missing.push(*system);
            continue;
        };
        let measured = measure(&args, *system, binary, (start, steps)).await;
        let measured = measured.with_context(|| format!("{} could not be measured", system.title()))?;
        let path = results.join(file_name(&args, steps, *system));
        std::fs::write(&path, serde_json::to_vec(&measured)?)
            .with_context(|| format!("\"{}\" cannot be written", path.display()))?;
        there.push(measured);
    }
    there.sort_by_key(|measured| measured.system);
    match args.json {
        true => println!("{}", report::json(&there)?),
        false => report::print(&there),
    }
    for system in &missing {
        println!("not measured: {} is not there; name its binary with --{}", system.title(), system.name());
    }
    report::check(&there)?;
    if !missing.is_empty() {
        bail!("not all systems were there");
    }
    Ok(())
}

/// The data ends an hour ago at the latest.
fn first_scrape(steps: usize) -> i64 {
    let hour = 3_600_000;
    let now = i64::try_from(super::drive::now() / 1_000_000).unwrap_or(0);
    (now - steps as i64 * INTERVAL_MILLIS) / hour * hour - hour
}

fn file_name(args: &Args, steps: usize, system: System) -> String {
    format!("{}-series-{steps}-samples-{}.json", args.series, system.name())
}

/// Results that are there for this size.
fn load(results: &Path, args: &Args, steps: usize) -> Result<Vec<Measured>> {
    let mut there = Vec::new();
    for system in System::ALL {
        let path = results.join(file_name(args, steps, system));
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let measured: Measured =
            serde_json::from_slice(&content).with_context(|| format!("\"{}\" is not a result", path.display()))?;
        ensure!(measured.seed == args.seed, "\"{}\" is of another seed; remove it", path.display());
        there.push(measured);
    }
    Ok(there)
}

async fn measure(args: &Args, system: System, binary: PathBuf, (start, steps): (i64, usize)) -> Result<Measured> {
    let scratch = super::scratch()?;
    let place = Place { system, binary, directory: scratch.path().to_owned(), settings: settings(args, system)? };
    let title = system.title();
    let version = place.version().await?;
    eprintln!("{title}: {version}");
    let hosts = args.series / exporter::series_per_host();
    let seconds = |millis: i64| millis as f64 / 1000.0;
    // The last scrape of every host lies before this.
    let end = seconds(start + steps as i64 * INTERVAL_MILLIS);
    let covered = Covered { start: seconds(start), end, hosts };

    let running = place.start("vector(1)", end, 1).await?;
    let empty = running.started_after.as_secs_f64();
    let ingest = ingest(args, &place, &running, (start, steps)).await?;
    let asker = Asker::new(&running.url, covered)?;
    let all = asker.number(r#"count({__name__!=""})"#).await?;
    ensure!(all == args.series as u64, "{all} series are there instead of {}", args.series);
    for host in [0, hosts - 1] {
        let (name, host) = (exporter::LARGEST_FAMILY, exporter::host(host));
        let of_host = format!("{name}{{instance=\"{host}\"}}");
        let expected = asker.number(&format!("count({of_host})")).await? * steps as u64;
        let found = asker.number(&format!("sum(count_over_time({of_host}[30h]))")).await?;
        ensure!(found == expected, "{found} samples of {of_host} are there instead of {expected}");
    }
    let all_samples = format!("sum(count_over_time({}[30h])) or vector(0)", exporter::LARGEST_FAMILY);
    let mut answers = Vec::new();
    let mut questions = Vec::new();
    for question in &QUESTIONS {
        let answer = questions::read(&asker.ask(question, 0).await?.1).with_context(|| question.title)?;
        ensure!(!answer.is_empty(), "{:?} finds nothing", question.title);
        answers.push(answer);
        questions.push(Asked { title: question.title.to_owned(), hot: Vec::new(), cold: Vec::new() });
    }
    eprintln!("{title}: asking, hot");
    let before = running.usage()?.cpu_seconds;
    for turn in 1..=args.hot_runs {
        for (question, asked) in QUESTIONS.iter().zip(&mut questions) {
            asked.hot.push(asker.ask(question, turn).await?.0.as_secs_f64());
        }
    }
    let asked = (args.hot_runs * QUESTIONS.len()).max(1) as f64;
    let hot_cpu_seconds = (running.usage()?.cpu_seconds - before) / asked;

    // What lies in files now is what a kill would leave.
    running.settle(SETTLE).await?;
    let before_kill = asker.number(&all_samples).await?;
    let copy = copy(&place).await?;
    let begun = Instant::now();
    running.stop().await?;
    let stop = begun.elapsed().as_secs_f64();
    eprintln!("{title}: starting as after kill -9");
    let killed = copy.start("node_load1", end - 15.0, 0).await?;
    let after_kill = killed.started_after.as_secs_f64();
    let kept = Asker::new(&killed.url, covered)?.number(&all_samples).await?;
    let lost = 1.0 - kept as f64 / before_kill as f64;
    killed.stop().await?;
    std::fs::remove_dir_all(&copy.directory)?;
    let cold = super::query::drop_caches();
    if let Err(error) = &cold {
        eprintln!("{title}: what the operating system holds of files stays: {error:#}");
    }
    let mut running = place.start("node_load1", end - 15.0, hosts).await?;
    let after_stop = running.started_after.as_secs_f64();
    running.settle(SETTLE).await?;
    let on_disk = running.on_disk(&place).await?;
    eprintln!("{title}: asking, cold");
    for turn in 0..args.cold_runs {
        running.stop().await?;
        super::query::drop_caches()?;
        running = place.start("vector(1)", end, 1).await?;
        let asker = Asker::new(&running.url, covered)?;
        // Not always the same one pays for what all need.
        for place in 0..QUESTIONS.len() {
            let place = (place + turn * 7) % QUESTIONS.len();
            questions[place].cold.push(asker.ask(&QUESTIONS[place], turn).await?.0.as_secs_f64());
        }
    }
    running.stop().await?;
    let starts = Starts { empty, after_kill, lost, after_stop, stop };
    let (series, seed) = (args.series, args.seed);
    Ok(Measured {
        system,
        version,
        series,
        steps,
        hosts,
        seed,
        start,
        ingest,
        on_disk,
        starts,
        questions,
        hot_cpu_seconds,
        answers,
    })
}

async fn ingest(args: &Args, place: &Place, running: &Running, (start, steps): (i64, usize)) -> Result<Ingest> {
    let title = place.system.title();
    // As many parts as requests of the wanted size need, the same number for every connection.
    let parts = args.series.div_ceil(args.batch.max(1)).next_multiple_of(args.connections.max(1));
    let fleet = exporter::fleet(args.series, parts, start, args.seed)?;
    eprintln!("{title}: taking {} series of {steps} samples", args.series);
    let before = running.usage()?.cpu_seconds;
    let fed = feed::feed(fleet, args.connections, steps, running).await?;
    running.make_visible(place.system).await?;
    running.settle(SETTLE).await?;
    let usage = running.usage()?;
    let cpu_seconds = usage.cpu_seconds - before;
    let half = &fed.resident[fed.resident.len() / 2..];
    let median = |pick: fn(&(u64, u64)) -> u64| {
        let mut sorted: Vec<_> = half.iter().map(pick).collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    };
    Ok(Ingest {
        samples: fed.samples,
        seconds: fed.elapsed.as_secs_f64(),
        cpu_seconds,
        samples_per_core_second: fed.samples as f64 / cpu_seconds,
        generator_cpu_seconds: fed.generator_cpu,
        refusals: fed.refusals,
        bytes: fed.bytes,
        compressed_bytes: fed.compressed_bytes,
        peak_bytes: usage.peak_bytes,
        resident_bytes: median(|(resident, _)| *resident),
        anonymous_bytes: median(|(_, anonymous)| *anonymous),
    })
}

/// A system's data as they lie now, for another start.
async fn copy(place: &Place) -> Result<Place> {
    let directory = place.directory.join("killed");
    std::fs::create_dir_all(&directory)?;
    let status = tokio::process::Command::new("cp").arg("-a").arg(place.data()).arg(&directory).status().await;
    // What goes away meanwhile is not missed by a system that was killed either.
    status.context("no tool \"cp\"")?;
    Ok(Place { system: place.system, binary: place.binary.clone(), directory, settings: place.settings.clone() })
}

/// A flush is due every two hours; here hours pass within seconds, so it is due when that many samples are in the log.
fn settings(args: &Args, system: System) -> Result<Vec<(String, String)>> {
    if system != System::Tripod {
        return Ok(Vec::new());
    }
    let two_hours = args.series as u64 * (2 * 3_600_000 / INTERVAL_MILLIS as u64) * LOG_BYTES;
    let mut settings = vec![
        ("store.series.flush_log_bytes".to_owned(), two_hours.to_string()),
        // What counts are whole segments.
        ("store.wal.segment_bytes".to_owned(), (two_hours / 8).clamp(1 << 20, 64 << 20).to_string()),
    ];
    for pair in &args.set {
        let (key, value) = pair.split_once('=').with_context(|| format!("\"{pair}\" is not KEY=VALUE"))?;
        settings.push((key.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

/// Of all values, sorted.
fn percentile_of<'a>(values: impl Iterator<Item = &'a f64>, share: f64) -> f64 {
    let mut sorted: Vec<_> = values.copied().collect();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, share)
}
