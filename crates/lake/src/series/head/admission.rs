//! Judging a batch: which of its samples are taken, and as what.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tripod_model::series::{FloatHistogram, FloatSamples, Labels, STALE_NAN, SeriesExemplar, is_stale};
use tripod_storage::AppendError;
use tripod_storage::series::{Rejection, SeriesAppended, SeriesBatch, check_histogram};

use super::open_series::Newest;
use super::{Head, State};
use crate::series::record::{Float, Histogram, SamplesRecord};
use crate::settings::SeriesSettings;

/// A batch that was judged.
pub(in crate::series) struct Admitted {
    pub(in crate::series) record: SamplesRecord,
    pub(in crate::series) epoch: u64,
    pub(in crate::series) appended: SeriesAppended,
}

impl Head {
    /// Judges a batch. The caller holds the lock until the record has its place in the log.
    pub(in crate::series) fn admit(
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
