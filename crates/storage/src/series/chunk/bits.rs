//! Numbers of any width, one after the other, the highest bit first.

/// Collects bits.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    pub(super) bytes: Vec<u8>,
    /// Unused bits of the last byte.
    free: u8,
}

impl BitWriter {
    /// What was written, the last byte filled up with zeros.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends the lowest `width` bits of a value; at most 64.
    pub fn write(&mut self, value: u64, width: u32) {
        if width == 0 {
            return;
        }
        // At the top of a word, with nothing behind.
        let mut word = value << (64 - width);
        let mut left = width;
        let free = u32::from(self.free);
        if free > 0 {
            if let Some(last) = self.bytes.last_mut() {
                *last |= (word >> (64 - free)) as u8;
            }
            if width <= free {
                self.free -= width as u8;
                return;
            }
            word <<= free;
            left -= free;
        }
        let bytes = left.div_ceil(8);
        self.bytes.extend_from_slice(&word.to_be_bytes()[..bytes as usize]);
        self.free = (bytes * 8 - left) as u8;
    }
}

/// Reads what [`BitWriter`] wrote.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits that were read already.
    place: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.place / 8)?;
        let bit = byte >> (7 - self.place % 8) & 1;
        self.place += 1;
        Some(bit == 1)
    }

    /// The next `width` bits, at most 64; `None` when there are fewer.
    pub(super) fn read(&mut self, width: u32) -> Option<u64> {
        if width == 0 {
            return Some(0);
        }
        let (byte, skip) = (self.place / 8, (self.place % 8) as u32);
        if self.place + width as usize > self.bytes.len() * 8 {
            return None;
        }
        self.place += width as usize;
        if let Some(word) = self.bytes.get(byte..byte + 8).and_then(<[u8]>::first_chunk)
            && skip + width <= 64
        {
            return Some(u64::from_be_bytes(*word) << skip >> (64 - width));
        }
        let mut value = 0u128;
        let end = (skip + width).div_ceil(8) as usize;
        for each in self.bytes.get(byte..byte + end)? {
            value = value << 8 | u128::from(*each);
        }
        let value = value >> (end as u32 * 8 - skip - width);
        Some(value as u64 & (u64::MAX >> (64 - width)))
    }
}

/// A number with as many bytes as it needs, seven bits each.
pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The inverse of [`put_varint`]; `None` when it does not end or is too large.
pub(super) fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Small numbers of either sign as small numbers.
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// The inverse of [`zigzag`].
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec((any::<u64>(), 0u32..=64), 0..50)) {
            let mut writer = BitWriter::default();
            for (value, width) in &values {
                writer.write(*value, *width);
            }
            let mut reader = BitReader::new(&writer.bytes);
            for (value, width) in &values {
                let masked = if *width == 0 { 0 } else { value & (u64::MAX >> (64 - width)) };
                prop_assert_eq!(reader.read(*width), Some(masked));
            }
            prop_assert_eq!(reader.read(8), None);
        }

        #[test]
        fn numbers_come_back(value in any::<i64>()) {
            let mut bytes = Vec::new();
            put_varint(zigzag(value), &mut bytes);
            prop_assert_eq!(take_varint(&mut &bytes[..]).map(unzigzag), Some(value));
        }
    }
}
