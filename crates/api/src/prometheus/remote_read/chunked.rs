//! `STREAMED_XOR_CHUNKS`: frames that each hold chunks of one series, sent as they are made.
//!
//! A frame is its length as a varint, the CRC-32C of what follows in four bytes, the highest first, and a
//! `prometheus.ChunkedReadResponse`. Series come sorted by labels; one that needs more than [`MAX_FRAME_BYTES`] is continued
//! in the next frame.

use std::ops::Range;

use prost::encoding::{encode_varint, int32, int64};
use tripod_model::series::{CounterResetHint, Samples, is_stale};
use tripod_storage::SelectError;
use tripod_storage::series::{MillisRange, SelectedSeries};

use super::{labels, nested, xor};

/// Frames are cut when their chunks have grown to this size, as in Prometheus.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// So many samples make a chunk, as in Prometheus.
const MAX_CHUNK_SAMPLES: usize = 120;

/// `XOR` and `FLOAT_HISTOGRAM` of `Chunk.Encoding`.
const XOR: i32 = 1;
const FLOAT_HISTOGRAM: i32 = 3;

/// Hands the frames of all queries to `send`, until it refuses one.
///
/// # Errors
/// [`SelectError`] when a stored chunk is damaged; the frames before it were sent.
pub(super) fn write(
    selected: Vec<(Vec<SelectedSeries>, MillisRange)>,
    mut send: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), SelectError> {
    let (mut head, mut part) = (Vec::new(), Vec::new());
    for (query, (series, range)) in selected.into_iter().enumerate() {
        for each in series {
            let samples = each.samples(range)?;
            drop(each.chunks);
            head.clear();
            labels(&each.labels, &mut part, &mut head);
            let mut chunks = Chunks::of(&samples).peekable();
            while chunks.peek().is_some() {
                let mut message = head.clone();
                while message.len() < MAX_FRAME_BYTES
                    && let Some(chunk) = chunks.next()
                {
                    chunk.write(&samples, &mut part, &mut message);
                }
                if !send(frame(&message, query as i64)) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn frame(series: &[u8], query: i64) -> Vec<u8> {
    let mut response = Vec::with_capacity(series.len() + 16);
    nested(1, series, &mut response);
    if query != 0 {
        int64::encode(2, &query, &mut response);
    }
    let mut frame = Vec::with_capacity(response.len() + 16);
    encode_varint(response.len() as u64, &mut frame);
    frame.extend_from_slice(&crc32c::crc32c(&response).to_be_bytes());
    frame.extend_from_slice(&response);
    frame
}

/// Which samples are a chunk: places in the columns of floats or of histograms.
#[derive(Clone, Debug, PartialEq)]
enum Chunk {
    Floats(Range<usize>),
    Histograms(Range<usize>),
}

impl Chunk {
    fn write(&self, samples: &Samples, part: &mut Vec<u8>, series: &mut Vec<u8>) {
        let (times, encoding, data) = match self {
            Self::Floats(places) => {
                let times = &samples.floats.timestamps[places.clone()];
                (times, XOR, xor::floats(times, &samples.floats.values[places.clone()]))
            }
            Self::Histograms(places) => {
                let times = &samples.histograms.timestamps[places.clone()];
                let values = samples.histograms.values[places.clone()].iter().map(|value| &**value);
                (times, FLOAT_HISTOGRAM, xor::histograms(times.iter().copied().zip(values)))
            }
        };
        part.clear();
        int64::encode(1, times.first().unwrap_or(&0), part);
        int64::encode(2, times.last().unwrap_or(&0), part);
        int32::encode(3, &encoding, part);
        nested(4, &data, part);
        nested(2, part, series);
    }
}

/// The chunks of a series in the order of time, where floats and histograms may take turns.
struct Chunks<'a> {
    samples: &'a Samples,
    float: usize,
    histogram: usize,
}

impl<'a> Chunks<'a> {
    fn of(samples: &'a Samples) -> Self {
        Self { samples, float: 0, histogram: 0 }
    }

    /// Whether a histogram goes into the chunk of the one before it: what a chunk holds after its first histogram is
    /// read as no reset, or as gauges, of the same layout.
    fn continues(&self, place: usize) -> bool {
        let (before, next) = (&self.samples.histograms.values[place - 1], &self.samples.histograms.values[place]);
        let is_gauge = |hint| hint == CounterResetHint::Gauge;
        let joined = is_gauge(before.counter_reset_hint) && is_gauge(next.counter_reset_hint)
            || !is_gauge(before.counter_reset_hint) && next.counter_reset_hint == CounterResetHint::NotCounterReset;
        joined && !is_stale(before.sum) && !is_stale(next.sum) && xor::same_layout(before, next)
    }
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let (floats, histograms) = (&self.samples.floats.timestamps, &self.samples.histograms.timestamps);
        let (float, histogram) = (floats.get(self.float), histograms.get(self.histogram));
        match (float, histogram) {
            (None, None) => None,
            (Some(float), next) if next.is_none_or(|next| float < next) => {
                let from = self.float;
                let most = floats.len().min(from + MAX_CHUNK_SAMPLES);
                let count = floats[from..most].partition_point(|time| next.is_none_or(|next| time < next));
                self.float = from + count;
                Some(Chunk::Floats(from..self.float))
            }
            _ => {
                let from = self.histogram;
                let most = histograms.len().min(from + MAX_CHUNK_SAMPLES);
                let end = (from + 1..most)
                    .find(|place| float.is_some_and(|float| *float < histograms[*place]) || !self.continues(*place));
                self.histogram = end.unwrap_or(most);
                Some(Chunk::Histograms(from..self.histogram))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tripod_model::series::{FloatHistogram, Labels, STALE_NAN};
    use tripod_storage::series;

    use super::*;

    fn histogram(count: f64) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram { count, zero_count: count, ..FloatHistogram::default() })
    }

    #[test]
    fn a_chunk_holds_one_kind_without_resets() {
        let mut samples = Samples::default();
        for time in 0..250 {
            samples.insert_float(time, time as f64, 0);
        }
        for (time, count) in [(250, 1.0), (251, 2.0), (252, 1.0), (253, 2.0), (255, 3.0)] {
            samples.insert_histogram(time, histogram(count), 0);
        }
        samples.insert_histogram(256, Arc::new(FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() }), 0);
        samples.insert_float(254, 1.0, 0);
        use Chunk::{Floats, Histograms};
        assert_eq!(
            Chunks::of(&samples).collect::<Vec<_>>(),
            [
                Floats(0..120),
                Floats(120..240),
                Floats(240..250),
                Histograms(0..2),
                Histograms(2..4),
                Floats(250..251),
                Histograms(4..5),
                Histograms(5..6),
            ]
        );
    }

    #[test]
    fn what_is_larger_than_a_frame_is_continued_in_the_next() {
        let mut samples = Samples::default();
        for time in 0..200_000i64 {
            samples.floats.push(time * 1000, f64::from_bits((time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)), 0);
        }
        let chunks = vec![series::Chunk::Samples(Arc::new(samples))];
        let labels = Labels::from_pairs([("__name__", "up")]);
        let selected = vec![(vec![SelectedSeries { labels, chunks }], MillisRange::ALL)];
        let mut frames = Vec::new();
        let keep = |frame| {
            frames.push(frame);
            true
        };
        write(selected.clone(), keep).unwrap();
        assert!(frames.len() > 1);
        for frame in &frames {
            let mut rest = &frame[..];
            let length = prost::encoding::decode_varint(&mut rest).unwrap() as usize;
            let (checksum, response) = rest.split_first_chunk().unwrap();
            assert_eq!((response.len(), crc32c::crc32c(response)), (length, u32::from_be_bytes(*checksum)));
            assert!(length < MAX_FRAME_BYTES + 4096);
        }
        let mut sent = 0;
        let refuse = |_| {
            sent += 1;
            false
        };
        write(selected, refuse).unwrap();
        assert_eq!(sent, 1, "nobody waits for more");
    }
}
