use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, STALE_NAN, is_stale};

/// What stands in a column where a series has no number: the stale marker's bits, which no evaluation gives as a value
/// (selectors drop stale markers, and arithmetic never yields a signalling NaN).
pub(crate) const ABSENT: f64 = STALE_NAN;

/// Whether a cell holds no number.
#[inline]
pub(crate) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// The values of one series at the steps of a query.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// The series.
    pub labels: Labels,
    /// The metric's name goes when the evaluation ends; only with delayed name removal.
    pub drop_name: bool,
    /// A number per step; [`ABSENT`] where there is none.
    pub floats: Vec<f64>,
    /// A native histogram per step; empty when the series has none at all.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
}

/// The value of a series at a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

impl Column {
    /// A column without a value.
    pub(crate) fn absent(labels: Labels, steps: usize) -> Self {
        Self { labels, drop_name: false, floats: vec![ABSENT; steps], histograms: Vec::new() }
    }

    /// The value at a step.
    pub(crate) fn cell(&self, step: usize) -> Option<Cell<'_>> {
        let value = self.floats[step];
        if !is_absent(value) {
            return Some(Cell::Float(value));
        }
        self.histograms.get(step)?.as_ref().map(Cell::Histogram)
    }

    /// Whether there is a value at a step.
    pub(crate) fn has(&self, step: usize) -> bool {
        !is_absent(self.floats[step]) || self.histogram(step).is_some()
    }

    /// The histogram at a step.
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(step)?.as_ref()
    }

    /// Sets a histogram.
    pub(crate) fn set_histogram(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.floats.len(), None);
        }
        self.floats[step] = ABSENT;
        self.histograms[step] = Some(histogram);
    }

    /// Sets a value.
    pub(crate) fn set(&mut self, step: usize, cell: Cell<'_>) {
        match cell {
            Cell::Float(value) => self.floats[step] = value,
            Cell::Histogram(histogram) => self.set_histogram(step, histogram.clone()),
        }
    }

    /// Whether there is no value at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.iter().all(|value| is_absent(*value)) && self.histograms.iter().all(Option::is_none)
    }

    /// How many samples this is in memory.
    pub(crate) fn samples(&self) -> usize {
        let floats = self.floats.iter().filter(|value| !is_absent(**value)).count();
        floats + self.histograms.iter().flatten().map(|histogram| histogram_samples(histogram)).sum::<usize>()
    }

    /// The values at the steps as a column of numbers alone.
    pub(crate) fn map_floats(mut self, function: impl Fn(f64) -> f64) -> Self {
        for value in &mut self.floats {
            if !is_absent(*value) {
                *value = function(*value);
            }
        }
        self.histograms = Vec::new();
        self
    }
}

/// As how many samples of 16 bytes a native histogram counts, in Prometheus' way of counting.
pub(crate) fn histogram_samples(histogram: &FloatHistogram) -> usize {
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    let numbers = histogram.positive_buckets.len() + histogram.negative_buckets.len() + histogram.custom_values.len();
    (168 + 8 * (spans + numbers) + 8) / 16
}

/// What an expression gives over the steps of a query.
#[derive(Debug)]
pub(crate) enum Evaluated {
    /// A number per step.
    Scalar(Vec<f64>),
    /// Series.
    Vector(Vec<Column>),
    /// A string.
    String(String),
}

impl Evaluated {
    /// As how many samples it counts.
    pub(crate) fn samples(&self) -> usize {
        match self {
            Self::Scalar(values) => values.len(),
            Self::Vector(columns) => columns.iter().map(Column::samples).sum(),
            Self::String(_) => 0,
        }
    }
}
