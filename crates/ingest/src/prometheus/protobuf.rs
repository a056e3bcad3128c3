//! Protobuf's wire format: fields of a message one after another, each a tag and a value.
//!
//! Read straight from the bytes; `prost` structs would be an object tree that every request builds and throws away.
//! Types: 0 varint, 1 eight bytes, 2 a length (varint) and so many bytes, 5 four bytes.

/// Why bytes are no message, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

type Result<T> = std::result::Result<T, Malformed>;

/// A field's value as it lies on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The unread rest of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value; [`None`] at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = match u32::try_from(tag >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => number,
            _ => return Err(malformed(format!("{tag} is no protobuf tag"))),
        };
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => Field::Bytes(self.delimited()?),
            5 => {
                self.fixed::<4>()?;
                Field::Fixed32
            }
            other => return Err(malformed(format!("field {number} has the wire type {other}, which is not used"))),
        };
        Ok(Some((number, field)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64> {
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
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
        Err(malformed("a varint has no end"))
    }

    fn fixed<const BYTES: usize>(&mut self) -> Result<[u8; BYTES]> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// A length and so many bytes; also how messages follow each other in a stream.
    #[inline]
    pub(crate) fn delimited(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (bytes, rest) = split.ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Field<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            _ => Err(mismatch("bytes")),
        }
    }

    #[inline]
    pub(crate) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("a text is not UTF-8"))
    }

    #[inline]
    pub(crate) fn varint(self) -> Result<u64> {
        match self {
            Field::Varint(value) => Ok(value),
            _ => Err(mismatch("a varint")),
        }
    }

    /// `int64`.
    #[inline]
    pub(crate) fn int64(self) -> Result<i64> {
        self.varint().map(|value| value as i64)
    }

    /// `sint32`.
    pub(crate) fn sint32(self) -> Result<i32> {
        self.varint().map(|value| zigzag(value) as i32)
    }

    #[inline]
    pub(crate) fn double(self) -> Result<f64> {
        match self {
            Field::Fixed64(value) => Ok(f64::from_bits(value)),
            _ => Err(mismatch("a double")),
        }
    }

    /// Adds the elements of a repeated varint field, packed or one by one, at most `limit` of them.
    pub(crate) fn extend_varints<T>(self, list: &mut Vec<T>, limit: usize, convert: impl Fn(u64) -> T) -> Result<()> {
        match self {
            Field::Varint(value) => list.push(convert(value)),
            Field::Bytes(packed) => {
                let mut packed = Message::new(packed);
                while !packed.is_empty() {
                    list.push(convert(packed.varint()?));
                    if list.len() > limit {
                        break;
                    }
                }
            }
            _ => return Err(mismatch("varints")),
        }
        bounded(list.len(), limit)
    }

    /// As [`Field::extend_varints`] for doubles.
    pub(crate) fn extend_doubles(self, list: &mut Vec<f64>, limit: usize) -> Result<()> {
        match self {
            Field::Fixed64(value) => list.push(f64::from_bits(value)),
            Field::Bytes(packed) => {
                let (elements, rest) = packed.as_chunks();
                if !rest.is_empty() {
                    return Err(malformed("a packed list of doubles is no multiple of eight bytes"));
                }
                bounded(list.len() + elements.len(), limit)?;
                list.extend(elements.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            }
            _ => return Err(mismatch("doubles")),
        }
        bounded(list.len(), limit)
    }
}

fn bounded(length: usize, limit: usize) -> Result<()> {
    if length <= limit { Ok(()) } else { Err(malformed(format!("a list has more than {limit} elements"))) }
}

/// The integer that zigzag coding made of a signed one, back again.
pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cold]
pub(crate) fn malformed(message: impl Into<String>) -> Malformed {
    Malformed(message.into())
}

#[cold]
fn cut_short() -> Malformed {
    malformed("the message ends in the middle of a field")
}

#[cold]
fn mismatch(expected: &str) -> Malformed {
    malformed(format!("a field is no {expected}; is this a message of another kind?"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_forever(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut message = Message::new(&bytes);
            while let Ok(Some((_, field))) = message.next() {
                let _ = field.extend_varints(&mut Vec::new(), 10, |value| value);
                let _ = field.extend_doubles(&mut Vec::new(), 10);
                let _ = field.text();
            }
        }

        #[test]
        fn varints_come_back(value: u64, signed: i64) {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            prop_assert_eq!(Message::new(&bytes).varint(), Ok(value));
            bytes.clear();
            prost::encoding::sint64::encode(1, &signed, &mut bytes);
            let field = Message::new(&bytes).next().unwrap().unwrap();
            let mut read = Vec::new();
            field.1.extend_varints(&mut read, 1, zigzag).unwrap();
            prop_assert_eq!((field.0, read), (1, vec![signed]));
        }
    }
}
