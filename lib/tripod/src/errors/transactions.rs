//! Spans as transactions of Sentry: the local root of a trace with all that ended below it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use sentry::Envelope;
use sentry::protocol::{
    Context, Map, Span, SpanId as SentrySpanId, SpanStatus, TraceContext, TraceId as SentryTraceId, Transaction, User,
    Value as Json,
};

use super::event::{json, tag};
use super::settings::SentrySettings;
use super::transport::NetworkTransport;
use crate::accounts::{Account, Accounts, Reason};
use crate::context::{TraceId, USER_ID};
use crate::traces::sampler::TraceIdRatio;
use crate::traces::{SpanData, SpanKind, SpanSink, Status};

/// Spans that Sentry takes with one transaction.
const MAX_SPANS: usize = 1000;
/// Spans that wait for their local roots at most, all together.
const MAX_WAITING: usize = 10_000;
/// A local root that has not ended by then is not waited for any longer, once there is no room.
const PATIENCE: u64 = 600_000_000_000;

/// Makes transactions of Sentry from spans; each is booked as one error event is, as `sentry`. Spans that there was no
/// room for are booked as `sentry` with the signal `spans`.
pub(crate) struct SentrySpans {
    transport: Arc<NetworkTransport>,
    settings: SentrySettings,
    sampler: TraceIdRatio,
    waiting: Mutex<Waiting>,
    account: Account,
}

/// Spans whose local root has not ended.
#[derive(Default)]
struct Waiting {
    traces: HashMap<TraceId, Vec<SpanData>>,
    spans: usize,
}

impl SentrySpans {
    /// With the settings' rate of traces, which is above 0.
    pub(super) fn new(transport: Arc<NetworkTransport>, settings: SentrySettings, accounts: &Accounts) -> Self {
        let sampler = TraceIdRatio::new(settings.traces_sample_rate.into());
        let account = accounts.open("sentry", "spans");
        Self { transport, settings, sampler, waiting: Mutex::default(), account }
    }
}

impl SpanSink for SentrySpans {
    fn emit(&self, span: &SpanData) {
        // By the trace's id, so that all services of a trace decide alike.
        if !self.sampler.keeps(span.context.trace_id) {
            return;
        }
        let is_local_root = span.parent.is_none() || span.parent_is_remote;
        if is_local_root {
            let below = self.waiting.lock().take_below(span);
            self.transport.send_redacted(Envelope::from(transaction(span, &below, &self.settings)));
        } else if !self.waiting.lock().add(span) {
            self.account.emit(1);
            self.account.drop(Reason::QueueFull, 1);
        }
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.transport.flush_until(deadline)
    }
}

impl Waiting {
    /// Whether there was room.
    fn add(&mut self, span: &SpanData) -> bool {
        if self.spans >= MAX_WAITING {
            let is_late = |span: &SpanData, now: u64| span.end.saturating_add(PATIENCE) < now;
            self.traces.retain(|_, spans| !spans.iter().all(|waiting| is_late(waiting, span.end)));
            self.spans = self.traces.values().map(Vec::len).sum();
        }
        if self.spans >= MAX_WAITING {
            return false;
        }
        let spans = self.traces.entry(span.context.trace_id).or_default();
        if spans.len() >= MAX_SPANS {
            return false;
        }
        spans.push(span.clone());
        self.spans += 1;
        true
    }

    /// Those that lie below a local root, in the order in which they ended. Others of the trace lie below another one.
    fn take_below(&mut self, root: &SpanData) -> Vec<SpanData> {
        let Some(mut left) = self.traces.remove(&root.context.trace_id) else { return Vec::new() };
        let mut known = HashSet::from([root.context.span_id]);
        // Parents end after their children: from the end, each span is met before those below it, mostly.
        let mut below = Vec::with_capacity(left.len());
        loop {
            let before = below.len();
            let mut rest = Vec::new();
            for span in left.into_iter().rev() {
                if span.parent.is_some_and(|parent| known.contains(&parent)) {
                    known.insert(span.context.span_id);
                    below.push(span);
                } else {
                    rest.push(span);
                }
            }
            rest.reverse();
            left = rest;
            if below.len() == before {
                break;
            }
        }
        self.spans -= below.len();
        if !left.is_empty() {
            self.traces.insert(root.context.trace_id, left);
        }
        below.sort_by_key(|span| span.end);
        below
    }
}

fn transaction(root: &SpanData, below: &[SpanData], settings: &SentrySettings) -> Transaction<'static> {
    let mut tags: Map<String, String> = Map::new();
    for (name, _) in root.bound.fields() {
        // What the redactor hid stands among the span's own attributes.
        if let Some(value) = root.get(name).and_then(tag) {
            tags.insert(name.to_string(), value);
        }
    }
    let trace = TraceContext {
        trace_id: SentryTraceId::from(root.context.trace_id.0),
        span_id: SentrySpanId::from(root.context.span_id.0),
        parent_span_id: root.parent.map(|parent| SentrySpanId::from(parent.0)),
        op: Some(operation(root)),
        status: Some(status(root)),
        data: data(root),
        ..TraceContext::default()
    };
    Transaction {
        name: Some(root.name.to_string()),
        release: settings.release.clone(),
        environment: settings.environment.clone(),
        server_name: settings.server_name.clone(),
        user: root.get(USER_ID).and_then(tag).map(|id| User { id: Some(id), ..User::default() }),
        tags,
        start_timestamp: time(root.start),
        timestamp: Some(time(root.end)),
        spans: below.iter().map(span).collect(),
        contexts: Map::from_iter([("trace".to_owned(), Context::Trace(Box::new(trace)))]),
        platform: "native".into(),
        ..Transaction::default()
    }
}

fn span(span: &SpanData) -> Span {
    Span {
        span_id: SentrySpanId::from(span.context.span_id.0),
        trace_id: SentryTraceId::from(span.context.trace_id.0),
        parent_span_id: span.parent.map(|parent| SentrySpanId::from(parent.0)),
        op: Some(operation(span)),
        description: Some(span.name.to_string()),
        start_timestamp: time(span.start),
        timestamp: Some(time(span.end)),
        status: Some(status(span)),
        data: data(span),
        ..Span::default()
    }
}

fn data(span: &SpanData) -> Map<String, Json> {
    span.all_attributes().map(|(name, value)| (name.to_string(), json(value))).collect()
}

fn time(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// What kind of work it is, in Sentry's words (<https://develop.sentry.dev/sdk/telemetry/traces/span-operations/>).
fn operation(span: &SpanData) -> String {
    let text = |name: &str| span.get(name).and_then(|value| value.as_str());
    if let Some(operation) = text("gen_ai.operation.name") {
        return format!("gen_ai.{operation}");
    }
    let is_http = text("http.request.method").is_some();
    match span.kind {
        _ if text("db.system.name").is_some() => "db",
        SpanKind::Server if is_http => "http.server",
        SpanKind::Client if is_http => "http.client",
        SpanKind::Producer => "queue.publish",
        SpanKind::Consumer => "queue.process",
        _ if text("job.type").is_some() => "task",
        _ => "function",
    }
    .to_owned()
}

/// By the answer's status code, where there is one, as Sentry reads them.
fn status(span: &SpanData) -> SpanStatus {
    let code = match span.get("http.response.status_code") {
        Some(crate::field::Value::Integer(code)) => u16::try_from(*code).ok(),
        Some(crate::field::Value::Unsigned(code)) => u16::try_from(*code).ok(),
        _ => None,
    };
    match (code, &span.status) {
        (Some(401), _) => SpanStatus::Unauthenticated,
        (Some(403), _) => SpanStatus::PermissionDenied,
        (Some(404), _) => SpanStatus::NotFound,
        (Some(409), _) => SpanStatus::AlreadyExists,
        (Some(429), _) => SpanStatus::ResourceExhausted,
        (Some(499), _) => SpanStatus::Cancelled,
        (Some(400..500), _) => SpanStatus::InvalidArgument,
        (Some(501), _) => SpanStatus::Unimplemented,
        (Some(503), _) => SpanStatus::Unavailable,
        (Some(504), _) => SpanStatus::DeadlineExceeded,
        (Some(500..), _) | (None, Status::Error(_)) => SpanStatus::InternalError,
        (Some(_), Status::Error(_)) => SpanStatus::UnknownError,
        _ => SpanStatus::Ok,
    }
}
