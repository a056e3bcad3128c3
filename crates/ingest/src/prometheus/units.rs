//! Durations and sizes as Prometheus' configuration writes them.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tripod_model::series::{format_millis, parse_millis};

/// Reads a duration such as `1m30s` or `500ms`: whole numbers with units, each unit once, large ones first; or `0`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let millis = parse_millis(text).ok().and_then(|millis| u64::try_from(millis).ok());
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is no duration; write for example 15s, 1m30s or 500ms"))
}

/// Writes a duration as Prometheus does: the largest units that fit, `1m30s`.
pub fn format_duration(duration: Duration) -> String {
    format_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// Reads a size in bytes such as `10MB`; K, M, G and so on are powers of 1024, as everywhere in Prometheus.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; write for example 10MB or 512KiB");
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let power = match unit.trim().to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        _ => return Err(wrong()),
    };
    let size = number * 1024_f64.powi(power);
    if size < 9.0e18 { Ok(size as u64) } else { Err(wrong()) }
}

/// Writes a size as Prometheus does: the largest units that fit, `1MiB512KiB`.
pub fn format_size(size: u64) -> String {
    let mut text = String::new();
    for (power, unit) in ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter().enumerate().rev() {
        let count = if unit == "EiB" { size >> 60 } else { size >> (10 * power) & 1023 };
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0B".to_owned() } else { text }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<TextOrNumber>::deserialize(deserializer)? else { return Ok(None) };
    parse_duration(&text.text()).map(Some).map_err(serde::de::Error::custom)
}

pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(text) = Option::<TextOrNumber>::deserialize(deserializer)? else { return Ok(None) };
    parse_size(&text.text()).map(Some).map_err(serde::de::Error::custom)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

impl TextOrNumber {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_and_sizes_are_read() {
        for (text, millis) in [
            ("0", 0),
            ("15s", 15_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("500ms", 500),
            ("1y2w3d", 33_004_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "15", "s", "1s1m", "1m1m", "1.5s", "-1s", "1x", "99999999999y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for (text, size) in [("0", 0), ("10MB", 10 << 20), ("512KiB", 512 << 10), ("1.5K", 1536), ("7", 7)] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for (size, text) in [(0, "0B"), (1 << 20, "1MiB"), (1536 << 10, "1MiB512KiB"), (1025, "1KiB1B")] {
            assert_eq!(format_size(size), text);
        }
        assert!(parse_size("MB").is_err() && parse_size("1Q").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0..100_000_000_000_000_u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
