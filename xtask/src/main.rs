//! Tasks of this repository that a shell script would do badly: `cargo xtask --help`.
//!
//! A task sees the server as a user does, by its command line and its public ports; what runs inside the house, it starts
//! with a cargo of its own. This crate depends on no other of the house, so that it builds in seconds and cannot share a
//! mistake with what it proves.

mod bench;
mod conformance;
mod crash;
mod fuzz;
mod load;
mod peer;
mod process;
mod server;
mod sql;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Kill the server again and again while it is written to, and look for what it acknowledged.
    Crash(crash::Args),
    /// Measure the server, and peers beside it.
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// Run published test data against what must answer alike.
    Conformance {
        #[command(subcommand)]
        what: conformance::Conformance,
    },
    /// Run every fuzz target for a bounded time.
    Fuzz(fuzz::Args),
    /// Build a peer to measure against, from the Go module proxy.
    Peer(peer::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Crash(args) => crash::run(args).await,
        Task::Bench { what } => bench::run(what).await,
        Task::Conformance { what } => conformance::run(&what),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Peer(args) => peer::run(args).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
