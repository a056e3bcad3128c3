//! The program `tripod`: configuration, command line, wiring, start and stop. Only glue.

mod allocator;
mod banner;
mod chart;
mod cli;
mod client;
mod commands;
mod connection;
mod listen;
mod logging;
mod metrics;
mod process;
mod settings;
mod status;
mod table;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    allocator::set_up();
    match commands::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tripod: {}", commands::describe(&error));
            ExitCode::FAILURE
        }
    }
}
