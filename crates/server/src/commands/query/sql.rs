use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use anyhow::{Context, bail};
use reqwest::Response;
use serde_json::{Map, Value};

use super::{NETWORK, read, terminal_width, with_sign_of_life};
use crate::cli::{AnswerFormat, QueryArgs};
use crate::client::Client;
use crate::table::{self, Answer};

/// Asks a question in SQL and prints the answer.
pub(super) async fn ask(args: &QueryArgs, format: AnswerFormat) -> anyhow::Result<()> {
    let client = Client::new(&args.server)?;
    let mut body = serde_json::json!({ "query": args.query });
    if let Some(limit) = args.limit {
        body["limit"] = limit.into();
    }
    let accept = match format {
        // Unlike Arrow's stream, JSON says that rows were left out, and why an answer broke off.
        AnswerFormat::Table | AnswerFormat::Json => "application/json",
        AnswerFormat::Jsonl => "application/x-ndjson",
        AnswerFormat::Csv => "text/csv",
    };
    let mut request = client.post("/api/v1/sql").header("accept", accept);
    if let Some(timeout) = args.timeout {
        // The server counts whole seconds; whichever side is first stops the query.
        body["timeout_seconds"] = (timeout.as_secs_f64().ceil() as u64).into();
        request = request.timeout(timeout + NETWORK);
    }
    let started = Instant::now();
    let response = with_sign_of_life(client.ask(request.json(&body))).await?;
    match format {
        AnswerFormat::Table => print_table(response, started, args.limit).await,
        AnswerFormat::Json => print_json(response, args.limit).await,
        AnswerFormat::Jsonl => print_lines(response, args.limit).await,
        AnswerFormat::Csv => print_bytes(response).await,
    }
}

async fn print_table(response: Response, started: Instant, limit: Option<u64>) -> anyhow::Result<()> {
    let bytes = with_sign_of_life(read(response)).await?;
    let answer: Answer = serde_json::from_slice(&bytes).context("the server's answer is not what was asked for")?;
    let mut out = io::stdout().lock();
    let width = io::stdout().is_terminal().then(terminal_width);
    out.write_all(table::lay_out(&answer, width).as_bytes())?;
    out.flush()?;
    let plural = if answer.rows.len() == 1 { "" } else { "s" };
    eprintln!("({} row{plural}, {} ms)", answer.rows.len(), started.elapsed().as_millis());
    finish(answer.error.as_deref(), answer.truncated, limit, answer.rows.len() as u64)
}

async fn print_json(response: Response, limit: Option<u64>) -> anyhow::Result<()> {
    let bytes = with_sign_of_life(read(response)).await?;
    io::stdout().lock().write_all(&bytes)?;
    let answer: Answer = serde_json::from_slice(&bytes).context("the server's answer is not what was asked for")?;
    finish(answer.error.as_deref(), answer.truncated, limit, answer.rows.len() as u64)
}

/// Prints lines as they come, except for a last one that is no row but says how the answer ended.
async fn print_lines(mut response: Response, limit: Option<u64>) -> anyhow::Result<()> {
    let mut first: Option<Vec<u8>> = None;
    let mut held: Vec<u8> = Vec::new();
    let mut rows = 0;
    while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
        held.extend_from_slice(&chunk);
        // The last line stays until another one shows that it was not the last.
        let end = held.len().saturating_sub(1);
        let Some(split) = held.get(..end).and_then(|head| head.iter().rposition(|byte| *byte == b'\n')) else {
            continue;
        };
        let rest = held.split_off(split + 1);
        rows += held.iter().filter(|byte| **byte == b'\n').count() as u64;
        if first.is_none() {
            first = held.split(|byte| *byte == b'\n').next().map(<[u8]>::to_vec);
        }
        io::stdout().lock().write_all(&held)?;
        held = rest;
    }
    let (error, truncated) = ending(first.as_deref(), &held);
    if error.is_none() && !truncated && !held.is_empty() {
        rows += 1;
        io::stdout().lock().write_all(&held)?;
    }
    io::stdout().lock().flush()?;
    finish(error.as_deref(), truncated, limit, rows)
}

/// What the last line says, if it is no row: rows have the same members as the first, so a row of a query for a column
/// named `error` is not mistaken for one.
fn ending(first: Option<&[u8]>, last: &[u8]) -> (Option<String>, bool) {
    let parse = |line: &[u8]| serde_json::from_slice::<Map<String, Value>>(line).ok();
    let (Some(first), Some(last)) = (first.and_then(parse), parse(last)) else { return (None, false) };
    if last.len() != 1 || first.keys().eq(last.keys()) {
        return (None, false);
    }
    (last.get("error").and_then(Value::as_str).map(str::to_owned), last.get("truncated") == Some(&Value::Bool(true)))
}

async fn print_bytes(mut response: Response) -> anyhow::Result<()> {
    while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
        io::stdout().lock().write_all(&chunk)?;
    }
    Ok(io::stdout().lock().flush()?)
}

/// Says how an answer ended. That rows are missing is no news to who asked for just so many.
fn finish(error: Option<&str>, truncated: bool, limit: Option<u64>, rows: u64) -> anyhow::Result<()> {
    if let Some(error) = error {
        bail!("the answer is incomplete: {error}");
    }
    if truncated && limit != Some(rows) {
        eprintln!("tripod: there are more rows; the server sends {rows} at most (api.sql.max_rows)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_told_from_a_row() {
        let row = br#"{"name":"a","n":1}"#.as_slice();
        for (first, last, expected) in [
            (Some(row), br#"{"name":"b","n":2}"#.as_slice(), (None, false)),
            (Some(row), br#"{"error":"too much memory"}"#, (Some("too much memory".to_owned()), false)),
            (Some(row), br#"{"truncated":true}"#, (None, true)),
            (Some(br#"{"error":"x"}"#.as_slice()), br#"{"error":"y"}"#, (None, false)),
            (None, br#"{"error":"y"}"#, (None, false)),
            (Some(row), b"", (None, false)),
        ] {
            assert_eq!(ending(first, last), expected, "{}", String::from_utf8_lossy(last));
        }
    }
}
