//! What queries see of memory, and the files that go with it.

use std::sync::Arc;

use tripod_model::series::{Labels, SeriesExemplar};
use tripod_storage::series::{Chunk, LabelMatcher, MillisRange, OpenChunk};

use super::super::file_index::Entry;
use super::Head;
use super::frozen::FrozenSeries;
use super::open_series::{More, chunks, span};
use crate::data_file::Files;

impl Head {
    /// The series in memory for which all matchers hold and that have samples in the range, with these samples in the
    /// order in which they were kept.
    pub(in crate::series) fn select(
        &self,
        matchers: &[LabelMatcher],
        range: MillisRange,
    ) -> (Vec<(Labels, Vec<Chunk>)>, Files) {
        let state = self.state.read();
        let mut found = Vec::new();
        for id in state.index.select(matchers) {
            let series = &state.series[id as usize];
            let frozen = state.frozen(id).map(|frozen| (&frozen.floats, frozen.more.as_deref()));
            let parts = frozen.into_iter().chain([(&series.floats, series.more.as_deref())]);
            let meant = |(floats, more): &(&OpenChunk, Option<&More>)| {
                span(floats, *more).is_some_and(|(first, last)| range.overlaps(first, last))
            };
            let chunks: Vec<Chunk> = parts.filter(meant).flat_map(|(floats, more)| chunks(floats, more)).collect();
            if !chunks.is_empty() {
                found.push((state.index.labels(id).clone(), chunks));
            }
        }
        (found, Arc::clone(&state.files))
    }

    /// Gives series of a file the labels that they have in memory, so that these are there once; gives the bytes of the
    /// others.
    pub(in crate::series) fn share_labels(&self, entries: &mut [Entry]) -> usize {
        let state = self.state.read();
        let mut own = 0;
        for entry in entries {
            match state.index.id(&entry.labels) {
                Some(id) => entry.labels = state.index.labels(id).clone(),
                None => own += entry.labels.as_bytes().len(),
            }
        }
        own
    }

    /// Labels of the series in memory that are meant and have samples in the range.
    pub(in crate::series) fn labels(&self, sets: &[Vec<LabelMatcher>], range: MillisRange) -> (Vec<Labels>, Files) {
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
    pub(in crate::series) fn exemplars(
        &self,
        sets: &[Vec<LabelMatcher>],
    ) -> (Vec<(Labels, Vec<SeriesExemplar>)>, Files) {
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

    /// First and last moment of the samples in memory, and the number of chunks.
    pub(in crate::series) fn extent(&self) -> (Option<(i64, i64)>, u64) {
        let state = self.state.read();
        let open = state.series.iter().filter_map(|series| span(&series.floats, series.more.as_deref()));
        let frozen = state.frozen.iter().flat_map(|frozen| frozen.series.iter().filter_map(FrozenSeries::span));
        let mut chunks = 0;
        let all = open.chain(frozen).inspect(|_| chunks += 1).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        (all, chunks)
    }
}
