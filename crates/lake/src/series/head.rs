//! Series in memory: what the log holds and the table does not, with an index over labels.
//!
//! A sample is judged when its batch is admitted, and from then on its series knows it as the newest; it is seen by
//! queries when the log holds it. Admission and the log's queue are entered under one lock, so records lie in the log
//! in the order in which they were judged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::RwLock;
use tripod_model::series::{
    FloatHistogram, FloatSamples, HistogramSamples, Labels, STALE_NAN, Samples, SeriesExemplar, SeriesMetadata,
    is_stale,
};
use tripod_storage::AppendError;
use tripod_storage::series::{
    LabelIndex, LabelMatcher, MillisRange, OpenChunk, Rejection, SeriesAppended, SeriesBatch, check_histogram,
};

use super::record::{Float, Histogram, SamplesRecord};
use crate::data_file::Files;
use crate::settings::SeriesSettings;

/// All series in memory and the files of the table, in one state so that a query sees each sample in one place.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) state: RwLock<State>,
    /// Records of epochs up to this one may lack labels that an earlier record was to bring, and are refused.
    failed_epoch: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) index: LabelIndex,
    series: Vec<Series>,
    /// Counts the parts of the log that stand on their own; see [`super::record`].
    epoch: u64,
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

/// A series in memory.
#[derive(Debug, Default)]
struct Series {
    /// The newest sample that was admitted.
    newest: Option<(i64, Newest)>,
    /// The epoch in which the log last got the labels.
    defined: u64,
    /// The epoch in which a sample last came.
    touched: u64,
    floats: OpenChunk,
    more: Option<Box<More>>,
}

/// What most series do not have.
#[derive(Clone, Debug, Default)]
struct More {
    /// Floats that came out of order.
    late: FloatSamples,
    histograms: HistogramSamples,
}

#[derive(Clone, Debug)]
enum Newest {
    Float(u64),
    Histogram(Arc<FloatHistogram>),
}

/// Samples on their way into the table; still seen by queries.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    pub(super) last_lsn: u64,
    pub(super) samples: usize,
    /// Ascending by number.
    pub(super) series: Vec<FrozenSeries>,
}

/// A series' samples at one moment.
#[derive(Clone, Debug)]
pub(super) struct FrozenSeries {
    id: u32,
    pub(super) labels: Labels,
    floats: OpenChunk,
    more: Option<Box<More>>,
    pub(super) exemplars: Vec<SeriesExemplar>,
}

/// Samples of a series that were found in memory, in the order in which they were kept.
pub(super) struct Found {
    pub(super) labels: Labels,
    pub(super) parts: Vec<FrozenSeries>,
}

/// A batch that was judged.
pub(super) struct Admitted {
    pub(super) record: SamplesRecord,
    pub(super) epoch: u64,
    pub(super) appended: SeriesAppended,
}

impl FrozenSeries {
    /// First and last moment of the samples.
    fn span(&self) -> Option<(i64, i64)> {
        span(&self.floats, self.more.as_deref())
    }

    /// The samples in columns, as parts of which the earlier counts.
    pub(super) fn parts(&self) -> Vec<Samples> {
        let mut parts = Vec::new();
        if !self.floats.is_empty() {
            parts.push(Samples { floats: self.floats.samples(), ..Samples::default() });
        }
        if let Some(more) = &self.more {
            parts.push(Samples { floats: more.late.clone(), histograms: more.histograms.clone() });
        }
        parts
    }
}

fn span(floats: &OpenChunk, more: Option<&More>) -> Option<(i64, i64)> {
    let own = (!floats.is_empty()).then(|| (floats.first(), floats.last()));
    let ends = |times: &[i64]| Some((*times.first()?, *times.last()?));
    let more = more.map(|more| [ends(&more.late.timestamps), ends(&more.histograms.timestamps)]);
    let all = [own].into_iter().chain(more.into_iter().flatten()).flatten();
    all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

impl Series {
    fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.more.is_none()
    }

    /// Whether the sample that is there at a time, if any, has this value. `decoded` is the chunk of the series that was
    /// last looked into: late samples come many at a time, and nothing is added while a batch is judged.
    fn is_same(
        &self,
        timestamp: i64,
        value: &Newest,
        id: u32,
        decoded: &mut Option<(u32, FloatSamples)>,
    ) -> Option<bool> {
        if let Some((newest, there)) = &self.newest
            && *newest == timestamp
        {
            return Some(there.is_same(value));
        }
        let find = |times: &[i64]| times.binary_search(&timestamp).ok();
        if let Some(more) = &self.more {
            if let Some(at) = find(&more.histograms.timestamps) {
                return Some(Newest::Histogram(Arc::clone(&more.histograms.values[at])).is_same(value));
            }
            if let Some(at) = find(&more.late.timestamps) {
                return Some(Newest::Float(more.late.values[at].to_bits()).is_same(value));
            }
        }
        if !self.floats.is_empty() && (self.floats.first()..=self.floats.last()).contains(&timestamp) {
            if decoded.as_ref().is_none_or(|(of, _)| *of != id) {
                *decoded = None;
            }
            let (_, floats) = decoded.get_or_insert_with(|| (id, self.floats.samples()));
            let at = find(&floats.timestamps)?;
            return Some(Newest::Float(floats.values[at].to_bits()).is_same(value));
        }
        None
    }
}

impl Newest {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a == b,
            // What is known of a reset may have been found out here.
            (Self::Histogram(a), Self::Histogram(b)) => a.same_data(b),
            _ => false,
        }
    }
}

impl Head {
    pub(super) fn new(files: Files, metadata: BTreeMap<String, SeriesMetadata>) -> Self {
        let state = State { files, metadata, epoch: 1, ..State::default() };
        Self { state: RwLock::new(state), failed_epoch: AtomicU64::new(0) }
    }

    /// A record of this epoch could not be written; those after it may build on it.
    pub(super) fn fail(&self, epoch: u64) {
        self.failed_epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Whether a record of this epoch may lack labels.
    pub(super) fn has_failed(&self, epoch: u64) -> bool {
        epoch <= self.failed_epoch.load(Ordering::Acquire)
    }

    /// Begins an epoch: records from here on bring their labels anew.
    pub(super) fn begin_epoch(&self, state: &mut State) {
        state.epoch += 1;
    }

    /// Judges a batch. The caller holds the lock until the record has its place in the log.
    pub(super) fn admit(
        &self,
        state: &mut State,
        batch: SeriesBatch,
        settings: &SeriesSettings,
    ) -> Result<Admitted, AppendError> {
        state.epoch = state.epoch.max(self.failed_epoch.load(Ordering::Acquire) + 1);
        let SeriesBatch { labels, floats, histograms, exemplars, mut metadata } = batch;
        // A scrape tells all of it each time. There are no more families than series.
        let is_full = state.metadata.len() >= settings.max_series;
        metadata.retain(|(family, told)| match state.metadata.get(family) {
            Some(known) => known != told,
            None => !is_full,
        });
        let numbers = floats.iter().map(|sample| sample.series);
        let numbers = numbers.chain(histograms.iter().map(|sample| sample.series));
        if let Some(unknown) =
            numbers.chain(exemplars.iter().map(|(series, _)| *series)).find(|series| *series as usize >= labels.len())
        {
            return Err(AppendError::Invalid(format!(
                "a sample is of series {unknown}, but the batch has {} series",
                labels.len()
            )));
        }
        let mut admission = Admission {
            ids: vec![None; labels.len()],
            labels,
            decoded: None,
            record: SamplesRecord { metadata, ..SamplesRecord::default() },
            appended: SeriesAppended::default(),
            settings,
            epoch: state.epoch,
        };
        admission.record.floats.reserve(floats.len());
        for sample in floats {
            let value = Newest::Float(sample.value.to_bits());
            admission.judge(state, sample.series, (sample.timestamp, sample.start), value);
        }
        for sample in histograms {
            let times = (sample.timestamp, sample.start);
            match check_histogram(&sample.value) {
                Ok(()) => admission.judge(state, sample.series, times, Newest::Histogram(sample.value)),
                Err(reason) => admission.refuse(sample.series, sample.timestamp, reason),
            }
        }
        for (series, exemplar) in exemplars {
            admission.judge_exemplar(state, series, exemplar);
        }
        let Admission { record, appended, epoch, .. } = admission;
        Ok(Admitted { record, epoch, appended })
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

    /// Gives the series of a record that is replayed their numbers in memory, by the labels that came with their
    /// numbers in the log, and notes the samples as admitted. Samples of unknown numbers are dropped and counted.
    pub(super) fn renumber(&self, record: &mut SamplesRecord, known: &mut HashMap<u32, u32>) -> usize {
        let mut state = self.state.write();
        let state = &mut *state;
        for (number, labels) in record.series.drain(..) {
            let id = state.insert(&labels);
            known.insert(number, id);
        }
        let before = record.floats.len() + record.histograms.len() + record.exemplars.len();
        let renumber = |series: &mut u32| {
            known.get(series).is_some_and(|id| {
                *series = *id;
                true
            })
        };
        record.floats.retain_mut(|sample| renumber(&mut sample.series));
        record.histograms.retain_mut(|sample| renumber(&mut sample.series));
        record.exemplars.retain_mut(|(series, _)| renumber(series));
        for sample in &record.floats {
            state.note_newest(sample.series, sample.timestamp, Newest::Float(sample.value.to_bits()));
        }
        for sample in &record.histograms {
            state.note_newest(sample.series, sample.timestamp, Newest::Histogram(Arc::clone(&sample.value)));
        }
        before - record.floats.len() - record.histograms.len() - record.exemplars.len()
    }

    /// Sets all samples aside that are in memory; called where the log is cut, or when it takes no more.
    pub(super) fn freeze(&self, lsn: Option<u64>) {
        let mut state = self.state.write();
        let state = &mut *state;
        state.last_lsn = lsn.unwrap_or(state.last_lsn);
        if state.frozen.is_some() || state.is_empty() {
            return;
        }
        let mut frozen = Frozen { last_lsn: state.last_lsn, samples: state.samples, series: Vec::new() };
        let mut exemplars = std::mem::take(&mut state.exemplars);
        for (id, series) in state.series.iter_mut().enumerate() {
            let id = id as u32;
            let exemplars = exemplars.remove(&id).unwrap_or_default();
            if series.is_empty() && exemplars.is_empty() {
                continue;
            }
            frozen.series.push(FrozenSeries {
                id,
                labels: state.index.labels(id).clone(),
                floats: std::mem::take(&mut series.floats),
                more: series.more.take(),
                exemplars,
            });
        }
        (state.samples, state.bytes, state.exemplar_count) = (0, 0, 0);
        state.oldest = None;
        state.frozen = Some(Arc::new(frozen));
    }

    /// Exchanges files, and with `flushed` the frozen samples for the files that hold them, in one step. Series that
    /// have had no sample for a whole epoch leave memory.
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
            if series.is_empty() && series.touched + 1 < state.epoch && !state.exemplars.contains_key(&id) {
                state.series[id as usize] = Series::default();
                state.index.remove(id);
            }
        }
    }

    /// The series in memory for which all matchers hold and that have samples in the range, with these samples.
    pub(super) fn select(&self, matchers: &[LabelMatcher], range: MillisRange) -> (Vec<Found>, Files) {
        let state = self.state.read();
        let mut found = Vec::new();
        for id in state.index.select(matchers) {
            let series = &state.series[id as usize];
            let labels = state.index.labels(id);
            let mut parts = Vec::new();
            parts.extend(state.frozen(id).cloned());
            if !series.is_empty() {
                parts.push(FrozenSeries {
                    id,
                    labels: labels.clone(),
                    floats: series.floats.clone(),
                    more: series.more.clone(),
                    exemplars: Vec::new(),
                });
            }
            parts.retain(|part| part.span().is_some_and(|(first, last)| range.overlaps(first, last)));
            if !parts.is_empty() {
                found.push(Found { labels: labels.clone(), parts });
            }
        }
        (found, Arc::clone(&state.files))
    }

    /// Labels of the series in memory that are meant and have samples in the range.
    pub(super) fn labels(&self, sets: &[Vec<LabelMatcher>], range: MillisRange) -> (Vec<Labels>, Files) {
        let state = self.state.read();
        let ids = state.index.select_any(sets).into_iter();
        let overlaps = |span: Option<(i64, i64)>| span.is_some_and(|(first, last)| range.overlaps(first, last));
        let there = |id: &u32| {
            let series = &state.series[*id as usize];
            let exemplars = state.exemplars.get(id).map_or(&[][..], Vec::as_slice);
            overlaps(span(&series.floats, series.more.as_deref()))
                || overlaps(state.frozen(*id).and_then(FrozenSeries::span))
                || exemplars.iter().any(|each| range.contains(each.timestamp))
        };
        let found = ids.filter(there).map(|id| state.index.labels(id).clone()).collect();
        (found, Arc::clone(&state.files))
    }

    /// Exemplars in memory of the series that are meant.
    pub(super) fn exemplars(&self, sets: &[Vec<LabelMatcher>]) -> (Vec<(Labels, Vec<SeriesExemplar>)>, Files) {
        let state = self.state.read();
        let mut found = Vec::new();
        for id in state.index.select_any(sets) {
            let mut exemplars = state.frozen(id).map(|frozen| frozen.exemplars.clone()).unwrap_or_default();
            exemplars.extend(state.exemplars.get(&id).into_iter().flatten().cloned());
            if !exemplars.is_empty() {
                found.push((state.index.labels(id).clone(), exemplars));
            }
        }
        (found, Arc::clone(&state.files))
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

    /// First and last moment of the samples in memory, and the number of chunks.
    pub(super) fn extent(&self) -> (Option<(i64, i64)>, u64) {
        let state = self.state.read();
        let open = state.series.iter().filter_map(|series| span(&series.floats, series.more.as_deref()));
        let frozen = state.frozen.iter().flat_map(|frozen| frozen.series.iter().filter_map(FrozenSeries::span));
        let mut chunks = 0;
        let all = open.chain(frozen).inspect(|_| chunks += 1).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        (all, chunks)
    }
}

impl State {
    /// Whether there is nothing to be flushed.
    pub(super) fn is_empty(&self) -> bool {
        self.samples == 0 && self.exemplar_count == 0 && !self.metadata_is_new
    }

    fn frozen(&self, id: u32) -> Option<&FrozenSeries> {
        let series = &self.frozen.as_ref()?.series;
        series.binary_search_by_key(&id, |series| series.id).ok().map(|place| &series[place])
    }

    fn insert(&mut self, labels: &Labels) -> u32 {
        let id = self.index.insert(labels);
        if id as usize >= self.series.len() {
            self.series.resize_with(id as usize + 1, Series::default);
        }
        self.series[id as usize].touched = self.epoch;
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

/// A batch being judged.
struct Admission<'a> {
    labels: Vec<Labels>,
    /// The numbers of the batch's series, once asked for.
    ids: Vec<Option<Result<u32, Rejection>>>,
    /// The chunk that was last decoded to look for a sample of the same time, with its series.
    decoded: Option<(u32, FloatSamples)>,
    record: SamplesRecord,
    appended: SeriesAppended,
    settings: &'a SeriesSettings,
    epoch: u64,
}

impl Admission<'_> {
    fn judge(&mut self, state: &mut State, series: u32, (timestamp, start): (i64, i64), value: Newest) {
        let id = match self.id(state, series) {
            Ok(id) => id,
            Err(reason) => return self.refuse(series, timestamp, reason),
        };
        let store_newest = state.newest;
        let there = &mut state.series[id as usize];
        there.touched = self.epoch;
        // What ends a series of histograms is a histogram, whatever the scrape could know.
        let is_float = matches!(value, Newest::Float(_));
        let value = match (value, &there.newest) {
            (Newest::Float(bits), Some((_, Newest::Histogram(_)))) if is_stale(f64::from_bits(bits)) => {
                let stale = FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() };
                Newest::Histogram(Arc::new(stale))
            }
            (value, _) => value,
        };
        if there.newest.as_ref().is_some_and(|(newest, _)| timestamp <= *newest) {
            match there.is_same(timestamp, &value, id, &mut self.decoded) {
                Some(false) => return self.refuse(series, timestamp, Rejection::DuplicateTimestamp),
                // It goes into the log again, since the first may not have got there.
                Some(true) => {}
                None => match self.settings.out_of_order_window_milliseconds() {
                    Some(window) if store_newest.is_some_and(|newest| timestamp < newest.saturating_sub(window)) => {
                        return self.refuse(series, timestamp, Rejection::TooOld);
                    }
                    _ => {}
                },
            }
        }
        if there.defined != self.epoch {
            there.defined = self.epoch;
            self.record.series.push((id, self.labels[series as usize].clone()));
        }
        state.note_newest(id, timestamp, value.clone());
        if is_float {
            self.appended.floats += 1;
        } else {
            self.appended.histograms += 1;
        }
        match value {
            Newest::Float(bits) => {
                self.record.floats.push(Float { series: id, timestamp, start, value: f64::from_bits(bits) });
            }
            Newest::Histogram(value) => {
                self.record.histograms.push(Histogram { series: id, timestamp, start, value });
            }
        }
    }

    fn judge_exemplar(&mut self, state: &mut State, series: u32, exemplar: SeriesExemplar) {
        let Ok(id) = self.id(state, series) else { return };
        if state.exemplar_count + self.record.exemplars.len() >= self.settings.max_exemplars_in_memory {
            return;
        }
        let there = &mut state.series[id as usize];
        there.touched = self.epoch;
        if there.defined != self.epoch {
            there.defined = self.epoch;
            self.record.series.push((id, self.labels[series as usize].clone()));
        }
        self.appended.exemplars += 1;
        self.record.exemplars.push((id, exemplar));
    }

    /// The number of a series of the batch; a new one if it may be kept.
    fn id(&mut self, state: &mut State, series: u32) -> Result<u32, Rejection> {
        let slot = &mut self.ids[series as usize];
        if let Some(known) = slot {
            return known.clone();
        }
        let labels = &self.labels[series as usize];
        let found = match state.index.id(labels) {
            Some(id) => Ok(id),
            None => self.settings.check_new_series(labels, state.index.len()).map(|()| state.insert(labels)),
        };
        *slot = Some(found.clone());
        found
    }

    fn refuse(&mut self, series: u32, timestamp: i64, reason: Rejection) {
        self.appended.refuse(&self.labels[series as usize], timestamp, reason);
    }
}
