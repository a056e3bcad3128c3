//! A proof of the proof: what a log has lost is found to be missing.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, ensure};

use super::corrupt::{LOGS, REQUESTS, name, segments, write};
use super::ledger::Ledger;
use super::verify;
use super::writer::Round;
use super::{Args, Place};
use crate::server::Server;

pub(super) async fn run(args: &Args, bin: &Path, seed: u64) -> Result<ExitCode> {
    for log in &LOGS {
        let place = Place::new()?;
        let launch = place.launch_unflushed(bin, log.segment_bytes);
        let ledger = Arc::new(Ledger::default());
        let server = Server::start(&launch).await?;
        let round = Round::new(&ledger, &server, args.batch, log.kinds);
        write(&round, 0, seed, REQUESTS).await?;
        server.kill().await?;
        let segments = segments(&launch.data_dir.join(log.directory))?;
        ensure!(segments.len() >= 4, "the log has only {} segments; write more", segments.len());
        let lost = &segments[segments.len() / 2];
        fs::remove_file(lost)?;
        let server = Server::start(&launch).await?;
        let findings = verify::verify(&server, &ledger).await?;
        server.stop().await?;
        if findings.is_sound() || findings.missing == 0 {
            println!("{} lost {} and nothing is found to be missing", log.directory, name(lost));
            return Ok(place.finish(false));
        }
        println!(
            "{} lost {}: {} of {} acknowledged records are found to be missing",
            log.directory,
            name(lost),
            findings.missing,
            findings.acknowledged
        );
    }
    println!("what is lost is found to be missing");
    Ok(ExitCode::SUCCESS)
}
