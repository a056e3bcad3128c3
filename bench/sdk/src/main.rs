//! What the SDK costs a request, against bare axum, the stock stack of Rust and the Python set-up of FastAPI, structlog,
//! opentelemetry and `prometheus_client`: `cargo run --release -p tripod-bench-sdk`.
//!
//! Each service is a process of its own with the same handler (three spans, five log lines, four metrics a request), gets
//! the same load, and sends OTLP to one stand-in for a collector in this process. CPU is that of the service alone, from
//! `/proc/<pid>/task/*/schedstat`, until everything is delivered. Services take turns, round by round, so that what else the machine
//! does meets all of them; figures are medians over the rounds.

mod collector;
mod load;
mod report;
mod service;
mod subject;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use collector::Collector;
use load::Load;
use report::{Report, Run};
use service::Telemetry;
use subject::{Running, Start, Subject};

/// Measures what telemetry costs a request.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Times that every service has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests a turn; services in Python get a tenth.
    #[arg(long, default_value_t = 10_000)]
    requests: usize,
    /// Requests a second; services in Python get a tenth. 0: as many as they can.
    #[arg(long, default_value_t = 2_000)]
    rate: usize,
    /// Connections, kept alive.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Shares of traces that are recorded.
    #[arg(long, value_delimiter = ',', default_values_t = [1.0, 0.1, 0.0])]
    sampling: Vec<f64>,
    /// The Python interpreter that has the packages of `bench/sdk/python/requirements.txt`. Without it, Rust alone is measured.
    #[arg(long, env = "TRIPOD_BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// The services to measure beside the bare ones; all unless set.
    #[arg(long, value_delimiter = ',')]
    services: Vec<Subject>,
    /// Where the figures go as JSON; standard output unless set.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves what is measured; the measurement starts it.
    #[command(hide = true)]
    Serve { telemetry: Telemetry, port: u16 },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Serve { telemetry, port }) => service::serve(telemetry, port).await,
        None => measure(arguments).await,
    }
}

async fn measure(arguments: Arguments) -> Result<()> {
    let (collector, address) = Collector::start().await?;
    let endpoint = format!("http://{address}");
    let mut runs = Vec::new();
    for round in 0..arguments.rounds {
        for &sampling in &arguments.sampling {
            for subject in Subject::ALL {
                let is_left_out =
                    subject.has_telemetry() && !arguments.services.is_empty() && !arguments.services.contains(&subject);
                if is_left_out || (subject.is_python() && arguments.python.is_none()) {
                    continue;
                }
                let run = turn(&arguments, &collector, &endpoint, subject, sampling, round);
                // A turn that fails says so and is missing from the figures; the others are not lost with it.
                let run = match run.await {
                    Ok(run) => run,
                    Err(error) => {
                        eprintln!("round {round}, {}: failed: {error:#}", subject.name());
                        continue;
                    }
                };
                eprintln!(
                    "round {round}, {:.0}% sampled, {}: {:.1} us of CPU, p50 {:.0} us, {:.2} spans",
                    sampling * 100.0,
                    subject.name(),
                    run.cpu_us,
                    run.p50_us,
                    run.spans
                );
                runs.push(run);
            }
        }
    }
    let report = Report::new(runs);
    println!("{}", report.table());
    let json = serde_json::to_string_pretty(&report)?;
    match &arguments.json {
        Some(path) => std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?,
        None => println!("{json}"),
    }
    Ok(())
}

async fn turn(
    arguments: &Arguments,
    collector: &Arc<Collector>,
    endpoint: &str,
    subject: Subject,
    sampling: f64,
    round: usize,
) -> Result<Run> {
    let share = if subject.is_python() { 10 } else { 1 };
    let load = Load {
        connections: arguments.connections,
        requests: (arguments.requests / share).max(arguments.connections),
        rate: if arguments.rate == 0 { 0 } else { (arguments.rate / share).max(1) },
    };
    // Whole turns of all connections, so that what is divided by is what was sent.
    let load = Load { requests: load.requests / load.connections * load.connections, ..load };
    let warm_up = Load { requests: load.requests.div_ceil(10 * load.connections) * load.connections, ..load };
    let start = Start {
        collector: endpoint,
        sampling,
        python: arguments.python.as_deref().unwrap_or_else(|| "python3".as_ref()),
        log: std::env::temp_dir().join(format!("tripod-bench-sdk-{}.log", std::process::id())),
    };
    let service = Running::start(subject, start).await?;
    warm_up.drive(service.port).await?;
    service.flush().await?;
    let (used, had) = (service.usage()?, collector.received());
    let load::Driven { latencies, lost } = load.drive(service.port).await?;
    service.scrape().await?;
    service.flush().await?;
    let (usage, received) = (service.usage()?, collector.received().since(had));
    let lines = service.end().await?;

    let requests = load.requests as f64;
    let percentile = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index.min(latencies.len() - 1)).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    };
    Ok(Run {
        subject: subject.name(),
        sampling,
        round,
        requests: load.requests,
        lost,
        cpu_us: (usage.cpu - used.cpu) * 1e6 / requests,
        p50_us: percentile(0.50),
        p99_us: percentile(0.99),
        resident_bytes: usage.resident,
        exported_bytes: received.bytes as f64 / requests,
        log_bytes: (usage.log_bytes - used.log_bytes) as f64 / requests,
        lines: lines as f64 / (requests + warm_up.requests as f64),
        spans: received.spans as f64 / requests,
        records: received.records as f64 / requests,
        of: subject,
    })
}
