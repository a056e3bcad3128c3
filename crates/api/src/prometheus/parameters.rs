//! Parameters from the query string and the form, and the types that they have.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use http::header::CONTENT_TYPE;
use tripod_promql::literal::{parse_duration, quote};
use tripod_promql::parser::parse_selector;
use tripod_storage::series::{LabelMatcher, MillisRange};
use url::form_urlencoded;

use super::error::ApiError;

/// A longer form is refused, as Go does.
const MAX_FORM_BYTES: usize = 10 << 20;

/// The boundary times as Prometheus writes them, whose years no parser of dates takes.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// All parameters: those of the form before those of the query string.
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    /// How many of them are from the form.
    in_form: usize,
}

impl Parameters {
    pub(super) async fn read(request: Request) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let mut pairs = Vec::new();
        let form = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value
                .split(';')
                .next()
                .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
        });
        if form {
            let body = axum::body::to_bytes(body, MAX_FORM_BYTES)
                .await
                .map_err(|error| ApiError::bad_data(format!("error parsing form values: {error}")))?;
            pairs.extend(form_urlencoded::parse(&body).into_owned());
        }
        let in_form = pairs.len();
        pairs.extend(form_urlencoded::parse(head.uri.query().unwrap_or("").as_bytes()).into_owned());
        Ok(Self { pairs, in_form })
    }

    /// The first value of a parameter; empty when there is none.
    pub(super) fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// The first value in the query string alone.
    pub(super) fn first_of_url(&self, name: &str) -> &str {
        self.pairs[self.in_form..].iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A moment in milliseconds; `None` when the parameter is absent.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.first(name) {
            "" => Ok(None),
            text => parse_time(text)
                .map(Some)
                .map_err(|reason| ApiError::invalid(name, format!("invalid time value for '{name}': {reason}"))),
        }
    }

    /// A moment in milliseconds that must be there.
    pub(super) fn required_time(&self, name: &str) -> Result<i64, ApiError> {
        parse_time(self.first(name)).map_err(|reason| ApiError::invalid(name, reason))
    }

    /// `start` and `end`; all of time where they are absent.
    pub(super) fn range(&self) -> Result<MillisRange, ApiError> {
        let start = self.time("start")?.unwrap_or(MillisRange::ALL.start);
        let end = self.time("end")?.unwrap_or(MillisRange::ALL.end);
        Ok(MillisRange { start, end })
    }

    /// Nanoseconds.
    pub(super) fn duration(&self, name: &str) -> Result<i64, ApiError> {
        parse_nanos(self.first(name)).map_err(|reason| ApiError::invalid(name, reason))
    }

    /// `timeout`; one that is not above zero is over at once.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        match self.first("timeout") {
            "" => Ok(None),
            _ => self.duration("timeout").map(|nanos| Some(Duration::from_nanos(nanos.max(0).unsigned_abs()))),
        }
    }

    /// `limit`; 0 when there is none.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        match self.first("limit") {
            "" => Ok(0),
            text => match parse_int(text) {
                Ok(limit) => {
                    usize::try_from(limit).map_err(|_| ApiError::invalid("limit", "limit must be non-negative"))
                }
                Err(reason) => Err(ApiError::invalid("limit", reason)),
            },
        }
    }

    /// The matchers of each `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<LabelMatcher>>, String> {
        self.all("match[]")
            .map(|text| parse_selector(text).map(|selector| selector.matchers).map_err(|error| error.to_string()))
            .collect()
    }

    /// As [`Parameters::selectors`]; none of them may select everything.
    pub(super) fn narrow_selectors(&self) -> Result<Vec<Vec<LabelMatcher>>, String> {
        let selectors = self.selectors()?;
        if selectors.iter().any(|matchers| matchers.iter().all(|matcher| matcher.matches(""))) {
            return Err("match[] must contain at least one non-empty matcher".to_owned());
        }
        Ok(selectors)
    }
}

/// Milliseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// Seconds since the Unix epoch, or a date as in RFC 3339; milliseconds.
fn parse_time(text: &str) -> Result<i64, String> {
    if let Some(seconds) = parse_seconds(text) {
        return Ok((seconds * 1000.0).round() as i64);
    }
    match text {
        MIN_TIME => return Ok(MillisRange::ALL.start),
        MAX_TIME => return Ok(MillisRange::ALL.end),
        _ => {}
    }
    match chrono::DateTime::parse_from_rfc3339(text) {
        // Go is stricter here.
        Ok(time) if text.as_bytes().get(10) == Some(&b'T') => Ok(time.timestamp_millis()),
        _ => Err(format!("cannot parse {} to a valid timestamp", quote(text))),
    }
}

/// Seconds or a duration such as `5m`; nanoseconds.
pub(super) fn parse_nanos(text: &str) -> Result<i64, String> {
    if let Some(seconds) = parse_seconds(text) {
        let nanos = seconds * 1e9;
        if nanos > i64::MAX as f64 || nanos < i64::MIN as f64 {
            return Err(format!("cannot parse {} to a valid duration. It overflows int64", quote(text)));
        }
        return Ok(nanos as i64);
    }
    parse_duration(text).map_err(|_| format!("cannot parse {} to a valid duration", quote(text)))
}

fn parse_seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

/// As Go's `strconv.ParseBool`, with its words.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", tripod_promql::literal::quote(text))),
    }
}

/// An integer, or Go's words for what is wrong.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse::<i64>().map_err(|error| {
        let reason = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {reason}", quote(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("1435781430.781", 1_435_781_430_781),
            ("1435781451", 1_435_781_451_000),
            ("-1.5", -1_500),
            ("1e3", 1_000_000),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("2015-07-01T22:10:51+02:00", 1_435_781_451_000),
            (MIN_TIME, i64::MIN),
            (MAX_TIME, i64::MAX),
            ("-9.3e18", i64::MIN),
        ] {
            assert_eq!(parse_time(text), Ok(millis), "{text}");
        }
        for text in ["", "now", "2015-07-01", "2015-07-01 20:10:51Z", "NaN", "Inf"] {
            assert_eq!(parse_time(text), Err(format!("cannot parse {text:?} to a valid timestamp")));
        }
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_nanos("15"), Ok(15_000_000_000));
        assert_eq!(parse_nanos("0.5"), Ok(500_000_000));
        assert_eq!(parse_nanos("5m"), Ok(300_000_000_000));
        assert_eq!(
            parse_nanos("1e20"),
            Err("cannot parse \"1e20\" to a valid duration. It overflows int64".to_owned())
        );
        assert_eq!(parse_nanos("foo"), Err("cannot parse \"foo\" to a valid duration".to_owned()));
    }

    #[test]
    fn integers_are_refused_in_the_words_of_go() {
        assert_eq!(parse_int("-7"), Ok(-7));
        assert_eq!(parse_int("x"), Err("strconv.Atoi: parsing \"x\": invalid syntax".to_owned()));
        assert_eq!(
            parse_int("99999999999999999999"),
            Err("strconv.Atoi: parsing \"99999999999999999999\": value out of range".to_owned())
        );
    }
}
