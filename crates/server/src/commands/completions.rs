use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::Cli;

/// Prints a shell's completion script.
pub(super) fn run(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tripod", &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
