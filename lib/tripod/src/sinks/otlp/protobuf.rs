//! Writes protobuf messages straight into bytes: no tree of generated types in between, which would cost more than the
//! whole budget of a span. The field numbers beside it are those of opentelemetry-proto 1.x.

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

impl Message {
    fn key(&mut self, field: u32, wire_type: u32) {
        self.raw_varint(u64::from(field << 3 | wire_type));
    }

    #[inline]
    pub(super) fn raw_varint(&mut self, value: u64) {
        // Nearly all are keys and lengths of less than 128.
        if value < 0x80 { self.0.push(value as u8) } else { self.long_varint(value) }
    }

    fn long_varint(&mut self, value: u64) {
        let (bytes, length) = varint(value);
        self.0.extend_from_slice(&bytes[..length]);
    }

    /// An integer, also zero: within a `oneof` zero is a value.
    pub(super) fn varint(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.raw_varint(value);
    }

    /// An integer, left out when zero.
    pub(super) fn optional_varint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(field, value);
        }
    }

    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    pub(super) fn fixed32(&mut self, field: u32, value: u32) {
        self.key(field, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, BYTES);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Text, left out when empty.
    pub(super) fn text(&mut self, field: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(field, value.as_bytes());
        }
    }

    /// A message within the message.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.key(field, BYTES);
        // Most messages are shorter than 128 bytes: one byte for the length, and the few longer ones are moved.
        let at = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - at - 1;
        if length < 0x80 {
            self.0[at] = length as u8;
            return;
        }
        let (bytes, size) = varint(length as u64);
        self.0[at] = bytes[0];
        let end = self.0.len();
        self.0.extend_from_slice(&bytes[1..size]);
        self.0.copy_within(at + 1..end, at + size);
        self.0[at + 1..at + size].copy_from_slice(&bytes[1..size]);
    }

    /// The beginning of a message within the message, of which the caller writes exactly so many bytes.
    pub(super) fn announce(&mut self, field: u32, length: usize) {
        self.key(field, BYTES);
        self.raw_varint(length as u64);
    }
}

/// The bytes of a varint, and how many they are.
fn varint(mut value: u64) -> ([u8; 10], usize) {
    let (mut bytes, mut length) = ([0; 10], 0);
    while value >= 0x80 {
        bytes[length] = value as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    bytes[length] = value as u8;
    (bytes, length + 1)
}

/// Reads the fields of a message; for the short answers of collectors.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// The value of a field.
pub(super) enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Other,
}

impl Fields<'_> {
    fn raw_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    /// Ends at the end, and at the first byte that cannot be read.
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.raw_varint()?;
        let (length, is_bytes) = match (key & 7) as u32 {
            VARINT => return Some((key >> 3, Field::Varint(self.raw_varint()?))),
            FIXED64 => (8, false),
            FIXED32 => (4, false),
            BYTES => (usize::try_from(self.raw_varint()?).ok()?, true),
            _ => return None,
        };
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((key >> 3, if is_bytes { Field::Bytes(value) } else { Field::Other }))
    }
}
