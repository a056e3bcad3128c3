//! JSON as Prometheus writes it, straight into bytes.

use std::io::Write;

use tripod_model::series::{FloatHistogram, Labels};

/// A string with its quotes.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        if escape.is_empty() {
            // Writing into a vector cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.extend_from_slice(escape);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}

/// A list of strings.
pub(super) fn texts<T: AsRef<str>>(out: &mut Vec<u8>, all: impl IntoIterator<Item = T>) {
    list(out, all, |out, each| text(out, each.as_ref()));
}

/// A list of what the function writes.
pub(super) fn list<T>(out: &mut Vec<u8>, all: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, each) in all.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, each);
    }
    out.push(b']');
}

/// Milliseconds as seconds with up to three decimals.
pub(super) fn timestamp(out: &mut Vec<u8>, millis: i64) {
    if millis < 0 {
        out.push(b'-');
    }
    let millis = millis.unsigned_abs();
    integer(out, millis / 1000);
    let rest = millis % 1000;
    if rest > 0 {
        let _ = write!(out, ".{rest:03}");
    }
}

pub(super) fn integer(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A sample's value: a string, since JSON knows no infinity. With an exponent below 1e-6 and from 1e21 on.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    /// Integers up to here are exact and need no search for the shortest digits.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    out.push(b'"');
    let size = value.abs();
    if size < EXACT && value.trunc() == value && (value != 0.0 || value.is_sign_positive()) {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    } else {
        let _ = write!(out, "{value}");
    }
    out.push(b'"');
}

pub(super) fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        text(out, value);
    }
    out.push(b'}');
}

/// Labels as an object.
pub(crate) fn labels_json(value: &Labels) -> String {
    let mut out = Vec::new();
    labels(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

/// A native histogram as text.
pub(crate) fn histogram_json(value: &FloatHistogram) -> String {
    let mut out = Vec::new();
    histogram(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

/// `{"count":"42","sum":"1.5","buckets":[[3,"-0.25","0.25","3"]]}`; the first number of a bucket says which of its bounds
/// belong to it: 0 the upper, 1 the lower, 2 none, 3 both.
pub(super) fn histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(b"{\"count\":");
    float(out, histogram.count);
    out.extend_from_slice(b",\"sum\":");
    float(out, histogram.sum);
    let mut buckets = histogram.bucket_iter().filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        out.extend_from_slice(b",\"buckets\":");
        list(out, buckets, |out, bucket| {
            out.extend_from_slice(match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => b"[0,",
                (true, false) => b"[1,",
                (false, false) => b"[2,",
                (true, true) => b"[3,",
            });
            float(out, bucket.lower);
            out.push(b',');
            float(out, bucket.upper);
            out.push(b',');
            float(out, bucket.count);
            out.push(b']');
        });
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_written_as_prometheus_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-42.5, "-42.5"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-07"),
            (1e-300, "1e-300"),
            (123_456_789_012_345_680.0, "123456789012345680"),
            (9.5e20, "950000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(|out| float(out, value)), format!("\"{text}\""));
        }
    }

    #[test]
    fn timestamps_are_seconds() {
        for (millis, text) in
            [(0, "0"), (1, "0.001"), (-50, "-0.050"), (1_435_781_451_781, "1435781451.781"), (5_000, "5")]
        {
            assert_eq!(written(|out| timestamp(out, millis)), text);
        }
    }

    proptest! {
        #[test]
        fn strings_and_floats_read_back(string in ".*", value in any::<f64>()) {
            let json = written(|out| text(out, &string));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), string);
            let json = written(|out| float(out, value));
            let read: f64 = serde_json::from_str::<String>(&json).unwrap().parse().unwrap();
            prop_assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()));
        }
    }
}
