//! What numbers of series mean in a log that is replayed.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::AHashMap;
use tripod_model::series::SeriesExemplar;

use super::Head;
use super::open_series::Newest;
use crate::series::record::{Float, Histogram, SamplesRecord};

/// The series that are known by their numbers, and samples whose labels have not been read yet: where damage took the
/// record that first brought them, a later one of the same run may bring them again.
#[derive(Debug, Default)]
pub(in crate::series) struct Names {
    runs: HashMap<u64, Run>,
    dropped: usize,
}

#[derive(Debug, Default)]
struct Run {
    /// Numbers in memory by those in the log.
    ids: AHashMap<u32, u32>,
    waiting: HashMap<u32, Waiting>,
}

/// Samples of a number, in the log's order.
#[derive(Debug, Default)]
struct Waiting {
    floats: Vec<Float>,
    histograms: Vec<Histogram>,
    exemplars: Vec<(u32, SeriesExemplar)>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.floats.len() + self.histograms.len() + self.exemplars.len()
    }

    /// Puts the samples in front of a record's.
    fn go_before(mut self, record: &mut SamplesRecord) {
        self.floats.append(&mut record.floats);
        self.histograms.append(&mut record.histograms);
        self.exemplars.append(&mut record.exemplars);
        (record.floats, record.histograms, record.exemplars) = (self.floats, self.histograms, self.exemplars);
    }
}

impl Names {
    /// How many samples and exemplars are left whose labels did not come.
    pub(in crate::series) fn unnamed(&self) -> usize {
        let waiting = self.runs.values().flat_map(|run| run.waiting.values());
        self.dropped + waiting.map(Waiting::len).sum::<usize>()
    }
}

impl Head {
    /// Gives the series of a record that is replayed their numbers in memory, by the labels that came with their
    /// numbers in the log, and notes the samples as admitted. Samples of numbers that are not known yet are kept back,
    /// and join the record that brings their labels.
    pub(in crate::series) fn renumber(&self, record: &mut SamplesRecord, names: &mut Names) {
        let mut state = self.state.write();
        let state = &mut *state;
        let run = names.runs.entry(record.run).or_default();
        for (number, labels) in std::mem::take(&mut record.series) {
            if record.run != 0 && run.ids.contains_key(&number) {
                // They came before, and the number means the same as long as the run is known.
                continue;
            }
            run.ids.insert(number, state.insert(&labels));
            if let Some(waiting) = run.waiting.remove(&number) {
                waiting.go_before(record);
            }
        }
        let Run { ids, waiting } = run;
        let renumber = |series: &mut u32| ids.get(series).map(|id| *series = *id).is_some();
        record.floats.retain_mut(|sample| {
            let is_known = renumber(&mut sample.series);
            if !is_known {
                waiting.entry(sample.series).or_default().floats.push(*sample);
            }
            is_known
        });
        record.histograms.retain_mut(|sample| {
            let is_known = renumber(&mut sample.series);
            if !is_known {
                waiting.entry(sample.series).or_default().histograms.push(sample.clone());
            }
            is_known
        });
        record.exemplars.retain_mut(|(series, exemplar)| {
            let is_known = renumber(series);
            if !is_known {
                waiting.entry(*series).or_default().exemplars.push((*series, exemplar.clone()));
            }
            is_known
        });
        if record.run == 0 {
            // Without its run a number may mean another series where it is named next.
            names.dropped += std::mem::take(waiting).values().map(Waiting::len).sum::<usize>();
        }
        for sample in &record.floats {
            state.note_newest(sample.series, sample.timestamp, Newest::Float(sample.value.to_bits()));
        }
        for sample in &record.histograms {
            state.note_newest(sample.series, sample.timestamp, Newest::Histogram(Arc::clone(&sample.value)));
        }
    }
}
