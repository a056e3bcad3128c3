use tripod_model::series::{InvalidDuration, parse_millis};

const NANOS: i64 = 1_000_000;

/// Nanoseconds of a duration such as `1h30m`: units from long to short, each at most once.
///
/// # Errors
/// Prometheus' words for what is wrong with it.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let out_of_range = || "duration out of range".to_owned();
    let millis = parse_millis(text).map_err(|reason| match reason {
        InvalidDuration::Empty => "empty duration string".to_owned(),
        InvalidDuration::Malformed => format!("not a valid duration string: {}", super::quote(text)),
        InvalidDuration::UnknownUnit(unit) => {
            format!("unknown unit {} in duration {}", super::quote(unit), super::quote(text))
        }
        InvalidDuration::OutOfRange => out_of_range(),
    })?;
    millis.checked_mul(NANOS).ok_or_else(out_of_range)
}

#[cfg(test)]
mod tests {
    use tripod_model::series::format_millis;

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
            assert_eq!(parse_duration(text), Ok(millis * NANOS), "{text}");
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
