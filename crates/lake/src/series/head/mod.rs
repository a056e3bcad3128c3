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

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use parking_lot::RwLock;
use tripod_model::series::{FloatHistogram, Labels, SeriesExemplar, SeriesMetadata};
use tripod_storage::series::{LabelIndex, LabelMatcher, MillisRange};

use super::record::{Float, Histogram, SamplesRecord};
use crate::data_file::Files;
pub(super) use frozen::{Frozen, FrozenSeries};
pub(super) use names::Names;
use open_series::{Newest, Series};

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
    }

    /// Forgets what the newest samples were of series whose samples were deleted, so that they may come anew.
    pub(super) fn forget_newest(&self, sets: &[Vec<LabelMatcher>], range: MillisRange) {
        let mut state = self.state.write();
        for id in state.index.select_any(sets) {
            let newest = &mut state.series[id as usize].newest;
            if newest.as_ref().is_some_and(|(newest, _)| range.contains(*newest)) {
                *newest = None;
            }
        }
    }
}

impl State {
    /// Whether there is nothing to be flushed.
    pub(super) fn is_empty(&self) -> bool {
        self.samples == 0 && self.exemplar_count == 0 && !self.metadata_is_new
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
