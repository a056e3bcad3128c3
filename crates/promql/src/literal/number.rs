/// A number literal: decimal or, after `0x`, hexadecimal, after a leading 0 octal; `_` between digits; `Inf` and `NaN` in any case.
///
/// # Errors
/// Go's words for what is wrong with it.
pub fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(whole) = parse_whole(text) {
        return Ok(whole as f64);
    }
    let invalid = |reason| Err(format!("strconv.ParseFloat: parsing {}: {reason}", super::quote(text)));
    if text.eq_ignore_ascii_case("inf") {
        return Ok(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    let digits = text.replace('_', "");
    let plain = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && !digits.contains(['x', 'X'])
        && underscores_separate_digits(text);
    match digits.parse::<f64>() {
        Ok(value) if plain && value.is_finite() => Ok(value),
        Ok(_) if plain => invalid("value out of range"),
        _ => invalid("invalid syntax"),
    }
}

/// An integer in the base that its prefix names; `None` when it is none or too big.
fn parse_whole(text: &str) -> Option<i64> {
    if !underscores_separate_digits(text) {
        return None;
    }
    let digits = text.replace('_', "");
    match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => i64::from_str_radix(&digits[2..], 16).ok(),
        [b'0', _, ..] => i64::from_str_radix(&digits[1..], 8).ok(),
        _ => digits.parse().ok(),
    }
}

/// Whether each `_` stands between digits; what a base's prefix ends with counts as a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let is_digit = |at: usize| match bytes.get(at) {
        Some(byte) if hex => at == 1 || byte.is_ascii_hexdigit(),
        Some(byte) => byte.is_ascii_digit(),
        None => false,
    };
    bytes.iter().enumerate().all(|(at, byte)| *byte != b'_' || (at > 0 && is_digit(at - 1) && is_digit(at + 1)))
}

/// The shortest decimal that reads back as the number, without an exponent; `+Inf`, `-Inf`, `NaN`.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_does() {
        for (text, value) in [
            ("5", 5.0),
            ("05", 5.0),
            ("010", 8.0),
            ("08", 8.0),
            ("0x1F", 31.0),
            ("0x_1F", 31.0),
            ("1_000", 1000.0),
            ("1_000.5e1", 10005.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("9223372036854775808", 9223372036854775808.0),
            ("iNf", f64::INFINITY),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        assert!(parse_number("NaN").is_ok_and(f64::is_nan));
        for (text, message) in [
            ("0x", r#"strconv.ParseFloat: parsing "0x": invalid syntax"#),
            ("1e400", r#"strconv.ParseFloat: parsing "1e400": value out of range"#),
            ("1__0", r#"strconv.ParseFloat: parsing "1__0": invalid syntax"#),
            ("0xffffffffffffffffff", r#"strconv.ParseFloat: parsing "0xffffffffffffffffff": invalid syntax"#),
        ] {
            assert_eq!(parse_number(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_are_written_as_go_does() {
        for (value, text) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e-7, "0.0000001"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_float(value), text);
        }
    }
}
