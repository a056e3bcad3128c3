//! Runs test scripts against the engine over series in memory and prints a line per eval:
//! `<file> TAB <line> TAB <query> TAB <failure>`, the last one empty when all was as expected.
//!
//! `cargo xtask conformance promql` makes a table of it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tripod_promql::promqltest::{Script, options};
use tripod_storage::series::MemorySeriesStore;

#[tokio::main]
async fn main() -> ExitCode {
    let mut unreadable = false;
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
        for outcome in script.run(&options(), || Arc::new(MemorySeriesStore::new())).await {
            let failure = outcome.failure.unwrap_or_default().replace(['\t', '\n'], " ");
            println!("{file}\t{}\t{}\t{failure}", outcome.line, outcome.query.replace('\t', " "));
        }
    }
    if unreadable { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
