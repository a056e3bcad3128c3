//! The results beside each other.

use anyhow::{Result, ensure};
use serde_json::json;

use super::questions::{Difference, compare};
use super::system::System;
use super::{Measured, percentile_of};
use crate::table::{self, count, mebibytes, milliseconds};

/// Largest relative difference between values that are the same by the same rules.
const SAME: f64 = 1e-9;

/// VictoriaMetrics computes rates without extrapolating to the ends of the window, and with the sample before it;
/// what is left of a share after subtracting from one differs most.
const SIMILAR: f64 = 0.1;

type Row = (&'static str, fn(&Measured) -> f64, fn(f64) -> String, bool);

/// Each with what it is of a result, how it is written, and whether more is better.
const ROWS: [Row; 17] = [
    ("samples/s and core of the server", |of| of.ingest.samples_per_core_second, |value| count(value as u64), true),
    (
        "samples/s, all sharing the machine",
        |of| of.ingest.samples as f64 / of.ingest.seconds,
        |value| count(value as u64),
        true,
    ),
    ("resident memory while taking, median", |of| of.ingest.resident_bytes as f64, megabytes, false),
    (
        "… for each series, bytes",
        |of| of.ingest.resident_bytes as f64 / of.series as f64,
        |value| count(value as u64),
        false,
    ),
    (
        "… without pages of files",
        |of| of.ingest.anonymous_bytes as f64 / of.series as f64,
        |value| count(value as u64),
        false,
    ),
    ("peak memory while taking", |of| of.ingest.peak_bytes as f64, megabytes, false),
    (
        "bytes a sample on disk",
        |of| of.on_disk.stored as f64 / of.ingest.samples as f64,
        |value| format!("{value:.2}"),
        false,
    ),
    (
        "… with logs and all",
        |of| of.on_disk.all as f64 / of.ingest.samples as f64,
        |value| format!("{value:.2}"),
        false,
    ),
    ("start after kill -9", |of| of.starts.after_kill, milliseconds, false),
    ("… share of samples lost", |of| of.starts.lost, |value| format!("{:.1}%", value * 100.0), false),
    ("start after a stop, cold", |of| of.starts.after_stop, milliseconds, false),
    ("stop", |of| of.starts.stop, milliseconds, false),
    (
        "20 questions, hot, p50",
        |of| percentile_of(of.questions.iter().flat_map(|asked| &asked.hot), 0.5),
        milliseconds,
        false,
    ),
    (
        "20 questions, hot, p99",
        |of| percentile_of(of.questions.iter().flat_map(|asked| &asked.hot), 0.99),
        milliseconds,
        false,
    ),
    ("CPU of a hot question, mean", |of| of.hot_cpu_seconds, milliseconds, false),
    (
        "20 questions, cold, p50",
        |of| percentile_of(of.questions.iter().flat_map(|asked| &asked.cold), 0.5),
        milliseconds,
        false,
    ),
    (
        "20 questions, cold, p99",
        |of| percentile_of(of.questions.iter().flat_map(|asked| &asked.cold), 0.99),
        milliseconds,
        false,
    ),
];

fn megabytes(bytes: f64) -> String {
    mebibytes(bytes as u64)
}

/// Prints everything as tables.
pub(super) fn print(results: &[Measured]) {
    let Some(first) = results.first() else { return };
    let hours = first.steps as f64 / 240.0;
    println!(
        "{} series of {} hosts over {hours} h, a sample every 15 s: {} samples, seed {}",
        count(first.series as u64),
        first.hosts,
        count(first.ingest.samples),
        first.seed
    );
    for result in results {
        println!(
            "{}: {} (generator's CPU {:.0} s of {:.0} s; {} requests refused for a moment)",
            result.system.title(),
            result.version,
            result.ingest.generator_cpu_seconds,
            result.ingest.seconds,
            result.ingest.refusals
        );
    }
    println!();
    let peers: Vec<_> = results.iter().filter(|result| result.system != System::Tripod).collect();
    let own = results.iter().find(|result| result.system == System::Tripod);
    let ahead: Vec<_> = peers.iter().map(|peer| format!("ahead of {}", peer.system.title())).collect();
    let names: Vec<&str> = std::iter::once("")
        .chain(results.iter().map(|result| result.system.title()))
        .chain(own.iter().flat_map(|_| ahead.iter().map(String::as_str)))
        .collect();
    let line = |name: &str, pick: &dyn Fn(&Measured) -> f64, write: fn(f64) -> String, more: bool| -> Vec<String> {
        let values = results.iter().map(|result| write(pick(result)));
        let ratio = |peer: &&Measured| {
            let (own, peer) = (own.map_or(0.0, pick), pick(peer));
            let ratio = if more { own / peer } else { peer / own };
            if ratio.is_finite() { format!("{ratio:.2}") } else { "–".to_owned() }
        };
        let ratios = own.iter().flat_map(|_| peers.iter().map(ratio));
        std::iter::once(name.to_owned()).chain(values).chain(ratios).collect()
    };
    let rows: Vec<_> = ROWS.iter().map(|(name, pick, write, more)| line(name, pick, *write, *more)).collect();
    table::print(&names, &rows);
    println!("\nEach question hot, p50:");
    let rows: Vec<_> = (0..first.questions.len())
        .map(|place| {
            let pick = |result: &Measured| percentile_of(result.questions[place].hot.iter(), 0.5);
            line(&first.questions[place].title, &pick, milliseconds, false)
        })
        .collect();
    table::print(&names, &rows);
    println!();
    for (result, place, difference) in differences(results) {
        let title = &result.questions[place].title;
        if !difference.same_series || !difference.same_times || difference.largest > SAME {
            println!(
                "{} and Prometheus, {title:?}: series {}, times {}, values differ by {:.1e} in the median, {:.1e} at most",
                result.system.title(),
                if difference.same_series { "alike" } else { "not alike" },
                if difference.same_times { "alike" } else { "not alike" },
                difference.median,
                difference.largest,
            );
        }
    }
}

/// Everything as JSON, with the answers' differences instead of the answers.
pub(super) fn json(results: &[Measured]) -> Result<String> {
    let mut all = Vec::new();
    for result in results {
        let mut value = serde_json::to_value(result)?;
        let own = differences(results).into_iter().filter(|(of, ..)| of.system == result.system);
        value["answers"] = own.map(|(_, _, difference)| json!(difference)).collect();
        all.push(value);
    }
    Ok(serde_json::to_string_pretty(&all)?)
}

/// How far each answer is from that of Prometheus, if it was measured.
fn differences(results: &[Measured]) -> Vec<(&Measured, usize, Difference)> {
    let Some(reference) = results.iter().find(|result| result.system == System::Prometheus) else { return Vec::new() };
    let others = results.iter().filter(|result| result.system != System::Prometheus);
    others
        .flat_map(|result| {
            let pairs = result.answers.iter().zip(&reference.answers).enumerate();
            pairs.map(move |(place, (answer, reference))| (result, place, compare(answer, reference)))
        })
        .collect()
}

/// Looks whether the systems answered alike.
///
/// # Errors
/// When they did not: the figures would be of different things.
pub(super) fn check(results: &[Measured]) -> Result<()> {
    for (result, place, difference) in differences(results) {
        let limit = if result.system == System::Tripod { SAME } else { SIMILAR };
        let close = if result.system == System::Tripod { difference.largest } else { difference.median };
        let same_times = difference.same_times || result.system != System::Tripod;
        ensure!(
            difference.same_series && same_times && close <= limit,
            "{} and Prometheus do not answer {:?} alike; their figures cannot be compared",
            result.system.title(),
            result.questions[place].title
        );
    }
    Ok(())
}
