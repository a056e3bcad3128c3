//! Stores and requests for the tests of this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use futures::StreamExt;
use futures::stream;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tower::ServiceExt;
use tripod_model::sink::{LogSink, Sink, SpanSink};
use tripod_model::{Attribute, LogRecord, Resource, Scope, SeverityNumber, Span, SpanId, TraceId};
use tripod_storage::memory::MemoryStore;
use tripod_storage::record::{LogRows, SpanRows};
use tripod_storage::{AppendError, Batch, Select, SelectError, Selection, Store};

/// 2026-01-01T00:00:00Z.
pub(crate) const T0: u64 = 1_767_225_600_000_000_000;

pub(crate) fn resource<'a>(attributes: impl IntoIterator<Item = Attribute<'a>>) -> Resource<'a> {
    Resource { attributes: attributes.into_iter().collect(), ..Resource::default() }
}

pub(crate) fn trace_id(n: u8) -> TraceId {
    TraceId([n; 16])
}

pub(crate) fn span_id(n: u8) -> SpanId {
    SpanId([n; 8])
}

/// A batch of spans, each with its resource.
pub(crate) fn spans<'a>(spans: impl IntoIterator<Item = (&'a Resource<'a>, Scope<'a>, Span<'a>)>) -> Batch {
    let mut rows = SpanRows::new(0);
    for (resource, scope, span) in spans {
        rows.resource(resource);
        rows.scope(&scope);
        rows.span(&span);
    }
    let (batch, rejections) = rows.finish();
    assert_eq!(rejections.count, 0, "{rejections:?}");
    batch
}

/// Two log records.
pub(crate) fn logs() -> Batch {
    let service = resource([Attribute::new("service.name", "cart")]);
    let mut logs = LogRows::new(T0 as i64);
    logs.resource(&service);
    logs.scope(&Scope::default());
    for (n, body) in ["started, \"well\"", ""].into_iter().enumerate() {
        logs.log(&LogRecord {
            time_unix_nano: T0 + n as u64,
            severity_number: SeverityNumber(9),
            body: body.into(),
            attributes: vec![Attribute::new("request_id", "r1"), Attribute::new("n", n as i64)],
            trace_id: trace_id(0xab),
            ..LogRecord::default()
        });
    }
    logs.finish().0
}

pub(crate) async fn memory(batches: impl IntoIterator<Item = Batch>) -> Arc<MemoryStore> {
    let store = MemoryStore::default();
    for batch in batches {
        store.append(batch).await.unwrap();
    }
    Arc::new(store)
}

/// Remembers what was selected.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Arc<MemoryStore>,
    selects: Mutex<Vec<Select>>,
}

impl Recorder {
    pub(crate) fn new(store: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self { store, selects: Mutex::default() })
    }

    /// What was selected since the last call.
    pub(crate) fn take(&self) -> Vec<Select> {
        std::mem::take(&mut self.selects.lock())
    }
}

#[async_trait]
impl Store for Recorder {
    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        self.store.append(batch).await
    }

    async fn select(&self, select: Select) -> Result<Selection, SelectError> {
        self.selects.lock().push(select.clone());
        self.store.select(select).await
    }
}

/// How a [`Misbehaving`] store goes on after its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// It waits for ever.
    Hang,
    /// It gives the same rows again and again.
    Repeat,
    /// It fails.
    Fail,
}

/// Gives the rows of a store and then does not end as it should; counts the streams that are open.
#[derive(Debug)]
pub(crate) struct Misbehaving {
    store: Arc<MemoryStore>,
    ending: Ending,
    open: Arc<AtomicUsize>,
    closed: Arc<Notify>,
}

struct Open(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_one();
    }
}

impl Misbehaving {
    pub(crate) fn new(store: Arc<MemoryStore>, ending: Ending) -> Arc<Self> {
        Arc::new(Self { store, ending, open: Arc::default(), closed: Arc::default() })
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until no stream is open.
    pub(crate) async fn closed(&self) {
        while self.open() > 0 {
            self.closed.notified().await;
        }
    }
}

#[async_trait]
impl Store for Misbehaving {
    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        self.store.append(batch).await
    }

    async fn select(&self, select: Select) -> Result<Selection, SelectError> {
        let selection = self.store.select(select).await?;
        let schema = Arc::clone(&selection.schema);
        let rows = selection.collect().await?;
        self.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.open), Arc::clone(&self.closed));
        let given = stream::iter(rows.clone().into_iter().map(Ok));
        let stream = match self.ending {
            Ending::Hang => given.chain(stream::pending()).boxed(),
            Ending::Repeat => stream::iter(rows).cycle().map(Ok).boxed(),
            Ending::Fail => given.chain(stream::iter([Err(SelectError::Failed("the disk is gone".into()))])).boxed(),
        };
        let stream = stream.inspect(move |_| {
            let _ = &open;
        });
        Ok(Selection { schema, partitions: vec![stream.boxed()] })
    }
}

/// A response that has been read to its end; `complete` is false when the connection broke.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) complete: bool,
}

impl Received {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Received {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, mut body) = response.into_parts();
    let (mut received, mut complete) = (Vec::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => received.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    Received { status: parts.status, headers: parts.headers, body: received, complete }
}

pub(crate) async fn get(router: &Router, path: &str) -> Received {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}
