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
    pub(in crate::series) epoch: u32,
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
            slots: vec![Slot::default(); labels.len()],
            labels,
            decoded: None,
            record: SamplesRecord { run: state.run, metadata, ..SamplesRecord::default() },
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

/// What is found out about a series of a batch.
#[derive(Clone, Default)]
struct Slot {
    /// Its number, once asked for.
    id: Option<Result<u32, Rejection>>,
    /// Whether the record names it.
    is_named: bool,
}

/// A batch being judged.
struct Admission<'a> {
    labels: Vec<Labels>,
    slots: Vec<Slot>,
    /// The chunk that was last decoded to look for a sample of the same time, with its series.
    decoded: Option<(u32, FloatSamples)>,
    record: SamplesRecord,
    appended: SeriesAppended,
    settings: &'a SeriesSettings,
    epoch: u32,
}

impl Admission<'_> {
    fn judge(&mut self, state: &mut State, series: u32, (timestamp, start): (i64, i64), value: Newest) {
        let id = match self.id(state, series) {
            Ok(id) => id,
            Err(reason) => return self.refuse(series, timestamp, reason),
        };
        let store_newest = state.newest;
        let there = &state.series[id as usize];
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
        self.name(state, series, id);
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
        if state.exemplar_count + self.record.exemplars.len() >= self.settings.max_exemplars_in_memory {
            return;
        }
        let Ok(id) = self.id(state, series) else { return };
        self.name(state, series, id);
        self.appended.exemplars += 1;
        self.record.exemplars.push((id, exemplar));
    }

    /// Notes that the record names a series; puts its labels into it where they are due.
    fn name(&mut self, state: &mut State, series: u32, id: u32) {
        let is_named = &mut self.slots[series as usize].is_named;
        if std::mem::replace(is_named, true) {
            return;
        }
        let there = &mut state.series[id as usize];
        there.touched = state.freezes;
        if there.epoch != self.epoch {
            (there.epoch, there.records) = (self.epoch, 0);
        }
        there.records = there.records.saturating_add(1);
        if there.records.is_power_of_two() {
            self.record.series.push((id, self.labels[series as usize].clone()));
        }
    }

    /// The number of a series of the batch; a new one if it may be kept.
    fn id(&mut self, state: &mut State, series: u32) -> Result<u32, Rejection> {
        let slot = &mut self.slots[series as usize].id;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tripod_storage::series::FloatSample;

    use super::*;

    fn batch(timestamp: i64) -> SeriesBatch {
        SeriesBatch {
            labels: vec![Labels::from_pairs([("__name__", "x")])],
            floats: vec![FloatSample { series: 0, timestamp, start: 0, value: 1.0 }],
            ..SeriesBatch::default()
        }
    }

    /// Of records that were judged before another one failed, those are refused that may need its labels.
    #[test]
    fn a_failed_record_is_followed_by_none_that_needs_its_labels() {
        let (head, settings) = (Head::new(Default::default(), BTreeMap::new()), SeriesSettings::default());
        let admit = |timestamp| head.admit(&mut head.state.write(), batch(timestamp), &settings).unwrap();
        let before: Vec<_> = (0..3).map(admit).collect();
        let with_labels = |all: &[Admitted]| all.iter().map(|each| each.record.series.len()).collect::<Vec<_>>();
        assert_eq!(with_labels(&before), [1, 1, 0]);
        assert!(before.iter().all(|each| !head.has_failed(each.epoch)));
        head.fail(before[0].epoch);
        assert!(before.iter().all(|each| head.has_failed(each.epoch)));
        let after: Vec<_> = (3..12).map(admit).collect();
        assert_eq!(with_labels(&after), [1, 1, 0, 1, 0, 0, 0, 1, 0]);
        assert!(after.iter().all(|each| !head.has_failed(each.epoch)));
    }

    #[test]
    fn a_record_brings_labels_once_and_only_with_samples() {
        let (head, settings) = (Head::new(Default::default(), BTreeMap::new()), SeriesSettings::default());
        let admit = |batch| head.admit(&mut head.state.write(), batch, &settings).unwrap().record;
        let mut many = batch(0);
        many.floats = (0..9).map(|timestamp| FloatSample { timestamp, ..many.floats[0] }).collect();
        assert_eq!(admit(many).series.len(), 1);
        let refused = SeriesBatch { floats: vec![FloatSample { value: 2.0, ..batch(8).floats[0] }], ..batch(8) };
        assert!(admit(refused).series.is_empty());
        assert_eq!(
            admit(batch(9)).series.len(),
            1,
            "the second record is the first after the one that was not written"
        );
    }
}
