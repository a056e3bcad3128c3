//! The order of rows in a file: by day, then by what queries ask for, then as they came.
//!
//! Within one service, spans and log records keep the order of their arrival, which is that of their time but for the
//! seconds that a sender gathers them for; those of one trace in one request move together. A file's statistics prune
//! by time as well as if it were sorted to the nanosecond, ids repeat next to each other, where compression sees it, and
//! rows are gathered from places that lie side by side.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::TimestampNanosecondType;
use tripod_storage::Signal;

const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// The text column that rows are sorted by.
pub(crate) const SORT_COLUMN: &str = "service_name";

/// The column whose equal values move together within a service and a batch.
const GROUP_COLUMN: &str = "trace_id";

/// The rows of one day, as places in the batches that they come from: (batch, row).
#[derive(Debug)]
pub(crate) struct DayRows {
    /// Days since the Unix epoch.
    pub(crate) day: i32,
    pub(crate) rows: Vec<(usize, usize)>,
}

/// A row's place, compared from the first field to the last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    day: i32,
    key: u32,
    batch: u32,
    /// The first row of the same group in the stretch of rows that have the same key.
    group: u32,
    row: u32,
}

/// Sorts the rows of several batches; each batch has all columns of the signal.
pub(crate) fn sort(signal: Signal, batches: &[RecordBatch]) -> Vec<DayRows> {
    let mut keys = Keys::default();
    let mut places: Vec<Place> = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    let mut groups = Groups::default();
    for (index, batch) in batches.iter().enumerate() {
        let text = |name: &str| batch.column_by_name(name).and_then(|array| array.as_string_view_opt());
        let (Some(services), Some(group), Some(times)) =
            (text(SORT_COLUMN), text(GROUP_COLUMN), batch.column_by_name(signal.time_column()))
        else {
            continue;
        };
        let times = times.as_primitive::<TimestampNanosecondType>();
        let mut last = None;
        for (row, time) in times.values().iter().enumerate() {
            let key = keys.number(services, row);
            if last.replace(key) != Some(key) {
                groups.clear();
            }
            places.push(Place {
                // Days of 64-bit nanoseconds fit 32 bits by far.
                day: time.div_euclid(DAY_NANOS) as i32,
                key,
                batch: index as u32,
                group: groups.first(group, row),
                row: row as u32,
            });
        }
    }
    let ranks = keys.ranks();
    for place in &mut places {
        place.key = ranks[place.key as usize];
    }
    places.sort_unstable();
    places
        .chunk_by(|a, b| a.day == b.day)
        .map(|day| DayRows {
            day: day[0].day,
            rows: day.iter().map(|place| (place.batch as usize, place.row as usize)).collect(),
        })
        .collect()
}

/// The first row of each group of a stretch of rows.
#[derive(Default)]
struct Groups<'a> {
    first: HashMap<&'a str, u32>,
    last: Option<(&'a str, u32)>,
}

impl<'a> Groups<'a> {
    fn clear(&mut self) {
        self.first.clear();
        self.last = None;
    }

    fn first(&mut self, ids: &'a StringViewArray, row: usize) -> u32 {
        let own = row as u32;
        if ids.is_null(row) {
            return own;
        }
        let id = ids.value(row);
        if let Some((last, first)) = self.last
            && last == id
        {
            return first;
        }
        let first = *self.first.entry(id).or_insert(own);
        self.last = Some((id, first));
        first
    }
}

/// Distinct sort keys, numbered as they are met.
#[derive(Default)]
struct Keys<'a> {
    numbers: HashMap<Option<&'a str>, u32>,
    last: Option<(Option<&'a str>, u32)>,
}

impl<'a> Keys<'a> {
    fn number(&mut self, services: &'a StringViewArray, row: usize) -> u32 {
        let key = services.is_valid(row).then(|| services.value(row));
        // Neighbours mostly share their key, as they come from one request.
        if let Some((last, number)) = self.last
            && last == key
        {
            return number;
        }
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        self.last = Some((key, number));
        number
    }

    /// For each number its key's place in the order; nulls first, then by bytes.
    fn ranks(self) -> Vec<u32> {
        let mut keys: Vec<_> = self.numbers.into_iter().collect();
        keys.sort_unstable();
        let mut ranks = vec![0; keys.len()];
        for (rank, (_, number)) in keys.iter().enumerate() {
            ranks[*number as usize] = rank as u32;
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use tripod_model::sink::{Sink, SpanSink};
    use tripod_model::{Attribute, Resource, Scope, Span, SpanId, TraceId};
    use tripod_storage::record::SpanRows;

    use super::*;

    /// A batch of spans, given as service, trace and start in days.
    fn batch(spans: &[(&str, u8, u64)]) -> RecordBatch {
        let mut rows = SpanRows::new(0);
        for (index, (service, trace, day)) in spans.iter().enumerate() {
            rows.resource(&Resource {
                attributes: vec![Attribute::new("service.name", (*service).to_owned())],
                ..Resource::default()
            });
            rows.scope(&Scope::default());
            let start = day * DAY_NANOS as u64;
            rows.span(&Span {
                trace_id: TraceId([*trace; 16]),
                span_id: SpanId([index as u8 + 1; 8]),
                start_time_unix_nano: start,
                end_time_unix_nano: start,
                ..Span::default()
            });
        }
        rows.finish().0.rows
    }

    fn order(batches: &[RecordBatch]) -> Vec<(i32, Vec<(usize, usize)>)> {
        sort(Signal::Spans, batches).into_iter().map(|day| (day.day, day.rows)).collect()
    }

    #[test]
    fn a_trace_stays_together_within_its_service_and_batch() {
        let batches = [batch(&[("b", 1, 0), ("a", 1, 0), ("a", 2, 0), ("a", 1, 0)]), batch(&[("a", 1, 0)])];
        assert_eq!(order(&batches), [(0, vec![(0, 1), (0, 3), (0, 2), (1, 0), (0, 0)])]);
    }

    #[test]
    fn days_come_apart() {
        assert_eq!(order(&[batch(&[("a", 1, 2), ("a", 1, 1)])]), [(1, vec![(0, 1)]), (2, vec![(0, 0)])]);
    }
}
