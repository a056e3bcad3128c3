//! `/federate`: the newest sample of each series that is asked for, as an exposition for another Prometheus to scrape.

mod negotiation;
mod protobuf;
mod text;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tripod_model::series::{CounterResetHint, FloatHistogram, Labels, is_label_name, is_metric_name, is_stale};
use tripod_storage::SelectError;
use tripod_storage::series::{LabelMatcher, MillisRange, SelectSeries, SelectedSeries};

use self::negotiation::Format;
use self::protobuf::Families;
use self::text::Text;
use super::answer::{PIECE, Pieces, send};
use super::parameters::{Parameters, now};
use super::{Prometheus, Shared, compression};
use crate::self_metrics;

pub(super) async fn federate(State(prometheus): State<Shared>, request: Request) -> Response {
    let started = Instant::now();
    let gzip = compression::accepts_gzip(request.headers());
    let format = Format::negotiate(request.headers());
    let answered = match Parameters::read(request).await {
        Ok(parameters) => match parameters.selectors() {
            Ok(selectors) => newest(&prometheus, selectors, format)
                .await
                .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
            Err(reason) => Err((StatusCode::BAD_REQUEST, reason)),
        },
        Err(error) => Err((StatusCode::BAD_REQUEST, error.message().to_owned())),
    };
    let (response, rows) = match answered {
        Ok(samples) => {
            let rows = samples.len() as u64;
            let samples = samples.into_iter();
            let pieces: Pieces = if format.protobuf {
                Box::new(Families { samples: samples.peekable(), utf8: format.utf8 })
            } else {
                Box::new(Text { samples, family: None, utf8: format.utf8 })
            };
            (send(StatusCode::OK, format.content_type(), pieces, gzip), rows)
        }
        Err((status, reason)) => ((status, reason + "\n").into_response(), 0),
    };
    self_metrics::record("prometheus", response.status(), started, rows);
    response
}

/// A series' newest sample.
struct Newest {
    labels: Labels,
    time: i64,
    value: Value,
}

enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// What an exposition calls it; one metric may have samples of several kinds, each of which is a family.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl Newest {
    fn name(&self) -> &str {
        self.labels.metric_name().unwrap_or_default()
    }
}

impl Value {
    fn has_text(&self) -> bool {
        matches!(self, Self::Float(_)) || matches!(self, Self::Histogram(value) if value.uses_custom_buckets())
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Float(_) => Kind::Untyped,
            Self::Histogram(value) if value.counter_reset_hint == CounterResetHint::Gauge => Kind::GaugeHistogram,
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

/// By metric name. Series without a name and those that ended have no place in an exposition. Of native histograms, text
/// has a form for those with bounds of their own alone.
async fn newest(
    prometheus: &Prometheus,
    selectors: Vec<Vec<LabelMatcher>>,
    format: Format,
) -> Result<Vec<Newest>, SelectError> {
    let now = now();
    let lookback = i64::try_from(prometheus.settings.lookback_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    let range = MillisRange { start: now.saturating_sub(lookback), end: now };
    let mut samples = Vec::new();
    for matchers in selectors {
        for series in prometheus.engine.store().select_series(SelectSeries { matchers, range }).await? {
            if series.labels.metric_name().is_some()
                && let Some((time, value)) = last(&series, range)?
                && (format.protobuf || value.has_text())
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
        (_, Some((time, value))) if !is_stale(value.sum) => Some((time, Value::Histogram(Arc::clone(value)))),
        _ => None,
    })
}

/// Upper bounds below infinity and how many observations are up to them, of a histogram with bounds of its own.
fn classic_buckets(histogram: &FloatHistogram) -> impl Iterator<Item = (f64, f64)> {
    let mut places = Vec::with_capacity(histogram.positive_buckets.len());
    let mut next = 0i64;
    for span in &histogram.positive_spans {
        next += i64::from(span.offset);
        places.extend(next..next + i64::from(span.length));
        next += i64::from(span.length);
    }
    let mut buckets = places.into_iter().zip(&histogram.positive_buckets).peekable();
    let mut total = 0.0;
    histogram.custom_values.iter().zip(0..).map(move |(bound, place)| {
        while let Some((_, count)) = buckets.next_if(|(at, _)| *at <= place) {
            total += count;
        }
        (*bound, total)
    })
}

fn is_plain(name: &str, metric: bool) -> bool {
    if metric { is_metric_name(name) } else { is_label_name(name) }
}

/// A name as the client can read it: as it is, or with underscores for what a plain name cannot have.
fn escaped(name: &str, metric: bool, utf8: bool) -> Cow<'_, str> {
    if utf8 || is_plain(name, metric) {
        return Cow::Borrowed(name);
    }
    let plain = |(at, each): (usize, char)| match each {
        '0'..='9' if at > 0 => each,
        'a'..='z' | 'A'..='Z' => each,
        ':' if metric => each,
        _ => '_',
    };
    Cow::Owned(name.char_indices().map(plain).collect())
}
