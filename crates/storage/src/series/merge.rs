//! One series' samples out of chunks.

use std::sync::Arc;

use tripod_model::series::{CounterResetHint, FloatSamples, HistogramSamples, Samples};

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
///
/// What a histogram says of a reset is said of the one before it in its part. Where another sample stands before it now,
/// the two are compared anew.
pub(crate) fn merge<'a>(parts: impl Iterator<Item = &'a Samples> + Clone, range: MillisRange) -> Samples {
    let floats = parts
        .clone()
        .map(|samples| &samples.floats)
        .filter_map(|floats| Part::cut(&floats.timestamps, &floats.values, &floats.start_timestamps, range));
    let (timestamps, values, start_timestamps) = merge_parts(floats.collect(), None);
    let floats = FloatSamples { timestamps, values, start_timestamps };
    let histograms = parts.map(|samples| &samples.histograms).filter_map(|histograms| {
        Part::cut(&histograms.timestamps, &histograms.values, &histograms.start_timestamps, range)
    });
    let mut seams = Vec::new();
    let (timestamps, values, start_timestamps) = merge_parts(histograms.collect(), Some(&mut seams));
    let mut histograms = HistogramSamples { timestamps, values, start_timestamps };
    for place in seams {
        compare_anew(&mut histograms, place);
    }
    if !histograms.timestamps.is_empty() && !floats.timestamps.is_empty() {
        // Never two samples of one time, of whichever kind.
        drop_times(&mut histograms, &floats.timestamps);
        forget_resets_across(&mut histograms, &floats.timestamps);
    }
    Samples { floats, histograms }
}

/// Says of the histogram at a place, which is not the first, what the one before it tells of a reset.
fn compare_anew(histograms: &mut HistogramSamples, place: usize) {
    histograms.forget_neighbour(place);
    let hint = histograms.values[place].hint_after(&histograms.values[place - 1]);
    if hint != histograms.values[place].counter_reset_hint {
        Arc::make_mut(&mut histograms.values[place]).counter_reset_hint = hint;
    }
}

/// Where a float stands between two histograms, nothing is known of a reset between them.
fn forget_resets_across(histograms: &mut HistogramSamples, floats: &[i64]) {
    let mut float = 0;
    for place in 1..histograms.timestamps.len() {
        if histograms.values[place].counter_reset_hint != CounterResetHint::NotCounterReset {
            continue;
        }
        let before = histograms.timestamps[place - 1];
        float += floats[float..].partition_point(|time| *time < before);
        if floats.get(float).is_some_and(|time| *time < histograms.timestamps[place]) {
            histograms.forget_neighbour(place);
        }
    }
}

type Columns<V> = (Vec<i64>, Vec<V>, Vec<i64>);

/// Brings parts together; `seams` gets the places of samples before which another one stands than in their part.
fn merge_parts<V: Clone>(parts: Vec<Part<'_, V>>, seams: Option<&mut Vec<usize>>) -> Columns<V> {
    // Stable, so that parts that begin alike stay in their order.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| parts[*index].times[0]);
    let disjoint = order.windows(2).all(|pair| parts[pair[0]].times.last() < parts[pair[1]].times.first());
    if disjoint {
        let parts: Vec<_> = order.into_iter().map(|index| &parts[index]).collect();
        if let Some(seams) = seams {
            let ends = parts.iter().scan(0, |end, part| {
                *end += part.times.len();
                Some(*end)
            });
            seams.extend(ends.take(parts.len().saturating_sub(1)));
        }
        return concatenate(&parts);
    }
    let with_starts = parts.iter().any(|part| !part.starts.is_empty());
    // Pairs of a time and a place; the place's part is first among equals.
    let mut places: Vec<(i64, u32, u32)> = Vec::with_capacity(parts.iter().map(|part| part.times.len()).sum());
    for (number, part) in parts.iter().enumerate() {
        places.extend(part.times.iter().enumerate().map(|(index, time)| (*time, number as u32, index as u32)));
    }
    places.sort_unstable();
    places.dedup_by_key(|(time, ..)| *time);
    if let Some(seams) = seams {
        let is_seam = |(_, pair): &(usize, &[(i64, u32, u32)])| {
            let ((_, part, index), (_, next_part, next_index)) = (pair[0], pair[1]);
            part != next_part || index + 1 != next_index
        };
        seams.extend(places.windows(2).enumerate().filter(is_seam).map(|(before, _)| before + 1));
    }
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

    use tripod_model::series::FloatHistogram;

    use proptest::prelude::*;

    use super::*;

    fn of_histograms(all: &[(i64, f64)]) -> Samples {
        let mut samples = Samples::default();
        for (time, count) in all {
            let value = FloatHistogram { count: *count, ..FloatHistogram::default() };
            samples.insert_histogram(*time, Arc::new(value), 0);
        }
        samples
    }

    proptest! {
        /// In whichever parts samples came, of resets is told what holds between neighbours; what could be told is not
        /// left out, unless a later part came between.
        #[test]
        fn what_is_told_of_resets_is_true(
            all in prop::collection::btree_map(0i64..40, (any::<bool>(), 0u8..3, 0usize..4), 0..12),
        ) {
            use CounterResetHint::{NotCounterReset, Unknown};
            let mut parts = vec![Samples::default(); 4];
            for (time, (is_float, value, part)) in &all {
                if *is_float {
                    parts[*part].insert_float(*time, f64::from(*value), 0);
                } else {
                    let value = FloatHistogram { count: f64::from(*value), ..FloatHistogram::default() };
                    parts[*part].insert_histogram(*time, Arc::new(value), 0);
                }
            }
            let merged = merge(parts.iter(), MillisRange::ALL).histograms;
            let mut before = None;
            for (time, (is_float, value, _)) in &all {
                if !is_float {
                    let at = merged.timestamps.binary_search(time).unwrap();
                    let known = before.is_some_and(|before| before <= *value);
                    let expected = if known { NotCounterReset } else { Unknown };
                    let hint = merged.values[at].counter_reset_hint;
                    prop_assert!(hint == expected || hint == Unknown, "{hint:?} at {time}");
                }
                before = (!is_float).then_some(*value);
            }
        }
    }

    #[test]
    fn parts_of_histograms_are_compared_where_they_meet() {
        use CounterResetHint::{NotCounterReset, Unknown};
        let hints = |parts: &[Samples]| {
            let merged = merge(parts.iter(), MillisRange::ALL).histograms;
            merged.values.iter().map(|value| value.counter_reset_hint).collect::<Vec<_>>()
        };
        let (first, second) = (of_histograms(&[(1, 1.0), (2, 2.0)]), of_histograms(&[(3, 3.0), (4, 1.0), (5, 1.0)]));
        assert_eq!(
            hints(&[first.clone(), second.clone()]),
            [Unknown, NotCounterReset, NotCounterReset, Unknown, NotCounterReset]
        );
        let late = of_histograms(&[(0, 9.0)]);
        assert_eq!(hints(&[first.clone(), late]), [Unknown, Unknown, NotCounterReset]);
        let mut float = Samples::default();
        float.insert_float(3, 1.0, 0);
        assert_eq!(
            hints(&[float, first, of_histograms(&[(4, 3.0), (5, 3.0)])]),
            [Unknown, NotCounterReset, Unknown, NotCounterReset]
        );
    }

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
