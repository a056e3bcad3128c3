//! What it takes to answer, hot and from disk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use serde_json::Value;

use super::drive::{self, Load, Until};
use super::subject::Subject;
use super::{SubjectArgs, percentile};
use crate::load::source::{SERVICES, Source};
use crate::load::{Protocol, Signal};
use crate::sql::Sql;
use crate::table::{self, count, mebibytes, milliseconds};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many spans to load first. 0 takes what --data-dir holds already.
    #[arg(long, default_value_t = 10_000_000)]
    count: u64,
    /// How often each question is asked hot.
    #[arg(long, default_value_t = 100)]
    runs: usize,
    /// How often each question is asked with nothing of the files in memory; needs root.
    #[arg(long, default_value_t = 20)]
    cold_runs: usize,
    /// Print the results as JSON instead of as a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) subject: SubjectArgs,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    TraceById,
    ServiceSearch,
    TagSearch,
    GroupByService,
    GroupByMinute,
}

const QUESTIONS: [(Question, &str); 5] = [
    (Question::TraceById, "trace by id"),
    (Question::ServiceSearch, "20 traces of a service"),
    (Question::TagSearch, "20 traces of a service with status 500"),
    (Question::GroupByService, "count and mean by service, all spans (SQL)"),
    (Question::GroupByMinute, "count by service and minute, all spans (SQL)"),
];

#[derive(Debug, Serialize)]
struct Report {
    subject: String,
    spans: u64,
    disk_bytes_per_span: f64,
    peak_bytes: u64,
    measurements: Vec<Measurement>,
}

#[derive(Debug, Serialize)]
struct Measurement {
    question: &'static str,
    hot: Option<Latency>,
    from_disk: Option<Latency>,
    /// Why it was not measured, or not in full.
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Latency {
    runs: usize,
    p50_seconds: f64,
    p99_seconds: f64,
}

/// Asks questions of a running server.
struct Asker {
    client: reqwest::Client,
    jaeger: String,
    sql: Option<Sql>,
    trace_ids: Vec<String>,
    /// Microseconds since the epoch.
    range: (u64, u64),
    source: Source,
}

pub(super) async fn run(args: Args) -> Result<()> {
    ensure!(
        args.count > 0 || args.subject.data_dir.is_some(),
        "there is nothing to ask: give --count, or --data-dir of a store that holds spans"
    );
    let mut subject = Subject::start(&args.subject).await?;
    let begun = drive::now();
    let mut trace_ids = Vec::new();
    let mut spans = 0;
    if args.count > 0 {
        let load = Load {
            signal: Signal::Spans,
            protocol: Protocol::Grpc,
            gzip: false,
            connections: 4,
            batch: 512,
            until: Until::Items(args.count),
        };
        let before = subject.stored(Signal::Spans).await?;
        let sent = drive::drive(&load, &subject.grpc()?).await?;
        spans = subject.settle(Signal::Spans, before, sent.items).await?;
        // Spread over everything that was sent, so that they lie in all files.
        let step = (sent.requests / 500).max(1);
        for number in (0..sent.requests).step_by(usize::try_from(step)?) {
            trace_ids.push(trace_id(&sent.pool.request(number, begun))?);
        }
    }
    subject.restart().await?;
    let spans = match subject.front_door()? {
        Some(front_door) => Sql::new(&front_door)?.number("select count(*) from spans").await?,
        None => spans,
    };
    if trace_ids.is_empty() {
        trace_ids = known_trace_ids(&subject).await?;
    }
    let range = (begun / 1_000 - 60_000_000, drive::now() / 1_000);
    let range = match subject.front_door()? {
        Some(front_door) if args.count == 0 => stored_range(&Sql::new(&front_door)?).await?,
        _ => range,
    };

    let mut measurements = Vec::new();
    for (question, title) in QUESTIONS {
        let mut asker = Asker::new(&subject, &trace_ids, range)?;
        let mut measurement = Measurement { question: title, hot: None, from_disk: None, note: None };
        if asker.sql.is_none() && matches!(question, Question::GroupByService | Question::GroupByMinute) {
            measurement.note = Some("not offered".to_owned());
            measurements.push(measurement);
            continue;
        }
        // The first answers fill the caches.
        asker.measure(question, 3.min(args.runs), || Ok(())).await?;
        measurement.hot = Some(asker.measure(question, args.runs, || Ok(())).await?);
        subject.restart().await?;
        match drop_caches() {
            Ok(()) => {
                let mut asker = Asker::new(&subject, &trace_ids, range)?;
                measurement.from_disk = Some(asker.measure(question, args.cold_runs, drop_caches).await?);
            }
            Err(error) => measurement.note = Some(format!("from disk not measured: {error:#}")),
        }
        measurements.push(measurement);
    }
    let peak_bytes = subject.usage()?.peak_bytes;
    subject.stop().await?;
    let report = Report {
        subject: args.subject.title(),
        spans,
        disk_bytes_per_span: subject.on_disk().stored as f64 / spans.max(1) as f64,
        peak_bytes,
        measurements,
    };
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => print(&report),
    }
    Ok(())
}

/// The first trace of an encoded request.
fn trace_id(request: &[u8]) -> Result<String> {
    let request = ExportTraceServiceRequest::decode(request)?;
    let span = request.resource_spans.first().and_then(|resource| resource.scope_spans.first()?.spans.first());
    let span = span.context("a request without spans")?;
    Ok(span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn known_trace_ids(subject: &Subject) -> Result<Vec<String>> {
    let front_door = subject.front_door()?.context("only a store that was just loaded can be asked for traces")?;
    let query = "select trace_id from spans where parent_span_id is null order by span_id limit 500";
    let ids = Sql::new(&front_door)?.query(query).await?.texts("trace_id")?;
    ensure!(!ids.is_empty(), "the store holds no trace");
    Ok(ids)
}

async fn stored_range(sql: &Sql) -> Result<(u64, u64)> {
    let rows = sql
        .query("select cast(min(start_time) as bigint) as first, cast(max(start_time) as bigint) as last from spans")
        .await?;
    let bound = |name: &str| -> Result<u64> {
        let nanos = rows.integers(name)?.first().copied().context("the store holds no span")?;
        Ok(u64::try_from(nanos).unwrap_or(0) / 1_000)
    };
    Ok((bound("first")?, bound("last")? + 1))
}

/// Makes the operating system forget what it holds of files.
pub(super) fn drop_caches() -> Result<()> {
    let path = Path::new("/proc/sys/vm/drop_caches");
    // Pages that are not written yet cannot be dropped.
    let synced = std::process::Command::new("sync").status().context("no tool \"sync\"")?;
    ensure!(synced.success(), "the disk cannot be synced");
    std::fs::write(path, "3").with_context(|| format!("{} cannot be written; be root", path.display()))
}

impl Asker {
    fn new(subject: &Subject, trace_ids: &[String], range: (u64, u64)) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(300)).build()?;
        let sql = subject.front_door()?.map(|front_door| Sql::new(&front_door)).transpose()?;
        let trace_ids = trace_ids.to_vec();
        Ok(Self { client, jaeger: subject.jaeger()?, sql, trace_ids, range, source: Source::new(7) })
    }

    /// Asks `runs` times; `before` runs before each and is not measured.
    async fn measure(&mut self, question: Question, runs: usize, before: impl Fn() -> Result<()>) -> Result<Latency> {
        let mut seconds = Vec::with_capacity(runs);
        for _ in 0..runs {
            before()?;
            seconds.push(self.ask(question).await.with_context(|| format!("{question:?}"))?.as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        Ok(Latency { runs, p50_seconds: percentile(&seconds, 0.5), p99_seconds: percentile(&seconds, 0.99) })
    }

    /// Asks once and checks that the answer is one; gives the time until its last byte.
    async fn ask(&mut self, question: Question) -> Result<Duration> {
        let (start, end) = self.range;
        let service = *self.source.pick(&SERVICES);
        let search = format!("{}/api/traces?service={service}&limit=20&start={start}&end={end}", self.jaeger);
        let sql = match question {
            Question::TraceById => {
                let id = self.source.pick(&self.trace_ids);
                return self.traces(&format!("{}/api/traces/{id}", self.jaeger), 1).await;
            }
            Question::ServiceSearch => return self.traces(&search, 20).await,
            // {"http.response.status_code":"500"}
            Question::TagSearch => {
                let tags = "%7B%22http.response.status_code%22%3A%22500%22%7D";
                return self.traces(&format!("{search}&tags={tags}"), 1).await;
            }
            Question::GroupByService => {
                "select service_name, count(*) as spans, avg(duration_ns) as mean from spans group by service_name"
            }
            Question::GroupByMinute => {
                "select service_name, date_trunc('minute', start_time) as minute, count(*) as spans from spans \
                 group by 1, 2"
            }
        };
        let client = self.sql.as_ref().context("nobody answers SQL")?;
        let begun = Instant::now();
        let rows = client.query(sql).await?;
        let elapsed = begun.elapsed();
        ensure!(rows.len() >= SERVICES.len(), "only {} rows for {} services", rows.len(), SERVICES.len());
        Ok(elapsed)
    }

    async fn traces(&self, url: &str, least: usize) -> Result<Duration> {
        let begun = Instant::now();
        let response = self.client.get(url).send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        let elapsed = begun.elapsed();
        ensure!(status.is_success(), "{url}: {status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
        let answer: Value = serde_json::from_slice(&body)?;
        let found = answer["data"].as_array().map_or(0, Vec::len);
        ensure!(found >= least, "{url}: {found} traces where at least {least} must be found");
        Ok(elapsed)
    }
}

fn print(report: &Report) {
    let cell = |latency: Option<Latency>, pick: fn(Latency) -> f64| {
        latency.map_or_else(|| "–".to_owned(), |latency| milliseconds(pick(latency)))
    };
    let rows: Vec<_> = report
        .measurements
        .iter()
        .map(|measurement| {
            vec![
                measurement.question.to_owned(),
                cell(measurement.hot, |latency| latency.p50_seconds),
                cell(measurement.hot, |latency| latency.p99_seconds),
                cell(measurement.from_disk, |latency| latency.p50_seconds),
                cell(measurement.from_disk, |latency| latency.p99_seconds),
                measurement.note.clone().unwrap_or_default(),
            ]
        })
        .collect();
    println!(
        "{}: {} spans, {:.1} bytes each on disk, peak memory while answering {}",
        report.subject,
        count(report.spans),
        report.disk_bytes_per_span,
        mebibytes(report.peak_bytes)
    );
    table::print(&["", "hot p50", "hot p99", "from disk p50", "from disk p99", ""], &rows);
}
