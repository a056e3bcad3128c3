//! `double_exponential_smoothing`

use crate::engine::{Column, Notes, QueryError, RangeCall, RangeSeries, Window};

pub(super) fn double_exponential(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result<(), QueryError> {
    for window in windows {
        let (smoothing, trend) = (call.scalars[0][window.step], call.scalars[1][window.step]);
        check("smoothing factor. Expected: 0 < sf < 1", smoothing)?;
        check("trend factor. Expected: 0 < tf < 1", trend)?;
        if super::regression::enough(call, series, window, notes) {
            out.floats[window.step] = smooth(&series.values[window.floats.clone()], smoothing, trend);
        }
    }
    Ok(())
}

fn check(what: &str, factor: f64) -> Result<(), QueryError> {
    if factor <= 0.0 || factor >= 1.0 {
        return Err(QueryError::execution(format!("invalid {what}, got: {factor:.6}")));
    }
    Ok(())
}

fn smooth(values: &[f64], smoothing: f64, trend: f64) -> f64 {
    let (mut before, mut level, mut slope) = (0.0, values[0], values[1] - values[0]);
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    level
}
