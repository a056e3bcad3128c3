//! Published examples: the OTLP repository's and what exporters were seen to write.

use std::fs;
use std::path::{Path, PathBuf};

use tripod_otlp::{DecodeError, Limits};

use crate::collect::{Calls, Signal, read_json};

/// Files that hold a mistake, and the field that must be named.
const INVALID: [(&str, &str); 2] = [
    ("events_INVALID_kvlist.json", "resourceLogs[0].scopeLogs[0].logRecords[0].body.kvlistValue"),
    (
        "metrics_INVALID_old_buckets.json",
        "resourceMetrics[0].scopeMetrics[0].metrics[2].histogram.dataPoints[0].bucketCounts",
    ),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(text: &str) -> Result<Calls, DecodeError> {
    let request: serde_json::Value = serde_json::from_str(text).unwrap();
    let members = request.as_object().unwrap();
    let [name] = members.keys().collect::<Vec<_>>()[..] else { panic!("several kinds in one request") };
    let signal = match name.as_str() {
        "resourceSpans" => Signal::Traces,
        "resourceLogs" => Signal::Logs,
        "resourceMetrics" => Signal::Metrics,
        other => panic!("{other} is no OTLP request"),
    };
    read_json(signal, text.as_bytes(), &Limits::default())
}

#[test]
fn published_examples_are_read_or_refused_as_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/otlp");
    if !folder.is_dir() {
        eprintln!("NOT RUN: the OTLP examples are not at {}", folder.display());
        return;
    }
    let mut refused = 0;
    for path in files(&folder) {
        let shown = path.display();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        match INVALID.iter().find(|(invalid, _)| *invalid == name) {
            Some((_, field)) => {
                let error = read(&text).expect_err(name);
                assert_eq!(error.path(), *field, "{shown}: {error}");
                refused += 1;
            }
            // An exporter's file may hold a request per line, or one over many lines.
            None => {
                let whole = serde_json::from_str::<serde_json::Value>(&text).is_ok();
                let requests: Vec<&str> = if whole { vec![&text] } else { text.lines().collect() };
                for request in requests {
                    let calls = read(request).unwrap_or_else(|error| panic!("{shown}: {error}"));
                    assert!(calls.records() > 0, "{shown} has no records");
                }
            }
        }
    }
    assert_eq!(refused, INVALID.len(), "files that must be refused are missing in {}", folder.display());
}
