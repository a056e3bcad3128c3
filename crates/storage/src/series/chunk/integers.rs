//! A column of integers: differences, packed.
//!
//! ```text
//! order      1 byte: 0 as they are, 1 differences, 2 differences of differences
//! reference  varint, zigzag: subtracted from what is packed
//! seeds      `order` varints, zigzag: the first value, the first difference
//! blocks     of up to 128 numbers, zigzag: width in bits (1 byte), number of exceptions (1 byte), the lowest bits of
//!            each number, and for each exception its place (1 byte) and its higher bits (varint)
//! ```
//!
//! Without blocks all of what is packed is 0: values that never change, or change by the same step. Numbers wrap, so that any
//! column comes back as it was.

use super::bits::{put_varint, take, take_varint, unzigzag, zigzag};

/// Numbers of a block.
const BLOCK: usize = 128;

/// A way to write a column: what it costs in bits, how often differences were taken, and what is left then.
struct Form {
    cost: u64,
    order: u8,
    reference: i64,
    seeds: Vec<i64>,
    packed: Vec<i64>,
}

/// Appends a column.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let mut best: Option<Form> = None;
    let mut seeds = Vec::new();
    let mut packed = values.to_vec();
    for order in 0..=2u8 {
        if order > 0 {
            let Some(seed) = packed.first().copied() else { break };
            seeds.push(seed);
            packed = packed.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        }
        let reference = if order == 2 { 0 } else { median(&packed) };
        let cost = packed.iter().map(|value| u64::from(bits(zigzag(value.wrapping_sub(reference))))).sum::<u64>()
            + 16 * u64::from(order);
        if best.as_ref().is_none_or(|best| cost < best.cost) {
            best = Some(Form { cost, order, reference, seeds: seeds.clone(), packed: packed.clone() });
        }
    }
    let Some(Form { order, reference, seeds, packed, .. }) = best else { return };
    out.push(order);
    put_varint(zigzag(reference), out);
    for seed in seeds {
        put_varint(zigzag(seed), out);
    }
    if packed.iter().all(|value| *value == reference) {
        return;
    }
    let mut block = [0u64; BLOCK];
    for part in packed.chunks(BLOCK) {
        for (place, value) in block.iter_mut().zip(part) {
            *place = zigzag(value.wrapping_sub(reference));
        }
        encode_block(&block[..part.len()], out);
    }
}

fn median(values: &[i64]) -> i64 {
    if values.is_empty() {
        return 0;
    }
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

fn bits(value: u64) -> u32 {
    64 - value.leading_zeros()
}

fn encode_block(numbers: &[u64], out: &mut Vec<u8>) {
    let mut widths = [0usize; 65];
    for number in numbers {
        widths[bits(*number) as usize] += 1;
    }
    // Few widths occur, as a rule.
    let mut occurring = [(0usize, 0usize); 65];
    let mut distinct = 0;
    for (width, count) in widths.iter().enumerate().filter(|(_, count)| **count > 0) {
        occurring[distinct] = (width, *count);
        distinct += 1;
    }
    let occurring = &occurring[..distinct];
    let widest = occurring.last().map_or(0, |(width, _)| *width);
    let cost = |width: usize| {
        let wider = occurring.iter().rev().take_while(|(each, _)| *each > width);
        let exceptions = wider.map(|(each, count)| count * (1 + (each - width).div_ceil(7)));
        (numbers.len() * width).div_ceil(8) + exceptions.sum::<usize>()
    };
    let width = (0..=widest).min_by_key(|width| cost(*width)).unwrap_or(widest);
    let exceptions: usize = widths[width + 1..].iter().sum();
    out.push(width as u8);
    // A block of exceptions only would cost more than a wider one, so the number fits a byte.
    out.push(exceptions as u8);
    let mut word = 0u128;
    let mut filled = 0;
    for number in numbers {
        word |= u128::from(lowest(*number, width as u32)) << filled;
        filled += width;
        while filled >= 8 {
            out.push(word as u8);
            word >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(word as u8);
    }
    for (place, number) in numbers.iter().enumerate().filter(|(_, number)| bits(**number) as usize > width) {
        out.push(place as u8);
        put_varint(number >> width, out);
    }
}

fn lowest(number: u64, width: u32) -> u64 {
    if width == 64 { number } else { number & ((1 << width) - 1) }
}

/// Reads `count` values that stand alone in `bytes`; `None` when the bytes are not what [`encode`] writes.
pub(super) fn decode(bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let mut rest = bytes;
    let order = usize::from(take(&mut rest, 1)?[0]);
    if order > 2 || order > count {
        return None;
    }
    let reference = unzigzag(take_varint(&mut rest)?);
    let mut seeds = [0i64; 2];
    for seed in &mut seeds[..order] {
        *seed = unzigzag(take_varint(&mut rest)?);
    }
    let mut values = Vec::with_capacity(count);
    values.extend_from_slice(&seeds[..order]);
    if rest.is_empty() {
        values.resize(count, reference);
    } else {
        let mut block = [0u64; BLOCK];
        while values.len() < count {
            let length = (count - values.len()).min(BLOCK);
            decode_block(&mut rest, &mut block[..length])?;
            values.extend(block[..length].iter().map(|number| unzigzag(*number).wrapping_add(reference)));
        }
        if !rest.is_empty() {
            return None;
        }
    }
    // What was packed are differences of this order; sum up.
    if order == 2 {
        sum_up(&mut values[1..]);
    }
    if order > 0 {
        sum_up(&mut values);
    }
    Some(values)
}

fn sum_up(values: &mut [i64]) {
    let mut sum = 0i64;
    for value in values {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
}

fn decode_block(rest: &mut &[u8], numbers: &mut [u64]) -> Option<()> {
    let head = take(rest, 2)?;
    let (width, exceptions) = (usize::from(head[0]), head[1]);
    if width > 64 {
        return None;
    }
    let packed = take(rest, (numbers.len() * width).div_ceil(8))?;
    // A copy with room behind it, so that whole words can be read.
    let mut padded = [0u8; BLOCK * 8 + 16];
    padded[..packed.len()].copy_from_slice(packed);
    if width <= 57 {
        let mask = lowest(u64::MAX, width as u32);
        for (index, number) in numbers.iter_mut().enumerate() {
            let place = index * width;
            let word = padded[place / 8..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            *number = word >> (place % 8) & mask;
        }
    } else {
        for (index, number) in numbers.iter_mut().enumerate() {
            let place = index * width;
            let word = padded[place / 8..].first_chunk().map_or(0, |word| u128::from_le_bytes(*word));
            *number = lowest((word >> (place % 8)) as u64, width as u32);
        }
    }
    for _ in 0..exceptions {
        let place = usize::from(take(rest, 1)?[0]);
        let high = take_varint(rest)?;
        let number = numbers.get_mut(place)?;
        *number |= high.checked_shl(width as u32)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        assert_eq!(decode(&bytes, values.len()).as_deref(), Some(values));
        bytes.len()
    }

    #[test]
    fn steps_cost_next_to_nothing() {
        let steady: Vec<i64> = (0..1000).map(|index| 1_700_000_000_000 + index * 15_000).collect();
        assert!(round_trip(&steady) < 16);
        assert!(round_trip(&[5; 1000]) < 8);
        let jittered: Vec<i64> =
            steady.iter().enumerate().map(|(index, time)| time + (index * index % 3) as i64).collect();
        assert!(round_trip(&jittered) < 420);
        round_trip(&[i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN]);
        round_trip(&[7]);
        round_trip(&[]);
    }

    proptest! {
        #[test]
        fn any_column_comes_back(values in prop::collection::vec(any::<i64>(), 0..300)) {
            round_trip(&values);
        }

        #[test]
        fn small_steps_come_back(steps in prop::collection::vec(prop_oneof![9 => -3i64..3, 1 => any::<i64>()], 0..400)) {
            let mut sum = 0i64;
            let values: Vec<_> = steps.iter().map(|step| { sum = sum.wrapping_add(*step); sum }).collect();
            round_trip(&values);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0usize..500) {
            let _ = decode(&bytes, count);
        }
    }
}
