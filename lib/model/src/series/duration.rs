/// The units from long to short, each with its milliseconds and whether it is only printed when nothing remains.
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 24 * 3_600_000, true),
    ("w", 7 * 24 * 3_600_000, true),
    ("d", 24 * 3_600_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidDuration<'a> {
    /// There is nothing.
    Empty,
    /// It is no sequence of numbers with units, from long to short, each at most once.
    Malformed,
    /// A unit that there is not.
    UnknownUnit(&'a str),
    /// More milliseconds than 64 bits hold.
    OutOfRange,
}

/// Milliseconds of a duration as Prometheus writes them: `1h30m`, units from long to short, each at most once; or `0`.
///
/// # Errors
/// [`InvalidDuration`]
pub fn parse_millis(text: &str) -> Result<i64, InvalidDuration<'_>> {
    if text.is_empty() {
        return Err(InvalidDuration::Empty);
    }
    if text == "0" {
        return Ok(0);
    }
    let mut longer_units = 0;
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|each: char| each.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| InvalidDuration::Malformed)?;
        if unit.is_empty() {
            return Err(InvalidDuration::Malformed);
        }
        let place = UNITS.iter().position(|(name, ..)| *name == unit).ok_or(InvalidDuration::UnknownUnit(unit))?;
        if place < longer_units {
            return Err(InvalidDuration::Malformed);
        }
        longer_units = place + 1;
        let part = number.checked_mul(UNITS[place].1);
        total = part.and_then(|part| total.checked_add(part)).ok_or(InvalidDuration::OutOfRange)?;
        rest = tail;
    }
    i64::try_from(total).map_err(|_| InvalidDuration::OutOfRange)
}

/// Milliseconds as a duration: `1h30m`, `90d`, `0s`. The sign of a negative one stands before it.
pub fn format_millis(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = if millis < 0 { "-".to_owned() } else { String::new() };
    let mut rest = millis.unsigned_abs();
    for (unit, size, exact) in UNITS {
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn years_and_weeks_are_printed_only_when_nothing_remains() {
        assert_eq!(format_millis(31_536_000_000), "1y");
        assert_eq!(format_millis(31_536_000_001), "365d1ms");
        assert_eq!(format_millis(-5_400_000), "-1h30m");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        use InvalidDuration::*;
        for (text, reason) in [
            ("", Empty),
            ("5", Malformed),
            ("-1m", Malformed),
            ("1.5m", UnknownUnit(".")),
            ("1 m", UnknownUnit(" m")),
            ("5hs", UnknownUnit("hs")),
            ("1m1h", Malformed),
            ("9999999999999999999s", OutOfRange),
            ("9223372036854775808ms", OutOfRange),
        ] {
            assert_eq!(parse_millis(text), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0..=i64::MAX) {
            let text = format_millis(millis);
            prop_assert_eq!(parse_millis(&text), Ok(millis));
        }
    }
}
