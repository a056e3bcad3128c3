//! `deriv` and `predict_linear`: a line through the samples of a range.

use crate::engine::{Column, Note, Notes, QueryError, RangeCall, RangeSeries, Window, kahan};

pub(super) fn deriv(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result<(), QueryError> {
    for window in windows.iter().filter(|window| enough(call, series, window, notes)) {
        // A time near those of the samples, so that no precision is lost.
        let (slope, _) = line(series, window, series.times[window.floats.start]);
        out.floats[window.step] = slope;
    }
    Ok(())
}

pub(super) fn predict_linear(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result<(), QueryError> {
    for window in windows.iter().filter(|window| enough(call, series, window, notes)) {
        let (slope, intercept) = line(series, window, window.time);
        out.floats[window.step] = slope * call.scalars[0][window.step] + intercept;
    }
    Ok(())
}

/// Whether there are two numbers for a line to go through.
pub(super) fn enough(call: &RangeCall<'_>, series: &RangeSeries, window: &Window, notes: &mut Notes) -> bool {
    if !window.floats.is_empty() && !window.histograms.is_empty() {
        notes.add(Note::histogram_ignored_in_mixed_range(call.position, series.metric()));
    }
    window.floats.len() > 1
}

/// Slope per second and value at a moment of the line with the least squares.
fn line(series: &RangeSeries, window: &Window, moment: i64) -> (f64, f64) {
    let (times, values) = (&series.times[window.floats.clone()], &series.values[window.floats.clone()]);
    let first = values[0];
    if values.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut sum_x, mut sum_y, mut sum_xy, mut sum_x2) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0));
    for (time, y) in times.iter().zip(values) {
        let x = (time - moment) as f64 / 1000.0;
        for (sum, number) in [(&mut sum_x, x), (&mut sum_y, *y), (&mut sum_xy, x * y), (&mut sum_x2, x * x)] {
            kahan::add(number, &mut sum.0, &mut sum.1);
        }
    }
    let number = values.len() as f64;
    let [x, y, xy, x2] = [sum_x, sum_y, sum_xy, sum_x2].map(|(sum, lost)| sum + lost);
    let slope = (xy - x * y / number) / (x2 - x * x / number);
    (slope, y / number - slope * x / number)
}
