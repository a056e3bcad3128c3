//! The services that there are, and their operations.
//!
//! Jaeger gives all that were ever seen, so these read one or three narrow columns of all spans. Every page of the
//! UI asks for them at once, and several people look at the same time; so an answer is kept for a few seconds, and
//! those who ask while it is being made wait for it instead of reading the same columns again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch, StringViewArray};
use futures::StreamExt;
use parking_lot::Mutex;
use tripod_storage::{Select, SelectError, Signal, Store};

use super::search::service_matcher;
use super::trace::NO_SERVICE_NAME;

/// How long an answer is given again.
const FRESH: Duration = Duration::from_secs(5);
/// Bounds an answer's memory when someone puts ids into names; a list of that length helps nobody.
const MAX_NAMES: usize = 50_000;
/// How many services' operations are kept.
const MAX_CACHED: usize = 256;

/// An operation of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Operation {
    pub(super) name: String,
    /// Empty when unspecified.
    pub(super) span_kind: String,
}

type Slot<T> = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Vec<T>>)>>>;

/// The names of a store, with their cache.
pub(super) struct Names {
    store: Arc<dyn Store>,
    services: Slot<String>,
    operations: Mutex<HashMap<String, Slot<Operation>>>,
}

impl Names {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, services: Slot::default(), operations: Mutex::default() }
    }

    /// All services, sorted.
    pub(super) async fn services(&self) -> Result<Arc<Vec<String>>, SelectError> {
        fresh(&self.services, self.read_services()).await
    }

    /// All operations of a service, sorted.
    pub(super) async fn operations(&self, service: &str) -> Result<Arc<Vec<Operation>>, SelectError> {
        let slot = {
            let mut cached = self.operations.lock();
            if cached.len() >= MAX_CACHED && !cached.contains_key(service) {
                cached.clear();
            }
            Arc::clone(cached.entry(service.to_owned()).or_default())
        };
        fresh(&slot, self.read_operations(service)).await
    }

    async fn read_services(&self) -> Result<Vec<String>, SelectError> {
        let mut names = HashSet::new();
        let mut stream = self.store.select(Select::all(Signal::Spans).columns(["service_name"])).await?.into_stream();
        while let Some(rows) = stream.next().await {
            let rows = rows?;
            let mut last = None;
            for name in text(&rows, 0)? {
                // Tables are sorted by service: most rows repeat the one before.
                if last == Some(name) || names.len() >= MAX_NAMES {
                    continue;
                }
                last = Some(name);
                let name = name.unwrap_or(NO_SERVICE_NAME);
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(sorted(names))
    }

    async fn read_operations(&self, service: &str) -> Result<Vec<Operation>, SelectError> {
        // For each kind its names: a look-up then needs no owned key.
        let mut kinds: HashMap<String, HashSet<String>> = HashMap::new();
        let mut count = 0;
        let select = Select::all(Signal::Spans).matching(service_matcher(service)).columns(["name", "kind"]);
        let mut stream = self.store.select(select).await?.into_stream();
        while let Some(rows) = stream.next().await {
            let rows = rows?;
            for (name, kind) in text(&rows, 0)?.iter().zip(text(&rows, 1)?) {
                let (name, kind) = (name.unwrap_or_default(), kind.unwrap_or_default());
                if kinds.get(kind).is_some_and(|names| names.contains(name)) || count >= MAX_NAMES {
                    continue;
                }
                count += 1;
                kinds.entry(kind.to_owned()).or_default().insert(name.to_owned());
            }
        }
        let operations = kinds.into_iter().flat_map(|(kind, names)| {
            let span_kind = if kind == "unspecified" { String::new() } else { kind };
            names.into_iter().map(move |name| Operation { name, span_kind: span_kind.clone() })
        });
        Ok(sorted(operations))
    }
}

fn sorted<T: Ord>(elements: impl IntoIterator<Item = T>) -> Vec<T> {
    elements.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

fn text(rows: &RecordBatch, column: usize) -> Result<&StringViewArray, SelectError> {
    let array = rows.columns().get(column).and_then(|array| array.as_string_view_opt());
    array.ok_or_else(|| SelectError::Invalid("spans were read without the column that was asked for".to_owned()))
}

/// What the slot holds if it is fresh, else what `read` gives. Holding the lock while reading makes others wait for
/// this answer; when this caller goes away, the next one in line reads.
async fn fresh<T>(
    slot: &Slot<T>,
    read: impl Future<Output = Result<Vec<T>, SelectError>>,
) -> Result<Arc<Vec<T>>, SelectError> {
    let mut slot = slot.lock().await;
    if let Some((at, names)) = &*slot
        && at.elapsed() < FRESH
    {
        return Ok(Arc::clone(names));
    }
    let names = Arc::new(read.await?);
    *slot = Some((Instant::now(), Arc::clone(&names)));
    Ok(names)
}
