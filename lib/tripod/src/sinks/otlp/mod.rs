//! Exporters for OTLP, over gRPC and HTTP, for spans, log events and metrics.
//!
//! Spans and log events are encoded where they end, straight from our own types: neither `opentelemetry-proto` nor `tonic`
//! is a dependency, both are what the tests decode with.

use std::io;
use std::time::{Duration, Instant};

use crate::accounts::Accounts;
use crate::logs::LogEvent;
use crate::metrics::{OtlpWriter, Registry, Snapshot, Temporality};
use crate::network::{Network, Queue, QueueOptions};
use crate::resource::Resource;
use crate::sinks::Sink;
use crate::traces::{SpanData, SpanSink};

mod attributes;
mod logs;
mod metrics;
mod packed;
mod protobuf;
mod settings;
mod spans;
mod transport;

use packed::Packed;
pub use settings::{OtlpSettings, Protocol};
use transport::{Encode, OtlpTransport};

fn encoded(resource: &Resource) -> Vec<u8> {
    let mut message = protobuf::Message::default();
    attributes::attributes(&mut message, 1, resource.attributes());
    message.0
}

fn open<E: Encode>(
    encode: E,
    signal: &'static str,
    settings: OtlpSettings,
    mut options: QueueOptions,
    resource: &Resource,
    network: &Network,
    accounts: &Accounts,
) -> io::Result<Queue<E::Item>> {
    options.timeout = settings.timeout;
    // Several exporters of one signal have books of their own.
    let taken = |name: &str| accounts.balances().iter().any(|books| books.sink == name && books.signal == signal);
    let sink = (1..).map(|n| if n == 1 { "otlp".to_owned() } else { format!("otlp-{n}") }).find(|name| !taken(name));
    let account = accounts.open(sink.as_deref().unwrap_or("otlp"), signal);
    Ok(network.queue(account, options, OtlpTransport::new(settings, encoded(resource), encode)?))
}

/// Exports spans.
#[derive(Clone, Debug)]
pub struct OtlpSpans(Queue<Packed>);

impl OtlpSpans {
    /// Opens a queue to a collector, which is not contacted yet.
    ///
    /// # Errors
    /// When the address or the certificates cannot be used.
    pub fn open(
        settings: OtlpSettings,
        options: QueueOptions,
        resource: &Resource,
        network: &Network,
        accounts: &Accounts,
    ) -> io::Result<Self> {
        open(spans::Spans, "spans", settings, options, resource, network, accounts).map(Self)
    }
}

impl SpanSink for OtlpSpans {
    fn emit(&self, span: &SpanData) {
        // What is refused is in the books.
        let _ = packed::send(&self.0, &span.scope, |out| spans::write(out, span));
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.0.flush(deadline)
    }
}

/// Exports log events.
#[derive(Clone, Debug)]
pub struct OtlpLogs(Queue<Packed>);

impl OtlpLogs {
    /// Opens a queue to a collector, which is not contacted yet.
    ///
    /// # Errors
    /// When the address or the certificates cannot be used.
    pub fn open(
        settings: OtlpSettings,
        options: QueueOptions,
        resource: &Resource,
        network: &Network,
        accounts: &Accounts,
    ) -> io::Result<Self> {
        open(logs::Logs, "logs", settings, options, resource, network, accounts).map(Self)
    }
}

impl Sink for OtlpLogs {
    fn emit(&self, event: &LogEvent) {
        let _ = packed::send(&self.0, &event.logger, |out| logs::write(out, event));
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.0.flush(deadline)
    }
}

/// Exports snapshots of all metrics, in intervals and at the end.
#[derive(Clone, Debug)]
pub struct OtlpMetrics {
    queue: Queue<Snapshot>,
    registry: Registry,
}

impl OtlpMetrics {
    /// Opens a queue to a collector and takes a snapshot for it in intervals.
    ///
    /// # Errors
    /// When the address or the certificates cannot be used.
    pub fn open(
        settings: OtlpSettings,
        interval: Duration,
        temporality: Temporality,
        registry: Registry,
        resource: &Resource,
        network: &Network,
        accounts: &Accounts,
    ) -> io::Result<Self> {
        let options = QueueOptions { batch_items: 1, linger: Duration::ZERO, ..QueueOptions::default() };
        let queue = open(
            metrics::Metrics(OtlpWriter::new(temporality)),
            "metrics",
            settings,
            options,
            resource,
            network,
            accounts,
        )?;
        let metrics = Self { queue, registry };
        let exporter = metrics.clone();
        network.spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                exporter.push();
            }
        });
        Ok(metrics)
    }

    /// Takes a snapshot now and puts it into the queue.
    pub fn push(&self) {
        let snapshot = self.registry.snapshot();
        let series: usize = snapshot.families.iter().map(|family| family.series.len()).sum();
        let _ = self.queue.try_send(snapshot, size_of::<Snapshot>() + 256 * series);
    }

    /// Waits until all snapshots are delivered or dropped, or until the deadline. True when they are.
    pub fn flush(&self, deadline: Instant) -> bool {
        self.queue.flush(deadline)
    }
}
