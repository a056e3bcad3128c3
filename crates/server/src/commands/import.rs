//! `tripod import`: dumps of Prometheus text or OpenMetrics into a running server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, SeekFrom, stderr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use tripod_ingest::prometheus::exposition::{BatchSink, Format, LineParser, ParseOptions};
use tripod_ingest::prometheus::remote_write;

use crate::cli::{ExpositionForm, ImportArgs};
use crate::client::Client;

/// Samples of one request.
const SAMPLES: usize = 20_000;

/// How long a server that has too much to do is waited for, request by request.
const PATIENCE: Duration = Duration::from_secs(60);
/// A server may say that it can be asked at once; it is still busy then.
const SHORTEST_DELAY: Duration = Duration::from_millis(100);

/// A line that is longer is no line of metrics.
const MAX_LINE: u64 = 1 << 20;

/// Sends files and says how much was kept.
pub(super) async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(&args.server)?;
    let token = args.ingest_token.clone().or_else(|| client.token().map(str::to_owned));
    let client = client.with(None, token);
    let mut import = Import { client, kept: 0, refused: Vec::new(), now: now_millis() };
    for path in &args.files {
        import.file(path, args.form).await.with_context(|| path.display().to_string())?;
    }
    eprintln!("{} samples were kept", import.kept);
    if import.refused.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for refused in &import.refused {
        eprintln!("refused: {refused}");
    }
    Ok(ExitCode::FAILURE)
}

/// A file that can be read twice. What comes through a pipe is put aside first: only its end says which form it has.
fn open(path: &Path) -> io::Result<File> {
    let mut aside = tempfile::tempfile()?;
    if path == Path::new("-") {
        io::copy(&mut io::stdin().lock(), &mut aside)?;
    } else {
        let mut file = File::open(path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        io::copy(&mut file, &mut aside)?;
    }
    aside.rewind()?;
    Ok(aside)
}

struct Import {
    client: Client,
    kept: u64,
    refused: Vec<String>,
    now: i64,
}

impl Import {
    async fn file(&mut self, path: &Path, form: ExpositionForm) -> anyhow::Result<()> {
        let mut file = open(path)?;
        let format = match form {
            ExpositionForm::Auto if ends_with_eof(&mut file)? => Format::OpenMetrics,
            ExpositionForm::Auto | ExpositionForm::Text => Format::Text,
            ExpositionForm::Openmetrics => Format::OpenMetrics,
            ExpositionForm::Protobuf => bail!("dumps in protobuf are not read; use a text form"),
        };
        let progress = progress(&file, path);
        let mut lines = BufReader::new(file);
        let mut parser = LineParser::new(format, &ParseOptions::default());
        let mut sink = BatchSink::new(self.now);
        let mut line = String::new();
        loop {
            line.clear();
            let read = (&mut lines).take(MAX_LINE).read_line(&mut line)?;
            if read == 0 {
                break;
            }
            if read as u64 == MAX_LINE {
                bail!("a line is longer than {MAX_LINE} bytes");
            }
            parser.line(line.strip_suffix('\n').unwrap_or(&line), &mut sink)?;
            progress.inc(read as u64);
            if sink.len() >= SAMPLES {
                self.send(&mut sink).await?;
            }
        }
        parser.finish()?;
        self.send(&mut sink).await?;
        progress.finish_and_clear();
        Ok(())
    }

    async fn send(&mut self, sink: &mut BatchSink) -> anyhow::Result<()> {
        if sink.is_empty() {
            return Ok(());
        }
        let request = remote_write::encode(&sink.take());
        let body = snap::raw::Encoder::new().compress_vec(&request).context("cannot compress")?;
        let response = self.deliver(body.into()).await?;
        let written = response.headers().get("x-prometheus-remote-write-samples-written");
        self.kept += written.and_then(|value| value.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::BAD_REQUEST => {
                // What was wrong; the rest is kept.
                let text = response.text().await.unwrap_or_default();
                self.refused.extend(text.lines().take(10).map(str::to_owned));
                Ok(())
            }
            _ => Err(self.client.refusal(response).await),
        }
    }

    /// Sends a request, and again as long as the server has too much to do and says when to come back.
    async fn deliver(&self, body: bytes::Bytes) -> anyhow::Result<Response> {
        let mut waited = Duration::ZERO;
        loop {
            let request = self
                .client
                .post("/prometheus/api/v1/write")
                .header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
                .header("content-encoding", "snappy")
                .body(body.clone());
            let response = self.client.send(request).await?;
            let is_busy = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let Some(delay) = seconds.filter(|_| is_busy && waited < PATIENCE).map(Duration::from_secs) else {
                return Ok(response);
            };
            let delay = delay.clamp(SHORTEST_DELAY, PATIENCE);
            tokio::time::sleep(delay).await;
            waited += delay;
        }
    }
}

/// Whether the file ends as OpenMetrics does.
fn ends_with_eof(file: &mut File) -> anyhow::Result<bool> {
    let length = file.metadata()?.len();
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(16)))?;
    file.read_to_end(&mut end)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(end.trim_ascii_end().ends_with(b"# EOF"))
}

fn progress(file: &File, path: &Path) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(length).with_message(path.display().to_string());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
