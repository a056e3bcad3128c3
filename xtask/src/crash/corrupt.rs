//! Damage to a write-ahead log: reported, set aside, and costing nothing but what was damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::ledger::{Kind, Ledger};
use super::verify;
use super::writer::{Round, Writer};
use super::{Args, Place};
use crate::load::sender::Outcome;
use crate::server::Server;

/// How many requests are written before the damage.
pub(super) const REQUESTS: u32 = 120;

/// Bytes of a record before its payload: length, checksum, number and tag, as the log's format says.
const RECORD_HEADER: usize = 17;

/// Bytes of a segment before its first record.
const SEGMENT_HEADER: usize = 8;

/// Where a record lies.
struct Location {
    /// The record's number; 1 for the first.
    lsn: u64,
    offset: usize,
    length: usize,
}

/// A log, by the directory that it lies in.
pub(super) struct Log {
    pub(super) directory: &'static str,
    /// What is kept in it.
    pub(super) kinds: &'static [Kind],
    /// Small enough for some segments.
    pub(super) segment_bytes: u64,
}

/// The server's logs.
pub(super) const LOGS: [Log; 2] = [
    Log { directory: "wal", kinds: &Kind::ROWS, segment_bytes: 262_144 },
    Log { directory: "wal-series", kinds: &[Kind::Samples], segment_bytes: 16_384 },
];

/// The log in which a record needs labels that an earlier one brought.
const SERIES_LOG: &Log = &LOGS[1];

pub(super) async fn run(args: &Args, bin: &Path, seed: u64) -> Result<ExitCode> {
    for log in &LOGS {
        println!("{}:", log.directory);
        if damage(log, args, bin, seed).await? != ExitCode::SUCCESS {
            return Ok(ExitCode::FAILURE);
        }
    }
    for damaged in [REQUESTS / 4, REQUESTS * 5 / 6] {
        println!("{}, the first {damaged} of {REQUESTS} records:", SERIES_LOG.directory);
        if damage_stretch(damaged, args, bin, seed).await? != ExitCode::SUCCESS {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn damage(log: &Log, args: &Args, bin: &Path, seed: u64) -> Result<ExitCode> {
    let place = Place::new()?;
    let launch = place.launch_unflushed(bin, log.segment_bytes);
    let ledger = Arc::new(Ledger::default());
    let server = Server::start(&launch).await?;
    let round = Round::new(&ledger, &server, args.batch, log.kinds);
    write(&round, 0, seed, REQUESTS).await?;
    server.kill().await?;

    let wal = launch.data_dir.join(log.directory);
    let segments = segments(&wal)?;
    ensure!(segments.len() >= 4, "the log has only {} segments; write more", segments.len());
    // The first record of all brings the labels of the first series.
    flip(&segments[0], |records| records.first())?;
    let middle = &segments[segments.len() / 2];
    let flipped = flip(middle, |records| records.get(records.len() / 2))?;
    let last = &segments[segments.len() - 1];
    let cut = truncate(last)?;
    println!(
        "{} segments; bytes of record 1 and of record {flipped} in {} are flipped, record {cut} at the end of {} is cut in half",
        segments.len(),
        name(middle),
        name(last)
    );

    let mut broken = Vec::new();
    let server = Server::start(&launch).await.context("the server does not start with a damaged log")?;
    let metrics = server.metrics().await?;
    match value(&metrics, "tripod_wal_damaged") {
        Some(parts) if parts >= 2.0 => println!("/metrics reports {parts} damaged parts"),
        other => broken.push(format!("/metrics does not report the damage: tripod_wal_damaged is {other:?}")),
    }
    let lines = fs::read_to_string(&launch.log).unwrap_or_default();
    match lines
        .lines()
        .find(|line| line.contains("\"ERROR\"") && line.contains("damaged") && line.contains(&name(middle)))
    {
        Some(line) => println!("the log says: {line}"),
        None => broken.push(format!("no line of the server's log names {}", middle.display())),
    }
    let aside = wal.join("damaged").join(name(middle));
    if !aside.exists() {
        broken.push(format!("the damaged segment is not set aside at {}", aside.display()));
    }

    // One writer and one request at a time: the log's record n is request n − 1.
    let lost = [0, flipped - 1, cut - 1];
    broken.extend(check(&server, &ledger, &lost, "after the damage").await?);
    let round = Round::new(&ledger, &server, args.batch, log.kinds);
    write(&round, 1, seed, 20).await?;
    server.kill().await?;
    let server = Server::start(&launch).await?;
    broken.extend(check(&server, &ledger, &lost, "after another crash").await?);
    server.stop().await?;
    let server = Server::start(&launch).await?;
    broken.extend(check(&server, &ledger, &lost, "after a flush").await?);
    server.stop().await?;

    broken.extend(ledger.unexpected());
    Ok(judge(place, &broken, "the damage was reported and set aside, and everything else is there exactly once"))
}

/// Damages the beginning of the series' log, and with it most records that bring labels. What is lost beyond it must be
/// told to the sample, and not be lost at all as long as more is left than was damaged.
async fn damage_stretch(damaged: u32, args: &Args, bin: &Path, seed: u64) -> Result<ExitCode> {
    let place = Place::new()?;
    let launch = place.launch_unflushed(bin, SERIES_LOG.segment_bytes);
    let ledger = Arc::new(Ledger::default());
    let server = Server::start(&launch).await?;
    let round = Round::new(&ledger, &server, args.batch, SERIES_LOG.kinds);
    write(&round, 0, seed, REQUESTS).await?;
    server.kill().await?;
    for segment in segments(&launch.data_dir.join(SERIES_LOG.directory))? {
        for place in 0..REQUESTS as usize {
            let _ = flip(&segment, |records| records.get(place).filter(|record| record.lsn <= u64::from(damaged)));
        }
    }
    let server = Server::start(&launch).await.context("the server does not start with a damaged log")?;
    let findings = verify::verify(&server, &ledger).await?;
    let unnamed = value(&server.metrics().await?, "tripod_wal_unnamed_samples");
    let unnamed = unnamed.context("/metrics has no tripod_wal_unnamed_samples")?;
    let direct: u64 = ledger.batches().iter().take(damaged as usize).map(|batch| batch.count).sum();
    println!(
        "{} of {} acknowledged records found; {direct} were damaged, and {unnamed} are told to have lost their labels",
        findings.found, findings.acknowledged
    );
    let mut broken = ledger.unexpected();
    if findings.duplicated > 0 || findings.foreign > 0 || unnamed != findings.missing.wrapping_sub(direct) as f64 {
        broken.push(format!(
            "{} missing where {direct} were damaged, {} duplicated, {} foreign",
            findings.missing, findings.duplicated, findings.foreign
        ));
    }
    if damaged < REQUESTS / 3 && findings.missing != direct {
        broken.push("a damaged stretch took more with it, although its labels come again".to_owned());
    }
    server.kill().await?;
    Ok(judge(place, &broken, "what was lost is told"))
}

fn judge(place: Place, broken: &[String], kept: &str) -> ExitCode {
    for message in broken {
        println!("  {message}");
    }
    println!("{}", if broken.is_empty() { kept } else { "the server broke its word" });
    place.finish(broken.is_empty())
}

/// The value of a metric without labels.
fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

pub(super) async fn write(round: &Arc<Round>, number: u32, seed: u64, requests: u32) -> Result<()> {
    let mut writer = Writer::connect(round, number, seed).await?;
    for _ in 0..requests {
        let outcome = writer.write(round).await;
        ensure!(matches!(outcome, Outcome::Accepted { rejected: 0 }), "a request was not accepted: {outcome:?}");
    }
    Ok(())
}

/// Everything must be there but the requests that were damaged, and of those nothing.
async fn check(server: &Server, ledger: &Ledger, lost: &[u64], when: &str) -> Result<Vec<String>> {
    let findings = verify::verify(server, ledger).await?;
    let batches = ledger.batches();
    let expected: u64 = lost.iter().filter_map(|number| batches.get(*number as usize)).map(|batch| batch.count).sum();
    println!(
        "{when}: {} of {} acknowledged records found, {} missing, {expected} of them damaged",
        findings.found, findings.acknowledged, findings.missing
    );
    let others = findings.details.iter().filter(|detail| {
        !lost.iter().any(|number| detail.starts_with(&format!("request {number} ")) && detail.contains(": 0 rows"))
    });
    let mut broken: Vec<_> = others.map(|detail| format!("{when}: {detail}")).collect();
    if findings.missing != expected || findings.duplicated > 0 || findings.foreign > 0 {
        broken.push(format!(
            "{when}: {} missing where {expected} were damaged, {} duplicated, {} foreign",
            findings.missing, findings.duplicated, findings.foreign
        ));
    }
    Ok(broken)
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn segments(wal: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(wal).with_context(|| format!("\"{}\" cannot be listed", wal.display()))?;
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    paths.sort();
    Ok(paths)
}

fn records(bytes: &[u8]) -> Vec<Location> {
    let mut records = Vec::new();
    let mut offset = SEGMENT_HEADER;
    while let Some(header) = bytes.get(offset..offset + RECORD_HEADER) {
        let word = |range: std::ops::Range<usize>| {
            header[range].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let length = word(0..4) as usize;
        if bytes.len() < offset + RECORD_HEADER + length {
            break;
        }
        records.push(Location { lsn: word(8..16), offset, length });
        offset += RECORD_HEADER + length;
    }
    records
}

/// Flips bytes within the payload of a record of a segment; gives its number.
fn flip(path: &Path, which: impl FnOnce(&[Location]) -> Option<&Location>) -> Result<u64> {
    let mut bytes = fs::read(path)?;
    let records = records(&bytes);
    let record = which(&records).with_context(|| format!("{} holds no such record", path.display()))?;
    let middle = record.offset + RECORD_HEADER + record.length / 2;
    let end = (middle + 16).min(record.offset + RECORD_HEADER + record.length);
    for byte in &mut bytes[middle..end] {
        *byte ^= 0xff;
    }
    fs::write(path, bytes)?;
    Ok(record.lsn)
}

/// Cuts a segment in the middle of its last record; gives its number.
fn truncate(path: &Path) -> Result<u64> {
    let bytes = fs::read(path)?;
    let records = records(&bytes);
    let record = records.last().with_context(|| format!("{} holds no record", path.display()))?;
    let file = fs::OpenOptions::new().write(true).open(path)?;
    file.set_len((record.offset + RECORD_HEADER + record.length / 2) as u64)?;
    Ok(record.lsn)
}
