use std::path::Path;
use std::process::ExitCode;

use crate::cli::{ReportFormat, SettingsArgs};
use crate::settings::Mistakes;

/// Checks a configuration and prints every mistake.
pub(super) fn run(file: Option<&Path>, format: ReportFormat) -> anyhow::Result<ExitCode> {
    let args = SettingsArgs { config: file.map(Path::to_owned), ..SettingsArgs::default() };
    let (mistakes, warnings) = match super::load_settings(&args, &Vec::new()) {
        Ok(loaded) => (Vec::new(), loaded.warnings),
        Err(Mistakes(mistakes)) => (mistakes, Vec::new()),
    };
    let valid = mistakes.is_empty();
    let what = file.map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
    let report = match format {
        ReportFormat::Json => {
            let report = serde_json::json!({ "valid": valid, "mistakes": mistakes, "warnings": warnings });
            format!("{report:#}\n")
        }
        ReportFormat::Text => {
            let mut text: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
            match valid {
                true => text.push_str(&format!("{what}: ok\n")),
                false => text.push_str(&format!("{}\n", Mistakes(mistakes))),
            }
            text
        }
    };
    super::print(&report)?;
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
