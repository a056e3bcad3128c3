//! Chunks as Prometheus keeps them and sends them in `STREAMED_XOR_CHUNKS`: `XOR` of floats and `FLOAT_HISTOGRAM`.
//!
//! <https://github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md>: the number of samples in two bytes, for
//! histograms a byte of flags, then bits. Times are differences of differences, values are bits against those before.

use tripod_model::series::{CounterResetHint, FloatHistogram, NativeSpan};
use tripod_storage::series::chunk::BitWriter;

/// Widths of a number, each with the mark that stands before it.
const VARBIT: [(u64, u32, u32); 8] = [
    (0b10, 2, 3),
    (0b110, 3, 6),
    (0b1110, 4, 9),
    (0b11110, 5, 12),
    (0b111110, 6, 18),
    (0b1111110, 7, 25),
    (0b11111110, 8, 56),
    (0b11111111, 8, 64),
];

/// The same for the times of floats.
const TIMES: [(u64, u32, u32); 4] = [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20), (0b1111, 4, 64)];

/// A chunk of floats; at most 65,535 samples.
pub(super) fn floats(times: &[i64], values: &[f64]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.write(times.len() as u64, 16);
    let mut state = Xor::default();
    let (mut before, mut step) = (0, 0i64);
    for (index, (time, value)) in times.iter().zip(values).enumerate() {
        match index {
            0 => {
                varint((*time << 1 ^ *time >> 63) as u64, &mut bits);
                state.first(*value, &mut bits);
            }
            _ => {
                let difference = time.wrapping_sub(before);
                if index == 1 {
                    varint(difference as u64, &mut bits);
                } else {
                    signed(difference.wrapping_sub(step), &TIMES, &mut bits);
                }
                step = difference;
                state.write(*value, &mut bits);
            }
        }
        before = *time;
    }
    bits.into_bytes()
}

/// A chunk of native histograms that all have the first one's layout; at most 65,535 samples.
pub(super) fn histograms<'a>(samples: impl ExactSizeIterator<Item = (i64, &'a FloatHistogram)>) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.write(samples.len() as u64, 16);
    let mut states = Vec::new();
    let (mut before, mut step) = (0, 0i64);
    for (index, (time, histogram)) in samples.enumerate() {
        let numbers = [histogram.count, histogram.zero_count, histogram.sum]
            .into_iter()
            .chain(histogram.positive_buckets.iter().copied())
            .chain(histogram.negative_buckets.iter().copied());
        if index == 0 {
            bits.write(flags(histogram.counter_reset_hint), 8);
            layout(histogram, &mut bits);
            signed(time, &VARBIT, &mut bits);
            for number in numbers {
                let mut state = Xor::default();
                state.first(number, &mut bits);
                states.push(state);
            }
        } else {
            let difference = time.wrapping_sub(before);
            signed(difference.wrapping_sub(step), &VARBIT, &mut bits);
            step = difference;
            for (state, number) in states.iter_mut().zip(numbers) {
                state.write(number, &mut bits);
            }
        }
        before = time;
    }
    bits.into_bytes()
}

/// Whether both have the same layout, which a chunk tells once.
pub(super) fn same_layout(left: &FloatHistogram, right: &FloatHistogram) -> bool {
    left.schema == right.schema
        && left.zero_threshold == right.zero_threshold
        && left.positive_spans == right.positive_spans
        && left.negative_spans == right.negative_spans
        && left.custom_values == right.custom_values
}

/// What is known of a reset before the first histogram of a chunk.
fn flags(hint: CounterResetHint) -> u64 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::NotCounterReset => 0b0100_0000,
        CounterResetHint::CounterReset => 0b1000_0000,
        CounterResetHint::Gauge => 0b1100_0000,
    }
}

fn layout(histogram: &FloatHistogram, bits: &mut BitWriter) {
    zero_threshold(histogram.zero_threshold, bits);
    signed(i64::from(histogram.schema), &VARBIT, bits);
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        unsigned(spans.len() as u64, bits);
        for NativeSpan { offset, length } in spans {
            unsigned(u64::from(*length), bits);
            signed(i64::from(*offset), &VARBIT, bits);
        }
    }
    if histogram.uses_custom_buckets() {
        unsigned(histogram.custom_values.len() as u64, bits);
        for bound in &histogram.custom_values {
            custom_bound(*bound, bits);
        }
    }
}

/// Zero and powers of two from 2^-243 to 2^10 as their exponent in a byte, others as they are after a byte of 255.
fn zero_threshold(threshold: f64, bits: &mut BitWriter) {
    // The exponent as IEEE 754 has it, which is that of 0.5 * 2^n less 1022.
    let exponent = (threshold.to_bits() >> 52) as i64 - 1022;
    if threshold == 0.0 {
        bits.write(0, 8);
    } else if (-242..=11).contains(&exponent) && threshold.to_bits() << 12 == 0 {
        bits.write((exponent + 243) as u64, 8);
    } else {
        bits.write(255, 8);
        bits.write(threshold.to_bits(), 64);
    }
}

/// Thousandths up to 33,554.430 as a number one higher, others as they are after a zero.
fn custom_bound(bound: f64, bits: &mut BitWriter) {
    let thousandths = bound * 1000.0;
    if (0.0..=33_554_430.0).contains(&thousandths) && thousandths.round() / 1000.0 == bound {
        unsigned(thousandths.round() as u64 + 1, bits);
    } else {
        bits.write(0, 1);
        bits.write(bound.to_bits(), 64);
    }
}

fn unsigned(value: u64, bits: &mut BitWriter) {
    write_in(&VARBIT, |width| value.leading_zeros() >= 64 - width, value, bits);
}

/// A number of either sign; a width holds one more above zero than below.
fn signed(value: i64, widths: &[(u64, u32, u32)], bits: &mut BitWriter) {
    let holds = |width| width == 64 || (1 - (1i64 << (width - 1))..=1i64 << (width - 1)).contains(&value);
    write_in(widths, holds, value as u64, bits);
}

/// Zero as one bit, any other number in the first of the widths that holds it.
fn write_in(widths: &[(u64, u32, u32)], holds: impl Fn(u32) -> bool, value: u64, bits: &mut BitWriter) {
    if value == 0 {
        return bits.write(0, 1);
    }
    if let Some((mark, length, width)) = widths.iter().find(|(_, _, width)| holds(*width)) {
        bits.write(*mark, *length);
        bits.write(value, *width);
    }
}

fn varint(mut value: u64, bits: &mut BitWriter) {
    while value >= 0x80 {
        bits.write(value & 0x7f | 0x80, 8);
        value >>= 7;
    }
    bits.write(value, 8);
}

/// The bits of a value against those of the one before.
#[derive(Default)]
struct Xor {
    before: u64,
    /// The window that was told last: bits before it and bits in it, which are none at the beginning.
    leading: u32,
    significant: u32,
}

impl Xor {
    fn first(&mut self, value: f64, bits: &mut BitWriter) {
        self.before = value.to_bits();
        bits.write(self.before, 64);
    }

    fn write(&mut self, value: f64, bits: &mut BitWriter) {
        let difference = value.to_bits() ^ std::mem::replace(&mut self.before, value.to_bits());
        if difference == 0 {
            return bits.write(0, 1);
        }
        let (leading, trailing) = (difference.leading_zeros().min(31), difference.trailing_zeros());
        let fits = self.significant > 0 && leading >= self.leading && trailing >= 64 - self.leading - self.significant;
        if fits {
            bits.write(0b10, 2);
        } else {
            (self.leading, self.significant) = (leading, 64 - leading - trailing);
            bits.write(0b11, 2);
            bits.write(u64::from(leading), 5);
            // Six bits: 64 stands there as 0.
            bits.write(u64::from(self.significant) & 63, 6);
        }
        bits.write(difference >> (64 - self.leading - self.significant), self.significant);
    }
}

#[cfg(test)]
mod tests {
    use tripod_model::series::STALE_NAN;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    // What Prometheus 3.15 makes of the same samples.
    #[test]
    fn floats_are_the_bytes_that_prometheus_writes() {
        let times = [-5, 10, 25, 41, 9000, 50_000, 600_000, 9_000_000_000, 9_000_000_015, 9_000_000_030];
        let values = [1.0, 1.0, 2.5, -0.1, 1e300, 7.0, 8.0, STALE_NAN, f64::INFINITY, 3.0];
        assert_eq!(
            hex(&floats(&times, &values)),
            "000a093ff00000000000000f309bffd8001c1fffdecccccccccccdc22efb0639f6944667b01e3e94c7c57c8791000eb3b9f1122003\
             c000000000001e0000000430bf1ba11fe8000000000001ffffffffde7980dcf8000000000000000a3ff8000000000000"
        );
    }

    #[test]
    fn histograms_are_the_bytes_that_prometheus_writes() {
        let span = |offset, length| NativeSpan { offset, length };
        let counter = |count: f64| FloatHistogram {
            schema: 3,
            zero_threshold: 0.001,
            zero_count: count,
            count: 10.0 * count + 0.5,
            sum: -3.25 * count,
            positive_spans: vec![span(-70, 2), span(5000, 1)],
            positive_buckets: vec![count, 2.0 * count, 3.0 * count],
            negative_spans: vec![span(1, 1)],
            negative_buckets: vec![count / 3.0],
            ..FloatHistogram::default()
        };
        let gauge = |count: f64| FloatHistogram {
            schema: FloatHistogram::CUSTOM_BUCKETS,
            counter_reset_hint: CounterResetHint::Gauge,
            count,
            sum: count,
            positive_spans: vec![span(0, 1)],
            positive_buckets: vec![count],
            custom_values: vec![-1.0, 0.005, 0.1, 2.5, 0.0001, 40_000.0, 33_554.43],
            ..FloatHistogram::default()
        };
        let stale = FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() };
        let narrow = FloatHistogram { zero_threshold: 2f64.powi(-128), schema: 8, ..FloatHistogram::default() };
        let begin = 1_700_000_000_000;
        for (samples, bytes) in [
            (
                vec![
                    (begin, counter(1.0)),
                    (begin + 15_000, counter(2.0)),
                    (begin + 8 * 15_000, counter(2.0)),
                    (begin + 27 * 15_000, counter(1000.0)),
                ],
                "000400ff3f50624dd2f1a9fc9ca5dba8fc09c44631fe00018bcfe5680040250000000000003ff0000000000000c00a000000000000\
                 3ff0000000000000400000000000000040080000000000003fd5555555555555f83a98d634784bfffac1e12fffeb07ac1ea0bf95f9\
                 001f8057e41a12f70874151ee83acd9d0547ba0a8f74197ef850ff23",
            ),
            (
                vec![(0, gauge(3.0)), (15_000, gauge(1.0))],
                "0002c000ee5c625d7fe00000000000016e32fa7147e346dc5d638865a40e3880000000000fdffffff2004000000000000000000000\
                 0000000200400000000000020040000000000007c1d4c6133ffd84cfffc267ff80",
            ),
            (vec![(7, stale)], "00010000187000000000000000000000000000000007ff00000000000020"),
            (vec![(7, narrow)], "00010074c41870000000000000000000000000000000000000000000000000"),
        ] {
            let written = histograms(samples.iter().map(|(time, histogram)| (*time, histogram)));
            assert_eq!(hex(&written), bytes, "{samples:?}");
        }
    }
}
