//! A chunk that is being written: samples one by one, compressed as they come.
//!
//! Times are differences of differences and values are bits against those before, as in Gorilla (Pelkonen et al.,
//! 2015) and Prometheus: no other encoding of a few bytes a sample can be appended to. It never leaves memory; what is
//! stored is encoded anew, in columns.

use tripod_model::series::FloatSamples;

use super::bits::{BitReader, BitWriter};
use super::floats::XorState;

/// Float samples of one series, ascending in time.
#[derive(Clone, Debug, Default)]
pub struct OpenChunk {
    count: u32,
    first: i64,
    last: i64,
    step: i64,
    value: XorState,
    bits: BitWriter,
    /// The place from which on a start timestamp holds, with the timestamp; ascending.
    starts: Vec<(u32, i64)>,
}

/// Widths of a difference of differences, each with its mark.
const WIDTHS: [(u64, u32, u32); 3] = [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)];

impl OpenChunk {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Time of the first sample, milliseconds since the Unix epoch.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// Time of the last sample, milliseconds since the Unix epoch.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// The compressed samples.
    pub fn bytes(&self) -> &[u8] {
        &self.bits.bytes
    }

    /// Bytes on the heap.
    pub fn memory_bytes(&self) -> usize {
        self.bits.bytes.capacity() + self.starts.capacity() * size_of::<(u32, i64)>()
    }

    /// Adds a sample that is later than all before; `start` is 0 when unknown.
    pub fn push(&mut self, timestamp: i64, value: f64, start: i64) {
        if self.count == 0 {
            self.first = timestamp;
        } else {
            let step = timestamp.wrapping_sub(self.last);
            let change = step.wrapping_sub(self.step);
            self.step = step;
            self.write_change(change);
        }
        self.last = timestamp;
        self.value.write(value.to_bits(), &mut self.bits);
        if self.starts.last().map_or(0, |(_, start)| *start) != start {
            self.starts.push((self.count, start));
        }
        self.count += 1;
    }

    fn write_change(&mut self, change: i64) {
        if change == 0 {
            self.bits.write(0, 1);
            return;
        }
        for (mark, length, width) in WIDTHS {
            let half = 1i64 << (width - 1);
            if (-half..half).contains(&change) {
                self.bits.write(mark, length);
                self.bits.write(change as u64, width);
                return;
            }
        }
        self.bits.write(0b1111, 4);
        self.bits.write(change as u64, 64);
    }

    /// The samples. What was pushed always comes back.
    pub fn samples(&self) -> FloatSamples {
        let count = self.count as usize;
        let mut samples = FloatSamples {
            timestamps: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
            start_timestamps: Vec::new(),
        };
        let mut bits = BitReader::new(&self.bits.bytes);
        let mut value = XorState::default();
        let (mut time, mut step) = (self.first, 0i64);
        for index in 0..count {
            if index > 0 {
                let Some(change) = read_change(&mut bits) else { break };
                step = step.wrapping_add(change);
                time = time.wrapping_add(step);
            }
            let Some(value) = value.read(&mut bits) else { break };
            samples.timestamps.push(time);
            samples.values.push(f64::from_bits(value));
        }
        if !self.starts.is_empty() {
            samples.start_timestamps = vec![0; count];
            for (index, (from, start)) in self.starts.iter().enumerate() {
                let to = self.starts.get(index + 1).map_or(count, |(to, _)| *to as usize);
                samples.start_timestamps[*from as usize..to].fill(*start);
            }
        }
        samples
    }
}

fn read_change(bits: &mut BitReader<'_>) -> Option<i64> {
    if !bits.bit()? {
        return Some(0);
    }
    for (_, _, width) in WIDTHS {
        if !bits.bit()? {
            let value = bits.read(width)?;
            return Some((value << (64 - width)) as i64 >> (64 - width));
        }
    }
    Some(bits.read(64)? as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_pushed_comes_back(
            times in prop::collection::btree_set(prop_oneof![any::<i64>(), -9_000i64..9_000], 0..200),
            values in prop::collection::vec(prop_oneof![any::<u64>(), (0u64..9).prop_map(|value| (value as f64).to_bits())], 200),
            starts in prop::collection::vec(prop_oneof![Just(0i64), Just(5), any::<i64>()], 200),
        ) {
            let mut chunk = OpenChunk::default();
            let mut expected = FloatSamples::default();
            for ((time, value), start) in times.into_iter().zip(values).zip(starts) {
                chunk.push(time, f64::from_bits(value), start);
                expected.push(time, f64::from_bits(value), start);
            }
            prop_assert_eq!(chunk.samples(), expected);
        }
    }
}
