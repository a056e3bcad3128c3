//! A secret, planted wherever an application may put one, must never be found in the bytes of any sink.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::file::{FileSettings, FileSink};
use super::loki::{Encoding, LokiSettings, LokiSink};
use super::{Sink, WriteSink};
use crate::accounts::Accounts;
use crate::context::Context;
use crate::field::Value;
use crate::logs::{ConsoleFormat, ErrorReport, JsonFormat, Level, LogEvent, Pipeline, Verdict};
use crate::network::stand_in::StandIn;
use crate::network::{Network, QueueOptions};
use crate::redaction::Redactor;
use crate::span::SpanExt as _;
use crate::traces::Status;

const CANARY: &str = "canary7f3a9c51d2e8";

/// Names and texts with the canary, as secrets come in practice.
fn secrets() -> Vec<(&'static str, String)> {
    vec![
        ("password", CANARY.to_owned()),
        ("http.request.header.authorization", format!("Bearer {CANARY}")),
        ("X-Api-Key", CANARY.to_owned()),
        ("header", format!("Authorization: Bearer {CANARY}")),
        ("headers", format!(r#"{{"cookie": "sid={CANARY}", "host": "x"}}"#)),
        ("debug", format!(r#"Login {{ user: "a", password: Some("{CANARY}") }}"#)),
        ("body", format!(r#"{{\"client_secret\":\"{CANARY}\"}}"#)),
        ("dsn", format!("postgresql://user:{CANARY}@db/app")),
        ("url", format!("https://bucket/o?X-Amz-Signature={CANARY}&n=1")),
        ("mail", format!("to {CANARY}@example.com")),
        ("sent", format!("with Bearer {CANARY}")),
        ("pem", format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----")),
        ("jwt", format!("eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}")),
        ("key", format!("sk-{CANARY}{CANARY}")),
    ]
}

/// An event with the canary in every place that a secret takes in practice.
fn event() -> LogEvent {
    let mut event = LogEvent::new(Level::Error, "app", format!("login with password={CANARY} failed"));
    event.context = Context::new()
        .with("request_id", "r-1")
        .with("session_token", CANARY)
        .with("referrer", format!("https://example.com/?access_token={CANARY}"));
    for (name, text) in secrets() {
        event.set(name, text);
    }
    event.set(
        "nested",
        Value::List(vec![Value::Map(vec![
            ("token".into(), Value::from(CANARY)),
            ("deep".into(), Value::Map(vec![("text".into(), Value::from(format!("api_key: {CANARY}")))])),
        ])]),
    );
    event.error = Some(Box::new(ErrorReport {
        kind: "app::Error".into(),
        message: format!("refused token={CANARY}"),
        causes: vec![format!("sent Authorization: Bearer {CANARY}")],
        backtrace: Some(format!("0: main\n   secret={CANARY}")),
    }));
    event
}

struct Everything {
    pipeline: Pipeline,
    loki: Vec<StandIn>,
    readers: Vec<io::PipeReader>,
    folder: tempfile::TempDir,
    network: Network,
    #[cfg(feature = "sentry")]
    sentry: StandIn,
}

fn everything() -> Everything {
    let accounts = Accounts::new();
    let network = Network::start().unwrap();
    let redactor = Redactor::default();
    let mut pipeline = Pipeline::new(redactor.clone(), &accounts).with_processor(|event: &mut LogEvent| {
        event.set("added_secret", CANARY);
        Verdict::Keep
    });
    let mut readers = Vec::new();
    let sinks = |writer: io::PipeWriter, name: &str, json: bool| -> Arc<dyn Sink> {
        if json {
            Arc::new(WriteSink::new(name, writer, JsonFormat::default().with_source(), &accounts).unwrap())
        } else {
            Arc::new(WriteSink::new(name, writer, ConsoleFormat::colored(), &accounts).unwrap())
        }
    };
    for (name, json) in [("json", true), ("console", false)] {
        let (reader, writer) = io::pipe().unwrap();
        readers.push(reader);
        pipeline = pipeline.with_sink(Level::Info, sinks(writer, name, json));
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = FileSettings::new(folder.path().join("app.log")).max_bytes(Some(2_000));
    pipeline =
        pipeline.with_sink(Level::Info, Arc::new(FileSink::open(settings, JsonFormat::default(), &accounts).unwrap()));
    let quick = QueueOptions { linger: Duration::from_millis(1), ..QueueOptions::default() };
    let mut loki = Vec::new();
    for encoding in [Encoding::Json, Encoding::GzipJson, Encoding::Snappy] {
        // The second is refused, so that the fallback gets its lines.
        let server = StandIn::start(if encoding == Encoding::GzipJson { &["400 No", "400 No"] } else { &[] });
        let (reader, writer) = io::pipe().unwrap();
        readers.push(reader);
        let console = Arc::new(WriteSink::new("fallback", writer, ConsoleFormat::plain(), &accounts).unwrap());
        let settings = LokiSettings::new(&format!("http://{}", server.address))
            .unwrap()
            .structured_metadata()
            .label_field("session_token")
            .unwrap()
            .encoding(encoding)
            .queue(quick.clone());
        let sink = LokiSink::start(settings, JsonFormat::default(), Some(console.clone()), &network, &accounts);
        pipeline = pipeline.with_sink(Level::Info, Arc::new(sink.unwrap()));
        loki.push(server);
    }
    #[cfg(feature = "sentry")]
    let sentry = {
        let server = StandIn::start(&[]);
        let settings = crate::errors::SentrySettings::new(&format!("http://key@{}/1", server.address)).unwrap();
        let sink = crate::errors::SentrySink::start(settings.queue(quick), &redactor, &network, &accounts).unwrap();
        pipeline = pipeline.with_sink(Level::Info, Arc::new(sink));
        server
    };
    Everything {
        pipeline,
        loki,
        readers,
        folder,
        network,
        #[cfg(feature = "sentry")]
        sentry,
    }
}

fn check(sink: &str, bytes: &[u8]) {
    assert!(bytes.len() > 100, "{sink} got something");
    assert!(memchr::memmem::find(bytes, CANARY.as_bytes()).is_none(), "{sink}: {}", String::from_utf8_lossy(bytes));
}

#[test]
fn the_canary_reaches_no_sink() {
    let everything = everything();
    for _ in 0..3 {
        everything.pipeline.emit(event());
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    assert!(everything.pipeline.flush(deadline));
    assert!(everything.network.shutdown(deadline));
    drop(everything.pipeline);
    drop(everything.network);

    for (encoding, server) in ["json", "gzip", "snappy"].into_iter().zip(&everything.loki) {
        let body = server.next().body;
        let plain = match encoding {
            "gzip" => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
                plain
            }
            "snappy" => snap::raw::Decoder::new().decompress_vec(&body).unwrap(),
            _ => body,
        };
        check(encoding, &plain);
    }
    for entry in std::fs::read_dir(everything.folder.path()).unwrap() {
        check("file", &std::fs::read(entry.unwrap().path()).unwrap());
    }
    #[cfg(feature = "sentry")]
    for _ in 0..3 {
        check("sentry", &everything.sentry.next().body);
    }
    for (index, mut reader) in everything.readers.into_iter().enumerate() {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        // The fallbacks of the servers that took everything got nothing.
        if index < 2 || !bytes.is_empty() {
            check("writer", &bytes);
        }
    }
}

/// A collector's three signals in both forms, the exposition, the headers of calls, and Sentry, of a service that is set up
/// as any other.
#[test]
fn the_canary_leaves_a_whole_service_nowhere() {
    whole_service("http/protobuf");
    whole_service("http/json");
}

fn whole_service(protocol: &str) {
    let servers = ["traces", "logs", "metrics"].map(|signal| (signal, StandIn::start(&[])));
    let mut variables: Vec<(String, String)> = [
        ("ENVIRONMENT", "production"),
        ("LOG_STDOUT", "false"),
        ("TRIPOD_BAGGAGE_ALLOWED", "*"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (signal, server) in &servers {
        let name = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.to_uppercase());
        variables.push((name, format!("http://{}/v1/{signal}", server.address)));
    }
    #[cfg(feature = "sentry")]
    let sentry = StandIn::start(&[]);
    #[cfg(feature = "sentry")]
    variables.extend([
        ("SENTRY_DSN".to_owned(), format!("http://key@{}/1", sentry.address)),
        ("SENTRY_TRACES_SAMPLE_RATE".to_owned(), "1".to_owned()),
    ]);
    let (reader, writer) = io::pipe().unwrap();
    let console = WriteSink::new("spans", writer, JsonFormat::default(), &Accounts::new()).unwrap();
    let tripod = crate::builder("canary")
        .variables(crate::settings::Variables::from_pairs(variables))
        .span_sink(Arc::new(super::ConsoleSpans::new(Arc::new(console))))
        .build()
        .unwrap();

    let headers = tracing::dispatcher::with_default(tripod.dispatch(), || {
        let context = secrets().into_iter().fold(event().context, |context, (name, text)| {
            context.with_baggage(name, &text).with(format!("bound.{name}"), text)
        });
        let _context = context.enter();
        let span = tracing::info_span!("login", otel.name = format!("login with password={CANARY}")).entered();
        for (name, text) in secrets() {
            span.set_attribute(name, text.clone());
            span.set_attribute(format!("late.{name}"), text.clone());
            span.add_event(format!("refused with token={CANARY}"), vec![(name.into(), text.clone().into())]);
            span.add_link(crate::context::current_span().unwrap(), vec![(name.into(), text.into())]);
        }
        let report = || *event().error.unwrap();
        span.record_report(report());
        span.set_status(Status::Error(format!("refused token={CANARY}").into()));
        tracing::info_span!("child", db.query.text = format!("select 1 -- password={CANARY}")).in_scope(|| ());
        tracing::error!(
            password = CANARY,
            error = &io::Error::other(format!("token={CANARY}")) as &dyn std::error::Error,
            "failed"
        );
        tracing::info!("sent with password={CANARY}");
        tripod.layer().emit(event());

        let metrics = tripod.metrics();
        for (name, text) in secrets() {
            let label = name.replace(['.', '-'], "_").to_lowercase();
            let metric = format!("{label}_total");
            let label: &'static str = label.leak();
            metrics.counter(metric, "Things").labels([label]).register().unwrap().with([&text]).inc();
        }
        metrics.collect(|out: &mut crate::metrics::Collection| {
            out.gauge("collected", "Things", [("password".into(), CANARY.into())], 1.0);
            out.info("what", "Things", vec![("note".into(), format!("token={CANARY}"))]);
        });
        let mut headers = http::HeaderMap::new();
        let formats = crate::context::propagation::Format::ALL.map(|(_, format)| format).to_vec();
        let propagator = crate::context::propagation::Propagator::new(formats, vec!["*".to_owned()]);
        propagator.inject(&crate::context::current(), &mut headers);
        tripod.settings().propagator.inject(&crate::context::current(), &mut headers);
        headers
    });
    check("headers", format!("{headers:?}").as_bytes());
    check("prometheus", tripod.metrics().prometheus_text().as_bytes());
    check("openmetrics", tripod.metrics().openmetrics_text().as_bytes());
    assert!(tripod.shutdown(Duration::from_secs(60)).complete);
    for (signal, server) in &servers {
        let body = server.next().body;
        check(signal, &body);
        // Something was there to be hidden.
        assert!(memchr::memmem::find(&body, b"[REDACTED").is_some(), "{signal}");
    }
    #[cfg(feature = "sentry")]
    for _ in 0..3 {
        // Two errors and a transaction.
        check("sentry", &sentry.next().body);
    }
    let mut bytes = Vec::new();
    let mut reader = reader;
    reader.read_to_end(&mut bytes).unwrap();
    check("console spans", &bytes);
}
