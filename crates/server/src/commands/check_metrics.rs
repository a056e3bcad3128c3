//! `tripod check metrics`: whether what a program exposes can be read, and what of it should be done better.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tripod_ingest::prometheus::exposition::{ExpositionError, Format, LintProblem, Linter, ParseOptions, Rules, parse};

use crate::cli::{ExpositionForm, ReportFormat};

/// What `promtool` gives when metrics can be read but should be better.
const LINT_FAILED: u8 = 3;

/// Checks files, or standard input when there is none, and prints what is wrong.
pub(super) fn run(files: &[PathBuf], form: ExpositionForm, format: ReportFormat) -> anyhow::Result<ExitCode> {
    let inputs = match files {
        [] => vec![("standard input".to_owned(), read_stdin()?)],
        files => {
            files.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect::<anyhow::Result<_>>()?
        }
    };
    let checked: Vec<_> = inputs.iter().map(|(name, body)| (name.as_str(), check(body, form))).collect();
    let report = match format {
        ReportFormat::Json => json(&checked),
        ReportFormat::Text => text(&checked),
    };
    super::print(&report)?;
    Ok(if checked.iter().any(|(_, outcome)| outcome.is_err()) {
        ExitCode::FAILURE
    } else if checked.iter().any(|(_, outcome)| outcome.as_ref().is_ok_and(|problems| !problems.is_empty())) {
        ExitCode::from(LINT_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

type Outcome = Result<Vec<LintProblem>, ExpositionError>;

fn check(body: &[u8], form: ExpositionForm) -> Outcome {
    let format = match form {
        ExpositionForm::Auto if body.trim_ascii_end().ends_with(b"# EOF") => Format::OpenMetrics,
        ExpositionForm::Auto | ExpositionForm::Text => Format::Text,
        ExpositionForm::Openmetrics => Format::OpenMetrics,
        ExpositionForm::Protobuf => Format::Protobuf,
    };
    let mut linter = Linter::default();
    let options = ParseOptions { rules: Rules::Specification, ..ParseOptions::default() };
    parse(format, body, &options, &mut linter)?;
    Ok(linter.finish())
}

fn text(checked: &[(&str, Outcome)]) -> String {
    let mut report = String::new();
    for (name, outcome) in checked {
        match outcome {
            Err(error) => report.push_str(&format!("{name}:{}:{}: {}\n", error.line, error.column, error.message)),
            Ok(problems) if problems.is_empty() => report.push_str(&format!("{name}: ok\n")),
            Ok(problems) => {
                for problem in problems {
                    report.push_str(&format!("{name}: {problem}\n"));
                }
            }
        }
    }
    report
}

fn json(checked: &[(&str, Outcome)]) -> String {
    let files: Vec<_> = checked
        .iter()
        .map(|(name, outcome)| match outcome {
            Err(error) => serde_json::json!({
                "file": name,
                "valid": false,
                "mistake": { "line": error.line, "column": error.column, "message": error.message },
                "problems": [],
            }),
            Ok(problems) => {
                let problems: Vec<_> = problems
                    .iter()
                    .map(|problem| serde_json::json!({ "metric": problem.metric, "text": problem.text }))
                    .collect();
                serde_json::json!({ "file": name, "valid": true, "problems": problems })
            }
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(files))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_stdin() -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    io::stdin().lock().read_to_end(&mut body).context("cannot read standard input")?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_told_by_the_end() {
        assert!(check(b"# HELP a A.\na 1\n", ExpositionForm::Auto).unwrap().is_empty());
        assert_eq!(check(b"# TYPE a counter\na 1\n# EOF\n", ExpositionForm::Auto).unwrap_err().line, 2);
        assert_eq!(check(b"a 1\n", ExpositionForm::Openmetrics).unwrap_err().line, 1);
        assert_eq!(check(b"a 1\n", ExpositionForm::Auto).unwrap()[0].to_string(), "a no help text");
    }
}
