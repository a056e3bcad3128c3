//! Protobuf's wire format: fields of a message one after another, each a tag and a value.
//!
//! A tag is a varint: the field's number in its upper bits, the wire type in the lower three. Types: 0 varint, 1 eight
//! bytes, 2 a length (varint) and so many bytes, 5 four bytes. 3 and 4 delimit groups, which OTLP never used.

use crate::error::{DecodeError, Result};

/// The unread rest of a message.
#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    rest: &'a [u8],
}

/// A field's value as it lies on the wire.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value; [`None`] at the message's end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = match u32::try_from(tag >> 3) {
            // Field numbers have 29 bits.
            Ok(number @ 1..=0x1fff_ffff) => number,
            _ => return Err(invalid_tag(tag)),
        };
        let raw = match tag & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(u64::from_le_bytes(self.fixed(number)?)),
            2 => Raw::Bytes(self.delimited(number)?),
            5 => Raw::Fixed32(u32::from_le_bytes(self.fixed(number)?)),
            _ => return Err(invalid_type(number, tag & 7)),
        };
        Ok(Some((number, raw)))
    }

    /// The next varint of a packed list; [`None`] at its end.
    #[inline]
    fn packed_varint(&mut self) -> Result<Option<u64>> {
        if self.rest.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64> {
        // Most tags, lengths and small numbers are one byte.
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has room for the 64th bit only.
                if index == 9 && byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(invalid_varint(self.rest.len()))
    }

    #[inline]
    fn fixed<const BYTES: usize>(&mut self, number: u32) -> Result<[u8; BYTES]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(cut_short(number, BYTES as u64, self.rest.len())),
        }
    }

    #[inline]
    fn delimited(&mut self, number: u32) -> Result<&'a [u8]> {
        let length = self.varint()?;
        match usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(cut_short(number, length, self.rest.len())),
        }
    }
}

impl<'a> Raw<'a> {
    #[inline]
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Raw::Bytes(bytes) => Ok(bytes),
            other => Err(other.mismatch("a length-delimited value")),
        }
    }

    #[inline]
    pub(super) fn text(self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| invalid_text(error.valid_up_to()))
    }

    /// The bytes of an id; no bytes stand for the zero id.
    #[inline]
    pub(super) fn id<const BYTES: usize>(self) -> Result<[u8; BYTES]> {
        let bytes = self.bytes()?;
        match bytes.try_into() {
            Ok(id) => Ok(id),
            Err(_) if bytes.is_empty() => Ok([0; BYTES]),
            Err(_) => Err(invalid_id(BYTES, bytes.len())),
        }
    }

    #[inline]
    pub(super) fn varint(self) -> Result<u64> {
        match self {
            Raw::Varint(value) => Ok(value),
            other => Err(other.mismatch("a varint")),
        }
    }

    /// `uint32`; as protobuf demands, what exceeds 32 bits is cut off.
    #[inline]
    pub(super) fn uint32(self) -> Result<u32> {
        self.varint().map(|value| value as u32)
    }

    /// `int32` or an enumeration; as protobuf demands, what exceeds 32 bits is cut off.
    #[inline]
    pub(super) fn int32(self) -> Result<i32> {
        self.varint().map(|value| value as i32)
    }

    /// `sint32`: zigzag.
    #[inline]
    pub(super) fn sint32(self) -> Result<i32> {
        let value = self.uint32()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    #[inline]
    pub(super) fn boolean(self) -> Result<bool> {
        self.varint().map(|value| value != 0)
    }

    #[inline]
    pub(super) fn fixed64(self) -> Result<u64> {
        match self {
            Raw::Fixed64(value) => Ok(value),
            other => Err(other.mismatch("a 64-bit value")),
        }
    }

    #[inline]
    pub(super) fn double(self) -> Result<f64> {
        self.fixed64().map(f64::from_bits)
    }

    #[inline]
    pub(super) fn fixed32(self) -> Result<u32> {
        match self {
            Raw::Fixed32(value) => Ok(value),
            other => Err(other.mismatch("a 32-bit value")),
        }
    }

    /// Adds the elements of a repeated 64-bit field, packed or one by one. `admit` is asked with the length that the
    /// list is about to exceed.
    pub(super) fn extend_fixed64<T>(
        self,
        list: &mut Vec<T>,
        convert: impl Fn(u64) -> T,
        admit: impl Fn(usize) -> Result<()>,
    ) -> Result<()> {
        match self {
            Raw::Bytes(packed) => {
                let (elements, remainder) = packed.as_chunks();
                if !remainder.is_empty() {
                    return Err(invalid_packing(packed.len()));
                }
                if let Some(last) = elements.len().checked_sub(1) {
                    admit(list.len() + last)?;
                }
                list.extend(elements.iter().map(|element| convert(u64::from_le_bytes(*element))));
            }
            single => {
                admit(list.len())?;
                list.push(convert(single.fixed64()?));
            }
        }
        Ok(())
    }

    /// Adds the elements of a repeated varint field, packed or one by one, asking `admit` before each.
    pub(super) fn extend_varint(self, list: &mut Vec<u64>, admit: impl Fn(usize) -> Result<()>) -> Result<()> {
        match self {
            Raw::Bytes(packed) => {
                let mut wire = Wire::new(packed);
                while let Some(value) = wire.packed_varint()? {
                    admit(list.len())?;
                    list.push(value);
                }
            }
            single => {
                admit(list.len())?;
                list.push(single.varint()?);
            }
        }
        Ok(())
    }

    #[cold]
    fn mismatch(self, expected: &str) -> DecodeError {
        let got = match self {
            Raw::Varint(_) => "a varint",
            Raw::Fixed64(_) => "a 64-bit value",
            Raw::Bytes(_) => "a length-delimited value",
            Raw::Fixed32(_) => "a 32-bit value",
        };
        DecodeError::new(format!("must be {expected} on the wire, got {got}: is this another message?"))
    }
}

#[cold]
fn invalid_tag(tag: u64) -> DecodeError {
    DecodeError::new(format!("{tag} is no protobuf tag: the bytes are damaged or not OTLP protobuf"))
}

#[cold]
fn invalid_type(number: u32, wire_type: u64) -> DecodeError {
    DecodeError::new(match wire_type {
        3 | 4 => {
            format!("field {number} is a group, which protobuf deprecated and OTLP never used")
        }
        _ => {
            format!("field {number} has the unknown wire type {wire_type}: the bytes are damaged or not OTLP protobuf")
        }
    })
}

#[cold]
fn invalid_varint(left: usize) -> DecodeError {
    DecodeError::new(if left < 10 { "a varint is cut short" } else { "a varint exceeds 64 bits" })
}

#[cold]
fn cut_short(number: u32, needed: u64, left: usize) -> DecodeError {
    DecodeError::new(format!("field {number} is cut short: it needs {needed} bytes, {left} are left"))
}

#[cold]
fn invalid_text(at: usize) -> DecodeError {
    DecodeError::new(format!("must be UTF-8, byte {at} is not"))
}

#[cold]
fn invalid_id(bytes: usize, got: usize) -> DecodeError {
    DecodeError::new(format!("must be {bytes} bytes, got {got}"))
}

#[cold]
fn invalid_packing(bytes: usize) -> DecodeError {
    DecodeError::new(format!("must be packed 64-bit values, got {bytes} bytes, no multiple of 8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<u64> {
        Wire::new(bytes).varint()
    }

    #[test]
    fn varints_of_every_length() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> bits] {
                let mut bytes = Vec::new();
                let mut rest = value;
                while rest >= 0x80 {
                    bytes.push(rest as u8 | 0x80);
                    rest >>= 7;
                }
                bytes.push(rest as u8);
                assert_eq!(read(&bytes), Ok(value));
                bytes.pop();
                assert!(read(&bytes).is_err(), "{value} without its last byte");
            }
        }
        assert_eq!(read(&[0xff; 11]).unwrap_err().message(), "a varint exceeds 64 bits");
        let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(read(&too_large).unwrap_err().message(), "a varint exceeds 64 bits");
    }

    #[test]
    fn zigzag() {
        for (sent, meant) in [(0, 0), (1, -1), (2, 1), (0xffff_fffe, i32::MAX), (0xffff_ffff, i32::MIN)] {
            assert_eq!(Raw::Varint(sent).sint32(), Ok(meant));
        }
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let message = |bytes: &[u8]| Wire::new(bytes).next().err().map(|error| error.message().to_owned());
        assert_eq!(message(&[0x08, 1]), None);
        assert!(message(&[0x00, 1]).unwrap().contains("no protobuf tag"));
        assert!(message(&[0x0b]).unwrap().contains("field 1 is a group"));
        assert!(message(&[0x0f]).unwrap().contains("wire type 7"));
        assert_eq!(message(&[0x0a, 3, 1]).unwrap(), "field 1 is cut short: it needs 3 bytes, 1 are left");
    }
}
