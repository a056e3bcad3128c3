use ahash::AHashMap;
use bytes::Bytes;
use tripod_model::series::{FloatSamples, HistogramSamples};

use super::{ChunkKind, EncodedChunk, MOST_SAMPLES, column, floats, histograms, integers};

/// Times that are held at most, of all columns together: eight megabytes.
const MOST_TIMES: usize = 1 << 20;

/// Encodes the samples of many series. Those of one target share their times, so a column of times that came before is
/// not encoded again.
#[derive(Debug, Default)]
pub struct ChunkEncoder {
    columns: AHashMap<Box<[i64]>, Bytes>,
    times: usize,
}

impl ChunkEncoder {
    /// Encodes float samples; as many chunks as their number needs.
    pub fn floats(&mut self, samples: &FloatSamples) -> Vec<EncodedChunk> {
        let starts = &samples.start_timestamps;
        let mut chunks = Vec::new();
        let mut from = 0;
        for times in samples.timestamps.chunks(MOST_SAMPLES) {
            let place = from..from + times.len();
            let values = column(times.len(), |out| floats::encode(&samples.values[place.clone()], out));
            chunks.extend(self.chunk(ChunkKind::Float, times, starts.get(place), values));
            from += times.len();
        }
        chunks
    }

    /// Encodes native histograms; as many chunks as their number and size need.
    pub fn histograms(&mut self, samples: &HistogramSamples) -> Vec<EncodedChunk> {
        let mut chunks = Vec::new();
        let mut from = 0;
        while from < samples.values.len() {
            let mut numbers = 0;
            let sizes = samples.values[from..].iter().take(MOST_SAMPLES).map(|value| {
                numbers += histograms::numbers(value);
                numbers
            });
            let count = sizes.take_while(|numbers| *numbers <= histograms::MOST_NUMBERS).count().max(1);
            let place = from..from + count;
            let values = column(count, |out| histograms::encode(&samples.values[place.clone()], out));
            let times = &samples.timestamps[place.clone()];
            chunks.extend(self.chunk(ChunkKind::Histogram, times, samples.start_timestamps.get(place), values));
            from += count;
        }
        chunks
    }

    fn chunk(&mut self, kind: ChunkKind, times: &[i64], starts: Option<&[i64]>, values: Bytes) -> Option<EncodedChunk> {
        let starts = starts.filter(|starts| starts.iter().any(|start| *start != 0));
        Some(EncodedChunk {
            kind,
            count: times.len() as u32,
            first: *times.first()?,
            last: *times.last()?,
            timestamps: self.times(times),
            start_timestamps: starts.map(|starts| self.times(starts)),
            values,
        })
    }

    fn times(&mut self, times: &[i64]) -> Bytes {
        if let Some(known) = self.columns.get(times) {
            return known.clone();
        }
        if self.times + times.len() > MOST_TIMES {
            self.columns.clear();
            self.times = 0;
        }
        let encoded = column(times.len(), |out| integers::encode(times, out));
        self.times += times.len();
        self.columns.insert(times.into(), encoded.clone());
        encoded
    }
}
