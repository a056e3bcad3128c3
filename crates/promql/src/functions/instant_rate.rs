//! `irate` and `idelta`: from the last two samples of a range.

use std::sync::Arc;

use tripod_model::series::{CounterResetHint, FloatHistogram};

use super::rate::is_start_reset;
use crate::engine::{Column, HistogramOperation, Note, Notes, QueryError, RangeCall, RangeSeries, Window};

pub(super) fn irate(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result<(), QueryError> {
    windows.iter().for_each(|window| at_end(call, series, window, true, out, notes));
    Ok(())
}

pub(super) fn idelta(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result<(), QueryError> {
    windows.iter().for_each(|window| at_end(call, series, window, false, out, notes));
    Ok(())
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

#[derive(Clone, Copy)]
struct Sample<'a> {
    time: i64,
    start: i64,
    value: Value<'a>,
}

/// The last two samples of whichever kind, the earlier first.
fn last_two<'a>(series: &'a RangeSeries, window: &Window) -> Option<(Sample<'a>, Sample<'a>)> {
    let start = |starts: &[i64], index: usize| starts.get(index).copied().unwrap_or(0);
    let floats = window.floats.clone().rev().take(2).map(|index| Sample {
        time: series.times[index],
        start: start(&series.starts, index),
        value: Value::Float(series.values[index]),
    });
    let histograms = window.histograms.clone().rev().take(2).map(|index| Sample {
        time: series.histogram_times[index],
        start: start(&series.histogram_starts, index),
        value: Value::Histogram(&series.histograms[index]),
    });
    let mut samples: Vec<Sample<'a>> = floats.chain(histograms).collect();
    samples.sort_by_key(|sample| std::cmp::Reverse(sample.time));
    Some((*samples.get(1)?, *samples.first()?))
}

fn at_end(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    window: &Window,
    counter: bool,
    out: &mut Column,
    notes: &mut Notes,
) {
    let Some((before, last)) = last_two(series, window) else { return };
    if before.time == last.time {
        return;
    }
    let (position, metric) = (call.position, series.metric());
    let seconds = (last.time - before.time) as f64 / 1000.0;
    let began = is_start_reset((before.start, before.time), (last.start, last.time));
    match (before.value, last.value) {
        (Value::Float(from), Value::Float(to)) => {
            let mut result = if counter && (to < from || began) { to } else { to - from };
            if counter {
                result /= seconds;
            }
            out.floats[window.step] = result;
        }
        (Value::Histogram(from), Value::Histogram(to)) => {
            let gauges = [from, to].map(|histogram| histogram.counter_reset_hint == CounterResetHint::Gauge);
            if counter && gauges.contains(&true) {
                notes.add(Note::histogram_not_counter(position, metric));
            }
            if !counter && gauges.contains(&false) {
                notes.add(Note::histogram_not_gauge(position, metric));
            }
            let mut result = (**to).clone();
            if !counter || (!began && !to.detect_reset(from)) {
                match result.sub(from) {
                    Ok(reconciled) if reconciled.custom_bounds => {
                        notes.add(Note::mismatched_custom_buckets(position, HistogramOperation::Subtraction));
                    }
                    Ok(_) => {}
                    Err(_) => {
                        notes.add(Note::mixed_exponential_custom(position, metric));
                        return;
                    }
                }
            }
            result.counter_reset_hint = CounterResetHint::Gauge;
            result.compact(0);
            if counter {
                result.div(seconds);
            }
            out.set_histogram(window.step, Arc::new(result));
        }
        _ => notes.add(Note::mixed_floats_histograms(position, metric)),
    }
}
