//! Sizes and durations as people write them, for settings whose key names the unit.

/// What a key counts, told by its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Keys that end in `_bytes`.
    Bytes,
    /// Keys that end in `_seconds`.
    Seconds,
    /// Keys that end in `_milliseconds` or `_ms`.
    Milliseconds,
}

/// Multiples of a byte; the first of equal names is the one that is printed.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Multiples of a nanosecond.
const DURATIONS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

impl Unit {
    /// The unit that the key's ending names.
    pub(crate) fn of(key: &str) -> Option<Self> {
        let is = |ending: &str| key == ending || key.strip_suffix(ending).is_some_and(|rest| rest.ends_with('_'));
        if is("bytes") {
            Some(Self::Bytes)
        } else if is("seconds") {
            Some(Self::Seconds)
        } else if is("milliseconds") || is("ms") {
            Some(Self::Milliseconds)
        } else {
            None
        }
    }

    /// Reads a text such as `64MiB` or `1h30m` as a count of this unit; a bare number counts the unit itself.
    ///
    /// # Errors
    /// What is wrong with the text and what would be right.
    pub(crate) fn parse(self, text: &str) -> Result<f64, String> {
        let text = text.trim();
        if let Ok(count) = text.parse::<f64>() {
            return if count.is_finite() { Ok(count) } else { Err(format!("\"{text}\" is no finite number")) };
        }
        let (units, example) = match self {
            Self::Bytes => (SIZES, "a size such as 512KiB, 64MiB or 2GB"),
            Self::Seconds | Self::Milliseconds => (DURATIONS, "a duration such as 500ms, 30s, 1h30m or 7d"),
        };
        let refuse = || format!("\"{text}\" is not {example}");
        let mut total = 0.0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
            let count: f64 = rest[..digits].parse().map_err(|_| refuse())?;
            rest = rest[digits..].trim_start();
            let letters =
                rest.find(|letter: char| letter.is_ascii_digit() || letter.is_whitespace()).unwrap_or(rest.len());
            let (_, factor) = units.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(refuse)?;
            total += count * *factor as f64;
            rest = rest[letters..].trim_start();
            if self == Self::Bytes && !rest.is_empty() {
                return Err(refuse());
            }
        }
        match self {
            _ if text.is_empty() => Err(refuse()),
            Self::Bytes => Ok(total),
            Self::Seconds => Ok(total / 1e9),
            Self::Milliseconds => Ok(total / 1e6),
        }
    }

    /// Writes a whole count with the largest unit that divides it, so that [`Unit::parse`] reads the same count.
    pub(crate) fn format(self, count: u64) -> String {
        let (units, factor, plain): (&[(&str, u64)], u64, &str) = match self {
            Self::Bytes => (&SIZES[..5], 1, "B"),
            Self::Seconds => (&DURATIONS[3..8], 1_000_000_000, "s"),
            Self::Milliseconds => (&DURATIONS[3..8], 1_000_000, "ms"),
        };
        match count.checked_mul(factor) {
            Some(total) if total > 0 => units
                .iter()
                .rev()
                .find(|(_, factor)| total % factor == 0)
                .map_or_else(|| format!("{count}{plain}"), |(name, factor)| format!("{}{name}", total / factor)),
            _ => format!("{count}{plain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_their_unit() {
        for (key, unit) in [
            ("max_request_bytes", Some(Unit::Bytes)),
            ("bytes", Some(Unit::Bytes)),
            ("idle_timeout_seconds", Some(Unit::Seconds)),
            ("interval_ms", Some(Unit::Milliseconds)),
            ("megabytes", None),
            ("forms", None),
            ("address", None),
        ] {
            assert_eq!(Unit::of(key), unit, "{key}");
        }
    }

    #[test]
    fn sizes_and_durations_are_read() {
        for (unit, text, expected) in [
            (Unit::Bytes, "64MiB", 67_108_864.0),
            (Unit::Bytes, "64 MiB", 67_108_864.0),
            (Unit::Bytes, "1.5KiB", 1_536.0),
            (Unit::Bytes, "2GB", 2e9),
            (Unit::Bytes, "17", 17.0),
            (Unit::Seconds, "30s", 30.0),
            (Unit::Seconds, "1h30m", 5_400.0),
            (Unit::Seconds, "7d", 604_800.0),
            (Unit::Seconds, "500ms", 0.5),
            (Unit::Seconds, "0", 0.0),
            (Unit::Milliseconds, "2s", 2_000.0),
        ] {
            assert_eq!(unit.parse(text), Ok(expected), "{text}");
        }
        for (unit, text) in [
            (Unit::Bytes, ""),
            (Unit::Bytes, "64 mebibytes"),
            (Unit::Bytes, "1GiB5"),
            (Unit::Bytes, "1GiB 5MiB"),
            (Unit::Bytes, "-1MiB"),
            (Unit::Seconds, "soon"),
            (Unit::Seconds, "5 minutes"),
            (Unit::Seconds, "inf"),
            (Unit::Seconds, "s"),
        ] {
            assert!(unit.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for unit in [Unit::Bytes, Unit::Seconds, Unit::Milliseconds] {
            for count in [0, 1, 7, 59, 60, 90, 1_000, 1_024, 3_600, 86_400, 604_800, 1 << 20, 5 << 30] {
                let text = unit.format(count);
                assert_eq!(unit.parse(&text), Ok(count as f64), "{text}");
            }
        }
        assert_eq!(Unit::Bytes.format(64 << 20), "64MiB");
        assert_eq!(Unit::Seconds.format(604_800), "7d");
        assert_eq!(Unit::Milliseconds.format(1_500), "1500ms");
    }
}
