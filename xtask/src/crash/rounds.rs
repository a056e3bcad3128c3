//! Kill, start, look: the main proof.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use super::ledger::{Kind, Ledger};
use super::verify::{self, Findings};
use super::writer::{Round, Writer};
use super::{Args, Place};
use crate::load::source::Source;
use crate::server::Server;
use crate::table;

/// How long writers may take to see that their server is gone.
const WIND_UP: Duration = Duration::from_secs(90);

pub(super) async fn run(args: &Args, bin: &Path, seed: u64) -> Result<ExitCode> {
    let place = Place::new()?;
    let launch = place.launch(bin);
    let ledger = Arc::new(Ledger::default());
    let mut source = Source::new(seed);
    // Hidden by the library when standard error is no terminal.
    let progress = ProgressBar::new(u64::from(args.rounds));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} rounds, {msg}") {
        progress.set_style(style);
    }
    let (mut kills, mut stops, mut slowest_start) = (0, 0, Duration::ZERO);
    let mut broken = Vec::new();
    for number in 0..args.rounds {
        let mut server = match Server::start(&launch).await {
            Ok(server) => server,
            Err(error) => {
                broken.push(format!("round {number}: {error:#}"));
                break;
            }
        };
        slowest_start = slowest_start.max(server.ready_after);
        if number > 0 && number.is_multiple_of(args.check_every.max(1)) {
            let findings = verify::verify(&server, &ledger).await?;
            if !findings.is_sound() {
                progress.finish_and_clear();
                findings.print(&format!("after {number} rounds"));
                return Ok(place.finish(false));
            }
        }
        let round = Round::new(&ledger, &server, args.batch, &Kind::ALL);
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..args.writers {
            let writer = Writer::connect(&round, writer, seed.wrapping_add(u64::from(number) << 8)).await;
            writers.spawn(writer.context("a server that is ready takes no connection")?.run(Arc::clone(&round), false));
        }
        // Often while the first requests are on their way, sometimes in the midst of flushes and compactions.
        let longest = if source.chance(0.3) { 150 } else { 3_000 };
        tokio::time::sleep(Duration::from_millis(source.between(5, longest))).await;
        if !server.is_alive() {
            broken.push(format!("round {number}: the server ended by itself; see {}", launch.log.display()));
        }
        round.ending.store(true, Ordering::Release);
        if source.chance(0.2) {
            stops += 1;
            if let Err(error) = server.stop().await {
                broken.push(format!("round {number}: {error:#}"));
            }
        } else {
            kills += 1;
            server.kill().await?;
        }
        let ended = tokio::time::timeout(WIND_UP, writers.join_all()).await;
        ended.context("a writer still waits for a server that is gone")?;
        progress.inc(1);
        progress.set_message(format!("{} records acknowledged", table::count(ledger.acknowledged())));
    }
    progress.finish_and_clear();
    broken.extend(ledger.unexpected());
    let findings = if broken.is_empty() { Some(look_twice(&launch, &ledger).await?) } else { None };
    println!(
        "{} rounds: {kills} × kill -9, {stops} × SIGTERM; slowest start {:.1} s; {} polite refusals",
        kills + stops,
        slowest_start.as_secs_f64(),
        ledger.refusals()
    );
    for message in &broken {
        println!("  {message}");
    }
    let sound = match findings {
        Some((replayed, flushed)) => {
            replayed.print("after replay");
            flushed.print("after flush");
            replayed.is_sound() && flushed.is_sound()
        }
        None => false,
    };
    println!("{}", if sound { "every acknowledged record is there exactly once" } else { "the server broke its word" });
    Ok(place.finish(sound))
}

/// Looks after the last replay, and again after a stop that has flushed everything into the tables.
async fn look_twice(launch: &crate::server::Launch, ledger: &Ledger) -> Result<(Findings, Findings)> {
    let server = Server::start(launch).await?;
    let replayed = verify::verify(&server, ledger).await?;
    server.stop().await?;
    let server = Server::start(launch).await?;
    let flushed = verify::verify(&server, ledger).await?;
    server.stop().await?;
    Ok((replayed, flushed))
}
