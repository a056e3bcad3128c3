use std::sync::Arc;

use tripod_model::series::{FloatHistogram, MetricType};

use super::LabelSet;

/// What takes an exposition piece by piece, as it is read; nothing is kept between.
pub trait ExpositionSink {
    /// Something about a metric family; it comes before the family's samples.
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>);

    /// The samples that follow, up to the next call, belong to one metric: one label set of a family, with all buckets
    /// of a histogram or all quantiles of a summary.
    fn metric(&mut self) {}

    /// A float sample.
    fn sample(&mut self, sample: Sample<'_>);

    /// A native histogram.
    fn histogram(&mut self, histogram: HistogramPoint<'_>);

    /// The samples since the last [`ExpositionSink::metric`] have counted since this moment, in milliseconds since the
    /// Unix epoch. OpenMetrics says so after the samples; where it is known before, it stands in the sample.
    fn created(&mut self, _start: i64) {}
}

/// One thing that is known of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata<'a> {
    /// Its type.
    Type(MetricType),
    /// What it measures.
    Help(&'a str),
    /// Its unit.
    Unit(&'a str),
}

/// A float sample.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The series; its name is among the labels.
    pub labels: &'a LabelSet,
    /// The value. Every NaN is the same NaN, none is the stale marker.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where the source gives a time.
    pub timestamp: Option<i64>,
    /// When the counter began, milliseconds since the Unix epoch; 0 when unknown.
    pub start: i64,
    /// An example of what was counted.
    pub exemplar: Option<Exemplar<'a>>,
}

/// A native histogram.
#[derive(Clone, Debug)]
pub struct HistogramPoint<'a> {
    /// The series; its name is among the labels.
    pub labels: &'a LabelSet,
    /// The histogram.
    pub value: Arc<FloatHistogram>,
    /// As in [`Sample::timestamp`].
    pub timestamp: Option<i64>,
    /// As in [`Sample::start`].
    pub start: i64,
    /// Examples of what was counted; each has a time.
    pub exemplars: &'a [OwnedExemplar],
}

/// An example observation.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar<'a> {
    /// Its own labels.
    pub labels: &'a LabelSet,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where the source gives a time.
    pub timestamp: Option<i64>,
}

/// An example observation that stands for itself.
#[derive(Clone, Debug)]
pub struct OwnedExemplar {
    /// Its own labels.
    pub labels: LabelSet,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where the source gives a time.
    pub timestamp: Option<i64>,
}

impl OwnedExemplar {
    /// The same, borrowed.
    pub fn borrow(&self) -> Exemplar<'_> {
        Exemplar { labels: &self.labels, value: self.value, timestamp: self.timestamp }
    }
}
