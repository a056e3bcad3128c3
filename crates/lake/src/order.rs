//! The order of rows in a file: by day, then by what queries ask for, then by time.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::TimestampNanosecondType;
use tripod_storage::Signal;

const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// The text columns that a signal's rows are sorted by, before time.
pub(crate) fn sort_columns(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::Spans | Signal::Logs => &["service_name"],
        Signal::Metrics => &["name", "service_name", "attributes"],
    }
}

/// The rows of one day, as places in the batches that they come from: (batch, row).
#[derive(Debug)]
pub(crate) struct DayRows {
    /// Days since the Unix epoch.
    pub(crate) day: i32,
    pub(crate) rows: Vec<(usize, usize)>,
}

/// Sorts the rows of several batches; each batch has all columns of the signal.
pub(crate) fn sort(signal: Signal, batches: &[RecordBatch]) -> Vec<DayRows> {
    let mut keys = Keys::default();
    let mut places: Vec<(i32, u32, i64, u32, u32)> = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        let texts: Vec<&StringViewArray> = sort_columns(signal)
            .iter()
            .filter_map(|name| batch.column_by_name(name).and_then(|array| array.as_string_view_opt()))
            .collect();
        let Some(times) = batch.column_by_name(signal.time_column()) else { continue };
        let times = times.as_primitive::<TimestampNanosecondType>();
        for (row, time) in times.values().iter().enumerate() {
            let key = keys.number(&texts, row);
            // Days of 64-bit nanoseconds fit 32 bits by far.
            places.push((time.div_euclid(DAY_NANOS) as i32, key, *time, index as u32, row as u32));
        }
    }
    let ranks = keys.ranks();
    for place in &mut places {
        place.1 = ranks[place.1 as usize];
    }
    places.sort_unstable();
    places
        .chunk_by(|a, b| a.0 == b.0)
        .map(|day| DayRows {
            day: day[0].0,
            rows: day.iter().map(|(_, _, _, batch, row)| (*batch as usize, *row as usize)).collect(),
        })
        .collect()
}

/// Distinct sort keys, numbered as they are met.
#[derive(Default)]
struct Keys<'a> {
    numbers: HashMap<Vec<Option<&'a str>>, u32>,
    last: Option<(Vec<Option<&'a str>>, u32)>,
}

impl<'a> Keys<'a> {
    fn number(&mut self, texts: &[&'a StringViewArray], row: usize) -> u32 {
        let values = || texts.iter().map(|array| array.is_valid(row).then(|| array.value(row)));
        // Neighbours mostly share their key, as they come from one request.
        if let Some((key, number)) = &self.last
            && key.len() == texts.len()
            && key.iter().copied().eq(values())
        {
            return *number;
        }
        let key: Vec<_> = values().collect();
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(key.clone()).or_insert(next);
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
