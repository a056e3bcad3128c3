use std::process::ExitCode;

use crate::cli::ConfigArgs;
use crate::settings;

/// Prints the settings in effect, or all with their defaults.
pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    if args.defaults {
        return super::print(settings::DEFAULTS);
    }
    let loaded = super::load_settings(&args.settings, &args.settings.overrides())?;
    for warning in &loaded.warnings {
        eprintln!("tripod: {warning}");
    }
    super::print(&settings::print(&loaded))
}
