//! Durations as Go writes them (`time.ParseDuration`): `1.2s`, `100us`, `1h30m`.

/// Nanoseconds of a duration; a number needs a unit, but for `0`.
pub(super) fn parse_go_duration(text: &str) -> Result<i64, String> {
    parse(
        text,
        &[("ns", 1e0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)],
    )
    .map_err(|reason| reason.unwrap_or_else(|| "has no unit (ns, us, ms, s, m, h)".to_owned()))
}

/// Nanoseconds of a lookback as the Jaeger UI offers them, with days and weeks too; `None` for `custom`.
pub(super) fn parse_lookback(text: &str) -> Result<Option<i64>, String> {
    const DAY: f64 = 8.64e13;
    if text == "custom" {
        return Ok(None);
    }
    parse(text, &[("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12), ("d", DAY), ("w", 7.0 * DAY)])
        .map(Some)
        .map_err(|reason| reason.unwrap_or_else(|| "has no unit (ms, s, m, h, d, w)".to_owned()))
}

/// `Err(None)` when a number has no unit that there is.
fn parse(text: &str, units: &[(&str, f64)]) -> Result<i64, Option<String>> {
    let malformed = || Some("is not a duration such as 1.2s or 100us".to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| malformed())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = units.iter().find(|(name, _)| *name == &rest[..letters]).ok_or(None)?;
        nanos += number * unit;
        rest = &rest[letters..];
    }
    if nanos >= i64::MAX as f64 {
        return Err(Some("is longer than 292 years".to_owned()));
    }
    let nanos = nanos.round() as i64;
    Ok(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("1.2s", 1_200_000_000),
            ("100us", 100_000),
            ("100µs", 100_000),
            ("1h30m", 5_400_000_000_000),
            (".5ms", 500_000),
            ("-3ns", -3),
        ] {
            assert_eq!(parse_go_duration(text), Ok(nanos), "{text}");
        }
        for text in ["", "1", "s", "1d", "1s2", "1.2.3s", "-", "9999999h"] {
            assert!(parse_go_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lookbacks_have_days() {
        assert_eq!(parse_lookback("2d"), Ok(Some(172_800_000_000_000)));
        assert_eq!(parse_lookback("1w"), Ok(Some(604_800_000_000_000)));
        assert_eq!(parse_lookback("15m"), Ok(Some(900_000_000_000)));
        assert_eq!(parse_lookback("custom"), Ok(None));
        assert!(parse_lookback("soon").is_err());
    }
}
