//! Series in memory: what the log holds and the table does not, with an index over labels.
//!
//! A sample is judged when its batch is admitted, and from then on its series knows it as the newest; it is seen by
//! queries when the log holds it. Admission and the log's queue are entered under one lock, so records lie in the log
//! in the order in which they were judged.

mod admission;
mod frozen;
mod names;
mod open_series;
mod view;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::RwLock;
use tripod_model::series::{FloatHistogram, Labels, METRIC_NAME, SeriesExemplar, SeriesMetadata};
use tripod_storage::series::{LabelIndex, LabelMatcher, MillisRange};

use super::record::{Float, Histogram, SamplesRecord};
use crate::data_file::Files;
pub(super) use frozen::{Frozen, FrozenSeries};
pub(super) use names::Names;
use open_series::{Newest, Series};

/// So many families may be described that have no series in memory, or as many as have some.
const IDLE_FAMILIES: usize = 1_000;

/// All series in memory and the files of the table, in one state so that a query sees each sample in one place.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) state: RwLock<State>,
    /// Records of epochs up to this one may lack labels that an earlier record was to bring, and are refused.
    failed_epoch: AtomicU32,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) index: LabelIndex,
    series: Vec<Series>,
    /// Which run of the server gives the numbers, and the part of its log that stands on its own; see [`super::record`].
    run: u64,
    epoch: u32,
    /// How often samples were set aside.
    freezes: u64,
    pub(super) frozen: Option<Arc<Frozen>>,
    pub(super) files: Files,
    /// Number of the newest record that is in memory.
    pub(super) last_lsn: u64,
    /// Samples that are not frozen.
    pub(super) samples: usize,
    /// Heap bytes of samples that are not frozen.
    pub(super) bytes: usize,
    /// Since when there are samples that are not frozen.
    pub(super) oldest: Option<Instant>,
    /// Time of the newest sample that was admitted.
    newest: Option<i64>,
    exemplars: HashMap<u32, Vec<SeriesExemplar>>,
    exemplar_count: usize,
    pub(super) metadata: BTreeMap<String, SeriesMetadata>,
    /// The metadata has changed since it was last stored.
    pub(super) metadata_is_new: bool,
    /// Families without a series at the last flush.
    idle_families: HashSet<String>,
}

impl Head {
    pub(super) fn new(files: Files, metadata: BTreeMap<String, SeriesMetadata>) -> Self {
        let state = State { files, metadata, epoch: 1, ..State::default() };
        Self { state: RwLock::new(state), failed_epoch: AtomicU32::new(0) }
    }

    /// A record of this epoch could not be written; those after it may build on it.
    pub(super) fn fail(&self, epoch: u32) {
        self.failed_epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Whether a record of this epoch may lack labels.
    pub(super) fn has_failed(&self, epoch: u32) -> bool {
        epoch <= self.failed_epoch.load(Ordering::Acquire)
    }

    /// Begins a run, whose first record has this number in the log or a higher one.
    pub(super) fn begin_run(&self, first_lsn: u64) {
        self.state.write().run = first_lsn;
    }

    /// Begins an epoch: records from here on bring their labels anew.
    pub(super) fn begin_epoch(&self, state: &mut State) {
        state.epoch += 1;
    }

    /// Takes what the log holds as record `lsn`; called in the log's order.
    pub(super) fn apply(&self, lsn: u64, record: SamplesRecord) {
        let mut state = self.state.write();
        let state = &mut *state;
        state.last_lsn = lsn;
        if record.is_empty() {
            return;
        }
        state.oldest.get_or_insert_with(Instant::now);
        state.samples += record.floats.len() + record.histograms.len();
        for Float { series, timestamp, start, value } in record.floats {
            let series = &mut state.series[series as usize];
            if series.floats.is_empty() || timestamp > series.floats.last() {
                let before = series.floats.memory_bytes();
                series.floats.push(timestamp, value, start);
                state.bytes += series.floats.memory_bytes() - before;
            } else if timestamp < series.floats.last() {
                let late = &mut series.more.get_or_insert_default().late;
                if let Err(place) = late.timestamps.binary_search(&timestamp) {
                    late.insert(place, timestamp, value, start);
                    state.bytes += 24;
                }
            }
        }
        for Histogram { series, timestamp, start, value } in record.histograms {
            let series = &mut state.series[series as usize];
            let histograms = &mut series.more.get_or_insert_default().histograms;
            if let Err(place) = histograms.timestamps.binary_search(&timestamp) {
                state.bytes += size_of::<FloatHistogram>() + 8 * value.positive_buckets.len();
                // A float between the two is seen when they are read together.
                histograms.insert_compared(place, timestamp, value, start);
            }
        }
        for (series, exemplar) in record.exemplars {
            let exemplars = state.exemplars.entry(series).or_default();
            if !exemplars.contains(&exemplar) {
                let place = exemplars.partition_point(|each| each.timestamp <= exemplar.timestamp);
                exemplars.insert(place, exemplar);
                state.exemplar_count += 1;
            }
        }
        for (family, metadata) in record.metadata {
            if state.metadata.get(&family) != Some(&metadata) {
                state.metadata.insert(family, metadata);
                state.metadata_is_new = true;
            }
        }
    }

    /// Exchanges files, and with `flushed` the frozen samples for the files that hold them, in one step. Series that
    /// have had no sample since the flush before leave memory.
    pub(super) fn replace(&self, files: Files, flushed: bool) {
        let mut state = self.state.write();
        let state = &mut *state;
        state.files = files;
        if !flushed {
            return;
        }
        state.frozen = None;
        for id in state.index.all().clone() {
            let series = &state.series[id as usize];
            if series.is_empty() && series.touched + 1 < state.freezes && !state.exemplars.contains_key(&id) {
                state.series[id as usize] = Series::default();
                state.index.remove(id);
            }
        }
        let end = state.index.shrink();
        state.series.truncate(end);
        if state.series.capacity() / 4 > end {
            state.series.shrink_to(end * 2);
        }
        state.forget_families();
    }

    /// Forgets what the newest samples were of series whose samples in files were deleted, so that they may come anew.
    pub(super) fn forget_newest(&self, sets: &[Vec<LabelMatcher>], range: MillisRange) {
        let mut state = self.state.write();
        for id in state.index.select_any(sets) {
            let series = &mut state.series[id as usize];
            if series.newest.as_ref().is_some_and(|(newest, _)| range.contains(*newest)) {
                series.newest = series.newest_in_memory();
            }
        }
    }
}

impl State {
    /// Whether there is nothing to be flushed.
    pub(super) fn is_empty(&self) -> bool {
        self.samples == 0 && self.exemplar_count == 0 && !self.metadata_is_new
    }

    /// Forgets what is known of families that had no series at the flush before either, when there are more of them than
    /// of others. A family's series have its name, or one that begins with it.
    fn forget_families(&mut self) {
        let idle = self.metadata.keys().filter(|family| !self.index.has_prefix(METRIC_NAME, family));
        let idle: HashSet<String> = idle.cloned().collect();
        let before = std::mem::replace(&mut self.idle_families, idle);
        let idle = &self.idle_families;
        if idle.len() > IDLE_FAMILIES.max(self.metadata.len() - idle.len()) {
            self.metadata.retain(|family, _| !(idle.contains(family) && before.contains(family)));
        }
    }

    fn insert(&mut self, labels: &Labels) -> u32 {
        let id = self.index.insert(labels);
        if id as usize >= self.series.len() {
            self.series.resize_with(id as usize + 1, Series::default);
        }
        self.series[id as usize].touched = self.freezes;
        id
    }

    fn note_newest(&mut self, id: u32, timestamp: i64, value: Newest) {
        let newest = &mut self.series[id as usize].newest;
        if newest.as_ref().is_none_or(|(newest, _)| timestamp > *newest) {
            *newest = Some((timestamp, value));
        }
        self.newest = self.newest.max(Some(timestamp));
    }
}

#[cfg(test)]
mod tests {
    use tripod_storage::series::{FloatSample, HistogramSample, SeriesBatch};

    use super::*;
    use crate::settings::SeriesSettings;

    /// Series of one generation, each of a family of its own, with a sample, a histogram and an exemplar.
    fn generation(number: i64, count: u32) -> SeriesBatch {
        let family = |series: u32| format!("family_{number}_{series}");
        let labels =
            |series: u32| Labels::from_pairs([("__name__", &*family(series)), ("generation", &number.to_string())]);
        let exemplar = SeriesExemplar { labels: Labels::empty(), value: 1.0, timestamp: number };
        let histogram = |series| {
            let value = Arc::new(FloatHistogram::default());
            HistogramSample { series, timestamp: number + 1, start: 0, value }
        };
        SeriesBatch {
            labels: (0..count).map(labels).collect(),
            floats: (0..count).map(|series| FloatSample { series, timestamp: number, start: 0, value: 1.0 }).collect(),
            histograms: (0..count).map(histogram).collect(),
            exemplars: (0..count).map(|series| (series, exemplar.clone())).collect(),
            metadata: (0..count).map(|series| (family(series), SeriesMetadata::default())).collect(),
        }
    }

    fn append(head: &Head, lsn: u64, batch: SeriesBatch) {
        let admitted = head.admit(&mut head.state.write(), batch, &SeriesSettings::default()).unwrap();
        head.apply(lsn, admitted.record);
    }

    fn flush(head: &Head, lsn: u64) {
        head.begin_epoch(&mut head.state.write());
        head.freeze(Some(lsn));
        head.replace(Files::default(), true);
    }

    #[test]
    fn series_that_sleep_through_two_flushes_leave_nothing_behind() {
        let head = Head::new(Files::default(), BTreeMap::new());
        append(&head, 1, generation(-1, 3));
        for lsn in 1..40 {
            // One generation is much larger than the others.
            append(&head, lsn * 3, generation(lsn as i64, if lsn == 20 { 20_000 } else { 100 }));
            // This one stays.
            let stays = SeriesBatch { floats: generation(lsn as i64, 1).floats, ..generation(-1, 1) };
            append(&head, lsn * 3 + 1, SeriesBatch { histograms: Vec::new(), exemplars: Vec::new(), ..stays });
            flush(&head, lsn * 3 + 2);
            let state = head.state.read();
            assert_eq!((state.samples, state.bytes, state.exemplar_count, state.exemplars.len()), (0, 0, 0, 0));
            if lsn != 20 {
                assert_eq!(state.index.len(), if lsn == 1 { 103 } else { 101 }, "flush {lsn}");
            }
            if lsn > 2 && !(20..22).contains(&lsn) {
                assert!(state.metadata.len() <= 1_201, "{} families at flush {lsn}", state.metadata.len());
                assert!(state.series.len() <= 203, "{} places at flush {lsn}", state.series.len());
                assert!(state.series.capacity() <= 1_000, "room for {}", state.series.capacity());
            }
        }
        for lsn in 200..203 {
            let name = Labels::from_pairs([("__name__", "last")]);
            let floats = generation(lsn as i64, 1).floats;
            append(&head, lsn, SeriesBatch { labels: vec![name], floats, ..SeriesBatch::default() });
            flush(&head, lsn);
        }
        let state = head.state.read();
        assert_eq!(state.index.len(), 1);
        assert!(state.metadata.len() <= IDLE_FAMILIES && state.idle_families.len() <= IDLE_FAMILIES);
        let known = state.index.statistics(10);
        assert_eq!((known.label_pairs, known.values_by_label.len()), (1, 1));
        assert!(state.series.len() <= 203);
    }
}
