//! What the command line can do, a file for each command.

mod check;
mod check_metrics;
mod completions;
mod config;
mod doctor;
mod import;
mod prometheus;
mod query;
mod series;
mod serve;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{Check, Cli, Command, SettingsArgs};
use crate::settings::{self, Loaded, Mistakes, Overrides};

/// Runs a command and gives the process's exit code.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Query(args) => on_one_thread(query::run(args)),
        Command::Check { what: Check::Config { file, format } } => check::run(file.as_deref(), format),
        Command::Check { what: Check::Metrics { files, form, format } } => check_metrics::run(&files, form, format),
        Command::Import(args) => on_one_thread(import::run(args)),
        Command::Config(args) => config::run(&args),
        Command::Doctor(args) => on_one_thread(doctor::run(args)),
        Command::Completions { shell } => completions::run(shell),
    }
}

/// An error with its causes, on one line unless it is a list. A cause that its error has quoted already is left out.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn on_one_thread(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// Reads the settings that these arguments and the environment ask for.
fn load_settings(args: &SettingsArgs, flags: &Overrides) -> Result<Loaded, Mistakes> {
    let text = args.config.as_deref().map(settings::read).transpose()?;
    let file = args.config.as_deref().zip(text.as_deref());
    settings::load(file, &environment(), flags)
}

/// The environment as far as it is Unicode; nothing that is not could be a setting.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no error.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
