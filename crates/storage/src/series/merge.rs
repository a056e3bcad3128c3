//! One series' samples out of chunks.

use tripod_model::series::{FloatSamples, HistogramSamples, Samples};

use super::MillisRange;

/// Columns of one chunk, cut to a range; `starts` is empty when unknown.
struct Part<'a, V> {
    times: &'a [i64],
    values: &'a [V],
    starts: &'a [i64],
}

impl<'a, V> Part<'a, V> {
    fn cut(times: &'a [i64], values: &'a [V], starts: &'a [i64], range: MillisRange) -> Option<Self> {
        let from = times.partition_point(|time| *time < range.start);
        let to = times.partition_point(|time| *time <= range.end);
        (from < to).then(|| Self {
            times: &times[from..to],
            values: &values[from..to],
            starts: if starts.is_empty() { starts } else { &starts[from..to] },
        })
    }

    fn start(&self, index: usize) -> i64 {
        self.starts.get(index).copied().unwrap_or(0)
    }
}

/// The samples of all parts in the range, ascending in time. Of samples with the same time that of the earlier part
/// stays.
pub(crate) fn merge<'a>(parts: impl Iterator<Item = &'a Samples> + Clone, range: MillisRange) -> Samples {
    let floats = parts
        .clone()
        .map(|samples| &samples.floats)
        .filter_map(|floats| Part::cut(&floats.timestamps, &floats.values, &floats.start_timestamps, range));
    let (timestamps, values, start_timestamps) = merge_parts(floats.collect());
    let floats = FloatSamples { timestamps, values, start_timestamps };
    let histograms = parts.map(|samples| &samples.histograms).filter_map(|histograms| {
        Part::cut(&histograms.timestamps, &histograms.values, &histograms.start_timestamps, range)
    });
    let (timestamps, values, start_timestamps) = merge_parts(histograms.collect());
    let mut histograms = HistogramSamples { timestamps, values, start_timestamps };
    if !histograms.timestamps.is_empty() && !floats.timestamps.is_empty() {
        // Never two samples of one time, of whichever kind.
        drop_times(&mut histograms, &floats.timestamps);
    }
    Samples { floats, histograms }
}

type Columns<V> = (Vec<i64>, Vec<V>, Vec<i64>);

fn merge_parts<V: Clone>(parts: Vec<Part<'_, V>>) -> Columns<V> {
    // Stable, so that parts that begin alike stay in their order.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| parts[*index].times[0]);
    let disjoint = order.windows(2).all(|pair| parts[pair[0]].times.last() < parts[pair[1]].times.first());
    if disjoint {
        return concatenate(&order.into_iter().map(|index| &parts[index]).collect::<Vec<_>>());
    }
    let with_starts = parts.iter().any(|part| !part.starts.is_empty());
    // Pairs of a time and a place; the place's part is first among equals.
    let mut places: Vec<(i64, u32, u32)> = Vec::with_capacity(parts.iter().map(|part| part.times.len()).sum());
    for (number, part) in parts.iter().enumerate() {
        places.extend(part.times.iter().enumerate().map(|(index, time)| (*time, number as u32, index as u32)));
    }
    places.sort_unstable();
    places.dedup_by_key(|(time, ..)| *time);
    let times = places.iter().map(|(time, ..)| *time).collect();
    let at = |(_, part, index): &(i64, u32, u32)| (&parts[*part as usize], *index as usize);
    let values = places.iter().map(&at).map(|(part, index)| part.values[index].clone()).collect();
    let starts =
        if with_starts { places.iter().map(at).map(|(part, index)| part.start(index)).collect() } else { Vec::new() };
    (times, values, starts)
}

fn concatenate<V: Clone>(parts: &[&Part<'_, V>]) -> Columns<V> {
    let length = parts.iter().map(|part| part.times.len()).sum();
    let (mut times, mut values) = (Vec::with_capacity(length), Vec::with_capacity(length));
    let mut starts = Vec::new();
    let with_starts = parts.iter().any(|part| !part.starts.is_empty());
    for part in parts {
        times.extend_from_slice(part.times);
        values.extend_from_slice(part.values);
        if with_starts {
            starts.extend_from_slice(part.starts);
            starts.resize(times.len(), 0);
        }
    }
    (times, values, starts)
}

fn drop_times(histograms: &mut HistogramSamples, times: &[i64]) {
    let keep: Vec<bool> = histograms.timestamps.iter().map(|time| times.binary_search(time).is_err()).collect();
    if keep.iter().all(|keep| *keep) {
        return;
    }
    fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
        let mut keep = keep.iter();
        column.retain(|_| keep.next().copied().unwrap_or(true));
    }
    retain(&mut histograms.timestamps, &keep);
    retain(&mut histograms.values, &keep);
    if !histograms.start_timestamps.is_empty() {
        retain(&mut histograms.start_timestamps, &keep);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn merging_keeps_the_first_of_each_time(
            chunks in prop::collection::vec(prop::collection::btree_map(-20i64..20, (0u8..9, 0i64..3), 0..8), 0..5),
            start in -25i64..25,
            length in 0i64..30,
        ) {
            let range = MillisRange { start, end: start + length };
            let mut expected: BTreeMap<i64, (f64, i64)> = BTreeMap::new();
            let mut parts = Vec::new();
            for chunk in &chunks {
                let mut samples = Samples::default();
                for (time, (value, start)) in chunk {
                    samples.floats.push(*time, f64::from(*value), *start);
                    if range.contains(*time) {
                        expected.entry(*time).or_insert((f64::from(*value), *start));
                    }
                }
                parts.push(samples);
            }
            let merged = merge(parts.iter(), range).floats;
            prop_assert_eq!(&merged.timestamps, &expected.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(&merged.values, &expected.values().map(|(value, _)| *value).collect::<Vec<_>>());
            for (index, (_, start)) in expected.values().enumerate() {
                prop_assert_eq!(merged.start_timestamps.get(index).copied().unwrap_or(0), *start);
            }
        }
    }
}
