//! Numbers as the Prometheus clients write them: whole numbers with `.0`, an exponent from a million upwards.

use std::fmt::Write;

/// Appends a number. The digits are the fewest that read back as the same number.
pub(super) fn write(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else if value == value.trunc() && value.abs() < 1e6 {
        let _ = write!(out, "{value:.1}");
    } else if value.abs() >= 1e6 || value.abs() < 1e-4 {
        let start = out.len();
        let _ = write!(out, "{value:e}");
        // Rust writes 1e6 where Go and Python write 1e+06.
        let Some(at) = out[start..].find('e').map(|at| start + at) else { return };
        let exponent: i32 = out[at + 1..].parse().unwrap_or_default();
        out.truncate(at);
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    } else {
        let _ = write!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: f64) -> String {
        let mut out = String::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn numbers_look_like_those_of_the_other_clients() {
        let expected = [
            (0.0, "0.0"),
            (5.0, "5.0"),
            (42.0, "42.0"),
            (0.005, "0.005"),
            (285.5, "285.5"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1e-5, "1e-05"),
            (1e100, "1e+100"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, expected) in expected {
            assert_eq!(text(value), expected);
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_themselves(value in any::<f64>()) {
            let read: f64 = text(value).parse().unwrap();
            prop_assert!(read == value || (read.is_nan() && value.is_nan()));
        }
    }
}
