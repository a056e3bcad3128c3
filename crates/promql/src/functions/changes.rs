//! `changes` and `resets`: how often neighbouring samples of a range differ.

use std::sync::Arc;

use tripod_model::series::FloatHistogram;

use super::rate::is_start_reset;
use crate::ast::RangeExtension;
use crate::engine::{Column, Notes, QueryError, RangeCall, RangeSeries, Window};

#[derive(Clone, Copy)]
struct Sample<'a> {
    time: i64,
    start: i64,
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

pub(super) fn changes(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    _: &mut Notes,
) -> Result<(), QueryError> {
    count(call, series, windows, out, |before, now| match (before.value, now.value) {
        (Value::Float(before), Value::Float(now)) => before != now && !(before.is_nan() && now.is_nan()),
        (Value::Histogram(before), Value::Histogram(now)) => !now.same_data(before),
        _ => true,
    });
    Ok(())
}

pub(super) fn resets(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    _: &mut Notes,
) -> Result<(), QueryError> {
    let began =
        |before: &Sample<'_>, now: &Sample<'_>| is_start_reset((before.start, before.time), (now.start, now.time));
    count(call, series, windows, out, |before, now| match (before.value, now.value) {
        (Value::Float(from), Value::Float(to)) => to < from || began(before, now),
        (Value::Histogram(from), Value::Histogram(to)) => began(before, now) || to.detect_reset(from),
        _ => true,
    });
    Ok(())
}

/// Counts the neighbours that differ. Whether they do is found out once for a series: then a window's count is the
/// difference of two running counts.
fn count(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    differ: impl Fn(&Sample<'_>, &Sample<'_>) -> bool,
) {
    let samples = in_order(series);
    let mut differences = Vec::with_capacity(samples.len());
    let mut running = 0u64;
    for (index, sample) in samples.iter().enumerate() {
        if index > 0 && differ(&samples[index - 1], sample) {
            running += 1;
        }
        differences.push(running);
    }
    for window in windows {
        let mut first = window.floats.start + window.histograms.start;
        let end = window.floats.end + window.histograms.end;
        if call.extension == Some(RangeExtension::Anchored) {
            // What counts begins with the last sample before the range, if there is one.
            let inside = first + samples[first..end].partition_point(|sample| sample.time <= window.start);
            if inside == end {
                continue;
            }
            first = inside.saturating_sub(1).max(first);
        }
        out.floats[window.step] = (differences[end - 1] - differences[first]) as f64;
    }
}

/// The samples of both kinds by time.
fn in_order(series: &RangeSeries) -> Vec<Sample<'_>> {
    let start = |starts: &[i64], index: usize| starts.get(index).copied().unwrap_or(0);
    let (mut float, mut histogram) = (0, 0);
    let mut samples = Vec::with_capacity(series.times.len() + series.histogram_times.len());
    loop {
        let times = (series.times.get(float), series.histogram_times.get(histogram));
        match times {
            (Some(time), other) if other.is_none_or(|other| time < other) => {
                let value = Value::Float(series.values[float]);
                samples.push(Sample { time: *time, start: start(&series.starts, float), value });
                float += 1;
            }
            (_, Some(time)) => {
                let value = Value::Histogram(&series.histograms[histogram]);
                samples.push(Sample { time: *time, start: start(&series.histogram_starts, histogram), value });
                histogram += 1;
            }
            _ => return samples,
        }
    }
}
