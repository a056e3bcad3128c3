//! A full disk: refused politely, survived, and forgotten once there is room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::asked::PromQl;
use super::ledger::{Kind, Ledger};
use super::verify;
use super::writer::{End, Round, Writer};
use super::{Args, Place};
use crate::load::sender::Outcome;
use crate::server::{FRONT_DOOR, Launch, Server};
use crate::sql::Sql;

const MIB: u64 = 1024 * 1024;

/// Size of the file system.
const DISK: u64 = 64 * MIB;

/// What is free when writing begins, above what the server keeps free.
const ROOM: u64 = 16 * MIB;

/// How long filling the disk may take, and how long until there is room again.
const PATIENCE: Duration = Duration::from_secs(180);

/// A small file system that is unmounted in the end.
struct Disk {
    path: PathBuf,
}

impl Disk {
    async fn mount(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path)?;
        let options = format!("size={DISK}");
        let output =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tripod-crash"]).arg(&path).output().await;
        let output = output.context("no tool \"mount\"")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self { path })
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, since a server that was left running may still have it open.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

pub(super) async fn run(args: &Args, bin: &Path, seed: u64) -> Result<ExitCode> {
    // First where the server stops by itself in time, then where the operating system stops it.
    for reserve in [8 * MIB, 0] {
        let place = Place::new()?;
        let disk = match Disk::mount(place.directory.path().join("disk")).await {
            Ok(disk) => disk,
            Err(error) => {
                println!("not run: a file system of {} MiB cannot be mounted here: {error:#}", DISK / MIB);
                return Ok(if args.require { ExitCode::FAILURE } else { ExitCode::SUCCESS });
            }
        };
        println!("a disk of {} MiB of which the server keeps {} MiB free:", DISK / MIB, reserve / MIB);
        let mut launch = place.launch(bin);
        launch.data_dir = disk.path.join("data");
        launch.settings.push(("store.min_free_disk_bytes".to_owned(), reserve.to_string()));
        if let Err(error) = fill_and_recover(args, &launch, &disk, reserve, seed).await {
            println!("  the server broke its word: {error:#}");
            println!("  its log ends so:\n{}", crate::server::tail(&launch.log, 8));
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("a full disk is refused, survived and forgotten");
    Ok(ExitCode::SUCCESS)
}

async fn fill_and_recover(args: &Args, launch: &Launch, disk: &Disk, reserve: u64, seed: u64) -> Result<()> {
    let ledger = Arc::new(Ledger::default());
    let server = Server::start(launch).await?;
    fs::write(disk.ballast(), vec![0x55; (DISK - reserve - ROOM) as usize])?;
    let reasons = write_until_refused(args, &ledger, &server, seed).await?;
    println!("  refused after {} acknowledged records: {}", ledger.acknowledged(), reasons.join(" · "));

    let server = keep_asking(&ledger, server, args, seed).await?;
    println!("  alive, answering queries and refusing politely for two seconds more");

    server.kill().await?;
    // What is flushed or released at the start may make room, or not.
    let server =
        Server::start_on_full_disk(launch).await.context("the server does not start while the disk is full")?;
    check(&server, &ledger, "started on the full disk").await?;

    fs::remove_file(disk.ballast())?;
    let round = Round::new(&ledger, &server, args.batch, &Kind::ALL);
    let begun = Instant::now();
    for number in 0..2 {
        let mut writer = Writer::connect(&round, number, seed ^ 0xabcd).await?;
        let mut accepted = 0;
        while accepted < 20 {
            match writer.write(&round).await {
                Outcome::Accepted { .. } => accepted += 1,
                Outcome::Refused { reason, .. } if begun.elapsed() > PATIENCE => {
                    bail!("there is room, and still writes are refused: {reason}")
                }
                Outcome::Refused { .. } => tokio::time::sleep(Duration::from_millis(100)).await,
                Outcome::Failed(reason) => bail!("a write fails although there is room: {reason}"),
            }
        }
    }
    println!("  with room again writes were taken within {:.1} s", begun.elapsed().as_secs_f64());
    server.kill().await?;
    let server = Server::start(launch).await?;
    check(&server, &ledger, "after kill -9").await?;
    server.stop().await?;
    let server = Server::start(launch).await?;
    check(&server, &ledger, "after a flush").await?;
    server.stop().await
}

async fn write_until_refused(args: &Args, ledger: &Arc<Ledger>, server: &Server, seed: u64) -> Result<Vec<String>> {
    let round = Round::new(ledger, server, args.batch, &Kind::ALL);
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..args.writers {
        writers.spawn(Writer::connect(&round, number, seed).await?.run(Arc::clone(&round), true));
    }
    let ended = tokio::time::timeout(PATIENCE, writers.join_all()).await;
    round.ending.store(true, Ordering::Release);
    let ended = ended.context("the disk is full, or should be, and nothing was refused")?;
    if let Some(complaint) = ledger.unexpected().first() {
        bail!("a write on a full disk was answered so: {complaint}");
    }
    let mut reasons: Vec<_> = ended
        .into_iter()
        .filter_map(|end| match end {
            End::Refused(reason) => Some(reason),
            End::Over => None,
        })
        .collect();
    reasons.sort();
    reasons.dedup();
    Ok(reasons)
}

/// The process must live and answer, and no write may fail in another way than by a refusal.
async fn keep_asking(ledger: &Arc<Ledger>, mut server: Server, args: &Args, seed: u64) -> Result<Server> {
    let (sql, promql) = (Sql::new(server.url(FRONT_DOOR))?, PromQl::new(server.url(FRONT_DOOR))?);
    let round = Round::new(ledger, &server, args.batch, &Kind::ALL);
    let begun = Instant::now();
    let mut writers = Vec::new();
    for number in 0..2 {
        writers.push(Writer::connect(&round, number, seed ^ 0x1234).await?);
    }
    while begun.elapsed() < Duration::from_secs(2) {
        for writer in &mut writers {
            if let Outcome::Failed(reason) = writer.write(&round).await {
                bail!("a write on a full disk was answered so: {reason}");
            }
        }
        sql.number("select count(*) from spans").await.context("no answers while the disk is full")?;
        promql.check().await.context("no answers in PromQL while the disk is full")?;
    }
    if !server.is_alive() {
        bail!("the process has ended");
    }
    check(&server, ledger, "while the disk is full").await?;
    Ok(server)
}

async fn check(server: &Server, ledger: &Ledger, when: &str) -> Result<()> {
    let findings = verify::verify(server, ledger).await?;
    if !findings.is_sound() {
        findings.print(when);
        bail!("{when}: records are missing or there twice");
    }
    println!("  {when}: {} acknowledged records, each there exactly once", findings.found);
    Ok(())
}
