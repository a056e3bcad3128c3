//! Each function gives what was computed by hand (`scripts/functions.test`).

use tripod_promql::functions::SIGNATURES;
use tripod_promql::promqltest::{InMemory, Script, options};

const SCRIPT: &str = include_str!("scripts/functions.test");

#[tokio::test]
async fn functions_give_what_was_computed_by_hand() {
    let script = Script::parse(SCRIPT).unwrap();
    let outcomes = script.run(&options(), &InMemory).await;
    let failures: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| Some(format!("{}: {}: {}", outcome.line, outcome.query, outcome.failure.as_ref()?)))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn no_function_is_left_out() {
    let missing: Vec<_> =
        SIGNATURES.iter().map(|each| each.name).filter(|name| !SCRIPT.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
