//! Finding traces, and fetching them.
//!
//! A search reads twice. The first pass reads the start and trace id of the spans that match, and keeps the newest
//! `limit` traces in a heap; its memory does not grow with the number of spans. The second reads every span of those
//! traces, whenever it was, since a trace is given whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{and, filter_record_batch};
use arrow::datatypes::TimestampNanosecondType;
use futures::StreamExt;
use tripod_model::TraceId;
use tripod_storage::record::read_spans;
use tripod_storage::{Matcher, Predicate, Scalar, Select, SelectError, Signal, Store, TimeRange};

use super::parameters::Search;
use super::tags::Tag;
use super::trace::{NO_SERVICE_NAME, TraceWriter};
use crate::JaegerSettings;

/// The traces with the newest matching spans, newest first.
pub(super) async fn find(store: &Arc<dyn Store>, search: &Search) -> Result<Vec<TraceId>, SelectError> {
    if search.limit == 0 {
        return Ok(Vec::new());
    }
    let (pushed, rest): (Vec<&Tag>, Vec<&Tag>) = search.tags.iter().partition(|tag| tag.matcher().is_some());
    let mut columns = vec!["start_time", "trace_id"];
    for column in rest.iter().flat_map(|tag| tag.columns()) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let mut select = Select::all(Signal::Spans).during(search.time).columns(columns);
    select.matchers.push(service_matcher(&search.service));
    select.matchers.extend(search.operation.as_ref().map(|name| Matcher::eq("name", name.as_str())));
    let duration =
        |predicate: fn(Scalar) -> Predicate, nanos| Matcher::new("duration_ns", predicate(Scalar::Int(nanos)));
    select.matchers.extend(search.min_duration.map(|nanos| duration(Predicate::GtEq, nanos)));
    select.matchers.extend(search.max_duration.map(|nanos| duration(Predicate::LtEq, nanos)));
    select.matchers.extend(pushed.iter().filter_map(|tag| tag.matcher()));

    let mut newest = Newest::new(search.limit);
    let mut stream = store.select(select).await?.into_stream();
    while let Some(rows) = stream.next().await {
        newest.add(&matching(rows?, &rest)?)?;
    }
    Ok(newest.finish())
}

/// The condition that a span is of a service.
pub(super) fn service_matcher(service: &str) -> Matcher {
    match service {
        NO_SERVICE_NAME => Matcher::new("service_name", Predicate::IsNull),
        name => Matcher::eq("service_name", name),
    }
}

fn matching(rows: RecordBatch, tags: &[&Tag]) -> Result<RecordBatch, SelectError> {
    let mut matched = None;
    for tag in tags {
        let one = tag.evaluate(&rows)?;
        matched = Some(match matched {
            None => one,
            Some(before) => and(&before, &one)?,
        });
    }
    Ok(match matched {
        None => rows,
        Some(matched) => filter_record_batch(&rows, &matched)?,
    })
}

/// The traces whose newest matching spans are the newest, at most so many.
struct Newest {
    limit: usize,
    by_start: BTreeSet<(i64, TraceId)>,
    starts: HashMap<TraceId, i64>,
}

impl Newest {
    fn new(limit: usize) -> Self {
        Self { limit, by_start: BTreeSet::new(), starts: HashMap::new() }
    }

    fn add(&mut self, rows: &RecordBatch) -> Result<(), SelectError> {
        let missing = || SelectError::Invalid("spans were read without start_time and trace_id".to_owned());
        let starts = rows.column(0).as_primitive_opt::<TimestampNanosecondType>().ok_or_else(missing)?.values();
        let ids = rows.column(1).as_string_view_opt().ok_or_else(missing)?;
        for (row, start) in starts.iter().enumerate() {
            if self.by_start.len() == self.limit && self.by_start.first().is_some_and(|(oldest, _)| start < oldest) {
                continue;
            }
            let id = ids.value(row).parse().map_err(|error| SelectError::Failed(Box::new(error)))?;
            self.offer(*start, id);
        }
        Ok(())
    }

    /// A trace that was pushed out comes back when a newer span of it does, so the order of rows does not matter.
    fn offer(&mut self, start: i64, id: TraceId) {
        match self.starts.get(&id).copied() {
            Some(known) if known >= start => return,
            Some(known) => {
                self.by_start.remove(&(known, id));
            }
            None => {}
        }
        self.starts.insert(id, start);
        self.by_start.insert((start, id));
        if self.by_start.len() > self.limit
            && let Some((_, oldest)) = self.by_start.pop_first()
        {
            self.starts.remove(&oldest);
        }
    }

    fn finish(self) -> Vec<TraceId> {
        self.by_start.into_iter().rev().map(|(_, id)| id).collect()
    }
}

/// Traces as a JSON array.
pub(super) struct Fetched {
    pub(super) json: Vec<u8>,
    pub(super) total: usize,
    /// Ids that have no spans.
    pub(super) missing: Vec<TraceId>,
    /// How many spans were read.
    pub(super) rows: u64,
}

/// Fetches traces whole, in the order of their ids; of the spans that start within `time`.
pub(super) async fn fetch(
    store: &Arc<dyn Store>,
    ids: &[TraceId],
    time: TimeRange,
    settings: &JaegerSettings,
) -> Result<Fetched, SelectError> {
    let mut traces: HashMap<TraceId, TraceWriter> = HashMap::with_capacity(ids.len());
    let mut fetched = Fetched { json: vec![b'['], total: 0, missing: Vec::new(), rows: 0 };
    if !ids.is_empty() {
        let predicate = match ids {
            [id] => Predicate::Eq(id.to_string().into()),
            ids => Predicate::In(ids.iter().map(|id| id.to_string().into()).collect()),
        };
        let select = Select::all(Signal::Spans).during(time).matching(Matcher::new("trace_id", predicate));
        let mut stream = store.select(select).await?.into_stream();
        let mut kept = 0;
        while let Some(rows) = stream.next().await {
            let rows = rows?;
            for recorded in read_spans(&rows)? {
                let id = recorded.record.trace_id;
                let trace = traces.entry(id).or_insert_with(|| TraceWriter::new(id));
                fetched.rows += 1;
                if trace.len() < settings.max_spans_per_trace && kept < settings.max_spans {
                    kept += 1;
                    trace.add(&recorded);
                } else {
                    trace.omit();
                }
            }
        }
    }
    for id in ids {
        match traces.remove(id) {
            Some(trace) => {
                if fetched.total > 0 {
                    fetched.json.push(b',');
                }
                fetched.total += 1;
                trace.finish(&mut fetched.json);
            }
            None => fetched.missing.push(*id),
        }
    }
    fetched.json.push(b']');
    Ok(fetched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_whatever_the_order() {
        let id = |n: u8| TraceId([n; 16]);
        let mut newest = Newest::new(2);
        // Trace 1 is pushed out by 2 and 3 and comes back with its newest span.
        for (start, trace) in [(10, 1), (20, 2), (30, 3), (5, 3), (25, 2), (40, 1)] {
            newest.offer(start, id(trace));
        }
        assert_eq!(newest.finish(), [id(1), id(3)]);
    }
}
