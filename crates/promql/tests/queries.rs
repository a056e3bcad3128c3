//! Queries that others wrote: those of Prometheus' test scripts, and those of the systems that Tripod is made for.

use std::fs;
use std::path::{Path, PathBuf};

use tripod_promql::parser::{Options, parse};
use tripod_promql::promqltest::Script;

fn shared(folder: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("NOT RUN: there is nothing at {}", folder.display());
    None
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// What cannot be read is what the script says must fail.
#[test]
fn queries_of_the_test_scripts_are_read() {
    let Some(folder) = shared("conformance/promqltest") else { return };
    let mut read = 0;
    let mut refused = 0;
    for (file, text) in files(&folder) {
        if !file.ends_with(".test") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (line, query) in Script::parse(&text).unwrap_or_else(|error| panic!("{file}: {error}")).queries() {
            let must_fail = lines[line - 1].starts_with("eval_fail")
                || lines[line..]
                    .iter()
                    .take_while(|line| !line.trim().is_empty())
                    .any(|line| line.trim().starts_with("expect fail"));
            match parse(query, Options::ALL) {
                Ok(expr) => {
                    let text = expr.to_string();
                    let again =
                        parse(&text, Options::ALL).unwrap_or_else(|error| panic!("{file}:{line}: {text}: {error}"));
                    assert_eq!(again.to_string(), text, "{file}:{line}");
                    read += 1;
                }
                Err(error) => {
                    assert!(must_fail, "{file}:{line}: {query}: {error}");
                    refused += 1;
                }
            }
        }
    }
    println!("{read} queries read, {refused} refused that must fail");
    assert!(read > 1_500, "only {read} queries were found");
}

/// Panels, alerts, recording rules and indicators: `promql` fences, `expr:` and `query:` of YAML, `"expr":` of JSON.
#[test]
fn queries_of_the_described_systems_are_read_but_the_one_that_is_wrong() {
    let Some(folder) = shared("seeds") else { return };
    let mut read = Vec::new();
    let mut refused = Vec::new();
    for (file, text) in files(&folder) {
        for query in queries(&text) {
            match parse(&query, Options::default()) {
                Ok(_) => read.push(query),
                Err(error) => refused.push((file.clone(), query, error.to_string())),
            }
        }
    }
    let [(file, query, error)] = &refused[..] else { panic!("{refused:#?}") };
    assert!(file.contains("/000_"), "{file}");
    assert!(query.contains("by (job_type)"), "{query}");
    assert_eq!(error, r#"3:3: parse error: unexpected <by>"#);
    println!("{} queries read", read.len());
    assert!(read.len() >= 28, "only {} were found: {read:#?}", read.len());
}

fn queries(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    let indent = |line: &str| line.len() - line.trim_start().len();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed == "```promql" {
            let mut block = String::new();
            while let Some(line) = lines.next_if(|line| line.trim() != "```") {
                block.push_str(line.trim());
                block.push('\n');
            }
            // Several queries in one block are parted by empty lines.
            found.extend(block.split("\n\n").map(str::to_owned));
        } else if let Some(json) = trimmed.strip_prefix("\"expr\":") {
            found.push(serde_json::from_str(json.trim().trim_end_matches(',')).unwrap());
        } else if let Some(value) = trimmed.strip_prefix("expr:").or_else(|| trimmed.strip_prefix("query: |")) {
            match value.trim() {
                "|" | "" => {
                    let mut block = String::new();
                    while let Some(next) = lines.next_if(|next| {
                        !next.trim().is_empty()
                            && indent(next) >= indent(line)
                            && !next.trim_start().starts_with("for:")
                            && !next.trim_start().starts_with("unit:")
                            && !next.trim().starts_with("```")
                    }) {
                        block.push_str(next);
                        block.push('\n');
                    }
                    found.push(block);
                }
                value => found.push(value.to_owned()),
            }
        }
    }
    found
}
