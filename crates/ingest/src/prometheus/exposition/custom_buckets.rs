use std::sync::Arc;

use tripod_model::series::{ClassicHistogram, METRIC_NAME, MetricType};

use super::{ExpositionSink, HistogramPoint, LabelSet, Metadata, OwnedExemplar, Sample, parse_float};

/// Makes native histograms with custom bounds of classic ones on their way to a sink
/// (`convert_classic_histograms_to_nhcb`).
///
/// A metric that has a native histogram already keeps that one. A classic histogram that cannot be converted (counts that
/// are not cumulative) is left as it is, if classic series are kept, and is dropped otherwise, as Prometheus does.
#[derive(Debug)]
pub struct CustomBuckets<S> {
    sink: S,
    keep_classic: bool,
    family: String,
    is_histogram: bool,
    has_native: bool,
    collected: Option<Collected>,
}

#[derive(Debug)]
struct Collected {
    labels: LabelSet,
    histogram: ClassicHistogram,
    is_valid: bool,
    timestamp: Option<i64>,
    start: i64,
    exemplars: Vec<OwnedExemplar>,
}

impl<S: ExpositionSink> CustomBuckets<S> {
    /// A sink in front of another one.
    pub fn new(sink: S, keep_classic: bool) -> Self {
        Self { sink, keep_classic, family: String::new(), is_histogram: false, has_native: false, collected: None }
    }

    /// The sink behind, with the last histogram.
    pub fn finish(mut self) -> S {
        self.flush();
        self.sink
    }

    fn flush(&mut self) {
        let Some(collected) = self.collected.take() else { return };
        if !collected.is_valid {
            return;
        }
        let Ok(histogram) = collected.histogram.convert() else { return };
        if histogram.validate().is_ok() {
            self.sink.histogram(HistogramPoint {
                labels: &collected.labels,
                value: Arc::new(histogram),
                timestamp: collected.timestamp,
                start: collected.start,
                exemplars: &collected.exemplars,
            });
        }
    }

    /// Takes a sample of a classic histogram; false when it is none.
    fn collect(&mut self, sample: &Sample<'_>) -> bool {
        if !self.is_histogram || self.has_native {
            return false;
        }
        let suffix = sample.labels.metric_name().strip_prefix(self.family.as_str());
        let bound = match suffix {
            Some("_bucket") => match sample.labels.get("le").and_then(parse_float).filter(|bound| !bound.is_nan()) {
                Some(bound) => Some(bound),
                None => return false,
            },
            Some("_count" | "_sum") => None,
            _ => return false,
        };
        let family = &self.family;
        let collected = self.collected.get_or_insert_with(|| {
            let mut labels = LabelSet::default();
            labels.push(METRIC_NAME, family);
            for (name, value) in sample.labels.iter().filter(|(name, _)| *name != METRIC_NAME && *name != "le") {
                labels.push(name, value);
            }
            Collected {
                labels,
                histogram: ClassicHistogram::default(),
                is_valid: true,
                timestamp: sample.timestamp,
                start: sample.start,
                exemplars: Vec::new(),
            }
        });
        collected.is_valid &= match (suffix, bound) {
            (_, Some(bound)) => collected.histogram.set_bucket(bound, sample.value).is_ok(),
            (Some("_count"), _) => collected.histogram.set_count(sample.value).is_ok(),
            _ => {
                collected.histogram.set_sum(sample.value);
                true
            }
        };
        if let Some(exemplar) = sample.exemplar {
            let (value, timestamp) = (exemplar.value, exemplar.timestamp);
            collected.exemplars.push(OwnedExemplar { labels: exemplar.labels.clone(), value, timestamp });
        }
        true
    }
}

impl<S: ExpositionSink> ExpositionSink for CustomBuckets<S> {
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        self.flush();
        if let Metadata::Type(metric_type) = metadata {
            self.family.clear();
            self.family.push_str(family);
            self.is_histogram = metric_type == MetricType::Histogram;
        }
        self.sink.metadata(family, metadata);
    }

    fn metric(&mut self) {
        self.flush();
        self.has_native = false;
        self.sink.metric();
    }

    fn sample(&mut self, sample: Sample<'_>) {
        if !self.collect(&sample) || self.keep_classic {
            self.sink.sample(sample);
        }
    }

    fn histogram(&mut self, histogram: HistogramPoint<'_>) {
        self.has_native = true;
        self.sink.histogram(histogram);
    }

    fn created(&mut self, start: i64) {
        if let Some(collected) = &mut self.collected {
            collected.start = start;
        }
        self.sink.created(start);
    }
}
