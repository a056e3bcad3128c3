//! `rate`, `increase` and `delta` of native histograms.

use std::sync::Arc;

use tripod_model::series::{CounterResetHint, FloatHistogram, IncompatibleSchemas};

use super::histogram::between;
use super::rate::{Extent, Rate, is_start_reset, overlaps};
use crate::engine::{HistogramOperation, Note, Notes, Window};

/// The rate over a window that holds histograms alone.
pub(super) fn rate(rate: &Rate<'_>, window: &Window, notes: &mut Notes) -> Option<Arc<FloatHistogram>> {
    let samples = Samples::of(rate, window);
    let result = match rate.call.extension {
        Some(_) => samples.extended(window, notes)?,
        None => samples.extrapolated(window, notes)?,
    };
    Some(Arc::new(result))
}

struct Samples<'a> {
    rate: &'a Rate<'a>,
    times: &'a [i64],
    histograms: &'a [Arc<FloatHistogram>],
    /// Empty when start times are not known.
    starts: &'a [i64],
    position: usize,
    metric: &'a str,
}

impl<'a> Samples<'a> {
    fn of(rate: &'a Rate<'a>, window: &Window) -> Self {
        let series = rate.series;
        Self {
            rate,
            times: &series.histogram_times[window.histograms.clone()],
            histograms: &series.histograms[window.histograms.clone()],
            starts: series.histogram_starts.get(window.histograms.clone()).unwrap_or(&[]),
            position: rate.call.position,
            metric: series.metric(),
        }
    }

    /// From the samples within the range, as for numbers.
    fn extrapolated(&self, window: &Window, notes: &mut Notes) -> Option<FloatHistogram> {
        let mut result = match self.histograms.len() {
            1 => None,
            _ => Some(self.increase(notes)?),
        };
        let first = &self.histograms[0];
        let extent = Extent { first: self.times[0], last: self.times[self.times.len() - 1], samples: self.times.len() };
        let start = if self.rate.counter { self.starts.first().copied().unwrap_or(0) } else { 0 };
        let zero = result.as_ref().filter(|result| self.rate.counter && result.count > 0.0 && first.count >= 0.0);
        let zero = zero.map(|result| first.count / result.count);
        let mut factor = extent.factor(window, start, zero)?;
        if extent.begins_at(start, window) {
            result = Some(match result {
                None => (**first).clone(),
                Some(mut sum) => {
                    self.add(&mut sum, first, notes)?;
                    sum
                }
            });
        }
        if self.rate.per_second {
            factor /= self.rate.call.range_seconds();
        }
        let mut result = result?;
        result.mul(factor);
        Some(result)
    }

    /// The difference between the last and the first of at least two histograms, resets made up for.
    fn increase(&self, notes: &mut Notes) -> Option<FloatHistogram> {
        let (histograms, counter) = (self.histograms, self.rate.counter);
        let (first, second, last) = (&histograms[0], &histograms[1], &histograms[histograms.len() - 1]);
        let gauge = |histogram: &FloatHistogram| histogram.counter_reset_hint == CounterResetHint::Gauge;
        if counter && (gauge(first) || gauge(last)) {
            notes.add(Note::histogram_not_counter(self.position, self.metric));
        }
        // Nothing of the first one is needed when the counter begins anew right after it, whatever its buckets are.
        let nothing = (counter && (self.start_reset(1) || second.detect_reset(first))).then(|| FloatHistogram {
            schema: second.schema,
            custom_values: second.custom_values.clone(),
            ..FloatHistogram::default()
        });
        let first = nothing.as_ref().unwrap_or(first);
        let custom = first.uses_custom_buckets();
        if last.uses_custom_buckets() != custom {
            return self.incompatible(notes);
        }
        let mut schema = last.schema.min(first.schema);
        if counter {
            for histogram in &histograms[1..histograms.len() - 1] {
                if gauge(histogram) {
                    notes.add(Note::histogram_not_counter(self.position, self.metric));
                }
                schema = schema.min(histogram.schema);
                if histogram.uses_custom_buckets() != custom {
                    return self.incompatible(notes);
                }
            }
        }
        let mut result = last.to_schema(schema);
        self.sub(&mut result, first, notes)?;
        if counter {
            let mut before = first;
            let mut overlapping = false;
            for (index, histogram) in histograms.iter().enumerate().skip(1) {
                overlapping |= self
                    .starts
                    .get(index)
                    .is_some_and(|start| overlaps((self.starts[index - 1], self.times[index - 1]), *start));
                if self.start_reset(index) || histogram.detect_reset(before) {
                    self.add(&mut result, before, notes)?;
                }
                before = histogram;
            }
            if overlapping {
                notes.add(Note::start_time_overlap(self.position, self.metric));
            }
        } else if !gauge(&histograms[0]) || !gauge(last) {
            notes.add(Note::histogram_not_gauge(self.position, self.metric));
        }
        result.counter_reset_hint = CounterResetHint::Gauge;
        result.compact(0);
        Some(result)
    }

    fn start_reset(&self, index: usize) -> bool {
        self.starts.get(index).is_some_and(|start| {
            is_start_reset((self.starts[index - 1], self.times[index - 1]), (*start, self.times[index]))
        })
    }

    /// From the histograms at the borders of the range.
    fn extended(&self, window: &Window, notes: &mut Notes) -> Option<FloatHistogram> {
        let (times, histograms, counter) = (self.times, self.histograms, self.rate.counter);
        let smoothed = self.rate.call.extension == Some(crate::ast::RangeExtension::Smoothed);
        let borders = crate::engine::Extended::of(times, window.start, window.end, smoothed)?;
        let (first, last) = (borders.first, borders.last);
        if smoothed && times[first] > window.end {
            return None;
        }
        let custom = histograms[first].uses_custom_buckets();
        for histogram in &histograms[first..=last] {
            if histogram.uses_custom_buckets() != custom {
                return self.incompatible(notes);
            }
            if counter && histogram.counter_reset_hint == CounterResetHint::Gauge {
                notes.add(Note::histogram_not_counter(self.position, self.metric));
            }
        }
        let mut at = |index: usize, moment: i64| {
            let side = |index: usize| (times[index], &*histograms[index]);
            let value = between(side(index), side(index + 1), moment, counter, self.position, notes);
            match value {
                Ok(value) => Some(value),
                Err(IncompatibleSchemas) => self.incompatible(notes),
            }
        };
        let left = match smoothed && times[first] < window.start {
            true => at(first, window.start)?,
            false => (*histograms[first]).clone(),
        };
        let right = match smoothed && last > 0 && times[last] > window.end {
            true => at(last - 1, window.end)?,
            false => (*histograms[last]).clone(),
        };
        let gauge = CounterResetHint::Gauge;
        if !counter && (left.counter_reset_hint != gauge || right.counter_reset_hint != gauge) {
            notes.add(Note::histogram_not_gauge(self.position, self.metric));
        }
        let mut result = right.clone();
        self.sub(&mut result, &left, notes)?;
        if counter && let Some(correction) = self.correction((first, last), (&left, &right), window, smoothed, notes)? {
            self.add(&mut result, &correction, notes)?;
        }
        if self.rate.per_second {
            result.div(self.rate.call.range_seconds());
        }
        result.counter_reset_hint = gauge;
        result.compact(0);
        Some(result)
    }

    /// What the counter had before each reset between the borders.
    fn correction(
        &self,
        (first, last): (usize, usize),
        (left, right): (&FloatHistogram, &FloatHistogram),
        window: &Window,
        smoothed: bool,
        notes: &mut Notes,
    ) -> Option<Option<FloatHistogram>> {
        let histograms = self.histograms;
        let mut before = left;
        // The first sample is represented by the left border, the last one by the right.
        let mut from = first + 1;
        if smoothed && self.times[first] < window.start && histograms[first + 1].detect_reset(&histograms[first]) {
            // The border was interpolated over that reset already.
            before = &histograms[first + 1];
            from += 1;
        }
        if from > last {
            return Some(None);
        }
        let mut correction: Option<FloatHistogram> = None;
        let between = histograms[from..last].iter().map(|histogram| &**histogram);
        for histogram in between.chain([right]) {
            if histogram.detect_reset(before) {
                match &mut correction {
                    None => correction = Some(before.clone()),
                    Some(correction) => self.add(correction, before, notes)?,
                }
            }
            before = histogram;
        }
        Some(correction)
    }

    fn add(&self, sum: &mut FloatHistogram, histogram: &FloatHistogram, notes: &mut Notes) -> Option<()> {
        match sum.add(histogram) {
            Ok(reconciled) if reconciled.custom_bounds => {
                notes.add(Note::mismatched_custom_buckets(self.position, HistogramOperation::Addition));
                Some(())
            }
            Ok(_) => Some(()),
            Err(IncompatibleSchemas) => self.incompatible(notes),
        }
    }

    fn sub(&self, from: &mut FloatHistogram, histogram: &FloatHistogram, notes: &mut Notes) -> Option<()> {
        match from.sub(histogram) {
            Ok(reconciled) if reconciled.custom_bounds => {
                notes.add(Note::mismatched_custom_buckets(self.position, HistogramOperation::Subtraction));
                Some(())
            }
            Ok(_) => Some(()),
            Err(IncompatibleSchemas) => self.incompatible(notes),
        }
    }

    fn incompatible<T>(&self, notes: &mut Notes) -> Option<T> {
        notes.add(Note::mixed_exponential_custom(self.position, self.metric));
        None
    }
}
