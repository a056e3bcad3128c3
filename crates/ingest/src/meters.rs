use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit};

use crate::refusal::Reason;

const REQUESTS: &str = "tripod_ingest_requests_total";
const RECEIVED: &str = "tripod_ingest_bytes_total";
const DECOMPRESSED: &str = "tripod_ingest_decompressed_bytes_total";
const ACCEPTED: &str = "tripod_ingest_accepted_total";
const REFUSED: &str = "tripod_ingest_refused_total";
const DROPPED: &str = "tripod_ingest_dropped_total";
const DURATION: &str = "tripod_ingest_request_duration_seconds";
const IN_FLIGHT: &str = "tripod_ingest_in_flight_bytes";

/// Registers names, units and meanings of all metrics of the receivers with the installed recorder.
pub fn describe() {
    metrics::describe_counter!(REQUESTS, Unit::Count, "Requests answered, by protocol, signal and status code.");
    metrics::describe_counter!(RECEIVED, Unit::Bytes, "Bytes of request bodies as they came over the network.");
    metrics::describe_counter!(DECOMPRESSED, Unit::Bytes, "Bytes of decoded request bodies after decompression.");
    metrics::describe_counter!(ACCEPTED, Unit::Count, "Records (spans, log records, points) that were kept.");
    metrics::describe_counter!(REFUSED, Unit::Count, "Requests of which nothing was kept, by reason.");
    metrics::describe_counter!(DROPPED, Unit::Count, "Records that were not kept of requests that were, by reason.");
    metrics::describe_histogram!(DURATION, Unit::Seconds, "From a request's head to its answer.");
    metrics::describe_gauge!(IN_FLIGHT, Unit::Bytes, "Bytes that requests hold which are being worked on.");
}

pub(crate) fn in_flight_bytes() -> Gauge {
    metrics::gauge!(IN_FLIGHT)
}

/// What is counted about the requests of one protocol and signal. Made once, so that a request formats no labels; the
/// recorder must be installed before.
pub(crate) struct Meters {
    ok: Counter,
    by_reason: Vec<ByReason>,
    received: Counter,
    decompressed: Counter,
    accepted: Counter,
    dropped: Counter,
    duration: Histogram,
}

struct ByReason {
    requests: Counter,
    refused: Counter,
}

impl Meters {
    /// `code` names the protocol's status for a refusal, or for success.
    pub(crate) fn new(protocol: &'static str, signal: &'static str, code: impl Fn(Option<Reason>) -> String) -> Self {
        let requests =
            |reason| metrics::counter!(REQUESTS, "protocol" => protocol, "signal" => signal, "code" => code(reason));
        let by_reason = Reason::ALL
            .into_iter()
            .map(|reason| ByReason {
                requests: requests(Some(reason)),
                refused: metrics::counter!(REFUSED, "signal" => signal, "reason" => reason.name()),
            })
            .collect();
        Self {
            ok: requests(None),
            by_reason,
            received: metrics::counter!(RECEIVED, "protocol" => protocol, "signal" => signal),
            decompressed: metrics::counter!(DECOMPRESSED, "protocol" => protocol, "signal" => signal),
            accepted: metrics::counter!(ACCEPTED, "signal" => signal),
            dropped: metrics::counter!(DROPPED, "signal" => signal, "reason" => Reason::Invalid.name()),
            duration: metrics::histogram!(DURATION, "signal" => signal),
        }
    }

    /// A body has arrived.
    pub(crate) fn received(&self, bytes: usize) {
        self.received.increment(bytes as u64);
    }

    /// A body was decompressed and decoded.
    pub(crate) fn decompressed(&self, bytes: usize) {
        self.decompressed.increment(bytes as u64);
    }

    /// Records of a request were kept, and others of it were not.
    pub(crate) fn kept(&self, accepted: u64, dropped: u64) {
        self.accepted.increment(accepted);
        self.dropped.increment(dropped);
    }

    /// A request is answered.
    pub(crate) fn answered(&self, refused: Option<Reason>, took: Duration) {
        match refused.and_then(|reason| self.by_reason.get(reason as usize)) {
            Some(counters) => {
                counters.requests.increment(1);
                counters.refused.increment(1);
            }
            None => self.ok.increment(1),
        }
        self.duration.record(took);
    }
}
