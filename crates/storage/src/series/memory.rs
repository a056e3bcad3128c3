//! A store of series in memory, for tests and for whoever needs no disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use tripod_model::series::{FloatHistogram, Labels, STALE_NAN, Samples, SeriesExemplar, SeriesMetadata, is_stale};

use super::{
    Chunk, FloatSample, HistogramSample, LabelIndex, LabelQuery, MillisRange, Rejection, SelectSeries, SelectedSeries,
    SeriesAppended, SeriesBatch, SeriesStatistics, SeriesStore,
};
use crate::{AppendError, SelectError};

/// Series in memory. Selects share the samples with the store and copy nothing.
#[derive(Debug, Default)]
pub struct MemorySeriesStore {
    /// How much older than the newest sample of the store a sample may be, in milliseconds; `None` for any age.
    out_of_order_window: Option<i64>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    index: LabelIndex,
    series: Vec<Series>,
    metadata: BTreeMap<String, SeriesMetadata>,
    /// Time of the newest sample of all series.
    newest: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Series {
    samples: Arc<Samples>,
    exemplars: Vec<SeriesExemplar>,
}

impl MemorySeriesStore {
    /// An empty store that takes samples in any order.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that refuses samples that are older than its newest by more than so many milliseconds; with 0,
    /// every sample that is older than the newest of its series, as Prometheus does by default.
    pub fn with_out_of_order_window(milliseconds: i64) -> Self {
        Self { out_of_order_window: Some(milliseconds), ..Self::default() }
    }
}

impl Series {
    /// First and last moment of what is known of the series.
    fn span(&self) -> Option<(i64, i64)> {
        let (floats, histograms) = (&self.samples.floats.timestamps, &self.samples.histograms.timestamps);
        let exemplars = self.exemplars.iter().map(|exemplar| exemplar.timestamp);
        let ends = [floats.first(), floats.last(), histograms.first(), histograms.last()];
        let ends = || ends.iter().flatten().map(|time| **time).chain(exemplars.clone());
        Some((ends().min()?, ends().max()?))
    }

    fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.exemplars.is_empty()
    }
}

/// The value of a sample of either kind.
enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl State {
    fn series(&mut self, labels: &Labels) -> &mut Series {
        let id = self.index.insert(labels) as usize;
        if id >= self.series.len() {
            self.series.resize_with(id + 1, Series::default);
        }
        &mut self.series[id]
    }

    fn keep(
        &mut self,
        window: Option<i64>,
        labels: &Labels,
        (timestamp, start): (i64, i64),
        value: Value,
    ) -> Result<(), Rejection> {
        check_labels(labels)?;
        if let Value::Histogram(histogram) = &value {
            check_histogram(histogram)?;
        }
        let store_newest = self.newest;
        let samples = &mut self.series(labels).samples;
        let newest = |times: &[i64]| times.last().copied();
        let (last_float, last_histogram) = (newest(&samples.floats.timestamps), newest(&samples.histograms.timestamps));
        let last = last_float.max(last_histogram);
        let value = match value {
            // What ends a series of histograms is a histogram, whatever the scrape could know.
            Value::Float(float) if is_stale(float) && last_histogram > last_float => {
                Value::Histogram(stale_histogram())
            }
            value => value,
        };
        if last.is_some_and(|last| timestamp <= last) {
            if let Some(same) = is_same(samples, timestamp, &value) {
                return if same { Ok(()) } else { Err(Rejection::DuplicateTimestamp) };
            }
            match window {
                Some(0) => return Err(Rejection::OutOfOrder),
                Some(window) if store_newest.is_some_and(|newest| timestamp < newest.saturating_sub(window)) => {
                    return Err(Rejection::TooOld);
                }
                _ => {}
            }
        }
        let samples = Arc::make_mut(samples);
        match value {
            Value::Float(value) => samples.insert_float(timestamp, value, start),
            Value::Histogram(value) => samples.insert_histogram(timestamp, value, start),
        }
        self.newest = self.newest.max(Some(timestamp));
        Ok(())
    }

    fn keep_exemplar(&mut self, labels: &Labels, exemplar: SeriesExemplar) -> bool {
        if check_labels(labels).is_err() {
            return false;
        }
        let exemplars = &mut self.series(labels).exemplars;
        if !exemplars.contains(&exemplar) {
            let place = exemplars.partition_point(|each| each.timestamp <= exemplar.timestamp);
            exemplars.insert(place, exemplar);
        }
        true
    }

    fn select(&self, query: &LabelQuery) -> roaring::RoaringBitmap {
        let ids = self.index.select_any(&query.matcher_sets);
        if query.range == MillisRange::ALL {
            return ids;
        }
        let in_range =
            |id: &u32| self.series[*id as usize].span().is_some_and(|(first, last)| query.range.overlaps(first, last));
        ids.into_iter().filter(in_range).collect()
    }
}

/// The histogram that marks a series as gone.
pub(crate) fn stale_histogram() -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() })
}

/// Whether the sample that is there at a time is the same, floats by bits; `None` when there is none.
fn is_same(samples: &Samples, timestamp: i64, value: &Value) -> Option<bool> {
    let float = samples.floats.timestamps.binary_search(&timestamp).ok().map(|at| samples.floats.values[at]);
    let histogram =
        samples.histograms.timestamps.binary_search(&timestamp).ok().map(|at| &samples.histograms.values[at]);
    Some(match (float, histogram, value) {
        (None, None, _) => return None,
        (Some(there), _, Value::Float(value)) => there.to_bits() == value.to_bits(),
        // The hint may have been found out here.
        (_, Some(there), Value::Histogram(value)) => there.same_data(value),
        _ => false,
    })
}

/// Whether labels can name a series.
pub(crate) fn check_labels(labels: &Labels) -> Result<(), Rejection> {
    if labels.is_empty() {
        return Err(Rejection::Invalid("a series must have at least one label".to_owned()));
    }
    Ok(())
}

/// Whether a histogram's spans say of each bucket where it lies.
///
/// # Errors
/// [`Rejection::Invalid`] when they do not.
pub fn check_histogram(histogram: &FloatHistogram) -> Result<(), Rejection> {
    for (side, spans, buckets) in [
        ("positive", &histogram.positive_spans, histogram.positive_buckets.len()),
        ("negative", &histogram.negative_spans, histogram.negative_buckets.len()),
    ] {
        let spanned: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        if spanned != buckets as u64 {
            return Err(Rejection::Invalid(format!(
                "the histogram has {buckets} {side} buckets, but its spans tell the place of {spanned}"
            )));
        }
    }
    Ok(())
}

#[async_trait]
impl SeriesStore for MemorySeriesStore {
    async fn append_series(&self, batch: SeriesBatch) -> Result<SeriesAppended, AppendError> {
        let SeriesBatch { labels, floats, histograms, exemplars, metadata } = batch;
        let mut appended = SeriesAppended::default();
        let mut state = self.state.write();
        let of = |series: u32| {
            let unknown =
                || AppendError::Invalid(format!("a sample is of series {series}, which the batch does not have"));
            labels.get(series as usize).ok_or_else(unknown)
        };
        let series = floats.iter().map(|sample| sample.series);
        for series in
            series.chain(histograms.iter().map(|sample| sample.series)).chain(exemplars.iter().map(|each| each.0))
        {
            of(series)?;
        }
        for FloatSample { series, timestamp, start, value } in floats {
            let labels = of(series)?;
            match state.keep(self.out_of_order_window, labels, (timestamp, start), Value::Float(value)) {
                Ok(()) => appended.floats += 1,
                Err(reason) => appended.refuse(labels, timestamp, reason),
            }
        }
        for HistogramSample { series, timestamp, start, value } in histograms {
            let labels = of(series)?;
            match state.keep(self.out_of_order_window, labels, (timestamp, start), Value::Histogram(value)) {
                Ok(()) => appended.histograms += 1,
                Err(reason) => appended.refuse(labels, timestamp, reason),
            }
        }
        for (series, exemplar) in exemplars {
            appended.exemplars += usize::from(state.keep_exemplar(of(series)?, exemplar));
        }
        state.metadata.extend(metadata);
        Ok(appended)
    }

    async fn select_series(&self, select: SelectSeries) -> Result<Vec<SelectedSeries>, SelectError> {
        let state = self.state.read();
        let mut selected: Vec<SelectedSeries> = Vec::new();
        for id in state.index.select(&select.matchers) {
            let series = &state.series[id as usize];
            if !series.samples.is_empty()
                && series.span().is_some_and(|(first, last)| select.range.overlaps(first, last))
            {
                let chunks = vec![Chunk::Samples(Arc::clone(&series.samples))];
                selected.push(SelectedSeries { labels: state.index.labels(id).clone(), chunks });
            }
        }
        drop(state);
        selected.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(selected)
    }

    async fn series(&self, query: LabelQuery) -> Result<Vec<Labels>, SelectError> {
        let state = self.state.read();
        let mut found: Vec<Labels> =
            state.select(&query).into_iter().map(|id| state.index.labels(id).clone()).collect();
        drop(state);
        found.sort();
        found.truncate(query.most());
        Ok(found)
    }

    async fn label_names(&self, query: LabelQuery) -> Result<Vec<String>, SelectError> {
        let state = self.state.read();
        let names =
            state.index.names(&state.select(&query)).into_iter().take(query.most()).map(str::to_owned).collect();
        Ok(names)
    }

    async fn label_values(&self, name: &str, query: LabelQuery) -> Result<Vec<String>, SelectError> {
        let state = self.state.read();
        let ids = state.select(&query);
        Ok(state.index.values(name, &ids).take(query.most()).map(str::to_owned).collect())
    }

    async fn exemplars(&self, query: LabelQuery) -> Result<Vec<(Labels, Vec<SeriesExemplar>)>, SelectError> {
        let state = self.state.read();
        let mut found = Vec::new();
        for id in state.index.select_any(&query.matcher_sets) {
            let exemplars = state.series[id as usize].exemplars.iter();
            let exemplars: Vec<_> = exemplars.filter(|each| query.range.contains(each.timestamp)).cloned().collect();
            if !exemplars.is_empty() {
                found.push((state.index.labels(id).clone(), exemplars));
            }
        }
        drop(state);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.truncate(query.most());
        Ok(found)
    }

    async fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, SeriesMetadata)>, SelectError> {
        let state = self.state.read();
        let entry = |(name, metadata): (&String, &SeriesMetadata)| (name.clone(), metadata.clone());
        Ok(match metric {
            Some(name) => state.metadata.get_key_value(name).map(entry).into_iter().collect(),
            None => state.metadata.iter().map(entry).collect(),
        })
    }

    async fn delete_series(&self, query: LabelQuery) -> Result<(), AppendError> {
        let mut state = self.state.write();
        for id in state.index.select_any(&query.matcher_sets) {
            let series = &mut state.series[id as usize];
            if series.span().is_none_or(|(first, last)| !query.range.overlaps(first, last)) {
                continue;
            }
            Arc::make_mut(&mut series.samples).remove(query.range.start, query.range.end);
            if series.is_empty() {
                state.series[id as usize] = Series::default();
                state.index.remove(id);
            }
        }
        Ok(())
    }

    async fn statistics(&self, limit: usize) -> Result<SeriesStatistics, SelectError> {
        let state = self.state.read();
        let spans = || state.series.iter().filter_map(Series::span);
        Ok(SeriesStatistics {
            chunks: state.index.len() as u64,
            min_time: spans().map(|(first, _)| first).min(),
            max_time: spans().map(|(_, last)| last).max(),
            ..state.index.statistics(limit)
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::series::suite;

    #[tokio::test]
    async fn keeps_the_seams_promises() {
        suite::run(Arc::new(MemorySeriesStore::new()), &|store| std::future::ready(store).boxed()).await;
    }

    #[tokio::test]
    async fn the_window_is_counted_from_the_newest_sample_of_all() {
        let batch = |label: &str, timestamp, value| SeriesBatch {
            labels: vec![Labels::from_pairs([("a", label)])],
            floats: vec![FloatSample { series: 0, timestamp, start: 0, value }],
            ..SeriesBatch::default()
        };
        let outcome = async |store: &MemorySeriesStore, batch| {
            let appended = store.append_series(batch).await.unwrap();
            appended.rejected.into_iter().next().map(|rejected| rejected.reason)
        };
        let store = MemorySeriesStore::with_out_of_order_window(100);
        assert_eq!(outcome(&store, batch("x", 1000, 1.0)).await, None);
        assert_eq!(outcome(&store, batch("x", 900, 1.0)).await, None);
        assert_eq!(outcome(&store, batch("x", 899, 1.0)).await, Some(Rejection::TooOld));
        assert_eq!(outcome(&store, batch("x", 900, 2.0)).await, Some(Rejection::DuplicateTimestamp));
        // A series of its own pace is not too old as long as it moves on.
        assert_eq!(outcome(&store, batch("y", 10, 1.0)).await, None);
        assert_eq!(outcome(&store, batch("y", 11, 1.0)).await, None);
        assert_eq!(outcome(&store, batch("y", 9, 1.0)).await, Some(Rejection::TooOld));
        let store = MemorySeriesStore::with_out_of_order_window(0);
        assert_eq!(outcome(&store, batch("x", 1000, 1.0)).await, None);
        assert_eq!(outcome(&store, batch("x", 1000, 1.0)).await, None);
        assert_eq!(outcome(&store, batch("x", 1000, 2.0)).await, Some(Rejection::DuplicateTimestamp));
        assert_eq!(outcome(&store, batch("x", 999, 1.0)).await, Some(Rejection::OutOfOrder));
    }

    #[test]
    fn histograms_say_whether_there_was_a_reset_between_neighbours() {
        use tripod_model::series::CounterResetHint::{Gauge, NotCounterReset, Unknown};
        let store = MemorySeriesStore::new();
        let labels = Labels::from_pairs([("__name__", "h")]);
        let sample = |timestamp, count, counter_reset_hint| HistogramSample {
            series: 0,
            timestamp,
            start: 0,
            value: Arc::new(FloatHistogram { count, counter_reset_hint, ..FloatHistogram::default() }),
        };
        let samples = [
            sample(1, 1.0, Unknown),
            sample(2, 5.0, Unknown),
            sample(3, 2.0, Unknown),
            sample(4, 2.0, Unknown),
            sample(5, 3.0, Gauge),
            sample(6, 4.0, Unknown),
        ];
        let batch = SeriesBatch { labels: vec![labels], histograms: samples.to_vec(), ..SeriesBatch::default() };
        store.append_series(batch.clone()).now_or_never().unwrap().unwrap();
        let again = store.append_series(batch).now_or_never().unwrap().unwrap();
        assert_eq!((again.histograms, again.refused), (6, 0), "the same samples again are no conflict");
        let select = SelectSeries { matchers: Vec::new(), range: MillisRange::ALL };
        let selected = store.select_series(select).now_or_never().unwrap().unwrap();
        let samples = selected[0].samples(MillisRange::ALL).unwrap();
        let hints: Vec<_> = samples.histograms.values.iter().map(|histogram| histogram.counter_reset_hint).collect();
        assert_eq!(hints, [Unknown, NotCounterReset, Unknown, NotCounterReset, Gauge, Unknown]);
    }
}
