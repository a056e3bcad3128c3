//! `/federate`: the newest sample of each series that is asked for, as Prometheus text for another Prometheus to scrape.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use tripod_model::series::{FloatHistogram, Labels, METRIC_NAME, ShortFloat, is_label_name, is_metric_name, is_stale};
use tripod_storage::SelectError;
use tripod_storage::series::{LabelMatcher, MillisRange, SelectSeries, SelectedSeries};

use super::answer::{PIECE, send};
use super::parameters::{Parameters, now};
use super::{Prometheus, Shared, compression};
use crate::self_metrics;

pub(super) async fn federate(State(prometheus): State<Shared>, request: Request) -> Response {
    let started = Instant::now();
    let gzip = compression::accepts_gzip(request.headers());
    let utf8 = accepts_utf8(request.headers());
    let answered = match Parameters::read(request).await {
        Ok(parameters) => match parameters.selectors() {
            Ok(selectors) => newest(&prometheus, selectors)
                .await
                .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
            Err(reason) => Err((StatusCode::BAD_REQUEST, reason)),
        },
        Err(error) => Err((StatusCode::BAD_REQUEST, error.message().to_owned())),
    };
    let (response, rows) = match answered {
        Ok(samples) => {
            let rows = samples.len() as u64;
            let content_type = if utf8 {
                "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"
            } else {
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
            };
            let text = Text { samples: samples.into_iter(), family: None, utf8 };
            (send(StatusCode::OK, content_type, Box::new(text), gzip), rows)
        }
        Err((status, reason)) => ((status, reason + "\n").into_response(), 0),
    };
    self_metrics::record("prometheus", response.status(), started, rows);
    response
}

/// Whether the client reads names of any characters.
fn accepts_utf8(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        kind.trim().starts_with("text/plain") && kind.split(';').any(|part| part.trim() == "escaping=allow-utf-8")
    })
}

/// A series' newest sample.
struct Newest {
    labels: Labels,
    time: i64,
    value: Value,
}

enum Value {
    Float(f64),
    /// With bounds of its own; text has no form for others.
    Histogram(FloatHistogram),
}

/// By metric name. Series without a name, those that ended and native histograms have no place in the text.
async fn newest(prometheus: &Prometheus, selectors: Vec<Vec<LabelMatcher>>) -> Result<Vec<Newest>, SelectError> {
    let now = now();
    let lookback = i64::try_from(prometheus.settings.lookback_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    let range = MillisRange { start: now.saturating_sub(lookback), end: now };
    let mut samples = Vec::new();
    for matchers in selectors {
        for series in prometheus.engine.store().select_series(SelectSeries { matchers, range }).await? {
            if series.labels.metric_name().is_some()
                && let Some((time, value)) = last(&series, range)?
            {
                samples.push(Newest { labels: series.labels, time, value });
            }
        }
    }
    let name = |sample: &Newest| sample.labels.metric_name().map(str::to_owned);
    samples.sort_by(|one, other| name(one).cmp(&name(other)).then_with(|| one.labels.cmp(&other.labels)));
    // Several selectors may mean the same series.
    samples.dedup_by(|one, other| one.labels == other.labels);
    Ok(samples)
}

fn last(series: &SelectedSeries, range: MillisRange) -> Result<Option<(i64, Value)>, SelectError> {
    let samples = series.samples(range)?;
    let float = samples.floats.timestamps.last().copied().zip(samples.floats.values.last().copied());
    let histogram = samples.histograms.timestamps.last().copied().zip(samples.histograms.values.last());
    Ok(match (float, histogram) {
        (Some((time, value)), other) if other.is_none_or(|(later, _)| later < time) => {
            (!is_stale(value)).then_some((time, Value::Float(value)))
        }
        (_, Some((time, value))) if value.uses_custom_buckets() && !is_stale(value.sum) => {
            Some((time, Value::Histogram(FloatHistogram::clone(value))))
        }
        _ => None,
    })
}

/// The text, in pieces.
struct Text {
    samples: std::vec::IntoIter<Newest>,
    /// Name and type of the family that is being written.
    family: Option<(String, &'static str)>,
    utf8: bool,
}

impl Iterator for Text {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut text = String::new();
        while text.len() < PIECE {
            let Some(sample) = self.samples.next() else { break };
            self.write(&mut text, &sample);
        }
        (!text.is_empty()).then(|| text.into_bytes())
    }
}

impl Text {
    fn write(&mut self, text: &mut String, sample: &Newest) {
        let name = sample.labels.metric_name().unwrap_or_default();
        let kind = match sample.value {
            Value::Float(_) => "untyped",
            Value::Histogram(_) => "histogram",
        };
        let family = (name.to_owned(), kind);
        if self.family.as_ref() != Some(&family) {
            text.push_str("# TYPE ");
            self.name(text, name, true);
            text.extend([" ", kind, "\n"]);
            self.family = Some(family);
        }
        match &sample.value {
            Value::Float(value) => self.line(text, sample, "", None, *value),
            Value::Histogram(histogram) => {
                let mut count = 0.0;
                for bucket in histogram.bucket_iter() {
                    count += bucket.count;
                    if bucket.upper.is_finite() {
                        self.line(text, sample, "_bucket", Some(bucket.upper), count);
                    }
                }
                self.line(text, sample, "_bucket", Some(f64::INFINITY), histogram.count);
                self.line(text, sample, "_sum", None, histogram.sum);
                self.line(text, sample, "_count", None, histogram.count);
            }
        }
    }

    fn line(&self, text: &mut String, sample: &Newest, suffix: &str, bound: Option<f64>, value: f64) {
        let name = sample.labels.metric_name().unwrap_or_default().to_owned() + suffix;
        let quoted = self.utf8 && !is_metric_name(&name);
        text.push_str(if quoted { "{" } else { "" });
        self.name(text, &name, true);
        text.push_str(if quoted { "," } else { "{" });
        let mut instance = false;
        for (label, value) in sample.labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
            instance |= label == "instance";
            self.name(text, label, false);
            text.push('=');
            push_quoted(text, value);
            text.push(',');
        }
        // Else the one who scrapes would put its own.
        if !instance {
            text.push_str("instance=\"\",");
        }
        if let Some(bound) = bound {
            text.push_str(&format!("le=\"{}\",", ShortFloat(bound)));
        }
        text.pop();
        text.push_str(&format!("}} {} {}\n", ShortFloat(value), sample.time));
    }

    /// A name, in quotes or with underscores where it is no plain one.
    fn name(&self, text: &mut String, name: &str, metric: bool) {
        let needs_no_quotes = if metric { is_metric_name(name) } else { is_label_name(name) };
        if needs_no_quotes {
            text.push_str(name);
        } else if self.utf8 {
            push_quoted(text, name);
        } else {
            let plain = |(at, each): (usize, char)| match each {
                '0'..='9' if at > 0 => each,
                'a'..='z' | 'A'..='Z' => each,
                ':' if metric => each,
                _ => '_',
            };
            text.extend(name.char_indices().map(plain));
        }
    }
}

fn push_quoted(text: &mut String, value: &str) {
    text.push('"');
    for each in value.chars() {
        match each {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' => text.push_str("\\\""),
            each => text.push(each),
        }
    }
    text.push('"');
}
