//! The OTLP exporters against collectors that decode with `opentelemetry-proto`, and against collectors that misbehave.

mod collector;
mod encoding;
mod service;
mod trouble;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tripod::accounts::{Accounts, Balance};
use tripod::context::{Context, SpanContext, SpanId, TraceFlags, TraceId};
use tripod::logs::{Level, LogEvent};
use tripod::metrics::{Registry, Temporality};
use tripod::network::{Network, QueueOptions, Retry};
use tripod::resource::Resource;
use tripod::sinks::Sink as _;
use tripod::sinks::otlp::{MetricExport, OtlpLogs, OtlpMetrics, OtlpSettings, OtlpSpans, Protocol};
use tripod::traces::{SpanData, SpanKind, SpanSink, Status};

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(crate) fn quick() -> QueueOptions {
    let retry = Retry { attempts: 4, initial: Duration::from_millis(1), max: Duration::from_millis(5) };
    QueueOptions { retry, linger: Duration::from_millis(1), ..QueueOptions::default() }
}

pub(crate) fn resource() -> Resource {
    Resource::new().with("service.name", "test").with("process.pid", 7)
}

pub(crate) fn span(name: &'static str) -> Arc<SpanData> {
    let context = SpanContext {
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        flags: TraceFlags(3),
        ..SpanContext::default()
    };
    Arc::new(SpanData {
        context,
        parent: None,
        parent_is_remote: false,
        name: name.into(),
        kind: SpanKind::Server,
        scope: "app".into(),
        start: 1_700_000_000_000_000_000,
        end: 1_700_000_000_000_000_500,
        attributes: vec![("n".into(), 1.into())],
        bound: Context::default(),
        dropped_attributes: 0,
        events: vec![],
        dropped_events: 0,
        links: vec![],
        dropped_links: 0,
        status: Status::Unset,
    })
}

/// What is sent. Of metrics, an item is a snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Signal {
    Spans,
    Logs,
    Metrics,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Spans, Self::Logs, Self::Metrics];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Spans => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// Sends so many spans and shuts down; gives the books, which are balanced.
pub(crate) fn send(settings: OtlpSettings, options: QueueOptions, count: u64, patience: Duration) -> Balance {
    send_signal(Signal::Spans, settings, options, count, patience)
}

/// Sends so many items and shuts down; gives the books, which are balanced.
pub(crate) fn send_signal(
    signal: Signal,
    settings: OtlpSettings,
    options: QueueOptions,
    count: u64,
    patience: Duration,
) -> Balance {
    let (network, accounts) = (Network::start().unwrap(), Accounts::new());
    match signal {
        Signal::Spans => {
            let exporter = OtlpSpans::open(settings, options, &resource(), &network, &accounts).unwrap();
            (0..count).for_each(|_| exporter.emit(&span("work")));
        }
        Signal::Logs => {
            let exporter = OtlpLogs::open(settings, options, &resource(), &network, &accounts).unwrap();
            (0..count).for_each(|_| exporter.emit(&LogEvent::new(Level::Info, "app", "worked")));
        }
        Signal::Metrics => {
            let registry = Registry::new();
            registry.counter("things_total", "Things").register().unwrap().inc();
            let hour = Duration::from_secs(3600);
            let export = MetricExport { queue: options, ..MetricExport::new(hour, Temporality::Cumulative) };
            let exporter = OtlpMetrics::open(settings, export, registry, &resource(), &network, &accounts).unwrap();
            (0..count).for_each(|_| exporter.push());
        }
    }
    network.shutdown(Instant::now() + patience);
    let books = accounts.balances().remove(0);
    assert_eq!(books.emitted, count);
    assert_eq!(books.emitted, books.delivered + books.dropped_total(), "{books:?}");
    assert_eq!(books.queued_bytes, 0);
    books
}

pub(crate) const PROTOCOLS: [Protocol; 3] = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];
