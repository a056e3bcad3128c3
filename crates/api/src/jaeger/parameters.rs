//! The parameters of requests.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Query;
use http::Uri;
use tripod_model::TraceId;
use tripod_storage::TimeRange;

use super::answer::JaegerError;
use super::duration::{parse_go_duration, parse_lookback};
use super::tags::Tag;
use crate::JaegerSettings;

/// How many traces a search without `limit` gives.
const DEFAULT_LIMIT: usize = 20;

/// The decoded query string. An empty value counts as absent, as forms send it for a field that is not filled in.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn new(uri: &Uri) -> Result<Self, JaegerError> {
        let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|rejection| JaegerError::invalid(rejection.body_text()))?;
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self(pairs))
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter as another type.
    fn parse<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, JaegerError> {
        let parse = |text| {
            parse(text)
                .map_err(|reason| JaegerError::invalid(format!("unable to parse param '{name}': \"{text}\" {reason}")))
        };
        self.first(name).map(parse).transpose()
    }

    fn integer<T: FromStr>(&self, name: &str) -> Result<Option<T>, JaegerError> {
        self.parse(name, |text| text.parse().map_err(|_| "is not an integer in range".to_owned()))
    }

    /// A moment in microseconds since the epoch, as nanoseconds.
    fn micros(&self, name: &str) -> Result<Option<i64>, JaegerError> {
        Ok(self.integer::<i64>(name)?.map(|micros| micros.saturating_mul(1_000)))
    }

    /// `start` and `end` where they are given.
    pub(super) fn time(&self) -> Result<TimeRange, JaegerError> {
        let start = self.micros("start")?.unwrap_or(i64::MIN);
        let end = self.micros("end")?.map_or(i64::MAX, |end| end.saturating_add(1_000));
        Ok(TimeRange { start, end })
    }

    /// The ids of `traceID`, in their order, each once.
    pub(super) fn trace_ids(&self) -> Result<Vec<TraceId>, JaegerError> {
        let mut ids = Vec::new();
        for text in self.all("traceID") {
            let id = parse_trace_id(text)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

/// Reads 1 to 32 hexadecimal digits; leading zeros may be missing.
pub(super) fn parse_trace_id(text: &str) -> Result<TraceId, JaegerError> {
    let invalid =
        || JaegerError::invalid(format!("cannot parse traceID param: \"{text}\" is not 1 to 32 hexadecimal digits"));
    if text.is_empty() || text.len() > 32 {
        return Err(invalid());
    }
    format!("{text:0>32}").parse().map_err(|_| invalid())
}

/// What a search looks for: traces with at least one span that meets all conditions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Search {
    pub(super) service: String,
    pub(super) operation: Option<String>,
    pub(super) tags: Vec<Tag>,
    /// Nanoseconds.
    pub(super) min_duration: Option<i64>,
    /// Nanoseconds.
    pub(super) max_duration: Option<i64>,
    pub(super) time: TimeRange,
    pub(super) limit: usize,
}

impl Search {
    pub(super) fn new(parameters: &Parameters, settings: &JaegerSettings, now: i64) -> Result<Self, JaegerError> {
        let Some(service) = parameters.first("service") else {
            return Err(JaegerError::invalid("parameter 'service' is required"));
        };
        let min_duration = parameters.parse("minDuration", parse_go_duration)?;
        let max_duration = parameters.parse("maxDuration", parse_go_duration)?;
        if let (Some(min), Some(max)) = (min_duration, max_duration)
            && max < min
        {
            return Err(JaegerError::invalid("'maxDuration' should be greater than 'minDuration'"));
        }
        let limit = match parameters.integer::<usize>("limit")? {
            Some(limit) => limit.min(settings.max_traces),
            None => DEFAULT_LIMIT.min(settings.max_traces),
        };
        let mut tags = Vec::new();
        for tag in parameters.all("tag") {
            tags.push(Tag::from_pair(tag).map_err(JaegerError::invalid)?);
        }
        for object in parameters.all("tags") {
            tags.extend(Tag::from_object(object).map_err(JaegerError::invalid)?);
        }
        Ok(Self {
            service: service.to_owned(),
            operation: parameters.first("operation").map(str::to_owned),
            tags,
            min_duration,
            max_duration,
            time: search_time(parameters, settings, now)?,
            limit,
        })
    }
}

/// `start` wins over `lookback`, which counts back from `end`; the Jaeger UI sends all three.
fn search_time(parameters: &Parameters, settings: &JaegerSettings, now: i64) -> Result<TimeRange, JaegerError> {
    let end = parameters.micros("end")?.unwrap_or(now);
    let start = match parameters.micros("start")? {
        Some(start) => start,
        None => {
            let default = i64::try_from(settings.default_lookback_seconds).unwrap_or(i64::MAX);
            let lookback = parameters.parse("lookback", parse_lookback)?.flatten();
            end.saturating_sub(lookback.unwrap_or(default.saturating_mul(1_000_000_000)))
        }
    };
    Ok(TimeRange { start, end: end.saturating_add(1_000) })
}

/// The window of a request for dependencies.
pub(super) fn dependency_window(parameters: &Parameters, now: i64) -> Result<TimeRange, JaegerError> {
    const DAY_MILLIS: i64 = 24 * 3_600_000;
    let end = parameters.integer::<i64>("endTs")?.map_or(now, |millis| millis.saturating_mul(1_000_000));
    let lookback = parameters.integer::<i64>("lookback")?.unwrap_or(DAY_MILLIS).saturating_mul(1_000_000);
    Ok(TimeRange { start: end.saturating_sub(lookback), end: end.saturating_add(1) })
}

/// Nanoseconds since the epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10_000_000_000_000;

    fn search(query: &str) -> Result<Search, String> {
        let uri: Uri = format!("/api/traces?{query}").parse().unwrap();
        Parameters::new(&uri)
            .and_then(|parameters| Search::new(&parameters, &JaegerSettings::default(), NOW))
            .map_err(|error| error.message)
    }

    #[test]
    fn a_search_has_defaults() {
        let found = search("service=a%20b&operation=&minDuration=&tags=").unwrap();
        let time = TimeRange { start: NOW - 3_600_000_000_000, end: NOW + 1_000 };
        assert_eq!(
            found,
            Search {
                service: "a b".to_owned(),
                operation: None,
                tags: Vec::new(),
                min_duration: None,
                max_duration: None,
                time,
                limit: 20
            }
        );
    }

    #[test]
    fn every_parameter_is_read() {
        let found = search(
            "service=s&operation=o&tag=a:b:c&tags=%7B%22k%22:%22v%22%7D&minDuration=1.5ms&maxDuration=2s&limit=9999\
             &start=1000&end=2000&lookback=custom",
        )
        .unwrap();
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        assert_eq!(found.tags, [tag("a", "b:c"), tag("k", "v")]);
        assert_eq!((found.min_duration, found.max_duration), (Some(1_500_000), Some(2_000_000_000)));
        assert_eq!(found.time, TimeRange { start: 1_000_000, end: 2_001_000 });
        assert_eq!((found.limit, found.operation.as_deref()), (1500, Some("o")));
        assert_eq!(search("service=s&lookback=2d&end=0").unwrap().time.start, -2 * 86_400_000_000_000);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (query, message) in [
            ("", "parameter 'service' is required"),
            ("service=s&limit=x", "unable to parse param 'limit': \"x\" is not an integer in range"),
            ("service=s&limit=-1", "unable to parse param 'limit': \"-1\" is not an integer in range"),
            ("service=s&start=1h", "unable to parse param 'start': \"1h\" is not an integer in range"),
            ("service=s&minDuration=5", "unable to parse param 'minDuration': \"5\" has no unit (ns, us, ms, s, m, h)"),
            ("service=s&minDuration=2s&maxDuration=1s", "'maxDuration' should be greater than 'minDuration'"),
            ("service=s&tag=x", "malformed 'tag' parameter, expecting key:value, received: x"),
        ] {
            assert_eq!(search(query).unwrap_err(), message, "{query}");
        }
        assert!(
            search("service=s&tags=%7B").unwrap_err().starts_with("malformed 'tags' parameter, cannot unmarshal JSON")
        );
    }

    #[test]
    fn trace_ids_are_padded() {
        assert_eq!(parse_trace_id("Ab").unwrap().to_string(), "000000000000000000000000000000ab");
        for wrong in ["", "xyz", "000000000000000000000000000000000"] {
            assert!(parse_trace_id(wrong).is_err(), "{wrong}");
        }
    }
}
