use std::collections::HashMap;

use tripod_model::series::{SeriesExemplar, SeriesMetadata};
use tripod_storage::series::{FloatSample, HistogramSample, SeriesBatch};

use super::{Exemplar, ExpositionSink, HistogramPoint, LabelSet, Metadata, Sample};

/// Collects an exposition in a [`SeriesBatch`], as it stands: no relabelling, no limits. For pushes and imports.
#[derive(Debug)]
pub struct BatchSink {
    batch: SeriesBatch,
    now: i64,
    metric: (usize, usize),
    families: HashMap<String, SeriesMetadata>,
}

impl BatchSink {
    /// A sink that gives samples without a time this one, in milliseconds since the Unix epoch.
    pub fn new(now: i64) -> Self {
        Self { batch: SeriesBatch::default(), now, metric: (0, 0), families: HashMap::new() }
    }

    /// How many samples are collected.
    pub fn len(&self) -> usize {
        self.batch.floats.len() + self.batch.histograms.len()
    }

    /// Whether nothing is collected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was collected; the sink begins anew, but still knows what was said of families.
    pub fn take(&mut self) -> SeriesBatch {
        self.metric = (0, 0);
        let mut batch = std::mem::take(&mut self.batch);
        batch.metadata = self.families.iter().map(|(name, metadata)| (name.clone(), metadata.clone())).collect();
        batch
    }

    fn series(&mut self, labels: &LabelSet) -> u32 {
        let index = self.batch.labels.len() as u32;
        self.batch.labels.push(labels.to_labels());
        index
    }

    fn exemplar(&mut self, series: u32, exemplar: &Exemplar<'_>) {
        let timestamp = exemplar.timestamp.unwrap_or(self.now);
        let labels = exemplar.labels.to_labels();
        self.batch.exemplars.push((series, SeriesExemplar { labels, value: exemplar.value, timestamp }));
    }
}

impl ExpositionSink for BatchSink {
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        merge(&mut self.families, family, metadata);
    }

    fn metric(&mut self) {
        self.metric = (self.batch.floats.len(), self.batch.histograms.len());
    }

    fn sample(&mut self, sample: Sample<'_>) {
        let series = self.series(sample.labels);
        let timestamp = sample.timestamp.unwrap_or(self.now);
        self.batch.floats.push(FloatSample { series, timestamp, start: sample.start, value: sample.value });
        if let Some(exemplar) = &sample.exemplar {
            self.exemplar(series, exemplar);
        }
    }

    fn histogram(&mut self, point: HistogramPoint<'_>) {
        let series = self.series(point.labels);
        let timestamp = point.timestamp.unwrap_or(self.now);
        self.batch.histograms.push(HistogramSample { series, timestamp, start: point.start, value: point.value });
        for exemplar in point.exemplars {
            self.exemplar(series, &exemplar.borrow());
        }
    }

    fn created(&mut self, start: i64) {
        let (floats, histograms) = self.metric;
        for sample in self.batch.floats.iter_mut().skip(floats) {
            sample.start = start;
        }
        for sample in self.batch.histograms.iter_mut().skip(histograms) {
            sample.start = start;
        }
    }
}

/// Adds one thing that is known of a family to the others.
pub(in crate::prometheus) fn merge(
    families: &mut HashMap<String, SeriesMetadata>,
    family: &str,
    metadata: Metadata<'_>,
) {
    if !families.contains_key(family) {
        families.insert(family.to_owned(), SeriesMetadata::default());
    }
    let Some(known) = families.get_mut(family) else { return };
    match metadata {
        Metadata::Type(metric_type) => known.metric_type = metric_type,
        Metadata::Help(help) if known.help != help => known.help = help.to_owned(),
        Metadata::Unit(unit) if known.unit != unit => known.unit = unit.to_owned(),
        Metadata::Help(_) | Metadata::Unit(_) => {}
    }
}
