//! Points as samples.

use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, NativeSpan, STALE_NAN, SeriesExemplar};
use tripod_model::{Buckets, Exemplar, Number, Point, PointValue};
use tripod_storage::series::{FloatSample, HistogramSample};

use super::{Family, OtlpSeries, value_text};

/// Bit 0 of a point's flags: no value was recorded, the series is stale.
const NO_RECORDED_VALUE: u32 = 1;

/// The width of the zero bucket when the sender gives none.
const ZERO_THRESHOLD: f64 = 1e-128;

/// The coarsest and the finest resolution that are stored.
const MIN_SCALE: i32 = -4;
const MAX_SCALE: i32 = 8;

/// An exemplar's labels have at most so many characters; attributes that would go beyond are left out.
const MAX_EXEMPLAR_CHARACTERS: usize = 128;

/// When a point is, and whether it is none.
#[derive(Clone, Copy)]
struct At {
    start: i64,
    timestamp: i64,
    is_stale: bool,
    is_delta: bool,
}

impl OtlpSeries {
    pub(super) fn try_point(&mut self, family: &Family, point: &Point<'_>) -> Result<(), String> {
        let base = self.point_labels(&point.attributes)?;
        let millis = |nanos: u64| i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        let timestamp = if point.time_unix_nano == 0 { self.arrival } else { millis(point.time_unix_nano) };
        let at = At {
            start: millis(point.start_time_unix_nano),
            timestamp,
            is_stale: point.flags & NO_RECORDED_VALUE != 0,
            is_delta: family.is_delta,
        };
        let (first, last) = self.resource.times.unwrap_or((timestamp, timestamp));
        self.resource.times = Some((first.min(timestamp), last.max(timestamp)));
        match &point.value {
            PointValue::Number(number) => {
                let value = match *number {
                    Number::Int(value) => value as f64,
                    Number::Double(value) => value,
                    Number::Empty if at.is_stale => 0.0,
                    Number::Empty => return Err(format!("a point of {:?} has no value", family.name)),
                };
                let series = self.float(&base, &family.name, None, at, value)?;
                self.exemplars(series, &point.exemplars);
            }
            PointValue::Histogram { count, sum, explicit_bounds, bucket_counts, .. } => {
                if !bucket_counts.is_empty() && bucket_counts.len() != explicit_bounds.len() + 1 {
                    return Err(format!(
                        "a histogram of {:?} has {} bounds and {} buckets, which must be one more",
                        family.name,
                        explicit_bounds.len(),
                        bucket_counts.len()
                    ));
                }
                if self.settings.convert_histograms_to_nhcb {
                    // Without buckets all observations lie below infinity.
                    let mut histogram = match bucket_counts.is_empty() {
                        true => custom_buckets(&[], std::slice::from_ref(count)),
                        false => custom_buckets(explicit_bounds, bucket_counts),
                    };
                    (histogram.count, histogram.sum) = (*count as f64, sum.unwrap_or(0.0));
                    let series = self.native(&base, family, at, histogram)?;
                    self.exemplars(series, &point.exemplars);
                } else {
                    self.classic(&base, family, at, (*count, *sum), explicit_bounds, bucket_counts, &point.exemplars)?;
                }
            }
            PointValue::ExponentialHistogram {
                count,
                sum,
                scale,
                zero_count,
                zero_threshold,
                positive,
                negative,
                ..
            } => {
                if *scale < MIN_SCALE {
                    return Err(format!(
                        "cannot convert exponential to native histogram. Scale must be >= {MIN_SCALE}, was {scale}"
                    ));
                }
                let down = (*scale - MAX_SCALE).max(0);
                let (positive_spans, positive_buckets) = sparse(positive, down);
                let (negative_spans, negative_buckets) = sparse(negative, down);
                let histogram = FloatHistogram {
                    schema: (*scale).min(MAX_SCALE),
                    zero_threshold: if *zero_threshold > 0.0 { *zero_threshold } else { ZERO_THRESHOLD },
                    zero_count: *zero_count as f64,
                    count: *count as f64,
                    sum: sum.unwrap_or(0.0),
                    positive_spans,
                    positive_buckets,
                    negative_spans,
                    negative_buckets,
                    ..FloatHistogram::default()
                };
                let series = self.native(&base, family, at, histogram)?;
                self.exemplars(series, &point.exemplars);
            }
            PointValue::Summary { count, sum, quantiles } => {
                self.float(&base, &format!("{}_sum", family.name), None, at, *sum)?;
                self.float(&base, &format!("{}_count", family.name), None, at, *count as f64)?;
                for quantile in quantiles {
                    let bound = Some(("quantile", quantile.quantile.to_string()));
                    self.float(&base, &family.name, bound, at, quantile.value)?;
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // the parts of one point
    fn classic(
        &mut self,
        base: &LabelsBuilder,
        family: &Family,
        at: At,
        (count, sum): (u64, Option<f64>),
        bounds: &[f64],
        counts: &[u64],
        exemplars: &[Exemplar<'_>],
    ) -> Result<(), String> {
        if let Some(sum) = sum {
            self.float(base, &format!("{}_sum", family.name), None, at, sum)?;
        }
        self.float(base, &format!("{}_count", family.name), None, at, count as f64)?;
        let name = format!("{}_bucket", family.name);
        let mut cumulative = 0_u64;
        let mut before = f64::NEG_INFINITY;
        for (bound, in_bucket) in bounds.iter().zip(counts) {
            cumulative = cumulative.saturating_add(*in_bucket);
            let series = self.float(base, &name, Some(("le", bound.to_string())), at, cumulative as f64)?;
            let in_bucket = exemplars.iter().filter(|exemplar| {
                let value = number(exemplar.value);
                value > before && value <= *bound
            });
            self.exemplars(series, in_bucket);
            before = *bound;
        }
        let series = self.float(base, &name, Some(("le", "+Inf".to_owned())), at, count as f64)?;
        self.exemplars(series, exemplars.iter().filter(|exemplar| number(exemplar.value) > before));
        Ok(())
    }

    /// Adds a float sample; gives the index of its series.
    fn float(
        &mut self,
        base: &LabelsBuilder,
        name: &str,
        bound: Option<(&str, String)>,
        at: At,
        value: f64,
    ) -> Result<u32, String> {
        let mut labels = base.clone();
        if let Some((bound, text)) = bound {
            labels.set(bound, &text);
        }
        labels.set(METRIC_NAME, name);
        let labels = labels.build();
        let (value, start) = if at.is_stale {
            (STALE_NAN, at.start)
        } else if at.is_delta {
            self.deltas.float(&labels, at.start, at.timestamp, value).map_err(|error| delta_error(error, &labels))?
        } else {
            (value, at.start)
        };
        let series = self.series(labels);
        self.batch.floats.push(FloatSample { series, timestamp: at.timestamp, start, value });
        Ok(series)
    }

    /// Adds a native histogram; gives the index of its series.
    fn native(
        &mut self,
        base: &LabelsBuilder,
        family: &Family,
        at: At,
        mut histogram: FloatHistogram,
    ) -> Result<u32, String> {
        let mut labels = base.clone();
        labels.set(METRIC_NAME, &family.name);
        let labels = labels.build();
        if at.is_stale {
            histogram = FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() };
        }
        histogram.validate().map_err(|error| format!("{error}: {labels}"))?;
        let (value, start) = if at.is_delta && !at.is_stale {
            let added = self.deltas.histogram(&labels, at.start, at.timestamp, histogram);
            added.map_err(|error| delta_error(error, &labels))?
        } else {
            (Arc::new(histogram), at.start)
        };
        let series = self.series(labels);
        self.batch.histograms.push(HistogramSample { series, timestamp: at.timestamp, start, value });
        Ok(series)
    }

    fn exemplars<'a>(&mut self, series: u32, exemplars: impl IntoIterator<Item = &'a Exemplar<'a>>) {
        for exemplar in exemplars {
            let mut labels = LabelsBuilder::default();
            if exemplar.trace_id != Default::default() {
                labels.set("trace_id", &exemplar.trace_id.to_string());
            }
            if exemplar.span_id != Default::default() {
                labels.set("span_id", &exemplar.span_id.to_string());
            }
            let attributes: Vec<_> = exemplar
                .filtered_attributes
                .iter()
                .map(|attribute| (attribute.key.as_ref(), value_text(&attribute.value)))
                .collect();
            let characters = |name: &str, value: &str| name.chars().count() + value.chars().count();
            let ids: usize = labels.iter().map(|(name, value)| characters(name, value)).sum();
            let others: usize = attributes.iter().map(|(name, value)| characters(name, value)).sum();
            if ids + others <= MAX_EXEMPLAR_CHARACTERS {
                for (name, value) in &attributes {
                    labels.set(name, value);
                }
            }
            let timestamp = match exemplar.time_unix_nano {
                0 => self.arrival,
                nanos => i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX),
            };
            let (labels, value) = (labels.build(), number(exemplar.value));
            self.batch.exemplars.push((series, SeriesExemplar { labels, value, timestamp }));
        }
    }
}

fn number(number: Number) -> f64 {
    match number {
        Number::Empty => 0.0,
        Number::Int(value) => value as f64,
        Number::Double(value) => value,
    }
}

#[cold]
fn delta_error(error: super::delta::NotAdded, labels: &Labels) -> String {
    format!("{error}: {labels}")
}

/// Dense buckets as spans: bucket `i` of OpenTelemetry covers `(b^i, b^(i+1)]`, that of Prometheus `(b^(i-1), b^i]`.
fn sparse(buckets: &Buckets, down: i32) -> (Vec<NativeSpan>, Vec<f64>) {
    let indices = (0_i64..).map(|at| ((i64::from(buckets.offset) + at) >> down.min(62)) + 1);
    spans(indices.zip(buckets.counts.iter().copied()))
}

fn custom_buckets(bounds: &[f64], counts: &[u64]) -> FloatHistogram {
    let (positive_spans, positive_buckets) = spans((0..).zip(counts.iter().copied()));
    // The last bucket is up to +Inf without saying so, whether a bound says it or not.
    let bounds = bounds.strip_suffix(&[f64::INFINITY]).unwrap_or(bounds);
    FloatHistogram {
        schema: FloatHistogram::CUSTOM_BUCKETS,
        custom_values: bounds.to_vec(),
        positive_spans,
        positive_buckets,
        ..FloatHistogram::default()
    }
}

/// Counts by ascending index as spans; equal indices are added up, empty buckets left out. An index beyond what can be
/// told is no bucket of any real value.
fn spans(counts: impl Iterator<Item = (i64, u64)>) -> (Vec<NativeSpan>, Vec<f64>) {
    let (mut spans, mut buckets): (Vec<NativeSpan>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next = 0_i64;
    let mut last = None;
    for (index, count) in counts.filter(|(index, count)| *count > 0 && i32::try_from(*index).is_ok()) {
        if last == Some(index) {
            if let Some(bucket) = buckets.last_mut() {
                *bucket += count as f64;
            }
            continue;
        }
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(NativeSpan { offset: i32::try_from(index - next).unwrap_or(i32::MAX), length: 1 }),
        }
        buckets.push(count as f64);
        next = index + 1;
        last = Some(index);
    }
    (spans, buckets)
}
