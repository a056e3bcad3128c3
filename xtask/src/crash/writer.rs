//! Writers: what an application's exporter does, without its patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message;
use tonic::transport::{Channel, Endpoint};

use super::ledger::{Kind, Ledger};
use super::samples;
use crate::load::sender::{Outcome, accepted, refused_by_grpc, refused_by_http};
use crate::load::source::{Source, int};
use crate::load::{Protocol, Signal, logs, spans};
use crate::server::{FRONT_DOOR, OTLP_GRPC, OTLP_HTTP, Server};

/// The attributes that carry the numbers.
pub(super) const RECORD: &str = "crash.id";
pub(super) const BATCH: &str = "crash.batch";
const WRITER: &str = "crash.writer";

/// The longest that a writer waits after a refusal.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What all writers of a round share.
pub(super) struct Round {
    pub(super) ledger: Arc<Ledger>,
    /// Set before the server is stopped or killed: from then on broken connections are no surprise.
    pub(super) ending: AtomicBool,
    /// Most records in a request.
    pub(super) batch: usize,
    pub(super) grpc: String,
    pub(super) http: String,
    pub(super) front_door: String,
    /// What is sent.
    pub(super) kinds: Vec<Kind>,
}

impl Round {
    pub(super) fn new(ledger: &Arc<Ledger>, server: &Server, batch: usize, kinds: &[Kind]) -> Arc<Self> {
        Arc::new(Self {
            ledger: Arc::clone(ledger),
            ending: AtomicBool::new(false),
            batch,
            grpc: server.url(OTLP_GRPC).to_owned(),
            http: server.url(OTLP_HTTP).to_owned(),
            front_door: server.url(FRONT_DOOR).to_owned(),
            kinds: kinds.to_vec(),
        })
    }
}

/// How a round's writer ended.
pub(super) enum End {
    /// The round was over.
    Over,
    /// The server refused, and the writer was told to end with that.
    Refused(String),
}

/// A writer with connections of its own.
pub(super) struct Writer {
    /// For OTLP.
    connection: Connection,
    /// For remote write.
    http: reqwest::Client,
    source: Source,
    number: u32,
}

enum Connection {
    Grpc(Channel),
    Http(reqwest::Client),
}

/// A request that was built and not sent yet.
enum Request {
    Spans(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Writer {
    /// Connects; even numbers speak gRPC, odd ones HTTP.
    pub(super) async fn connect(round: &Round, number: u32, seed: u64) -> anyhow::Result<Self> {
        let protocol = if number.is_multiple_of(2) { Protocol::Grpc } else { Protocol::Http };
        let connection = match protocol {
            Protocol::Grpc => Connection::Grpc(Endpoint::from_shared(round.grpc.clone())?.connect().await?),
            Protocol::Http => Connection::Http(client()?),
        };
        Ok(Self { connection, http: client()?, source: Source::new(seed ^ u64::from(number) << 32), number })
    }

    /// Sends until the round ends. With `until_refused` it ends with the first refusal.
    pub(super) async fn run(mut self, round: Arc<Round>, until_refused: bool) -> End {
        while !round.ending.load(Ordering::Acquire) {
            match self.write(&round).await {
                Outcome::Accepted { rejected: 0 } => {}
                Outcome::Accepted { rejected } => {
                    round.ledger.complain(format!("{rejected} records of a sound request were rejected"));
                }
                Outcome::Refused { reason, .. } if until_refused => return End::Refused(reason),
                Outcome::Refused { retry_after, .. } => tokio::time::sleep(retry_after.min(LONGEST_PAUSE)).await,
                // The flag is looked at after the failure: what fails before the end is the server's fault.
                Outcome::Failed(reason) => {
                    if !round.ending.load(Ordering::Acquire) {
                        round.ledger.complain(format!("writer {}: {reason}", self.number));
                    }
                    return End::Over;
                }
            }
        }
        End::Over
    }

    /// Sends one request of random kind and size.
    pub(super) async fn write(&mut self, round: &Round) -> Outcome {
        let kind = *self.source.pick(&round.kinds);
        // Small requests are as frequent as large ones.
        let most = if self.source.chance(0.5) { 20.min(round.batch) } else { round.batch };
        let count = 1 + self.source.below(most);
        let (batch, first) = round.ledger.begin(kind, count);
        let outcome = match kind {
            Kind::Samples => match samples::request(self.number, batch, first, count) {
                Ok(body) => remote_write(&self.http, &round.front_door, body).await,
                Err(error) => Outcome::Failed(error.to_string()),
            },
            Kind::Rows(signal) => {
                let request = self.build(signal, count, batch, first);
                match &self.connection {
                    Connection::Grpc(channel) => export_grpc(channel.clone(), request).await,
                    Connection::Http(client) => export_http(client, &round.http, signal, request).await,
                }
            }
        };
        match outcome {
            Outcome::Accepted { .. } => round.ledger.acknowledge(batch),
            Outcome::Refused { .. } => round.ledger.refuse(),
            Outcome::Failed(_) => {}
        }
        outcome
    }

    fn build(&mut self, signal: Signal, count: usize, batch: usize, first: u64) -> Request {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
        let mut next = first;
        let writer = i64::from(self.number);
        let mut mark = |attributes: &mut Vec<KeyValue>| {
            attributes.push(int(RECORD, next as i64));
            attributes.push(int(BATCH, batch as i64));
            attributes.push(int(WRITER, writer));
            next += 1;
        };
        let request = match signal {
            Signal::Spans => {
                let mut request = spans::request(&mut self.source, count, now);
                for scope in request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans) {
                    scope.spans.iter_mut().for_each(|span| mark(&mut span.attributes));
                }
                Request::Spans(request)
            }
            Signal::Logs => {
                let mut request = logs::request(&mut self.source, count, now);
                for scope in request.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs) {
                    scope.log_records.iter_mut().for_each(|record| mark(&mut record.attributes));
                }
                Request::Logs(request)
            }
            Signal::Metrics => panic!("metrics are sent as samples"),
        };
        assert_eq!(next, first + count as u64, "a builder made another number of records than it was asked for");
        request
    }
}

async fn export_grpc(channel: Channel, request: Request) -> Outcome {
    let rejected = match request {
        Request::Spans(request) => TraceServiceClient::new(channel)
            .export(request)
            .await
            .map(|response| response.into_inner().partial_success.map_or(0, |partial| partial.rejected_spans)),
        Request::Logs(request) => LogsServiceClient::new(channel)
            .export(request)
            .await
            .map(|response| response.into_inner().partial_success.map_or(0, |partial| partial.rejected_log_records)),
    };
    match rejected {
        Ok(rejected) => Outcome::Accepted { rejected: u64::try_from(rejected).unwrap_or(0) },
        Err(status) => refused_by_grpc(&status),
    }
}

async fn export_http(client: &reqwest::Client, url: &str, signal: Signal, request: Request) -> Outcome {
    let body = match request {
        Request::Spans(request) => request.encode_to_vec(),
        Request::Logs(request) => request.encode_to_vec(),
    };
    let request = client
        .post(format!("{url}{}", signal.http_path()))
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .body(body);
    send(request, accepted).await
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().pool_max_idle_per_host(1).build()
}

async fn remote_write(client: &reqwest::Client, front_door: &str, body: Vec<u8>) -> Outcome {
    let request = client
        .post(format!("{front_door}/prometheus/api/v1/write"))
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::CONTENT_ENCODING, "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(body);
    // An answer without words means that all was taken.
    send(request, |_| Outcome::Accepted { rejected: 0 }).await
}

async fn send(request: reqwest::RequestBuilder, accepted: impl FnOnce(&[u8]) -> Outcome) -> Outcome {
    match request.send().await {
        Err(error) => Outcome::Failed(format!("the connection is gone: {error}")),
        Ok(response) => {
            let (status, headers) = (response.status(), response.headers().clone());
            match (status.is_success(), response.bytes().await) {
                (true, Ok(body)) => accepted(&body),
                // A server whose head says 200 has acknowledged, even if it dies before the body's end.
                (true, Err(_)) => Outcome::Accepted { rejected: 0 },
                (false, body) => refused_by_http(status, &headers, &body.unwrap_or_default()),
            }
        }
    }
}
