//! `tripod query`: SQL, or PromQL with `--promql`.

mod promql;
mod sql;

use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Response;

use crate::cli::{AnswerFormat, QueryArgs};

/// Most answers are there before anyone looks for a sign of life.
const QUIET: Duration = Duration::from_millis(400);

/// What the network may add to the time that the server was given.
const NETWORK: Duration = Duration::from_secs(5);

/// Characters on a line of a terminal that does not say how wide it is.
const USUAL_WIDTH: usize = 160;

/// Asks a server and prints its answer.
pub(super) async fn run(mut args: QueryArgs) -> anyhow::Result<ExitCode> {
    if args.query == "-" {
        args.query.clear();
        io::stdin().read_to_string(&mut args.query).context("cannot read the query from standard input")?;
    }
    if args.query.trim().is_empty() {
        bail!("the query is empty");
    }
    let format = args.format.unwrap_or_else(|| match io::stdout().is_terminal() {
        true => AnswerFormat::Table,
        false => AnswerFormat::Jsonl,
    });
    let outcome = match args.promql {
        true => promql::ask(&args, format).await,
        false => sql::ask(&args, format).await,
    };
    match outcome {
        // A reader that has seen enough, such as `head`, is no error.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        outcome => outcome.map(|()| ExitCode::SUCCESS),
    }
}

async fn read(response: Response) -> anyhow::Result<bytes::Bytes> {
    response.bytes().await.context("the answer broke off")
}

/// What the shell says in `COLUMNS`, when it exports it.
fn terminal_width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(USUAL_WIDTH)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Shows that something goes on when it takes longer, on a terminal only.
async fn with_sign_of_life<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(QUIET, work.as_mut()).await {
        return done;
    }
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} waiting for the answer, {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    done
}
