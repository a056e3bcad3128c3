use std::collections::BTreeMap;
use std::sync::Arc;

use tripod_model::series::{FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, MetricType, STALE_NAN, SeriesMetadata};
use tripod_storage::series::{FloatSample, HistogramSample, SeriesBatch};

use crate::prometheus::exposition::{ExpositionSink, HistogramPoint, LabelSet, Metadata, Sample, merge};

/// The metrics of one group, as the last pushes left them.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// By metric family.
    families: BTreeMap<String, Vec<Pushed>>,
    /// When the last push came and when the last one was refused, seconds since the Unix epoch; 0 for never.
    push_time: f64,
    push_failure_time: f64,
}

/// A series with its value.
#[derive(Clone, Debug)]
struct Pushed {
    labels: Labels,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// The series about a push.
const ABOUT: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];

impl Group {
    /// The group after a push: all is replaced, or only the families that the push has.
    pub(super) fn pushed(&self, body: PushSink<'_>, replace_all: bool, now: i64) -> Self {
        let mut families = if replace_all { BTreeMap::new() } else { self.families.clone() };
        families.extend(body.families);
        Self { families, push_time: now as f64 / 1000.0, push_failure_time: self.push_failure_time }
    }

    /// The group after a push that was refused.
    pub(super) fn failed(&self, now: i64) -> Self {
        Self { push_failure_time: now as f64 / 1000.0, ..self.clone() }
    }

    /// How many series the group has.
    pub(super) fn len(&self) -> usize {
        self.families.values().map(Vec::len).sum()
    }

    /// Adds the group's values to a batch.
    pub(super) fn append(&self, grouping: &Labels, batch: &mut SeriesBatch, now: i64) {
        for pushed in self.families.values().flatten() {
            push(batch, pushed.labels.clone(), pushed.value.clone(), now);
        }
        for (name, value) in ABOUT.into_iter().zip([self.push_time, self.push_failure_time]) {
            push(batch, about(grouping, name), Value::Float(value), now);
        }
    }

    /// Adds stale markers for what `next` has no more; for all when there is no next.
    pub(super) fn append_stale(&self, grouping: &Labels, next: Option<&Self>, batch: &mut SeriesBatch, now: i64) {
        for (family, series) in &self.families {
            let stays = next.and_then(|next| next.families.get(family));
            for pushed in series {
                if !stays.is_some_and(|stays| stays.iter().any(|each| each.labels == pushed.labels)) {
                    push(batch, pushed.labels.clone(), Value::Float(STALE_NAN), now);
                }
            }
        }
        if next.is_none() {
            for name in ABOUT {
                push(batch, about(grouping, name), Value::Float(STALE_NAN), now);
            }
        }
    }
}

fn about(grouping: &Labels, name: &str) -> Labels {
    let mut labels = grouping.to_builder();
    labels.set(METRIC_NAME, name);
    labels.build()
}

fn push(batch: &mut SeriesBatch, labels: Labels, value: Value, timestamp: i64) {
    let series = batch.labels.len() as u32;
    batch.labels.push(labels);
    match value {
        Value::Float(value) => batch.floats.push(FloatSample { series, timestamp, start: 0, value }),
        Value::Histogram(value) => batch.histograms.push(HistogramSample { series, timestamp, start: 0, value }),
    }
}

/// Collects what a push brings.
pub(super) struct PushSink<'a> {
    grouping: &'a Labels,
    families: BTreeMap<String, Vec<Pushed>>,
    current: String,
    pub(super) metadata: std::collections::HashMap<String, SeriesMetadata>,
    pub(super) error: Option<String>,
}

impl<'a> PushSink<'a> {
    pub(super) fn new(grouping: &'a Labels) -> Self {
        Self { grouping, families: BTreeMap::new(), current: String::new(), metadata: Default::default(), error: None }
    }

    fn push(&mut self, labels: &LabelSet, timestamp: Option<i64>, value: Value) {
        if timestamp.is_some() {
            self.error.get_or_insert_with(|| "pushed metrics must not have timestamps".to_owned());
            return;
        }
        let name = labels.metric_name();
        if ABOUT.contains(&name) {
            // Pushed again by somebody who scraped it: ours tells the truth.
            return;
        }
        let family = match name.strip_prefix(self.current.as_str()) {
            Some("" | "_bucket" | "_sum" | "_count" | "_gsum" | "_gcount" | "_total" | "_created" | "_info") => {
                &self.current
            }
            _ => name,
        };
        let mut labels: LabelsBuilder = labels.to_builder();
        for (name, value) in self.grouping.iter() {
            labels.set(name, value);
        }
        let labels = labels.build();
        let series = self.families.entry(family.to_owned()).or_default();
        if series.iter().any(|each| each.labels == labels) {
            self.error.get_or_insert_with(|| format!("the series {labels} was pushed twice"));
            return;
        }
        series.push(Pushed { labels, value });
    }
}

impl ExpositionSink for PushSink<'_> {
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        family.clone_into(&mut self.current);
        if let (Metadata::Type(new), Some(known)) = (metadata, self.metadata.get(family))
            && known.metric_type != new
            && known.metric_type != MetricType::Unknown
        {
            self.error.get_or_insert_with(|| format!("the metric {family:?} has two types"));
        }
        merge(&mut self.metadata, family, metadata);
    }

    fn sample(&mut self, sample: Sample<'_>) {
        self.push(sample.labels, sample.timestamp, Value::Float(sample.value));
    }

    fn histogram(&mut self, point: HistogramPoint<'_>) {
        self.push(point.labels, point.timestamp, Value::Histogram(point.value));
    }
}
