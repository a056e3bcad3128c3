//! Runs Prometheus' test scripts against the PromQL engine over every store of series and prints a line per eval:
//! `<store> TAB <file> TAB <line> TAB <query> TAB <failure>`, the last one empty when all was as expected.
//!
//! `cargo xtask conformance promql` makes a table of it.

use std::path::Path;
use std::process::ExitCode;

use tripod_promql::promqltest::{InMemory, Script, Stores, options};

#[path = "../tests/lake/series/scripted.rs"]
mod scripted;

use scripted::{Lakes, State};

#[tokio::main]
async fn main() -> ExitCode {
    let mut unreadable = false;
    let (mixed, restarted) = (Lakes::new(State::Mixed), Lakes::new(State::Restarted));
    for path in std::env::args().skip(1) {
        let script = std::fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| Script::parse(&text).map_err(|error| error.to_string()));
        let script = match script {
            Ok(script) => script,
            Err(error) => {
                eprintln!("{path}: {error}");
                unreadable = true;
                continue;
            }
        };
        let file = Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        run(&script, &file, "memory", &InMemory).await;
        run(&script, &file, "lake", &mixed).await;
        run(&script, &file, "lake restarted", &restarted).await;
    }
    mixed.end().await;
    restarted.end().await;
    if unreadable { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn run(script: &Script, file: &str, store: &str, stores: &impl Stores) {
    for outcome in script.run(&options(), stores).await {
        let failure = outcome.failure.unwrap_or_default().replace(['\t', '\n'], " ");
        println!("{store}\t{file}\t{}\t{}\t{failure}", outcome.line, outcome.query.replace('\t', " "));
    }
}
