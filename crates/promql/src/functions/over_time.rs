//! Aggregations over the samples of a range.

use std::sync::Arc;

use tripod_model::series::FloatHistogram;

use super::histogram::Total;
use crate::engine::{
    Column, HistogramOperation, Mean, Note, Notes, QueryError, RangeCall, RangeSeries, Window, kahan, quantile,
};

type Result = std::result::Result<(), QueryError>;

/// A number per window from its numbers; windows of histograms alone give nothing.
fn numbers(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
    mut compute: impl FnMut(&Window) -> f64,
) -> Result {
    for window in windows.iter().filter(|window| !window.floats.is_empty()) {
        if !window.histograms.is_empty() {
            notes.add(Note::histogram_ignored_in_mixed_range(call.position, series.metric()));
        }
        out.floats[window.step] = compute(window);
    }
    Ok(())
}

/// Defines functions that give a number from the numbers of each window.
macro_rules! number_functions {
    ($($(#[$doc:meta])* $name:ident => |$series:ident, $window:ident| $compute:expr;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(
            call: &RangeCall<'_>,
            $series: &RangeSeries,
            windows: &[Window],
            out: &mut Column,
            notes: &mut Notes,
        ) -> Result {
            numbers(call, $series, windows, out, notes, |$window| $compute)
        }
    )*};
}

/// Of all values the one that is kept, with its time: `replaces(value, kept)` tells whether a later one takes its place.
fn kept(series: &RangeSeries, window: &Window, replaces: impl Fn(f64, f64) -> bool) -> (i64, f64) {
    let values = series.values[window.floats.clone()].iter().zip(&series.times[window.floats.clone()]);
    let mut kept = (series.times[window.floats.start], series.values[window.floats.start]);
    for (value, time) in values {
        if replaces(*value, kept.1) || kept.1.is_nan() {
            kept = (*time, *value);
        }
    }
    kept
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

number_functions! {
    max => |series, window| kept(series, window, |value, kept| value > kept).1;
    min => |series, window| kept(series, window, |value, kept| value < kept).1;
    time_of_max => |series, window| seconds(kept(series, window, |value, kept| value >= kept).0);
    time_of_min => |series, window| seconds(kept(series, window, |value, kept| value <= kept).0);
    stdvar => |series, window| variance(&series.values[window.floats.clone()]);
    stddev => |series, window| variance(&series.values[window.floats.clone()]).sqrt();
    /// The median of the distances to the median.
    mad => |series, window| {
        let mut values = series.values[window.floats.clone()].to_vec();
        if values.iter().any(|value| value.is_nan()) {
            return f64::NAN;
        }
        let median = quantile(0.5, &mut values);
        values.iter_mut().for_each(|value| *value = (*value - median).abs());
        quantile(0.5, &mut values)
    };
}

fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut mean_lost, mut squares, mut squares_lost) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - (mean + mean_lost);
        kahan::add(delta / count, &mut mean, &mut mean_lost);
        kahan::add(delta * (value - (mean + mean_lost)), &mut squares, &mut squares_lost);
    }
    (squares + squares_lost) / count
}

/// `quantile_over_time`
pub(super) fn quantile_over_time(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result {
    let mut values = Vec::new();
    for window in windows.iter().filter(|window| !window.floats.is_empty()) {
        let rank = call.scalars[0][window.step];
        if !(0.0..=1.0).contains(&rank) {
            notes.add(Note::invalid_quantile(call.position, rank));
        }
        if !window.histograms.is_empty() {
            notes.add(Note::histogram_ignored_in_mixed_range(call.position, series.metric()));
        }
        values.clear();
        values.extend_from_slice(&series.values[window.floats.clone()]);
        out.floats[window.step] = quantile(rank, &mut values);
    }
    Ok(())
}

pub(super) fn sum(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result {
    total(call, series, windows, out, notes, false, |values| {
        let (mut sum, mut lost) = (0.0, 0.0);
        values.iter().for_each(|value| kahan::add(*value, &mut sum, &mut lost));
        if sum.is_infinite() { sum } else { sum + lost }
    })
}

pub(super) fn avg(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result {
    total(call, series, windows, out, notes, true, |values| {
        let mut mean = Mean::of(values[0]);
        values[1..].iter().for_each(|value| mean.add(*value));
        mean.finish()
    })
}

fn total(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
    mean: bool,
    numbers: impl Fn(&[f64]) -> f64,
) -> Result {
    for window in windows {
        if !window.floats.is_empty() && !window.histograms.is_empty() {
            notes.add(Note::mixed_floats_histograms(call.position, series.metric()));
        } else if !window.floats.is_empty() {
            out.floats[window.step] = numbers(&series.values[window.floats.clone()]);
        } else if let Some(total) = histograms(call, series, window, mean, notes) {
            out.set_histogram(window.step, total);
        }
    }
    Ok(())
}

fn histograms(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    window: &Window,
    mean: bool,
    notes: &mut Notes,
) -> Option<Arc<FloatHistogram>> {
    let histograms = &series.histograms[window.histograms.clone()];
    let mut total = Total::new(histograms.first()?, mean);
    let mut mismatched = false;
    for histogram in &histograms[1..] {
        match total.add(histogram) {
            Ok(reconciled) => mismatched |= reconciled.custom_bounds,
            Err(_) => {
                notes.add(Note::mixed_exponential_custom(call.position, series.metric()));
                return None;
            }
        }
    }
    if total.contradicting_resets() {
        notes.add(Note::counter_reset_collision(call.position, HistogramOperation::Aggregation));
    }
    if mismatched {
        notes.add(Note::mismatched_custom_buckets(call.position, HistogramOperation::Aggregation));
    }
    Some(total.finish_as_is())
}

pub(super) fn count(_: &RangeCall<'_>, _: &RangeSeries, windows: &[Window], out: &mut Column, _: &mut Notes) -> Result {
    for window in windows {
        out.floats[window.step] = (window.floats.len() + window.histograms.len()) as f64;
    }
    Ok(())
}

/// `present_over_time`; also what `absent_over_time` looks at.
pub(super) fn present(
    _: &RangeCall<'_>,
    _: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    _: &mut Notes,
) -> Result {
    windows.iter().for_each(|window| out.floats[window.step] = 1.0);
    Ok(())
}

/// The first sample, of whichever kind.
pub(super) fn first(
    _: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    _: &mut Notes,
) -> Result {
    for window in windows {
        let float = (!window.floats.is_empty()).then_some(window.floats.start);
        let histogram = (!window.histograms.is_empty()).then_some(window.histograms.start);
        match (float, histogram) {
            (Some(float), histogram)
                if histogram.is_none_or(|place| series.times[float] < series.histogram_times[place]) =>
            {
                out.floats[window.step] = series.values[float];
            }
            (_, Some(place)) => out.set_histogram(window.step, series.histograms[place].clone()),
            _ => {}
        }
    }
    Ok(())
}

/// The last sample, of whichever kind.
pub(super) fn last(
    _: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    _: &mut Notes,
) -> Result {
    for window in windows {
        let float = window.floats.clone().next_back();
        let histogram = window.histograms.clone().next_back();
        match (float, histogram) {
            (Some(float), histogram)
                if histogram.is_none_or(|place| series.histogram_times[place] < series.times[float]) =>
            {
                out.floats[window.step] = series.values[float];
            }
            (_, Some(place)) => out.set_histogram(window.step, series.histograms[place].clone()),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn time_of_first(
    _: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    _: &mut Notes,
) -> Result {
    for window in windows {
        let times =
            [series.times[window.floats.clone()].first(), series.histogram_times[window.histograms.clone()].first()];
        if let Some(time) = times.into_iter().flatten().min() {
            out.floats[window.step] = seconds(*time);
        }
    }
    Ok(())
}

pub(super) fn time_of_last(
    _: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    _: &mut Notes,
) -> Result {
    for window in windows {
        // Upstream begins at the epoch, so an earlier time is not seen beside an absent kind of sample.
        let times =
            [series.times[window.floats.clone()].last(), series.histogram_times[window.histograms.clone()].last()];
        out.floats[window.step] = seconds(times.into_iter().map(|time| time.copied().unwrap_or(0)).max().unwrap_or(0));
    }
    Ok(())
}
