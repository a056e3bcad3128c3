//! A column of floats.
//!
//! Most measurements are decimal numbers with few digits, as integers of one power of ten they compress like integers
//! (the idea of VictoriaMetrics' storage and of Afroozeh, Kuffó and Boncz, "ALP: Adaptive Lossless floating-Point
//! Compression", 2023). What is no such number, a stale marker for example, is an exception with its bits. A column
//! with many exceptions holds each value's bits against those before it (Pelkonen et al., "Gorilla", 2015).
//!
//! ```text
//! decimal  1 byte 0..=22: the exponent; number of exceptions (varint), for each its place since the one before
//!          (varint) and its bits (8 bytes, little-endian); the column of integers
//! xor      1 byte 0x40; the values as bits
//! ```

use super::bits::{BitReader, BitWriter, put_varint, take, take_varint};
use super::integers;

const XOR: u8 = 0x40;
/// Powers of ten up to here are exact, and so is the division by them rounded as a decimal number is read.
const MOST_EXPONENT: usize = 22;
/// Integers up to here have all their bits in a float.
const MOST_INTEGER: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; MOST_EXPONENT + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Appends a column.
pub(super) fn encode(values: &[f64], out: &mut Vec<u8>) {
    if let Some(exponent) = exponent(values) {
        let start = out.len();
        encode_decimal(values, exponent, out);
        // Numbers with all their digits are integers too, but of the full width.
        if out.len() - start <= values.len() * 4 + 16 {
            return;
        }
        out.truncate(start);
    }
    out.push(XOR);
    let mut state = XorState::default();
    let mut bits = BitWriter::default();
    for value in values {
        state.write(value.to_bits(), &mut bits);
    }
    out.extend_from_slice(&bits.bytes);
}

/// The integer that a value is at an exponent, if that gives its bits back.
fn integer(value: f64, exponent: usize) -> Option<i64> {
    let scaled = (value * POWERS[exponent]).round();
    if scaled.abs() > MOST_INTEGER || scaled.is_nan() {
        return None;
    }
    // As it is decoded: an integer has no negative zero.
    let integer = scaled as i64;
    ((integer as f64 / POWERS[exponent]).to_bits() == value.to_bits()).then_some(integer)
}

/// The least exponent at which nearly all values are integers.
fn exponent(values: &[f64]) -> Option<usize> {
    let mut exponent = 0;
    let mut misfits = 0;
    for value in values {
        if integer(*value, exponent).is_some() {
            continue;
        }
        match (exponent + 1..=MOST_EXPONENT).find(|larger| integer(*value, *larger).is_some()) {
            Some(larger) => exponent = larger,
            None => misfits += 1,
        }
        if misfits > values.len() / 8 + 1 {
            return None;
        }
    }
    // What was an integer at a smaller exponent may be too large at this one.
    let misfits = values.iter().filter(|value| integer(**value, exponent).is_none()).count();
    (misfits <= values.len() / 8 + 1).then_some(exponent)
}

fn encode_decimal(values: &[f64], exponent: usize, out: &mut Vec<u8>) {
    let mut integers: Vec<i64> = Vec::with_capacity(values.len());
    let mut exceptions = Vec::new();
    for (index, value) in values.iter().enumerate() {
        integers.push(integer(*value, exponent).unwrap_or_else(|| {
            exceptions.push((index, value.to_bits()));
            // The value before costs nothing.
            integers.last().copied().unwrap_or(0)
        }));
    }
    out.push(exponent as u8);
    put_varint(exceptions.len() as u64, out);
    let mut before = 0;
    for (index, bits) in exceptions {
        put_varint((index - before) as u64, out);
        out.extend_from_slice(&bits.to_le_bytes());
        before = index;
    }
    integers::encode(&integers, out);
}

/// Reads `count` values that stand alone in `bytes`; `None` when the bytes are not what [`encode`] writes.
pub(super) fn decode(bytes: &[u8], count: usize) -> Option<Vec<f64>> {
    let mut rest = bytes;
    let kind = take(&mut rest, 1)?[0];
    if kind == XOR {
        let mut bits = BitReader::new(rest);
        let mut state = XorState::default();
        // The smallest value takes a bit.
        let mut values = Vec::with_capacity(count.min(rest.len() * 8));
        for _ in 0..count {
            values.push(f64::from_bits(state.read(&mut bits)?));
        }
        return Some(values);
    }
    let power = *POWERS.get(usize::from(kind))?;
    let exceptions = take_varint(&mut rest)?;
    let mut places = Vec::new();
    let mut place = 0usize;
    for _ in 0..exceptions {
        place = place.checked_add(usize::try_from(take_varint(&mut rest)?).ok()?)?;
        let bits = take(&mut rest, 8)?.first_chunk().map(|bits| u64::from_le_bytes(*bits))?;
        places.push((place, bits));
    }
    let integers = integers::decode(rest, count)?;
    let mut values: Vec<f64> = if kind == 0 {
        integers.iter().map(|integer| *integer as f64).collect()
    } else {
        // A division, since a product with the inverse would be rounded twice.
        integers.iter().map(|integer| *integer as f64 / power).collect()
    };
    for (place, bits) in places {
        *values.get_mut(place)? = f64::from_bits(bits);
    }
    Some(values)
}

/// What the next value is told against. The first value is told against zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct XorState {
    before: u64,
    leading: u8,
    /// Significant bits of the window that was last told; 0 for none.
    significant: u8,
}

impl XorState {
    pub(super) fn write(&mut self, value: u64, out: &mut BitWriter) {
        let difference = value ^ std::mem::replace(&mut self.before, value);
        if difference == 0 {
            out.write(0, 1);
            return;
        }
        let leading = difference.leading_zeros().min(31) as u8;
        let trailing = difference.trailing_zeros() as u8;
        let fits = self.significant > 0 && leading >= self.leading && trailing >= 64 - self.leading - self.significant;
        if fits {
            out.write(0b10, 2);
        } else {
            self.leading = leading;
            self.significant = 64 - leading - trailing;
            out.write(0b11, 2);
            out.write(u64::from(self.leading), 5);
            out.write(u64::from(self.significant - 1), 6);
        }
        out.write(difference >> (64 - self.leading - self.significant), u32::from(self.significant));
    }

    pub(super) fn read(&mut self, bits: &mut BitReader<'_>) -> Option<u64> {
        if bits.bit()? {
            if bits.bit()? {
                self.leading = bits.read(5)? as u8;
                self.significant = bits.read(6)? as u8 + 1;
            }
            let unused = 64u8.checked_sub(self.leading + self.significant).filter(|_| self.significant > 0)?;
            self.before ^= bits.read(u32::from(self.significant))? << unused;
        }
        Some(self.before)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let decoded = decode(&bytes, values.len()).map(|values| bits(&values)).unwrap();
        let differs = decoded.iter().zip(bits(values)).position(|(decoded, value)| *decoded != value);
        assert_eq!((decoded.len(), differs), (values.len(), None));
        bytes.len()
    }

    #[test]
    fn decimal_numbers_are_small() {
        let counter: Vec<f64> = (0..1000).map(|index| (index * 100) as f64 / 100.0).collect();
        assert!(round_trip(&counter) < 16);
        let cents: Vec<f64> = (0..1000).map(|index| (index * 37 % 100) as f64 / 100.0).collect();
        assert!(round_trip(&cents) < 1100);
        let mut stale = counter.clone();
        stale[500] = tripod_model::series::STALE_NAN;
        stale[999] = -0.0;
        assert!(round_trip(&stale) < 60);
        round_trip(&[f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::NAN, 1e22, 1e-22, 0.1 + 0.2]);
        round_trip(&[]);
    }

    proptest! {
        #[test]
        fn any_bits_come_back(values in prop::collection::vec(any::<u64>(), 0..200)) {
            round_trip(&values.iter().map(|bits| f64::from_bits(*bits)).collect::<Vec<_>>());
        }

        #[test]
        fn decimals_come_back(values in prop::collection::vec((-1_000_000i64..1_000_000, 0i32..6), 0..300)) {
            let decimals = values.iter().map(|(value, digits)| *value as f64 / 10f64.powi(*digits));
            let odd = [-0.0, f64::INFINITY, f64::NAN, tripod_model::series::STALE_NAN];
            round_trip(&decimals.enumerate().map(|(index, value)| {
                odd.get(index % 50).copied().unwrap_or(value)
            }).collect::<Vec<_>>());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0usize..500) {
            let _ = decode(&bytes, count);
        }
    }
}
