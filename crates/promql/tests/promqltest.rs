//! Prometheus' published test scripts, from `../shared/conformance/promqltest` beside the repository.
//!
//! Evals that do not pass yet stand in `promqltest.pending` with the reason. The list can only shrink: one that fails and
//! does not stand there fails this test, and so does one that stands there and passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tripod_promql::promqltest::{InMemory, Script, options};

/// How many evals the scripts have, so that none is lost unnoticed.
const EVALS: usize = 2214;

#[tokio::test(flavor = "multi_thread")]
async fn scripts_give_what_prometheus_gives() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = house.join("../../../shared/conformance/promqltest");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("not run: {} is not there", folder.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let mut failures = BTreeMap::new();
    let mut evals = 0;
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let script =
            Script::parse(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        for outcome in script.run(&options(), &InMemory).await {
            evals += 1;
            if let Some(failure) = outcome.failure {
                failures.insert(format!("{name}:{}", outcome.line), format!("{}: {failure}", outcome.query));
            }
        }
    }
    assert_eq!(evals, EVALS);

    let pending: BTreeMap<&str, &str> = include_str!("promqltest.pending")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("{line:?} gives no reason")))
        .collect();
    let unexpected: Vec<_> = failures.iter().filter(|(place, _)| !pending.contains_key(place.as_str())).collect();
    assert!(unexpected.is_empty(), "{} evals fail: {unexpected:#?}", unexpected.len());
    let passing: Vec<_> = pending.keys().filter(|place| !failures.contains_key(**place)).collect();
    assert!(passing.is_empty(), "these pass, take them out of promqltest.pending: {passing:#?}");
}
