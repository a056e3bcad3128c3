//! A series in memory, and whether a sample is one that it has.

use std::sync::Arc;

use tripod_model::series::{FloatHistogram, FloatSamples, HistogramSamples, Samples};
use tripod_storage::series::{Chunk, OpenChunk};

/// A series in memory.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// The newest sample that was admitted.
    pub(super) newest: Option<(i64, Newest)>,
    /// The epoch in which the log last got the labels.
    pub(super) epoch: u32,
    /// How many records of that epoch name the series.
    pub(super) records: u32,
    /// How often samples had been set aside when one last came.
    pub(super) touched: u64,
    pub(super) floats: OpenChunk,
    pub(super) more: Option<Box<More>>,
}

/// What most series do not have.
#[derive(Clone, Debug, Default)]
pub(super) struct More {
    /// Floats that came out of order.
    pub(super) late: FloatSamples,
    pub(super) histograms: HistogramSamples,
}

#[derive(Clone, Debug)]
pub(super) enum Newest {
    Float(u64),
    Histogram(Arc<FloatHistogram>),
}

impl Series {
    pub(super) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.more.is_none()
    }

    /// The newest sample that is in memory and not set aside.
    pub(super) fn newest_in_memory(&self) -> Option<(i64, Newest)> {
        let last =
            |floats: &FloatSamples| Some((*floats.timestamps.last()?, Newest::Float(floats.values.last()?.to_bits())));
        let more = self.more.as_deref();
        let histogram = more.and_then(|more| {
            let value = Arc::clone(more.histograms.values.last()?);
            Some((*more.histograms.timestamps.last()?, Newest::Histogram(value)))
        });
        let all = [last(&self.floats.samples()), more.and_then(|more| last(&more.late)), histogram];
        all.into_iter().flatten().max_by_key(|(timestamp, _)| *timestamp)
    }

    /// Whether the sample that is there at a time, if any, has this value. `decoded` is the chunk of the series that was
    /// last looked into: late samples come many at a time, and nothing is added while a batch is judged.
    pub(super) fn is_same(
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
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a == b,
            // What is known of a reset may have been found out here.
            (Self::Histogram(a), Self::Histogram(b)) => a.same_data(b),
            _ => false,
        }
    }
}

pub(super) fn span(floats: &OpenChunk, more: Option<&More>) -> Option<(i64, i64)> {
    let own = (!floats.is_empty()).then(|| (floats.first(), floats.last()));
    let ends = |times: &[i64]| Some((*times.first()?, *times.last()?));
    let more = more.map(|more| [ends(&more.late.timestamps), ends(&more.histograms.timestamps)]);
    let all = [own].into_iter().chain(more.into_iter().flatten()).flatten();
    all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// A copy of the samples, as chunks of which the earlier counts.
pub(super) fn chunks(floats: &OpenChunk, more: Option<&More>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    if !floats.is_empty() {
        chunks.push(Chunk::Open(Arc::new(floats.clone())));
    }
    if let Some(More { late, histograms }) = more {
        chunks.push(Chunk::Samples(Arc::new(Samples { floats: late.clone(), histograms: histograms.clone() })));
    }
    chunks
}
