//! Reads protobuf's wire format: fields of a message one after another, each a tag and a value.
//!
//! A tag is a varint: the field's number in its upper bits, the wire type in the lower three. Types: 0 varint, 1 eight
//! bytes, 2 a length (varint) and so many bytes, 5 four bytes. 3 and 4 delimit groups, which protobuf deprecated.
//!
//! Fields are read straight from the bytes: structs of generated code would be a tree of objects that every request builds
//! and throws away.

use std::fmt;

type Result<T, E = WireError> = std::result::Result<T, E>;

/// Why bytes are no message, or a field not of the type that is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct WireError(Box<Reason>);

// Boxed so that a `Result` fits into registers: every field of every record passes through one.
#[derive(Clone, PartialEq, Eq)]
struct Reason(String);

impl WireError {
    #[cold]
    fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Reason(reason.into())))
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl fmt::Debug for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireError({self})")
    }
}

impl std::error::Error for WireError {}

/// The unread rest of a message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    rest: &'a [u8],
}

/// A field's value as it lies on the wire.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    /// A number of up to ten bytes.
    Varint(u64),
    /// Eight bytes, little-endian.
    Fixed64(u64),
    /// A text, bytes, a message or a packed list.
    Bytes(&'a [u8]),
    /// Four bytes, little-endian.
    Fixed32(u32),
}

impl<'a> Message<'a> {
    /// A message as a whole.
    #[inline]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Whether all of it was read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A length and so many bytes, as messages follow each other in a stream.
    ///
    /// # Errors
    /// When the bytes end before.
    pub fn next_delimited(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        self.take(length).ok_or_else(|| WireError::new(format!("a message of {length} bytes is cut short")))
    }

    /// The next field's number and value; [`None`] at the message's end.
    ///
    /// # Errors
    /// When the bytes are no field.
    #[inline(always)]
    #[expect(clippy::should_implement_trait, reason = "an iterator would hide that the first error is the end")]
    pub fn next(&mut self) -> Result<Option<(u32, Field<'a>)>> {
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
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.fixed(number)?)),
            2 => Field::Bytes(self.delimited(number)?),
            5 => Field::Fixed32(u32::from_le_bytes(self.fixed(number)?)),
            _ => return Err(invalid_type(number, tag & 7)),
        };
        Ok(Some((number, raw)))
    }

    /// The next varint of a packed list; [`None`] at its end.
    #[inline]
    fn packed_varint(&mut self) -> Result<Option<u64>> {
        if self.rest.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    #[inline(always)]
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

    #[inline]
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

    #[inline(always)]
    fn fixed<const BYTES: usize>(&mut self, number: u32) -> Result<[u8; BYTES]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(cut_short(number, BYTES as u64, self.rest.len())),
        }
    }

    #[inline(always)]
    fn delimited(&mut self, number: u32) -> Result<&'a [u8]> {
        let length = self.varint()?;
        let left = self.rest.len();
        self.take(length).ok_or_else(|| cut_short(number, length, left))
    }

    #[inline(always)]
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }
}

impl<'a> Field<'a> {
    /// A message, bytes, or a packed list.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            other => Err(other.mismatch("a length-delimited value")),
        }
    }

    /// `string`.
    ///
    /// # Errors
    /// When the field is of another type, or no UTF-8.
    #[inline]
    pub fn text(self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| invalid_text(error.valid_up_to()))
    }

    /// The bytes of an id; no bytes stand for the zero id.
    ///
    /// # Errors
    /// When the field is of another type, or has another length.
    #[inline]
    pub fn id<const BYTES: usize>(self) -> Result<[u8; BYTES]> {
        let bytes = self.bytes()?;
        match bytes.try_into() {
            Ok(id) => Ok(id),
            Err(_) if bytes.is_empty() => Ok([0; BYTES]),
            Err(_) => Err(invalid_id(BYTES, bytes.len())),
        }
    }

    /// `uint64`.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn varint(self) -> Result<u64> {
        match self {
            Field::Varint(value) => Ok(value),
            other => Err(other.mismatch("a varint")),
        }
    }

    /// `int64`.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn int64(self) -> Result<i64> {
        self.varint().map(|value| value as i64)
    }

    /// `uint32`; as protobuf demands, what exceeds 32 bits is cut off.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn uint32(self) -> Result<u32> {
        self.varint().map(|value| value as u32)
    }

    /// `int32` or an enumeration; as protobuf demands, what exceeds 32 bits is cut off.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn int32(self) -> Result<i32> {
        self.varint().map(|value| value as i32)
    }

    /// `sint32`: zigzag.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn sint32(self) -> Result<i32> {
        self.varint().map(|value| zigzag(value) as i32)
    }

    /// `bool`.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn boolean(self) -> Result<bool> {
        self.varint().map(|value| value != 0)
    }

    /// `fixed64`.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn fixed64(self) -> Result<u64> {
        match self {
            Field::Fixed64(value) => Ok(value),
            other => Err(other.mismatch("a 64-bit value")),
        }
    }

    /// `double`.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn double(self) -> Result<f64> {
        self.fixed64().map(f64::from_bits)
    }

    /// `fixed32`.
    ///
    /// # Errors
    /// When the field is of another type.
    #[inline]
    pub fn fixed32(self) -> Result<u32> {
        match self {
            Field::Fixed32(value) => Ok(value),
            other => Err(other.mismatch("a 32-bit value")),
        }
    }

    /// Adds the elements of a repeated 64-bit field, packed or one by one. `admit` is asked with the length that the
    /// list is about to exceed.
    ///
    /// # Errors
    /// When the field is of another type, or what `admit` says.
    pub fn extend_fixed64<T, E: From<WireError>>(
        self,
        list: &mut Vec<T>,
        convert: impl Fn(u64) -> T,
        admit: impl Fn(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Field::Bytes(packed) => {
                let (elements, remainder) = packed.as_chunks();
                if !remainder.is_empty() {
                    return Err(invalid_packing(packed.len()).into());
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
    ///
    /// # Errors
    /// As [`Field::extend_fixed64`].
    pub fn extend_varints<T, E: From<WireError>>(
        self,
        list: &mut Vec<T>,
        convert: impl Fn(u64) -> T,
        admit: impl Fn(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Field::Bytes(packed) => {
                let mut message = Message::new(packed);
                while let Some(value) = message.packed_varint()? {
                    admit(list.len())?;
                    list.push(convert(value));
                }
            }
            single => {
                admit(list.len())?;
                list.push(convert(single.varint()?));
            }
        }
        Ok(())
    }

    #[cold]
    fn mismatch(self, expected: &str) -> WireError {
        let got = match self {
            Field::Varint(_) => "a varint",
            Field::Fixed64(_) => "a 64-bit value",
            Field::Bytes(_) => "a length-delimited value",
            Field::Fixed32(_) => "a 32-bit value",
        };
        WireError::new(format!("must be {expected} on the wire, got {got}: is this another message?"))
    }
}

/// The signed integer of `sint64`: 0, -1, 1, -2 ... are written as 0, 1, 2, 3 ...
#[inline]
pub fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cold]
fn invalid_tag(tag: u64) -> WireError {
    WireError::new(format!("{tag} is no protobuf tag: the bytes are damaged or no protobuf"))
}

#[cold]
fn invalid_type(number: u32, wire_type: u64) -> WireError {
    WireError::new(match wire_type {
        3 | 4 => {
            format!("field {number} is a group, which protobuf deprecated")
        }
        _ => {
            format!("field {number} has the unknown wire type {wire_type}: the bytes are damaged or no protobuf")
        }
    })
}

#[cold]
fn invalid_varint(left: usize) -> WireError {
    WireError::new(if left < 10 { "a varint is cut short" } else { "a varint exceeds 64 bits" })
}

#[cold]
fn cut_short(number: u32, needed: u64, left: usize) -> WireError {
    WireError::new(format!("field {number} is cut short: it needs {needed} bytes, {left} are left"))
}

#[cold]
fn invalid_text(at: usize) -> WireError {
    WireError::new(format!("must be UTF-8, byte {at} is not"))
}

#[cold]
fn invalid_id(bytes: usize, got: usize) -> WireError {
    WireError::new(format!("must be {bytes} bytes, got {got}"))
}

#[cold]
fn invalid_packing(bytes: usize) -> WireError {
    WireError::new(format!("must be packed 64-bit values, got {bytes} bytes, no multiple of 8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<u64> {
        Message::new(bytes).varint()
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
        assert_eq!(read(&[0xff; 11]).unwrap_err().to_string(), "a varint exceeds 64 bits");
        let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(read(&too_large).unwrap_err().to_string(), "a varint exceeds 64 bits");
    }

    #[test]
    fn signed_integers() {
        for (sent, meant) in [(0, 0), (1, -1), (2, 1), (0xffff_fffe, i32::MAX), (0xffff_ffff, i32::MIN)] {
            assert_eq!(Field::Varint(sent).sint32(), Ok(meant));
        }
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let message = |bytes: &[u8]| Message::new(bytes).next().err().map(|error| error.to_string());
        assert_eq!(message(&[0x08, 1]), None);
        assert!(message(&[0x00, 1]).unwrap().contains("no protobuf tag"));
        assert!(message(&[0x0b]).unwrap().contains("field 1 is a group"));
        assert!(message(&[0x0f]).unwrap().contains("wire type 7"));
        assert_eq!(message(&[0x0a, 3, 1]).unwrap(), "field 1 is cut short: it needs 3 bytes, 1 are left");
    }

    #[test]
    fn messages_of_a_stream() {
        let mut stream = Message::new(&[2, 0x08, 1, 0, 3, 1]);
        assert_eq!((stream.next_delimited(), stream.next_delimited()), (Ok(&[0x08, 1][..]), Ok(&[][..])));
        assert_eq!(stream.next_delimited().unwrap_err().to_string(), "a message of 3 bytes is cut short");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_forever(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bounded = |held: usize| if held < 10 { Ok(()) } else { Err(WireError::new("full")) };
            let mut message = Message::new(&bytes);
            while let Ok(Some((_, field))) = message.next() {
                let mut list = Vec::new();
                let _ = field.extend_varints(&mut list, |value| value, bounded);
                prop_assert!(list.len() <= 10);
                let _ = field.extend_fixed64(&mut list, |value| value, bounded);
                prop_assert!(list.len() <= 10);
                let _ = field.text();
            }
        }

        #[test]
        fn lists_come_back(values: Vec<i64>, packed: bool) {
            let mut bytes = Vec::new();
            match packed {
                true => prost::encoding::sint64::encode_packed(1, &values, &mut bytes),
                false => prost::encoding::sint64::encode_repeated(1, &values, &mut bytes),
            }
            let (mut message, mut read) = (Message::new(&bytes), Vec::new());
            while let Some((number, field)) = message.next().unwrap() {
                prop_assert_eq!(number, 1);
                field.extend_varints::<_, WireError>(&mut read, zigzag, |_| Ok(())).unwrap();
            }
            prop_assert_eq!(read, values);
        }
    }
}
