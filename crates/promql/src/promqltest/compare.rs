use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, Samples, is_stale};

use super::script::{Eval, Expected, When};
use super::series::Point;
use crate::engine::{MatrixSeries, SampleValue, Value, VectorSample};

/// How far, in relation to their size, two floats may be apart to be equal.
const EPSILON: f64 = 1e-6;

/// Whether two floats are equal as far as a test cares: by bits for stale markers, NaN equals NaN.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (size, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < EPSILON
}

fn almost_equal_histograms(expected: &FloatHistogram, got: &FloatHistogram, compare_hint: bool) -> bool {
    let (mut expected, mut got) = (expected.clone(), got.clone());
    expected.compact(0);
    got.compact(0);
    let same = |left: &[f64], right: &[f64]| {
        left.len() == right.len() && left.iter().zip(right).all(|(left, right)| almost_equal(*left, *right))
    };
    expected.schema == got.schema
        && almost_equal(expected.count, got.count)
        && almost_equal(expected.sum, got.sum)
        && expected.zero_threshold == got.zero_threshold
        && almost_equal(expected.zero_count, got.zero_count)
        && (!expected.uses_custom_buckets() || expected.custom_values == got.custom_values)
        && expected.positive_spans == got.positive_spans
        && expected.negative_spans == got.negative_spans
        && same(&expected.positive_buckets, &got.positive_buckets)
        && same(&expected.negative_buckets, &got.negative_buckets)
        && (!compare_hint || expected.counter_reset_hint == got.counter_reset_hint)
}

fn almost_equal_values(expected: &Point, got: &SampleValue) -> bool {
    match (expected, got) {
        (Point::Float(expected), SampleValue::Float(got)) => almost_equal(*expected, *got),
        (Point::Histogram { value, hint_given }, SampleValue::Histogram(got)) => {
            almost_equal_histograms(value, got, *hint_given)
        }
        _ => false,
    }
}

/// Compares a result with what an eval expects.
///
/// # Errors
/// The first difference.
pub(super) fn compare(eval: &Eval, value: &Value) -> Result<(), String> {
    match (value, &eval.expected) {
        (Value::Scalar { value, .. }, Expected::Scalar(expected)) => {
            if almost_equal(*expected, *value) {
                Ok(())
            } else {
                Err(format!("expected {expected}, got {value}"))
            }
        }
        (Value::String { value, .. }, Expected::String(expected)) => {
            if expected == value {
                Ok(())
            } else {
                Err(format!("expected {expected:?}, got {value:?}"))
            }
        }
        (Value::Vector(samples), Expected::Series { series, .. }) => compare_vector(eval.ordered, series, samples),
        (Value::Matrix(_), Expected::Series { .. }) if eval.ordered => {
            Err("expected an ordered vector, got a matrix".into())
        }
        (Value::Matrix(matrix), Expected::Series { series, steps }) => {
            let (start, end, step) = match (steps, eval.when) {
                (Some(steps), _) => *steps,
                (None, When::Range { start, end, step }) => (start, end, step),
                (None, When::Instant { at }) => (at, at, 0),
            };
            compare_matrix(series, (start, end, step), matrix)
        }
        (got, expected) => {
            let expected = match expected {
                Expected::Scalar(value) => format!("the scalar {value}"),
                Expected::String(value) => format!("the string {value:?}"),
                Expected::Series { .. } => "series".into(),
            };
            let got = match got {
                Value::Scalar { value, .. } => format!("the scalar {value}"),
                Value::String { value, .. } => format!("the string {value:?}"),
                Value::Vector(samples) => format!("a vector of {}", samples.len()),
                Value::Matrix(matrix) => format!("a matrix of {}", matrix.len()),
            };
            Err(format!("expected {expected}, got {got}"))
        }
    }
}

fn compare_vector(ordered: bool, expected: &[(Labels, Vec<Point>)], samples: &[VectorSample]) -> Result<(), String> {
    for (position, sample) in samples.iter().enumerate() {
        let Some(place) = expected.iter().position(|(labels, _)| *labels == sample.labels) else {
            return Err(format!("unexpected series {} with {}", sample.labels, show(&sample.value)));
        };
        if ordered && place != position {
            return Err(format!("{} is at position {}, expected {}", sample.labels, position + 1, place + 1));
        }
        let (labels, points) = &expected[place];
        let Some(point) = points.first() else { return Err(format!("the script has no value for {labels}")) };
        if !almost_equal_values(point, &sample.value) {
            return Err(format!("{labels}: expected {}, got {}", show_point(point), show(&sample.value)));
        }
    }
    match expected.iter().find(|(labels, _)| !samples.iter().any(|sample| sample.labels == *labels)) {
        Some((labels, points)) => Err(format!(
            "expected {labels} with {}, it is not there",
            points.iter().map(show_point).collect::<String>()
        )),
        None => Ok(()),
    }
}

fn compare_matrix(
    expected: &[(Labels, Vec<Point>)],
    (start, end, step): (i64, i64, i64),
    matrix: &[MatrixSeries],
) -> Result<(), String> {
    sorted(matrix)?;
    for series in matrix {
        let Some((labels, points)) = expected.iter().find(|(labels, _)| *labels == series.labels) else {
            return Err(format!("unexpected series {} with {}", series.labels, show_samples(&series.samples)));
        };
        let times = (0..).map(|position: i64| start.saturating_add(step.saturating_mul(position)));
        let points: Vec<(i64, &Point)> = times.zip(points).filter(|(_, point)| **point != Point::Omitted).collect();
        if points.last().is_some_and(|(time, _)| *time > end) {
            return Err(format!("the script has more values for {labels} than the query has steps"));
        }
        let got = samples_in_order(&series.samples);
        let same = got.len() == points.len()
            && got.iter().zip(&points).all(|((time, value), (expected_time, point))| {
                time == expected_time && almost_equal_values(point, value)
            });
        if !same {
            let expected: Vec<_> = points.iter().map(|(time, point)| format!("{}@{time}", show_point(point))).collect();
            return Err(format!("{labels}: expected {}, got {}", expected.join(" "), show_samples(&series.samples)));
        }
    }
    match expected.iter().find(|(labels, _)| !matrix.iter().any(|series| series.labels == *labels)) {
        Some((labels, _)) => Err(format!("expected {labels}, it is not there")),
        None => Ok(()),
    }
}

/// That the series of a matrix ascend.
///
/// # Errors
/// Two that do not.
pub(super) fn sorted(matrix: &[MatrixSeries]) -> Result<(), String> {
    match matrix.windows(2).find(|pair| pair[0].labels > pair[1].labels) {
        Some(pair) => Err(format!("the matrix is not sorted: {} before {}", pair[0].labels, pair[1].labels)),
        None => Ok(()),
    }
}

/// The column of a matrix at one moment, as a vector.
pub(super) fn vector_at(matrix: &[MatrixSeries], time: i64) -> Vec<VectorSample> {
    matrix
        .iter()
        .filter_map(|series| {
            let (_, value) = samples_in_order(&series.samples).into_iter().find(|(each, _)| *each == time)?;
            Some(VectorSample { labels: series.labels.clone(), timestamp: time, value })
        })
        .collect()
}

fn samples_in_order(samples: &Samples) -> Vec<(i64, SampleValue)> {
    let floats = samples.floats.timestamps.iter().zip(&samples.floats.values);
    let histograms = samples.histograms.timestamps.iter().zip(&samples.histograms.values);
    let mut all: Vec<_> = floats
        .map(|(time, value)| (*time, SampleValue::Float(*value)))
        .chain(histograms.map(|(time, value)| (*time, SampleValue::Histogram(Arc::clone(value)))))
        .collect();
    all.sort_by_key(|(time, _)| *time);
    all
}

fn show_samples(samples: &Samples) -> String {
    let shown: Vec<_> =
        samples_in_order(samples).iter().map(|(time, value)| format!("{}@{time}", show(value))).collect();
    shown.join(" ")
}

fn show(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => value.to_string(),
        SampleValue::Histogram(value) => value.to_notation(),
    }
}

fn show_point(point: &Point) -> String {
    match point {
        Point::Omitted => "_".into(),
        Point::Float(value) => value.to_string(),
        Point::Histogram { value, .. } => value.to_notation(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_equal_within_a_millionth() {
        let stale = tripod_model::series::STALE_NAN;
        assert!(almost_equal(1.0, 1.000_001) && !almost_equal(1.0, 1.000_01));
        assert!(almost_equal(f64::NAN, -f64::NAN) && !almost_equal(f64::NAN, stale) && almost_equal(stale, stale));
        assert!(almost_equal(0.0, -0.0) && !almost_equal(0.0, 1e-300));
        assert!(almost_equal(f64::INFINITY, f64::INFINITY) && !almost_equal(f64::INFINITY, f64::MAX));
    }
}
