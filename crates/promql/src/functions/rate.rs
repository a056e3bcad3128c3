//! `rate`, `increase` and `delta`.

use super::histogram_rate;
use crate::engine::{Column, Extended, Note, Notes, QueryError, RangeCall, RangeSeries, Window};

type Result = std::result::Result<(), QueryError>;

pub(super) fn rate(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result {
    Rate { call, series, counter: true, per_second: true }.evaluate(windows, out, notes)
}

pub(super) fn increase(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result {
    Rate { call, series, counter: true, per_second: false }.evaluate(windows, out, notes)
}

pub(super) fn delta(
    call: &RangeCall<'_>,
    series: &RangeSeries,
    windows: &[Window],
    out: &mut Column,
    notes: &mut Notes,
) -> Result {
    Rate { call, series, counter: false, per_second: false }.evaluate(windows, out, notes)
}

/// What a rate is computed of.
pub(super) struct Rate<'a> {
    pub call: &'a RangeCall<'a>,
    pub series: &'a RangeSeries,
    /// The values only grow, or begin anew.
    pub counter: bool,
    pub per_second: bool,
}

impl Rate<'_> {
    fn evaluate(&self, windows: &[Window], out: &mut Column, notes: &mut Notes) -> Result {
        let resets = if self.counter { resets(self.series) } else { Resets::default() };
        for window in windows {
            if !window.floats.is_empty() && !window.histograms.is_empty() {
                notes.add(Note::mixed_floats_histograms(self.call.position, self.series.metric()));
            } else if !window.histograms.is_empty() {
                if let Some(histogram) = histogram_rate::rate(self, window, notes) {
                    out.set_histogram(window.step, histogram);
                }
            } else if let Some(value) = match self.call.extension {
                Some(_) => self.extended(window, &resets),
                None => self.extrapolated(window, &resets, notes),
            } {
                out.floats[window.step] = value;
            }
        }
        Ok(())
    }

    /// From the values within the range, as if the series went on in the same way to its borders where it probably did.
    fn extrapolated(&self, window: &Window, resets: &Resets, notes: &mut Notes) -> Option<f64> {
        let (times, values) = (&self.series.times, &self.series.values);
        let (first, last) = (window.floats.start, window.floats.end - 1);
        let mut result = values[last] - values[first];
        for reset in within(&resets.at, first, last) {
            result += values[reset - 1];
        }
        if !within(&resets.overlaps, first, last).is_empty() {
            notes.add(Note::start_time_overlap(self.call.position, self.series.metric()));
        }
        let extent = Extent { first: times[first], last: times[last], samples: last - first + 1 };
        let start = if self.counter { self.series.starts.get(first).copied().unwrap_or(0) } else { 0 };
        if extent.begins_at(start, window) {
            result += values[first];
        }
        let zero = (self.counter && result > 0.0 && values[first] >= 0.0).then(|| values[first] / result);
        let mut factor = extent.factor(window, start, zero)?;
        if self.per_second {
            factor /= self.call.range_seconds();
        }
        Some(result * factor)
    }

    /// From the values at the borders of the range.
    fn extended(&self, window: &Window, resets: &Resets) -> Option<f64> {
        let smoothed = self.call.extension == Some(crate::ast::RangeExtension::Smoothed);
        let times = &self.series.times[window.floats.clone()];
        let values = &self.series.values[window.floats.clone()];
        let (start, end) = (window.start, window.end);
        let borders = Extended::of(times, start, end, smoothed)?;
        if smoothed && times[borders.first] > end {
            return None;
        }
        let left = borders.left(times, values, start, smoothed, self.counter);
        let right = borders.right(times, values, end, smoothed, self.counter);
        let mut result = right - left;
        if self.counter {
            let inner = borders.inner(times, start, end);
            let mut correction = 0.0;
            if let Some((last, first)) = inner.clone().last().zip(inner.clone().next()) {
                if values[first] < left {
                    correction += left;
                }
                let offset = window.floats.start;
                for reset in within(&resets.falls, offset + first, offset + last) {
                    correction += self.series.values[reset - 1];
                }
                if right < values[last] {
                    correction += values[last];
                }
            } else if right < left {
                correction += left;
            }
            result += correction;
        }
        if self.per_second {
            result /= self.call.range_seconds();
        }
        Some(result)
    }
}

/// The time that samples cover.
pub(super) struct Extent {
    /// Milliseconds.
    pub first: i64,
    pub last: i64,
    pub samples: usize,
}

impl Extent {
    /// Whether a counter is known to have begun within the range, before its first sample.
    pub(super) fn begins_at(&self, start: i64, window: &Window) -> bool {
        start != 0 && start > window.start && start < self.first
    }

    /// By what the increase over the samples is multiplied to be that over the range. `zero` tells at what share of the
    /// sampled time before the first sample the counter was zero. `None` when one sample is all that is known.
    pub(super) fn factor(&self, window: &Window, start: i64, zero: Option<f64>) -> Option<f64> {
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
        let mut sampled = seconds(self.first, self.last);
        let mut to_start = seconds(window.start, self.first);
        let mut to_end = seconds(self.last, window.end);
        let spacing = if self.samples > 1 { sampled / (self.samples - 1) as f64 } else { 0.0 };
        // A series whose next sample would be further away than this most likely does not reach to the border.
        let threshold = spacing * 1.1;
        if self.begins_at(start, window) {
            to_start = 0.0;
            sampled = seconds(start, self.last);
        } else if self.samples < 2 {
            return None;
        } else {
            if to_start >= threshold {
                to_start = spacing / 2.0;
            }
            // A counter was never below zero.
            if let Some(zero) = zero {
                to_start = to_start.min(sampled * zero);
            }
        }
        if to_end >= threshold {
            to_end = spacing / 2.0;
        }
        Some(if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled })
    }
}

/// Where a counter began anew. Found once for a series, so that a window does not look at each of its samples.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// Samples that are less than the one before or, by their start times, of another counter.
    pub at: Vec<usize>,
    /// Samples that are less than the one before.
    pub falls: Vec<usize>,
    /// Samples whose counter began before the sample before, and yet is another one.
    pub overlaps: Vec<usize>,
}

pub(super) fn resets(series: &RangeSeries) -> Resets {
    let (times, values, starts) = (&series.times, &series.values, &series.starts);
    let falls: Vec<usize> = (1..values.len()).filter(|index| values[*index] < values[*index - 1]).collect();
    if starts.is_empty() {
        return Resets { at: falls.clone(), falls, overlaps: Vec::new() };
    }
    let began = |index: usize| {
        is_start_reset((starts[index - 1], times[index - 1]), (starts[index], times[index]))
            || values[index] < values[index - 1]
    };
    let overlaps = |index: &usize| overlaps((starts[index - 1], times[index - 1]), starts[*index]);
    Resets {
        at: (1..values.len()).filter(|index| began(*index)).collect(),
        falls,
        overlaps: (1..values.len()).filter(overlaps).collect(),
    }
}

/// Of sorted indices those after the first up to the last.
fn within(indices: &[usize], first: usize, last: usize) -> &[usize] {
    if indices.is_empty() {
        return &[];
    }
    let from = indices.partition_point(|index| *index <= first);
    let to = indices.partition_point(|index| *index <= last);
    &indices[from..to.max(from)]
}

/// Whether start times tell that a counter began anew between two samples, each given as start time and time.
pub(super) fn is_start_reset(before: (i64, i64), now: (i64, i64)) -> bool {
    let ((before_start, before_time), (start, time)) = (before, now);
    // Unknown, as OpenTelemetry writes it, or impossible.
    if start == 0 || start >= time || start < before_time {
        return false;
    }
    if start > before_time {
        return true;
    }
    // It begins where the last one ends: that is a delta, unless the last one does not know its start.
    before_start != 0 && before_start < before_time
}

/// Whether a sample's counter began before the sample before, and is another one.
pub(super) fn overlaps(before: (i64, i64), start: i64) -> bool {
    start != 0 && start < before.1 && start != before.0
}
