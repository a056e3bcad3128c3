//! `anchored` and `smoothed`: values at the borders of a range, taken over or interpolated.

use tripod_storage::series::{MillisRange, SelectedSeries};

use super::column::Column;
use super::context::Context;
use super::error::QueryError;
use super::grid::Grid;
use super::notes::{Note, Notes};
use super::plan::VectorPlan;
use super::selector::decode;
use super::window::{RangeSeries, WindowShape};
use crate::ast::RangeExtension;
use crate::functions::histogram::interpolate as interpolate_histograms;

/// The value between two samples at a moment. A counter that fell began again at zero.
pub(crate) fn interpolate(before: (i64, f64), after: (i64, f64), moment: i64, counter: bool) -> f64 {
    let from = if counter && after.1 < before.1 { 0.0 } else { before.1 };
    from + (after.1 - from) * (moment - before.0) as f64 / (after.0 - before.0) as f64
}

/// The samples of a range as `anchored` and `smoothed` see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extended {
    /// The sample that stands for the left border or comes before it.
    pub first: usize,
    /// The sample that stands for the right border or comes after it.
    pub last: usize,
}

impl Extended {
    /// The outermost samples that count; `None` when none of them is within the range. `times` hold at least one.
    pub(crate) fn of(times: &[i64], start: i64, end: i64, smoothed: bool) -> Option<Self> {
        let mut last = times.len().checked_sub(1)?;
        let first = times[..last].partition_point(|time| *time <= start).saturating_sub(1);
        if smoothed {
            last = times[..last].partition_point(|time| *time < end);
        }
        if times[last] <= start {
            return None;
        }
        Some(Self { first, last })
    }

    /// The value at the left border.
    pub(crate) fn left(&self, times: &[i64], values: &[f64], start: i64, smoothed: bool, counter: bool) -> f64 {
        let first = self.first;
        if smoothed && times[first] < start {
            let next = (times[first + 1], values[first + 1]);
            return interpolate((times[first], values[first]), next, start, counter);
        }
        values[first]
    }

    /// The value at the right border.
    pub(crate) fn right(&self, times: &[i64], values: &[f64], end: i64, smoothed: bool, counter: bool) -> f64 {
        let last = self.last;
        if smoothed && last > 0 && times[last] > end {
            let before = (times[last - 1], values[last - 1]);
            return interpolate(before, (times[last], values[last]), end, counter);
        }
        values[last]
    }

    /// The samples between the borders.
    pub(crate) fn inner(&self, times: &[i64], start: i64, end: i64) -> std::ops::Range<usize> {
        let from = self.first + usize::from(times[self.first] <= start);
        let to = self.last + usize::from(times[self.last] < end);
        from..to.max(from)
    }
}

/// Puts samples at the borders of the range in the place of those beyond.
pub(crate) fn extend(
    series: &mut RangeSeries,
    extension: RangeExtension,
    (start, end): (i64, i64),
) -> Result<(), QueryError> {
    let smoothed = extension == RangeExtension::Smoothed;
    if !series.histograms.is_empty() {
        let name = if smoothed { "smoothed" } else { "anchored" };
        return Err(QueryError::execution(format!("{name} modifier is not supported with histograms")));
    }
    let (times, values) = (std::mem::take(&mut series.times), std::mem::take(&mut series.values));
    let Some(extended) = Extended::of(&times, start, end, smoothed) else { return Ok(()) };
    let inner = extended.inner(&times, start, end);
    series.times.push(start);
    series.values.push(extended.left(&times, &values, start, smoothed, false));
    series.times.extend_from_slice(&times[inner.clone()]);
    series.values.extend_from_slice(&values[inner]);
    series.times.push(end);
    series.values.push(extended.right(&times, &values, end, smoothed, false));
    Ok(())
}

/// The values of the selected series at each step, interpolated between the samples before and after it.
pub(crate) fn instant_vector(
    context: &Context,
    selector: &VectorPlan,
    series: &[SelectedSeries],
    grid: Grid,
    position: usize,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    context.check_cells(series.len(), grid)?;
    let lookback = context.lookback_ms;
    // A window of the lookback to both sides of each step.
    let shape = WindowShape {
        range: lookback * 2,
        offset: selector.offset - lookback,
        at: selector.at,
        extension: None,
        lookback,
    };
    let needed = MillisRange { start: shape.bounds(grid.start).0.saturating_add(1), end: shape.bounds(grid.last()).1 };
    context.each(series, notes, Vec::new, |windows, selected, worker| {
        let series = RangeSeries::from_samples(selected.labels.clone(), decode(selected, selector, needed)?, false);
        shape.windows(&series, grid, windows);
        let mut column = Column::absent(series.labels.clone(), grid.steps());
        for window in windows.iter() {
            let moment = selector.reference(window.time);
            if !window.floats.is_empty() && !window.histograms.is_empty() {
                worker.notes.add(Note::mixed_floats_histograms(position, series.metric()));
                continue;
            }
            if !window.histograms.is_empty() {
                let (times, values) = (&series.histogram_times, &series.histograms);
                let times = &times[window.histograms.clone()];
                let values = &values[window.histograms.clone()];
                let metric = series.metric();
                if let Some(value) = interpolate_histograms(times, values, moment, position, metric, &mut worker.notes)
                {
                    column.set_histogram(window.step, value);
                }
                continue;
            }
            let (times, values) = (&series.times[window.floats.clone()], &series.values[window.floats.clone()]);
            let next = times.partition_point(|time| *time < moment);
            let value = match (next.checked_sub(1), times.get(next)) {
                (_, Some(time)) if *time == moment => values[next],
                (Some(before), Some(time)) => {
                    interpolate((times[before], values[before]), (*time, values[next]), moment, false)
                }
                (Some(before), None) => values[before],
                (None, _) => continue,
            };
            column.floats[window.step] = value;
        }
        context.hold(column.samples())?;
        Ok((!column.is_empty()).then_some(column))
    })
}
