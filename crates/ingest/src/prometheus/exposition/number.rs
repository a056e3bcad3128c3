//! Numbers as Go reads and writes them, because that is what the formats are defined by.

use std::fmt::Write;

use tripod_model::series::ShortFloat;

/// The NaN that Prometheus stores for every NaN that it reads, so that none is taken for the stale marker.
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Reads a float: decimal with or without exponent, `Inf` and `NaN` in any case. No hexadecimal, no underscores, and
/// nothing that is too large for a float.
pub fn parse_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    match digits.as_bytes().first()? {
        b'0'..=b'9' | b'.' => text.parse::<f64>().ok().filter(|value| value.is_finite()),
        b'n' | b'N' if digits.len() == text.len() && text.eq_ignore_ascii_case("nan") => Some(NORMAL_NAN),
        b'i' | b'I' => {
            let infinite = digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity");
            infinite.then_some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY })
        }
        _ => None,
    }
}

/// Writes a float as Go's `strconv.FormatFloat(value, 'g', -1, 64)` does: the shortest digits that read back as the
/// same float, with an exponent below 1e-4 and from 1e6 on, and `NaN`, `+Inf`, `-Inf`.
pub fn write_float(out: &mut String, value: f64) {
    let _ = write!(out, "{}", ShortFloat(value));
}

/// Writes a float as it stands in the labels `le` and `quantile`: as [`write_float`], with `.0` after whole numbers.
pub fn write_label_float(out: &mut String, value: f64) {
    let from = out.len();
    write_float(out, value);
    if value.is_finite() && !out[from..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

/// Milliseconds from seconds, cut towards zero as Prometheus does.
pub(super) fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut out = String::new();
        write_float(&mut out, value);
        out
    }

    #[test]
    fn floats_are_laid_out_as_go_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (100_000.0, "100000"),
            (1_345_758.0, "1.345758e+06"),
            (1e6, "1e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-8.999999999999979e-5, "-8.999999999999979e-05"),
            (0.013300656000000001, "0.013300656000000001"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(value), text);
        }
        let mut label = String::new();
        for value in [1.0, 0.5, 1e6, f64::INFINITY] {
            write_label_float(&mut label, value);
            label.push(' ');
        }
        assert_eq!(label, "1.0 0.5 1e+06 +Inf ");
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in ["", "+", "1_2", "0x1", "0x1p-3", "1e400", "+nan", "-NaN", "infi", "a", "1 ", "0b1", "."] {
            assert_eq!(parse_float(text), None, "{text}");
        }
        for (text, value) in [("+INF", f64::INFINITY), ("-infinity", f64::NEG_INFINITY), ("1.", 1.0), (".5e+2", 50.0)] {
            assert_eq!(parse_float(text), Some(value));
        }
        assert_eq!(parse_float("nan").map(f64::to_bits), Some(NORMAL_NAN.to_bits()));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            let read = parse_float(&written(value)).unwrap();
            prop_assert!(read.to_bits() == bits || value.is_nan() && read.is_nan());
        }
    }
}
