//! Prometheus' published test scripts, from `../shared/conformance/promqltest` beside the repository: the answers do not
//! depend on where samples are.

use std::path::{Path, PathBuf};

use tripod_promql::promqltest::{InMemory, Script, options};

use super::scripted::{Lakes, State};

fn scripts() -> Vec<(String, Script)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/promqltest");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("not run: {} is not there", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let script = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let script = Script::parse(&std::fs::read_to_string(&path).unwrap());
        let script = script.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, script)
    };
    paths.into_iter().map(script).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_in_memory_and_in_files_give_what_prometheus_gives() {
    let lakes = Lakes::new(State::Mixed);
    for (name, script) in scripts() {
        let expected = script.run(&options(), &InMemory).await;
        let found = script.run(&options(), &lakes).await;
        assert_eq!(found.len(), expected.len(), "{name}");
        let other: Vec<_> = found.iter().zip(&expected).filter(|(found, expected)| found != expected).collect();
        assert!(other.is_empty(), "{name}: {} answers depend on the store: {other:#?}", other.len());
    }
    lakes.end().await;
}

/// The long way is gone for all scripts by `cargo xtask conformance promql`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_in_files_give_what_prometheus_gives_after_a_restart() {
    let lakes = Lakes::new(State::Restarted);
    for (name, script) in scripts().into_iter().filter(|(name, _)| name == "start_timestamps.test") {
        let found = script.run(&options(), &lakes).await;
        let failed: Vec<_> = found.iter().filter(|outcome| outcome.failure.is_some()).collect();
        assert!(failed.is_empty(), "{name}: {failed:#?}");
    }
    lakes.end().await;
}
