use std::ops::Range;
use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, Samples, is_stale};

use super::column::histogram_samples;
use super::grid::Grid;
use super::selector::advance;
use crate::ast::RangeExtension;

/// The samples of one series that range functions work on; stale markers are left out.
#[derive(Debug, Default)]
pub(crate) struct RangeSeries {
    pub labels: Labels,
    /// The metric's name goes at the end of the evaluation whatever the function does.
    pub drop_name: bool,
    /// Times of the float samples, ascending.
    pub times: Vec<i64>,
    pub values: Vec<f64>,
    /// When counters began; empty when not known or not asked for.
    pub starts: Vec<i64>,
    /// Times of the native histograms, ascending.
    pub histogram_times: Vec<i64>,
    pub histograms: Vec<Arc<FloatHistogram>>,
    /// As `starts`.
    pub histogram_starts: Vec<i64>,
}

/// What a range function looks at for one step.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The step's number.
    pub step: usize,
    /// The step's time.
    pub time: i64,
    /// The range that was asked for begins after this, milliseconds.
    pub start: i64,
    /// Its end.
    pub end: i64,
    /// Indices of the float samples. With an extension, samples beyond the range are among them.
    pub floats: Range<usize>,
    /// Indices of the histograms.
    pub histograms: Range<usize>,
}

impl RangeSeries {
    /// From the samples of a store.
    pub(crate) fn from_samples(labels: Labels, samples: Samples, with_starts: bool) -> Self {
        let Samples { mut floats, mut histograms } = samples;
        if floats.values.iter().any(|value| is_stale(*value)) {
            let keep: Vec<bool> = floats.values.iter().map(|value| !is_stale(*value)).collect();
            retain(&mut floats.timestamps, &keep);
            retain(&mut floats.values, &keep);
            retain(&mut floats.start_timestamps, &keep);
        }
        if histograms.values.iter().any(|histogram| is_stale(histogram.sum)) {
            let keep: Vec<bool> = histograms.values.iter().map(|histogram| !is_stale(histogram.sum)).collect();
            retain(&mut histograms.timestamps, &keep);
            retain(&mut histograms.values, &keep);
            retain(&mut histograms.start_timestamps, &keep);
        }
        // Where one sample has a start time, all have one, 0 when unknown.
        let starts = |mut starts: Vec<i64>, samples: usize| {
            if !with_starts {
                return Vec::new();
            }
            starts.resize(samples, 0);
            starts
        };
        Self {
            labels,
            drop_name: false,
            starts: starts(floats.start_timestamps, floats.timestamps.len()),
            times: floats.timestamps,
            values: floats.values,
            histogram_starts: starts(histograms.start_timestamps, histograms.timestamps.len()),
            histogram_times: histograms.timestamps,
            histograms: histograms.values,
        }
    }

    /// The metric's name, or nothing.
    pub(crate) fn metric(&self) -> &str {
        self.labels.metric_name().unwrap_or("")
    }
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next().copied().unwrap_or(true));
}

impl Window {
    /// As how many samples the window counts.
    pub(crate) fn samples(&self, series: &RangeSeries) -> usize {
        let histograms = &series.histograms[self.histograms.clone()];
        self.floats.len() + histograms.iter().map(|histogram| histogram_samples(histogram)).sum::<usize>()
    }

    /// How many samples are later than a moment.
    pub(crate) fn samples_after(&self, series: &RangeSeries, moment: i64) -> usize {
        let floats = series.times[self.floats.clone()].iter().rev().take_while(|time| **time > moment).count();
        let times = &series.histogram_times[self.histograms.clone()];
        let late = times.iter().rev().take_while(|time| **time > moment).count();
        let histograms = &series.histograms[self.histograms.end - late..self.histograms.end];
        floats + histograms.iter().map(|histogram| histogram_samples(histogram)).sum::<usize>()
    }
}

/// Where windows lie relative to a query's steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowShape {
    pub range: i64,
    pub offset: i64,
    pub at: Option<i64>,
    pub extension: Option<RangeExtension>,
    pub lookback: i64,
}

impl WindowShape {
    /// The border before the first sample and the last moment that a window at a step takes in.
    pub(super) fn bounds(&self, time: i64) -> (i64, i64) {
        let end = self.at.unwrap_or(time).saturating_sub(self.offset);
        let start = end.saturating_sub(self.range);
        match self.extension {
            None => (start, end),
            Some(RangeExtension::Anchored) => (start.saturating_sub(self.lookback), end),
            Some(RangeExtension::Smoothed) => (start.saturating_sub(self.lookback), end.saturating_add(self.lookback)),
        }
    }

    /// The windows of a series at the steps where they hold a sample.
    pub(super) fn windows(&self, series: &RangeSeries, grid: Grid, windows: &mut Vec<Window>) {
        windows.clear();
        let (mut floats, mut histograms) = (0..0, 0..0);
        let any_histograms = !series.histogram_times.is_empty();
        for (step, time) in grid.times().enumerate() {
            let (first, last) = self.bounds(time);
            floats = slide(&series.times, floats, first, last);
            if any_histograms {
                histograms = slide(&series.histogram_times, histograms, first, last);
            }
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            let end = self.at.unwrap_or(time).saturating_sub(self.offset);
            let start = end.saturating_sub(self.range);
            windows.push(Window { step, time, start, end, floats: floats.clone(), histograms: histograms.clone() });
        }
    }
}

/// Moves a window forward so that it holds the times after `first` up to `last`.
fn slide(times: &[i64], window: Range<usize>, first: i64, last: i64) -> Range<usize> {
    let start = advance(times, window.start, first);
    start..advance(times, window.end.max(start), last)
}
