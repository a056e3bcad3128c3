//! Samples of one series, compressed.
//!
//! A closed chunk holds its times, values and start times in columns of their own, each of which says what it is:
//!
//! ```text
//! version  1 byte, 1
//! count    varint
//! content  as its kind has it: integers, floats or histograms
//! checksum 4 bytes, little-endian: CRC-32C of all before
//! ```
//!
//! The columns are apart because the series of one target share their times to the millisecond: a file keeps such a
//! column once (`docs/decisions/0014-chunks-of-samples.md`).

mod bits;
mod encoder;
mod floats;
mod histograms;
mod integers;
mod open;

use std::sync::Arc;

use bytes::Bytes;
use tripod_model::series::{FloatHistogram, FloatSamples, HistogramSamples, Samples};

pub use bits::BitWriter;
pub use encoder::ChunkEncoder;
pub use open::OpenChunk;

use bits::{put_varint, take, take_varint};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// How many samples a chunk holds at most.
pub const MOST_SAMPLES: usize = 1 << 16;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// Float samples.
    Float,
    /// Native histograms.
    Histogram,
}

impl ChunkKind {
    /// The name that stands in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Histogram => "histogram",
        }
    }

    /// The inverse of [`ChunkKind::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Float, Self::Histogram].into_iter().find(|kind| kind.name() == name)
    }
}

/// A chunk in its stored form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChunk {
    /// What it holds.
    pub kind: ChunkKind,
    /// How many samples.
    pub count: u32,
    /// Time of the first sample, milliseconds since the Unix epoch.
    pub first: i64,
    /// Time of the last sample, milliseconds since the Unix epoch.
    pub last: i64,
    /// The column of times.
    pub timestamps: Bytes,
    /// The column of start times; `None` when none is known.
    pub start_timestamps: Option<Bytes>,
    /// The column of floats or histograms.
    pub values: Bytes,
}

/// The bytes of a chunk are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {column} of a chunk of samples {problem}")]
pub struct ChunkError {
    column: &'static str,
    problem: &'static str,
}

/// One histogram, for records that hold single samples; without head or checksum.
pub fn encode_histogram(histogram: &Arc<FloatHistogram>) -> Vec<u8> {
    let mut out = Vec::new();
    histograms::encode(std::slice::from_ref(histogram), &mut out);
    out
}

/// The inverse of [`encode_histogram`]; `None` when the bytes are not what that writes.
pub fn decode_histogram(bytes: &[u8]) -> Option<FloatHistogram> {
    histograms::decode(bytes, 1)?.pop().map(Arc::unwrap_or_clone)
}

fn column(count: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut bytes = vec![VERSION];
    put_varint(count as u64, &mut bytes);
    encode(&mut bytes);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.into()
}

/// The content of a column after its head and checksum were looked at.
fn content<'a>(name: &'static str, bytes: &'a [u8], count: usize) -> Result<&'a [u8], ChunkError> {
    let damaged = |problem| ChunkError { column: name, problem };
    let (content, checksum) = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .and_then(|end| bytes.split_at_checked(end))
        .ok_or_else(|| damaged("is too short"))?;
    if crc32c::crc32c(content).to_le_bytes() != *checksum {
        return Err(damaged("does not have its checksum: it is damaged"));
    }
    let mut rest = content;
    if take(&mut rest, 1) != Some(&[VERSION]) {
        return Err(damaged("is of a version that is not known"));
    }
    if take_varint(&mut rest) != Some(count as u64) {
        return Err(damaged("does not have as many values as its chunk has samples"));
    }
    Ok(rest)
}

impl EncodedChunk {
    /// Bytes of all columns.
    pub fn bytes(&self) -> usize {
        self.timestamps.len() + self.values.len() + self.start_timestamps.as_ref().map_or(0, Bytes::len)
    }

    /// The samples.
    ///
    /// # Errors
    /// [`ChunkError`] when the bytes are damaged.
    pub fn decode(&self) -> Result<Samples, ChunkError> {
        let count = self.count as usize;
        if count > MOST_SAMPLES {
            return Err(ChunkError { column: "count", problem: "is larger than a chunk may be" });
        }
        let invalid = |column| move || ChunkError { column, problem: "does not decode" };
        let integers =
            |name, bytes: &[u8]| integers::decode(content(name, bytes, count)?, count).ok_or_else(invalid(name));
        let timestamps = integers("timestamps", &self.timestamps)?;
        if !timestamps.is_sorted_by(|a, b| a < b) {
            return Err(ChunkError { column: "timestamps", problem: "is not in order" });
        }
        let start_timestamps = match &self.start_timestamps {
            Some(bytes) => integers("start_timestamps", bytes)?,
            None => Vec::new(),
        };
        let values = content("values", &self.values, count)?;
        Ok(match self.kind {
            ChunkKind::Float => {
                let values = floats::decode(values, count).ok_or_else(invalid("values"))?;
                Samples { floats: FloatSamples { timestamps, values, start_timestamps }, ..Samples::default() }
            }
            ChunkKind::Histogram => {
                let values: Vec<Arc<_>> = histograms::decode(values, count).ok_or_else(invalid("values"))?;
                let histograms = HistogramSamples { timestamps, values, start_timestamps };
                Samples { histograms, ..Samples::default() }
            }
        })
    }
}

#[cfg(test)]
mod tests;
