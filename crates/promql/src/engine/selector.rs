use std::sync::Arc;

use tripod_model::series::{CounterResetHint, FloatHistogram, Samples, is_stale};
use tripod_storage::series::{MillisRange, SelectedSeries};

use super::column::{Column, histogram_samples};
use super::context::Context;
use super::error::{QueryError, QueryErrorKind};
use super::grid::Grid;
use super::notes::Notes;
use super::plan::VectorPlan;

/// The sample that a series has at a moment: its last one that is not too old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// When it was taken, milliseconds since the Unix epoch.
    pub time: i64,
    /// When its counter began; 0 when unknown.
    pub start: i64,
    pub value: FoundValue<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum FoundValue<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// The values of the selected series at each step.
pub(crate) fn instant_vector(
    context: &Context,
    selector: &VectorPlan,
    series: &[SelectedSeries],
    grid: Grid,
    notes: &mut Notes,
) -> Result<Vec<Column>, QueryError> {
    context.check_cells(series.len(), grid)?;
    let steps = grid.steps();
    context.each(
        series,
        notes,
        || (),
        |(), series, worker| {
            let samples = decode(series, selector, needed(selector, grid, context.lookback_ms))?;
            let mut column = Column::absent(series.labels.clone(), steps);
            let mut held = 0;
            look_up(&samples, selector, grid, context.lookback_ms, |step, found| {
                let weight = match found.value {
                    FoundValue::Float(value) => {
                        column.floats[step] = value;
                        1
                    }
                    FoundValue::Histogram(histogram) => {
                        column.set_histogram(step, histogram.clone());
                        histogram_samples(histogram)
                    }
                };
                worker.count(step, weight as u64);
                worker.count_read(weight as u64);
                held += weight;
            });
            context.hold(held)?;
            Ok((held > 0).then_some(column))
        },
    )
}

/// Calls back with what the series has at each step that has something.
pub(crate) fn look_up<'a>(
    samples: &'a Samples,
    selector: &VectorPlan,
    grid: Grid,
    lookback_ms: i64,
    mut each: impl FnMut(usize, Found<'a>),
) {
    let (floats, histograms) = (&samples.floats, &samples.histograms);
    // How many samples of each kind are not after the moment.
    let (mut past_floats, mut past_histograms) = (0, 0);
    for (step, time) in grid.times().enumerate() {
        let moment = selector.reference(time);
        past_floats = advance(&floats.timestamps, past_floats, moment);
        past_histograms = advance(&histograms.timestamps, past_histograms, moment);
        let float = past_floats.checked_sub(1);
        let histogram = past_histograms.checked_sub(1);
        let float_time = float.map_or(i64::MIN, |index| floats.timestamps[index]);
        let histogram_time = histogram.map_or(i64::MIN, |index| histograms.timestamps[index]);
        let oldest = moment.saturating_sub(lookback_ms);
        if float_time.max(histogram_time) <= oldest {
            continue;
        }
        let found = match (float, histogram) {
            (Some(index), _) if float_time >= histogram_time => {
                let value = floats.values[index];
                let start = floats.start_timestamps.get(index).copied().unwrap_or(0);
                (!is_stale(value)).then_some(Found { time: float_time, start, value: FoundValue::Float(value) })
            }
            (_, Some(index)) => {
                let value = &histograms.values[index];
                let start = histograms.start_timestamps.get(index).copied().unwrap_or(0);
                let found = Found { time: histogram_time, start, value: FoundValue::Histogram(value) };
                (!is_stale(value.sum)).then_some(found)
            }
            _ => None,
        };
        if let Some(found) = found {
            each(step, found);
        }
    }
}

/// The index of the first time after the moment, from an index on that is known to be at or before it. Steps are mostly a
/// few samples apart, so the search goes forward in growing strides.
pub(crate) fn advance(times: &[i64], from: usize, moment: i64) -> usize {
    let mut low = from;
    let mut stride = 1;
    while times.get(low + stride - 1).is_some_and(|time| *time <= moment) {
        low += stride;
        stride *= 2;
    }
    let high = times.len().min(low + stride - 1);
    low + times[low..high].partition_point(|time| *time <= moment)
}

/// The samples that the steps can look at.
pub(crate) fn needed(selector: &VectorPlan, grid: Grid, lookback_ms: i64) -> MillisRange {
    MillisRange {
        start: selector.reference(grid.start).saturating_sub(lookback_ms - 1),
        end: selector.reference(grid.last()),
    }
}

/// The samples of a series.
pub(crate) fn decode(
    series: &SelectedSeries,
    selector: &VectorPlan,
    range: MillisRange,
) -> Result<Samples, QueryError> {
    let mut samples = series.samples(range).map_err(|error| store_failed(&error))?;
    if selector.without_buckets {
        drop_buckets(&mut samples);
    }
    Ok(samples)
}

/// Leaves of histograms their count and sum, and what they know of resets: what their buckets would tell about resets is
/// found out here.
fn drop_buckets(samples: &mut Samples) {
    let mut before: Option<Arc<FloatHistogram>> = None;
    for histogram in &mut samples.histograms.values {
        let mut counter_reset_hint = histogram.counter_reset_hint;
        let stale = is_stale(histogram.sum);
        if let Some(before) = before.as_ref().filter(|_| !stale && counter_reset_hint == CounterResetHint::Unknown) {
            counter_reset_hint = match histogram.detect_reset(before) {
                true => CounterResetHint::CounterReset,
                false => CounterResetHint::NotCounterReset,
            };
        }
        let FloatHistogram { schema, count, sum, .. } = **histogram;
        let totals = FloatHistogram { counter_reset_hint, schema, count, sum, ..FloatHistogram::default() };
        let whole = std::mem::replace(histogram, Arc::new(totals));
        if !stale {
            before = Some(whole);
        }
    }
}

/// The store gave an error.
pub(crate) fn store_failed(error: &dyn std::fmt::Display) -> QueryError {
    QueryError::new(QueryErrorKind::Internal, format!("expanding series: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_finds_the_first_later_time() {
        let times: Vec<i64> = (0..50).map(|index| index * 3).collect();
        for from in 0..10 {
            for moment in times[from] - 1..200 {
                let expected = times.partition_point(|time| *time <= moment).max(from);
                assert_eq!(advance(&times, from, moment), expected, "{from} {moment}");
            }
        }
        assert_eq!(advance(&[], 0, 5), 0);
    }
}
