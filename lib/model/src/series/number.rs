use std::fmt;

/// A float as Prometheus prints it in histograms and annotations: the shortest digits that read back as the same value,
/// with an exponent (`1e+06`, `2.5e-07`) from a million on and below a ten-thousandth. Go's `%g`.
#[derive(Clone, Copy, Debug)]
pub struct ShortFloat(pub f64);

impl fmt::Display for ShortFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        // Rust's exponent form has the shortest digits too: `-1.25e-7`.
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if (-4..6).contains(&exponent) {
            write!(f, "{value}")
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(f, "{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_numbers_have_an_exponent() {
        let text = |value| ShortFloat(value).to_string();
        assert_eq!(text(999_999.0), "999999");
        assert_eq!(text(1_000_000.0), "1e+06");
        assert_eq!(text(-1_234_567.0), "-1.234567e+06");
        assert_eq!(text(0.000_123_45), "0.00012345");
        assert_eq!(text(0.000_01), "1e-05");
        assert_eq!(text(1e300), "1e+300");
        assert_eq!(text(0.0), "0");
        assert_eq!(text(f64::INFINITY), "+Inf");
        assert_eq!(text(f64::NEG_INFINITY), "-Inf");
        assert_eq!(text(f64::NAN), "NaN");
    }
}
