use std::fmt;
use std::str::FromStr;

/// A trace's 16-byte id. Prints and parses as 32 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// A span's 8-byte id. Prints and parses as 16 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

/// The text is not an id: wrong length or a character that is not a hexadecimal digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    /// How many hexadecimal digits the id has.
    pub digits: usize,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be {} hexadecimal digits", self.digits)
    }
}

impl std::error::Error for InvalidId {}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn encode<const BYTES: usize, const TEXT: usize>(bytes: &[u8; BYTES]) -> [u8; TEXT] {
    let mut text = [0; TEXT];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

fn decode<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], InvalidId> {
    let invalid = InvalidId { digits: BYTES * 2 };
    if text.len() != BYTES * 2 {
        return Err(invalid);
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16).ok_or(invalid.clone())?;
        let low = char::from(pair[1]).to_digit(16).ok_or(invalid.clone())?;
        *byte = (high * 16 + low) as u8;
    }
    Ok(bytes)
}

macro_rules! id {
    ($name:ident, $bytes:literal, $digits:literal) => {
        impl $name {
            /// All zero, which OpenTelemetry defines as invalid or absent.
            pub fn is_zero(&self) -> bool {
                self.0 == [0; $bytes]
            }

            /// The id as lower-case hexadecimal ASCII.
            pub fn hex(&self) -> [u8; $digits] {
                encode(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.hex()).expect("hexadecimal digits are ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Upper and lower case are both read.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                decode(text).map(Self)
            }
        }
    };
}

id!(TraceId, 16, 32);
id!(SpanId, 8, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse() {
        let id: TraceId = "5B8EFFF798038103D269B633813FC60C".parse().unwrap();
        assert_eq!(id.to_string(), "5b8efff798038103d269b633813fc60c");
        assert_eq!("eee19b7ec3c1b174".parse::<SpanId>().unwrap().0[0], 0xee);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "5b", "zb8efff798038103d269b633813fc60c", "5b8efff798038103d269b633813fc60é"] {
            assert_eq!(text.parse::<TraceId>(), Err(InvalidId { digits: 32 }), "{text}");
        }
    }
}
