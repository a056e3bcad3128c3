//! Samples set aside for the table.

use std::sync::Arc;

use tripod_model::series::{Labels, SeriesExemplar};
use tripod_storage::series::{Chunk, OpenChunk};

use super::open_series::{More, chunks, span};
use super::{Head, State};

/// Samples on their way into the table; still seen by queries.
#[derive(Debug, Default)]
pub(in crate::series) struct Frozen {
    pub(in crate::series) last_lsn: u64,
    pub(in crate::series) samples: usize,
    /// Ascending by number.
    pub(in crate::series) series: Vec<FrozenSeries>,
}

/// A series' samples at one moment.
#[derive(Clone, Debug)]
pub(in crate::series) struct FrozenSeries {
    pub(super) id: u32,
    pub(in crate::series) labels: Labels,
    pub(super) floats: OpenChunk,
    pub(super) more: Option<Box<More>>,
    pub(in crate::series) exemplars: Vec<SeriesExemplar>,
}

impl FrozenSeries {
    /// First and last moment of the samples.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        span(&self.floats, self.more.as_deref())
    }

    /// The samples, as chunks of which the earlier counts.
    pub(in crate::series) fn chunks(&self) -> Vec<Chunk> {
        chunks(&self.floats, self.more.as_deref())
    }
}

impl Head {
    /// Sets all samples aside that are in memory; called where the log is cut, or when it takes no more.
    pub(in crate::series) fn freeze(&self, lsn: Option<u64>) {
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
        state.freezes += 1;
        state.frozen = Some(Arc::new(frozen));
    }
}

impl State {
    pub(super) fn frozen(&self, id: u32) -> Option<&FrozenSeries> {
        let series = &self.frozen.as_ref()?.series;
        series.binary_search_by_key(&id, |series| series.id).ok().map(|place| &series[place])
    }
}
