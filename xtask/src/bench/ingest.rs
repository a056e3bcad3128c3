//! What it costs to take telemetry in.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::drive::{self, Load, Until};
use super::subject::Subject;
use super::{SubjectArgs, percentile};
use crate::load::{Protocol, Signal};
use crate::peer::Peer;
use crate::table::{self, count, mebibytes, milliseconds};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to send; without it, all three one after the other.
    #[arg(long, value_enum)]
    signal: Option<Signal>,
    /// How to send it.
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Protocol,
    /// How long to send, in seconds.
    #[arg(long, default_value_t = 20, conflicts_with = "count")]
    seconds: u64,
    /// How many items to send instead.
    #[arg(long)]
    count: Option<u64>,
    /// Connections, each with one request on its way at a time.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Items in a request.
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Compress requests.
    #[arg(long)]
    gzip: bool,
    /// Send to a server that runs already, for example http://127.0.0.1:4317; only what a client sees is measured then.
    #[arg(long, conflicts_with_all = ["bin", "peer", "peer_bin", "set", "data_dir"])]
    target: Option<String>,
    /// Print the results as JSON instead of as a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) subject: SubjectArgs,
}

/// The result of one signal.
#[derive(Debug, Serialize)]
struct Report {
    subject: String,
    signal: &'static str,
    protocol: String,
    gzip: bool,
    connections: usize,
    batch: usize,
    /// Mean size of an encoded request, bytes.
    request_bytes: f64,
    items: u64,
    seconds: f64,
    items_per_second: f64,
    p50_seconds: f64,
    p99_seconds: f64,
    refusals: u64,
    generator_cpu_seconds: f64,
    /// What only someone who started the server knows.
    server: Option<ServerReport>,
}

#[derive(Debug, Serialize)]
struct ServerReport {
    /// Items that the server says it has stored.
    stored: u64,
    /// Until everything was stored.
    cpu_seconds: f64,
    cpu_seconds_per_million: f64,
    items_per_core_second: f64,
    peak_bytes: u64,
    disk_bytes_per_item: f64,
    log_bytes: u64,
    /// From the last acknowledgement until everything was stored.
    settle_seconds: f64,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let signals = match (args.signal, args.subject.peer) {
        (Some(signal), _) => vec![signal],
        // Jaeger takes spans only.
        (None, Some(Peer::Jaeger)) => vec![Signal::Spans],
        (None, None) => Signal::ALL.to_vec(),
    };
    let mut reports = Vec::new();
    for signal in signals {
        let report = measure(&args, signal).await?;
        if !args.json {
            print(&report);
        }
        reports.push(report);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    Ok(())
}

async fn measure(args: &Args, signal: Signal) -> Result<Report> {
    let load = Load {
        signal,
        protocol: args.protocol,
        gzip: args.gzip,
        connections: args.connections,
        batch: args.batch,
        until: args.count.map_or(Until::Elapsed(Duration::from_secs(args.seconds)), Until::Items),
    };
    let (subject, sent, server) = match &args.target {
        Some(target) => (target.clone(), drive::drive(&load, target).await?, None),
        None => {
            let mut subject = Subject::start(&args.subject).await?;
            let target = match args.protocol {
                Protocol::Grpc => subject.grpc()?,
                Protocol::Http => subject.http()?,
            };
            let before = subject.stored(signal).await?;
            let cpu = subject.usage()?.cpu_seconds;
            let disk = subject.on_disk().stored;
            let sent = drive::drive(&load, &target).await?;
            let sending_over = std::time::Instant::now();
            let stored = subject.settle(signal, before, sent.items).await?;
            let settle_seconds = sending_over.elapsed().as_secs_f64();
            let usage = subject.usage()?;
            let cpu_seconds = usage.cpu_seconds - cpu;
            // Peers write part of their data when they stop; what is kept for recovery goes by then.
            let log_bytes = subject.on_disk().log;
            subject.stop().await?;
            let on_disk = subject.on_disk();
            let report = ServerReport {
                stored,
                cpu_seconds,
                cpu_seconds_per_million: cpu_seconds / stored as f64 * 1e6,
                items_per_core_second: stored as f64 / cpu_seconds,
                peak_bytes: usage.peak_bytes,
                disk_bytes_per_item: on_disk.stored.saturating_sub(disk) as f64 / stored as f64,
                log_bytes,
                settle_seconds,
            };
            (args.subject.title(), sent, Some(report))
        }
    };
    Ok(Report {
        subject,
        signal: signal.table(),
        protocol: format!("{:?}", args.protocol).to_lowercase(),
        gzip: args.gzip,
        connections: args.connections,
        batch: args.batch,
        request_bytes: sent.request_bytes,
        items: sent.items,
        seconds: sent.elapsed.as_secs_f64(),
        items_per_second: sent.items as f64 / sent.elapsed.as_secs_f64(),
        p50_seconds: percentile(&sent.latencies, 0.5),
        p99_seconds: percentile(&sent.latencies, 0.99),
        refusals: sent.refusals,
        generator_cpu_seconds: sent.generator_cpu,
        server,
    })
}

fn print(report: &Report) {
    let mut rows = vec![
        ("acknowledged", count(report.items)),
        ("per second", count(report.items_per_second as u64)),
        ("request p50", milliseconds(report.p50_seconds)),
        ("request p99", milliseconds(report.p99_seconds)),
        ("refused and sent again", count(report.refusals)),
        ("generator's CPU", format!("{:.2} s", report.generator_cpu_seconds)),
    ];
    if let Some(server) = &report.server {
        rows.extend([
            ("stored", count(server.stored)),
            ("server's CPU, until stored", format!("{:.2} s", server.cpu_seconds)),
            ("CPU seconds per million", format!("{:.2}", server.cpu_seconds_per_million)),
            ("per second and core of the server", count(server.items_per_core_second as u64)),
            ("peak memory", mebibytes(server.peak_bytes)),
            ("on disk, bytes each", format!("{:.1}", server.disk_bytes_per_item)),
            ("kept for recovery, once stored", mebibytes(server.log_bytes)),
            ("stored after", format!("{:.1} s", server.settle_seconds)),
        ]);
    }
    let gzip = if report.gzip { ", gzip" } else { "" };
    let title = format!(
        "{}: {} over {}{gzip}, {} connections, {} in a request of {:.0} bytes",
        report.subject, report.signal, report.protocol, report.connections, report.batch, report.request_bytes
    );
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    println!("{title}");
    table::print(&["", ""], &rows);
    println!();
}
