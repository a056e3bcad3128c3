const MILLISECOND: i64 = 1_000_000;

/// The units from long to short, each with its nanoseconds and whether it is only printed when nothing remains.
const UNITS: [(&str, i64, bool); 7] = [
    ("y", 365 * 24 * 3_600_000 * MILLISECOND, true),
    ("w", 7 * 24 * 3_600_000 * MILLISECOND, true),
    ("d", 24 * 3_600_000 * MILLISECOND, false),
    ("h", 3_600_000 * MILLISECOND, false),
    ("m", 60_000 * MILLISECOND, false),
    ("s", 1_000 * MILLISECOND, false),
    ("ms", MILLISECOND, false),
];

/// Nanoseconds of a duration such as `1h30m`: units from long to short, each at most once.
///
/// # Errors
/// Prometheus' words for what is wrong with it.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Err("empty duration string".to_owned());
    }
    if text == "0" {
        return Ok(0);
    }
    let invalid = || format!("not a valid duration string: {}", super::quote(text));
    let mut longer_units = 0;
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|each: char| each.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        if unit.is_empty() {
            return Err(invalid());
        }
        let Some(place) = UNITS.iter().position(|(name, ..)| *name == unit) else {
            return Err(format!("unknown unit {} in duration {}", super::quote(unit), super::quote(text)));
        };
        if place < longer_units {
            return Err(invalid());
        }
        longer_units = place + 1;
        total = i64::try_from(number)
            .ok()
            .and_then(|number| number.checked_mul(UNITS[place].1))
            .and_then(|part| total.checked_add(part))
            .ok_or("duration out of range")?;
        rest = tail;
    }
    Ok(total)
}

/// Milliseconds as a duration: `1h30m`, `90d`, `0s`. The sign of a negative one stands before it.
pub fn format_millis(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = if millis < 0 { "-".to_owned() } else { String::new() };
    let mut rest = millis.unsigned_abs();
    for (unit, nanos, exact) in UNITS {
        let size = (nanos / MILLISECOND).unsigned_abs();
        if rest >= size && (!exact || rest.is_multiple_of(size)) {
            text.push_str(&(rest / size).to_string());
            text.push_str(unit);
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis, printed) in [
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("90d", 7_776_000_000, "90d"),
            ("14d", 1_209_600_000, "2w"),
            ("1y", 31_536_000_000, "1y"),
            ("1y1ms", 31_536_000_001, "365d1ms"),
            ("4s180ms", 4_180, "4s180ms"),
            ("0", 0, "0s"),
        ] {
            assert_eq!(parse_duration(text), Ok(millis * MILLISECOND), "{text}");
            assert_eq!(format_millis(millis), printed);
        }
        assert_eq!(format_millis(-5_400_000), "-1h30m");
        for (text, message) in [
            ("", "empty duration string"),
            ("5", r#"not a valid duration string: "5""#),
            ("5hs", r#"unknown unit "hs" in duration "5hs""#),
            ("m", r#"not a valid duration string: "m""#),
            ("1m1h", r#"not a valid duration string: "1m1h""#),
            ("1m1m", r#"not a valid duration string: "1m1m""#),
            ("300y", "duration out of range"),
            ("9999999999999999999s", "duration out of range"),
            ("99999999999999999999s", r#"not a valid duration string: "99999999999999999999s""#),
        ] {
            assert_eq!(parse_duration(text), Err(message.to_owned()), "{text}");
        }
    }
}
