//! From an exposition to a batch: labels of the target, relabelling, limits, and which series are gone.

use std::collections::HashMap;
use std::sync::Arc;

use tripod_model::series::{
    FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, STALE_NAN, SeriesExemplar, SeriesMetadata,
};
use tripod_storage::series::{FloatSample, HistogramSample, SeriesBatch};

use super::config::{JobConfig, ScrapeLimits};
use crate::prometheus::exposition::{
    CustomBuckets, Exemplar, ExpositionSink, Format, HistogramPoint, LabelSet, Metadata, ParseOptions, Sample, merge,
    parse,
};
use crate::prometheus::relabel::relabel;

/// What one target's scrapes have in common: the series that its lines stand for.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    entries: HashMap<Box<[u8]>, Entry>,
    scrape: u64,
    metadata: Arc<HashMap<String, SeriesMetadata>>,
    /// The scrape in which each family was last told of.
    families: HashMap<String, u64>,
}

/// A family that is not told of in so many scrapes is forgotten, as by Prometheus.
const FAMILY_SCRAPES: u64 = 10;

#[derive(Debug)]
struct Entry {
    /// The series after relabelling; `None` when a rule drops it.
    labels: Option<Labels>,
    seen: u64,
    /// Whether the series is marked stale when it is gone: it has a sample, and one without a time of its own.
    tracked: bool,
    /// The same after this scrape, if that goes well.
    next_tracked: bool,
}

/// What a scrape gave.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub(super) batch: SeriesBatch,
    /// Samples in the exposition.
    pub(super) scraped: usize,
    /// Samples after relabelling.
    pub(super) kept: usize,
    /// Series that were not there the scrape before.
    pub(super) new_series: usize,
    /// What is known of families, if that changed.
    pub(super) new_metadata: Option<Arc<HashMap<String, SeriesMetadata>>>,
}

impl SeriesCache {
    /// Reads an exposition of a scrape at `now`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// Why the scrape fails, with what it counted; then nothing of it is kept.
    pub(super) fn append(
        &mut self,
        job: &JobConfig,
        target: &Labels,
        format: Format,
        body: &[u8],
        now: i64,
    ) -> (Appended, Result<(), String>) {
        self.scrape += 1;
        let options = ParseOptions {
            native_histograms: job.native_histograms,
            classic_histograms: job.always_classic_histograms,
            ..ParseOptions::default()
        };
        let metadata = HashMap::clone(&self.metadata);
        let mut sink = ScrapeSink {
            cache: self,
            job,
            target,
            now,
            key: Vec::new(),
            metric: (0, 0),
            metadata,
            appended: Appended::default(),
            error: None,
        };
        let (parsed, sink) = if job.convert_classic_histograms {
            let mut buckets = CustomBuckets::new(sink, job.always_classic_histograms);
            (parse(format, body, &options, &mut buckets), buckets.finish())
        } else {
            (parse(format, body, &options, &mut sink), sink)
        };
        let ScrapeSink { mut appended, metadata, error, .. } = sink;
        let outcome = match (parsed, error) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(()), Some(error)) => Err(error),
            (Ok(()), None) if exceeds(appended.kept as u64, job.limits.samples) => {
                Err(format!("sample limit exceeded: {} samples, the limit is {}", appended.kept, job.limits.samples))
            }
            _ => Ok(()),
        };
        if outcome.is_err() {
            appended.batch = SeriesBatch::default();
            self.stale_all(&mut appended.batch, now);
            // Or a target that fails with other series each time would fill the memory.
            let scrape = self.scrape;
            self.entries.retain(|_, entry| entry.seen != scrape);
            self.families.retain(|_, told| *told != scrape);
            return (appended, outcome);
        }
        let scrape = self.scrape;
        self.families.retain(|_, told| scrape - *told <= FAMILY_SCRAPES);
        let mut metadata = metadata;
        metadata.retain(|family, _| self.families.contains_key(family));
        if metadata != *self.metadata {
            appended.batch.metadata = metadata
                .iter()
                .filter(|(name, known)| self.metadata.get(*name) != Some(known))
                .map(|(name, known)| (name.clone(), known.clone()))
                .collect();
            self.metadata = Arc::new(metadata);
            appended.new_metadata = Some(Arc::clone(&self.metadata));
        }
        self.stale_missing(&mut appended.batch, now);
        (appended, outcome)
    }

    /// Marks the series that were there before and are not any more.
    fn stale_missing(&mut self, batch: &mut SeriesBatch, now: i64) {
        let scrape = self.scrape;
        self.entries.retain(|_, entry| {
            if entry.seen == scrape {
                entry.tracked = entry.next_tracked;
                return true;
            }
            if let Some(labels) = entry.labels.take().filter(|_| entry.tracked) {
                push_float(batch, labels, now, STALE_NAN);
            }
            false
        });
    }

    /// Marks all series: the scrape failed, or there will be no other.
    pub(super) fn stale_all(&mut self, batch: &mut SeriesBatch, now: i64) {
        for entry in self.entries.values_mut() {
            if let Some(labels) = entry.labels.clone().filter(|_| std::mem::take(&mut entry.tracked)) {
                push_float(batch, labels, now, STALE_NAN);
            }
        }
    }
}

/// Adds a series with one sample.
pub(super) fn push_float(batch: &mut SeriesBatch, labels: Labels, timestamp: i64, value: f64) {
    let series = batch.labels.len() as u32;
    batch.labels.push(labels);
    batch.floats.push(FloatSample { series, timestamp, start: 0, value });
}

fn exceeds(count: u64, limit: u64) -> bool {
    limit > 0 && count > limit
}

struct ScrapeSink<'a> {
    cache: &'a mut SeriesCache,
    job: &'a JobConfig,
    target: &'a Labels,
    now: i64,
    key: Vec<u8>,
    metric: (usize, usize),
    metadata: HashMap<String, SeriesMetadata>,
    appended: Appended,
    error: Option<String>,
}

impl ScrapeSink<'_> {
    /// The index of a sample's series in the batch; `None` when it is not kept.
    fn series(&mut self, labels: &LabelSet, has_time: bool) -> Option<u32> {
        if self.error.is_some() {
            return None;
        }
        self.appended.scraped += 1;
        labels.write_key(&mut self.key);
        let scrape = self.cache.scrape;
        let tracked = !has_time || self.job.track_timestamps_staleness;
        let series = match self.cache.entries.get_mut(self.key.as_slice()) {
            Some(entry) => {
                entry.seen = scrape;
                entry.next_tracked = tracked;
                entry.labels.clone()?
            }
            None => {
                let series = match self.relabelled(labels) {
                    Ok(series) => series,
                    Err(error) => {
                        self.error = Some(error);
                        return None;
                    }
                };
                let entry = Entry { labels: series.clone(), seen: scrape, tracked: false, next_tracked: tracked };
                self.cache.entries.insert(self.key.as_slice().into(), entry);
                self.appended.new_series += usize::from(series.is_some());
                series?
            }
        };
        self.appended.kept += 1;
        let index = self.appended.batch.labels.len() as u32;
        self.appended.batch.labels.push(series);
        Some(index)
    }

    fn relabelled(&self, labels: &LabelSet) -> Result<Option<Labels>, String> {
        let mut builder = labels.to_builder();
        add_target_labels(&mut builder, self.target, self.job.honor_labels);
        if !relabel(&self.job.metric_relabel, &mut builder) {
            return Ok(None);
        }
        if builder.get(METRIC_NAME).is_none() {
            return Err(format!("metric name is missing after relabelling: {}", builder.build()));
        }
        check_limits(&builder, &self.job.limits)?;
        Ok(Some(builder.build()))
    }

    fn time(&self, timestamp: Option<i64>) -> i64 {
        timestamp.filter(|_| self.job.honor_timestamps).unwrap_or(self.now)
    }

    fn has_time(&self, timestamp: Option<i64>) -> bool {
        timestamp.is_some() && self.job.honor_timestamps
    }

    fn exemplar(&mut self, series: u32, exemplar: &Exemplar<'_>) {
        let timestamp = exemplar.timestamp.unwrap_or(self.now);
        let exemplar = SeriesExemplar { labels: exemplar.labels.to_labels(), value: exemplar.value, timestamp };
        self.appended.batch.exemplars.push((series, exemplar));
    }
}

impl ExpositionSink for ScrapeSink<'_> {
    fn metadata(&mut self, family: &str, metadata: Metadata<'_>) {
        match self.cache.families.get_mut(family) {
            Some(told) => *told = self.cache.scrape,
            None => {
                self.cache.families.insert(family.to_owned(), self.cache.scrape);
            }
        }
        merge(&mut self.metadata, family, metadata);
    }

    fn metric(&mut self) {
        self.metric = (self.appended.batch.floats.len(), self.appended.batch.histograms.len());
    }

    fn sample(&mut self, sample: Sample<'_>) {
        let Some(series) = self.series(sample.labels, self.has_time(sample.timestamp)) else { return };
        let timestamp = self.time(sample.timestamp);
        let Sample { value, start, .. } = sample;
        self.appended.batch.floats.push(FloatSample { series, timestamp, start, value });
        if let Some(exemplar) = &sample.exemplar {
            self.exemplar(series, exemplar);
        }
    }

    fn histogram(&mut self, point: HistogramPoint<'_>) {
        let Some(series) = self.series(point.labels, self.has_time(point.timestamp)) else { return };
        let timestamp = self.time(point.timestamp);
        match within_buckets(point.value, self.job.limits.native_histogram_buckets) {
            Ok(value) => {
                self.appended.batch.histograms.push(HistogramSample { series, timestamp, start: point.start, value });
            }
            Err(error) => self.error = Some(error),
        }
        for exemplar in point.exemplars {
            self.exemplar(series, &exemplar.borrow());
        }
    }

    fn created(&mut self, start: i64) {
        let (floats, histograms) = self.metric;
        for sample in self.appended.batch.floats.iter_mut().skip(floats) {
            sample.start = start;
        }
        for sample in self.appended.batch.histograms.iter_mut().skip(histograms) {
            sample.start = start;
        }
    }
}

/// The target's labels win over the sample's, which are kept as `exported_...`, unless the job honours them.
fn add_target_labels(labels: &mut LabelsBuilder, target: &Labels, honor_labels: bool) {
    let mut conflicts = Vec::new();
    for (name, value) in target.iter() {
        match labels.get(name) {
            // A label that the sample has without a value is there for honour's sake.
            Some(_) if honor_labels => {}
            Some(existing) => {
                conflicts.push((name.to_owned(), existing.to_owned()));
                labels.set(name, value);
            }
            None => {
                labels.set(name, value);
            }
        }
    }
    // Short names first, so that `exported_a` moves out of the way of `a` in the same order every time.
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut renamed = format!("exported_{name}");
        while labels.get(&renamed).is_some() {
            renamed.insert_str(0, "exported_");
        }
        labels.set(&renamed, &value);
    }
}

fn check_limits(labels: &LabelsBuilder, limits: &ScrapeLimits) -> Result<(), String> {
    let metric = || labels.get(METRIC_NAME).unwrap_or("");
    let count = labels.iter().count() as u64;
    if exceeds(count, limits.labels) {
        return Err(format!(
            "label_limit exceeded (metric: {:?}, number of labels: {count}, limit: {})",
            metric(),
            limits.labels
        ));
    }
    for (name, value) in labels.iter() {
        if exceeds(name.len() as u64, limits.label_name_length) {
            return Err(format!(
                "label_name_length_limit exceeded (metric: {:?}, label name: {name:?}, length: {}, limit: {})",
                metric(),
                name.len(),
                limits.label_name_length
            ));
        }
        if exceeds(value.len() as u64, limits.label_value_length) {
            return Err(format!(
                "label_value_length_limit exceeded (metric: {:?}, label name: {name:?}, length: {}, limit: {})",
                metric(),
                value.len(),
                limits.label_value_length
            ));
        }
    }
    Ok(())
}

/// Makes a histogram coarser until it has few enough buckets.
fn within_buckets(mut histogram: Arc<FloatHistogram>, limit: u64) -> Result<Arc<FloatHistogram>, String> {
    let buckets =
        |histogram: &FloatHistogram| (histogram.positive_buckets.len() + histogram.negative_buckets.len()) as u64;
    while exceeds(buckets(&histogram), limit) {
        if histogram.schema <= -4 {
            return Err(format!(
                "histogram bucket limit exceeded: {} buckets, the limit is {limit}",
                buckets(&histogram)
            ));
        }
        histogram = Arc::new(histogram.to_schema(histogram.schema - 1));
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::prometheus::scrape::ScrapeConfiguration;

    /// A target whose metrics have other names and labels with each scrape.
    #[test]
    fn a_target_with_ever_new_series_takes_no_more_memory() {
        let text = "scrape_configs: [{job_name: j, sample_limit: 10}]";
        let configuration = ScrapeConfiguration::from_yaml(text, Path::new("/")).unwrap();
        let job = &configuration.jobs[0];
        let target = Labels::from_pairs([("instance", "i")]);
        let mut cache = SeriesCache::default();
        for scrape in 0..100 {
            let series = if scrape % 7 == 3 { 20 } else { 5 };
            let line = |series| format!("# TYPE f_{scrape}_{series} gauge\nf_{scrape}_{series} 1\n");
            let body: String = (0..series).map(line).collect();
            let (appended, outcome) = cache.append(job, &target, Format::Text, body.as_bytes(), scrape);
            assert_eq!(outcome.is_ok(), series == 5, "{outcome:?}");
            let stale = appended.batch.floats.iter().filter(|sample| tripod_model::series::is_stale(sample.value));
            assert_eq!(stale.count(), if scrape == 0 || scrape % 7 == 4 { 0 } else { 5 }, "scrape {scrape}");
            assert!(cache.entries.len() <= 5, "{} series", cache.entries.len());
            assert!(cache.metadata.len() <= 55 && cache.families.len() <= 55, "{} families", cache.metadata.len());
            let now = format!("f_{scrape}_0");
            assert_eq!(cache.metadata.contains_key(&now), outcome.is_ok());
        }
    }
}
