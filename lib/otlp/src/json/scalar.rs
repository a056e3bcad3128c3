//! Protobuf's scalars in JSON: 64-bit integers as strings, special doubles, enumerations, ids, bytes.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::reader::Reader;
use super::text::number_length;
use crate::error::{DecodeError, Result};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads an integer of any width, written as a number or a string; `1.0`, `15e2` and the like are integers too.
#[inline]
pub(super) fn read_integer<T: TryFrom<i128> + Bounds>(reader: &mut Reader<'_>) -> Result<T> {
    let written = read_digits(reader)?;
    // At most 19 digits always fit, so this needs no check for overflow.
    let value = if written.len() < 20 && written.bytes().all(|byte| byte.is_ascii_digit()) && !written.is_empty() {
        let value = written.bytes().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        (is_number(&written)).then_some(i128::from(value))
    } else {
        is_number(&written).then(|| parse_integral(&written)).flatten()
    };
    value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
        DecodeError::new(format!("must be an integer from {} to {}, got {}", T::LEAST, T::MOST, excerpt(&written)))
    })
}

/// The bounds of an integer type, for messages.
pub(super) trait Bounds {
    const LEAST: i128;
    const MOST: i128;
}

macro_rules! bounds {
    ($($integer:ty),*) => {
        $(impl Bounds for $integer {
            const LEAST: i128 = <$integer>::MIN as i128;
            const MOST: i128 = <$integer>::MAX as i128;
        })*
    };
}

bounds!(i32, u32, i64, u64);

fn read_digits<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>> {
    if reader.at_string() { reader.string() } else { reader.number().map(Cow::Borrowed) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && number_length(text.as_bytes()) == text.len()
}

/// The value of a JSON number, if it is an integer that fits.
fn parse_integral(number: &str) -> Option<i128> {
    let (negative, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        // An exponent that does not fit gives an integer for zero only, which nobody writes like that.
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    // The digits without the point, which moves by the exponent.
    let mut value = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let mut zeros = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
    while zeros < 0 && value != 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        zeros += 1;
    }
    while zeros > 0 && value != 0 {
        value = value.checked_mul(10)?;
        zeros -= 1;
    }
    Some(if negative { -value } else { value })
}

/// Reads a double, written as a number or a string: `"NaN"`, `"Infinity"`, `"-Infinity"` or a number.
#[inline]
pub(super) fn read_double(reader: &mut Reader<'_>) -> Result<f64> {
    if !reader.at_string() {
        let number = reader.number()?;
        return parse_double(number);
    }
    let text = reader.string()?;
    match text.as_ref() {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        number if is_number(number) => parse_double(number),
        other => Err(DecodeError::new(format!(
            "must be a number, \"NaN\", \"Infinity\" or \"-Infinity\", got {}",
            excerpt(other)
        ))),
    }
}

fn parse_double(number: &str) -> Result<f64> {
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(DecodeError::new(format!("must fit into a 64-bit float, got {}", excerpt(number)))),
    }
}

/// An enumeration's names. Numbers without a name are read too: a later protocol version may have named them.
pub(super) struct Enumeration {
    prefix: &'static str,
    /// In the order of their numbers, from 0.
    names: &'static [&'static str],
}

pub(super) const SPAN_KIND: Enumeration = Enumeration {
    prefix: "SPAN_KIND_",
    names: &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"],
};

pub(super) const STATUS_CODE: Enumeration = Enumeration { prefix: "STATUS_CODE_", names: &["UNSET", "OK", "ERROR"] };

pub(super) const TEMPORALITY: Enumeration =
    Enumeration { prefix: "AGGREGATION_TEMPORALITY_", names: &["UNSPECIFIED", "DELTA", "CUMULATIVE"] };

pub(super) const SEVERITY_NUMBER: Enumeration = Enumeration {
    prefix: "SEVERITY_NUMBER_",
    names: &[
        "UNSPECIFIED",
        "TRACE",
        "TRACE2",
        "TRACE3",
        "TRACE4",
        "DEBUG",
        "DEBUG2",
        "DEBUG3",
        "DEBUG4",
        "INFO",
        "INFO2",
        "INFO3",
        "INFO4",
        "WARN",
        "WARN2",
        "WARN3",
        "WARN4",
        "ERROR",
        "ERROR2",
        "ERROR3",
        "ERROR4",
        "FATAL",
        "FATAL2",
        "FATAL3",
        "FATAL4",
    ],
};

/// Reads an enumeration's number, or its name as in the `.proto` file.
pub(super) fn read_enumeration(reader: &mut Reader<'_>, enumeration: &Enumeration) -> Result<i32> {
    let mut text_reader = *reader;
    if text_reader.at_string() {
        let text = text_reader.string()?;
        if !is_number(&text) {
            *reader = text_reader;
            let name = text.strip_prefix(enumeration.prefix);
            let number = name.and_then(|name| enumeration.names.iter().position(|known| *known == name));
            return number.and_then(|number| i32::try_from(number).ok()).ok_or_else(|| {
                let Enumeration { prefix, names } = enumeration;
                let example = names.last().unwrap_or(&"");
                DecodeError::new(format!(
                    "must be a number or a name such as \"{prefix}{example}\", got {}",
                    excerpt(&text)
                ))
            });
        }
    }
    read_integer(reader)
}

/// Reads an id in hexadecimal digits of either case; an empty string stands for the zero id.
pub(super) fn read_id<const BYTES: usize>(reader: &mut Reader<'_>) -> Result<[u8; BYTES]> {
    let text = reader.string()?;
    if text.is_empty() {
        return Ok([0; BYTES]);
    }
    parse_hex(text.as_bytes()).ok_or_else(|| {
        DecodeError::new(format!("must be {} hexadecimal digits ({BYTES} bytes), got {}", 2 * BYTES, excerpt(&text)))
    })
}

fn parse_hex<const BYTES: usize>(text: &[u8]) -> Option<[u8; BYTES]> {
    let mut id = [0; BYTES];
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != BYTES {
        return None;
    }
    for (byte, [high, low]) in id.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(id)
}

#[inline]
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Reads bytes in base64, of the standard or the URL-safe alphabet, padded or not.
pub(super) fn read_bytes(reader: &mut Reader<'_>) -> Result<Vec<u8>> {
    let text = reader.string()?;
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(text.as_bytes()).map_err(|error| DecodeError::new(format!("must be base64: {error}")))
}

/// A refused text for a message, of bounded length.
fn excerpt(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer<T: TryFrom<i128> + Bounds>(text: &str) -> Result<T> {
        read_integer(&mut Reader::new(text.as_bytes()))
    }

    #[test]
    fn integers_in_every_form() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("\"0\"", 0),
            ("18446744073709551615", u64::MAX),
            ("\"18446744073709551615\"", u64::MAX),
            ("9999999999999999999", 9_999_999_999_999_999_999),
            ("1.5e3", 1500),
            ("15000e-1", 1500),
            ("1500.000", 1500),
            ("1544712660300000000", 1_544_712_660_300_000_000),
            ("1.5447126603e18", 1_544_712_660_300_000_000),
            ("0e999999999", 0),
            ("0.0e-999999999", 0),
        ] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        assert_eq!(integer("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer("\"-1\""), Ok(-1_i32));
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for text in ["1.5", "15e-1", "-1", "18446744073709551616", "1e20", "1e999999999", "1e-5", "1e99999999999"] {
            let error = integer::<u64>(text).unwrap_err();
            assert_eq!(error.message(), format!("must be an integer from 0 to 18446744073709551615, got {text:?}"));
        }
        for text in ["\"\"", "\" 1\"", "\"007\"", "\"0x1\"", "\"+1\"", "\"١\"", "true", "{}", "4294967296", "007"] {
            assert!(integer::<u32>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn doubles_in_every_form() {
        let double = |text: &str| read_double(&mut Reader::new(text.as_bytes()));
        assert_eq!(double("637.704"), Ok(637.704));
        assert_eq!(double("\"-0\"").map(f64::to_bits), Ok((-0.0_f64).to_bits()));
        assert_eq!(double("\"-Infinity\""), Ok(f64::NEG_INFINITY));
        assert!(double("\"NaN\"").unwrap().is_nan());
        for text in ["1e400", "\"nan\"", "\"\"", "NaN", "\"1e\"", "\"inf\""] {
            assert!(double(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_in_every_form() {
        let bytes = |text: &str| read_bytes(&mut Reader::new(format!("\"{text}\"").as_bytes()));
        for text in ["++//AA==", "++//AA", "--__AA==", "--__AA"] {
            assert_eq!(bytes(text), Ok(vec![0xfb, 0xef, 0xff, 0]), "{text}");
        }
        assert!(bytes("+-").unwrap_err().message().starts_with("must be base64: "));
    }

    #[test]
    fn enumerations_by_number_and_name() {
        let kind = |text: &str| read_enumeration(&mut Reader::new(text.as_bytes()), &SPAN_KIND);
        assert_eq!(kind("2"), Ok(2));
        assert_eq!(kind("\"2\""), Ok(2));
        assert_eq!(kind("99"), Ok(99));
        assert_eq!(kind("\"SPAN_KIND_SERVER\""), Ok(2));
        assert_eq!(
            kind("\"SERVER\"").unwrap_err().message(),
            "must be a number or a name such as \"SPAN_KIND_CONSUMER\", got \"SERVER\""
        );
        let severity = read_enumeration(&mut Reader::new(b"\"SEVERITY_NUMBER_FATAL4\""), &SEVERITY_NUMBER);
        assert_eq!(severity, Ok(24));
    }

    #[test]
    fn a_refused_text_is_quoted_in_part() {
        let long = format!("\"{}\"", "é".repeat(1000));
        let error = read_id::<16>(&mut Reader::new(long.as_bytes())).unwrap_err();
        assert!(error.message().ends_with("é\"… (2000 bytes)"), "{error}");
        assert!(error.message().len() < 200);
    }
}
