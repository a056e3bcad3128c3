//! OTLP metrics as series of Prometheus.
//!
//! By the compatibility specification, <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>,
//! and where it leaves a choice as Prometheus' own OTLP endpoint does. One thing goes beyond that: points with delta
//! temporality are added up ([`DeltaToCumulative`]) instead of refused.

mod delta;
mod names;
mod points;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tripod_model::series::{Labels, LabelsBuilder, METRIC_NAME, MetricType, SeriesMetadata};
use tripod_model::sink::{MetricSink, Sink};
use tripod_model::{Attribute, Metric, MetricKind, Point, Resource, Scope, Temporality, Value};
use tripod_storage::record::Rejections;
use tripod_storage::series::{FloatSample, SeriesAppended, SeriesBatch, SeriesStore};

use self::names::{label_name, metric_name, unit_name};

use super::store::keep;
use crate::refusal::Refusal;

pub use self::delta::DeltaToCumulative;
pub use self::settings::{OtlpSeriesSettings, TranslationStrategy};

/// A `target_info` sample is found for as long as the lookback; two lie at most half of it apart, milliseconds.
const TARGET_INFO_INTERVAL: i64 = 150_000;

/// So many `target_info` samples a resource may give: more would be the work of wrong clocks.
const MAX_TARGET_INFO: i64 = 1000;

/// Attributes that become `job` and `instance`.
const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// Where OTLP metrics go as series.
#[derive(Clone, Debug)]
pub struct SeriesTarget {
    store: Arc<dyn SeriesStore>,
    settings: Arc<OtlpSeriesSettings>,
    deltas: Arc<DeltaToCumulative>,
}

impl SeriesTarget {
    /// Series for a store, translated as the settings say.
    pub fn new(store: Arc<dyn SeriesStore>, settings: OtlpSeriesSettings) -> Self {
        Self { store, settings: Arc::new(settings), deltas: Arc::default() }
    }

    /// A sink for a request that arrived at a time, in milliseconds since the Unix epoch.
    pub(crate) fn sink(&self, arrival: i64) -> OtlpSeries {
        OtlpSeries::new(Arc::clone(&self.settings), Arc::clone(&self.deltas), arrival)
    }

    pub(crate) async fn keep(&self, batch: SeriesBatch) -> Result<SeriesAppended, Refusal> {
        keep(&self.store, batch).await
    }
}

/// Turns the metrics of a request into a [`SeriesBatch`].
#[derive(Debug)]
pub struct OtlpSeries {
    settings: Arc<OtlpSeriesSettings>,
    deltas: Arc<DeltaToCumulative>,
    /// Milliseconds since the Unix epoch: the time of points that have none.
    arrival: i64,
    batch: SeriesBatch,
    metadata: HashMap<String, SeriesMetadata>,
    rejections: Rejections,
    label_names: HashMap<String, Result<String, String>>,
    resource: ResourceLabels,
    scope: Vec<(String, String)>,
    metric: Option<Family>,
    target_infos: HashSet<(Labels, i64)>,
}

/// What all series of a resource have in common.
#[derive(Debug, Default)]
struct ResourceLabels {
    promoted: Vec<(String, String)>,
    job: String,
    instance: String,
    target_info: Option<Labels>,
    /// The times of the first and the last point, milliseconds.
    times: Option<(i64, i64)>,
}

/// The metric whose points follow.
#[derive(Debug)]
struct Family {
    name: String,
    is_delta: bool,
}

impl OtlpSeries {
    /// A sink for one request that arrived at a time, in milliseconds since the Unix epoch.
    pub fn new(settings: Arc<OtlpSeriesSettings>, deltas: Arc<DeltaToCumulative>, arrival: i64) -> Self {
        Self {
            settings,
            deltas,
            arrival,
            batch: SeriesBatch::default(),
            metadata: HashMap::new(),
            rejections: Rejections::default(),
            label_names: HashMap::new(),
            resource: ResourceLabels::default(),
            scope: Vec::new(),
            metric: None,
            target_infos: HashSet::new(),
        }
    }

    /// The series of the request, and what could not be translated.
    pub fn finish(mut self) -> (SeriesBatch, Rejections) {
        self.finish_resource();
        self.batch.metadata = self.metadata.into_iter().collect();
        (self.batch, self.rejections)
    }

    fn reject(&mut self, reason: impl Into<String>) {
        self.rejections.count += 1;
        self.rejections.first.get_or_insert_with(|| reason.into());
    }

    /// Writes `target_info` over the time of the resource's points.
    fn finish_resource(&mut self) {
        let resource = std::mem::take(&mut self.resource);
        let (Some(labels), Some((first, last))) = (resource.target_info, resource.times) else { return };
        let family =
            SeriesMetadata { metric_type: MetricType::Gauge, unit: String::new(), help: "Target metadata".to_owned() };
        self.metadata.entry("target_info".to_owned()).or_insert(family);
        let mut times: Vec<i64> = (0..MAX_TARGET_INFO)
            .map(|step| first.saturating_add(step * TARGET_INFO_INTERVAL))
            .take_while(|time| *time < last)
            .collect();
        times.push(last);
        for timestamp in times {
            if self.target_infos.insert((labels.clone(), timestamp)) {
                let series = self.series(labels.clone());
                self.batch.floats.push(FloatSample { series, timestamp, start: 0, value: 1.0 });
            }
        }
    }

    fn series(&mut self, labels: Labels) -> u32 {
        let index = self.batch.labels.len() as u32;
        self.batch.labels.push(labels);
        index
    }

    /// A label's name, translated once for a request.
    fn label_name(&mut self, attribute: &str) -> Result<String, String> {
        if let Some(name) = self.label_names.get(attribute) {
            return name.clone();
        }
        let OtlpSeriesSettings {
            translation_strategy,
            label_name_preserve_multiple_underscores: preserve,
            label_name_underscore_sanitization: sanitize,
            ..
        } = *self.settings;
        let name = label_name(attribute, translation_strategy, preserve, sanitize);
        self.label_names.insert(attribute.to_owned(), name.clone());
        name
    }

    /// Attributes as labels. Attributes that get the same name share it: their values stand side by side, in the order
    /// of their keys, with a semicolon between.
    fn attributes(&mut self, attributes: &[Attribute<'_>], skip: &[&str]) -> Result<LabelsBuilder, String> {
        let sorted: BTreeMap<&str, &Value<'_>> = attributes
            .iter()
            .filter(|attribute| !skip.contains(&attribute.key.as_ref()) && attribute.key != METRIC_NAME)
            .map(|attribute| (attribute.key.as_ref(), &attribute.value))
            .collect();
        let mut labels = LabelsBuilder::default();
        for (key, value) in sorted {
            let name = self.label_name(key)?;
            let text = value_text(value);
            match labels.get(&name) {
                Some(before) if self.settings.translation_strategy.escapes() => {
                    let joined = format!("{before};{text}");
                    labels.set(&name, &joined);
                }
                _ => {
                    labels.set(&name, &text);
                }
            }
        }
        Ok(labels)
    }

    /// The labels of a point, without the metric's name.
    fn point_labels(&mut self, attributes: &[Attribute<'_>]) -> Result<LabelsBuilder, String> {
        let mut labels = self.attributes(attributes, &[])?;
        for (name, value) in &self.resource.promoted {
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        for (name, value) in [("job", &self.resource.job), ("instance", &self.resource.instance)] {
            if !value.is_empty() {
                labels.set(name, value);
            }
        }
        for (name, value) in &self.scope {
            labels.set(name, value);
        }
        Ok(labels)
    }

    fn try_resource(&mut self, resource: &Resource<'_>) -> Result<(), String> {
        let text = |key: &str| {
            let found = resource.attributes.iter().find(|attribute| attribute.key == key);
            found.map(|attribute| value_text(&attribute.value)).unwrap_or_default()
        };
        let (namespace, name) = (text("service.namespace"), text("service.name"));
        let job = if namespace.is_empty() || name.is_empty() { name } else { format!("{namespace}/{name}") };
        let instance = text("service.instance.id");
        let settings = Arc::clone(&self.settings);
        let promoted: Vec<_> =
            resource.attributes.iter().filter(|attribute| settings.promotes(&attribute.key)).cloned().collect();
        let promoted = self.attributes(&promoted, &[])?;
        let promoted = promoted.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let is_described = resource.attributes.iter().any(|attribute| !IDENTIFYING.contains(&attribute.key.as_ref()));
        let mut target_info = None;
        if is_described && !(job.is_empty() && instance.is_empty()) {
            let skip: &[&str] = if settings.keep_identifying_resource_attributes { &[] } else { &IDENTIFYING };
            let mut labels = self.attributes(&resource.attributes, skip)?;
            labels.set("job", &job).set("instance", &instance).set(METRIC_NAME, "target_info");
            target_info = Some(labels.build());
        }
        self.resource = ResourceLabels { promoted, job, instance, target_info, times: None };
        Ok(())
    }

    fn try_scope(&mut self, scope: &Scope<'_>) -> Result<(), String> {
        self.scope.clear();
        if !self.settings.promote_scope_metadata {
            return Ok(());
        }
        for attribute in &scope.attributes {
            let name = self.label_name(&format!("otel_scope_{}", attribute.key))?;
            self.scope.push((name, value_text(&attribute.value)));
        }
        for (name, value) in [
            ("otel_scope_name", &scope.name),
            ("otel_scope_version", &scope.version),
            ("otel_scope_schema_url", &scope.schema_url),
        ] {
            self.scope.push((name.to_owned(), value.clone().into_owned()));
        }
        Ok(())
    }

    fn try_metric(&mut self, metric: &Metric<'_>) -> Result<Family, String> {
        let has_temporality =
            matches!(metric.kind, MetricKind::Sum | MetricKind::Histogram | MetricKind::ExponentialHistogram);
        let is_delta = has_temporality && metric.temporality == Temporality::DELTA;
        if has_temporality && !is_delta && metric.temporality != Temporality::CUMULATIVE {
            return Err(format!("invalid temporality and type combination for metric {:?}", metric.name));
        }
        let name = metric_name(metric, self.settings.translation_strategy)?;
        let metadata = SeriesMetadata {
            metric_type: match metric.kind {
                MetricKind::Sum if metric.is_monotonic => MetricType::Counter,
                MetricKind::Sum | MetricKind::Gauge => MetricType::Gauge,
                MetricKind::Histogram | MetricKind::ExponentialHistogram => MetricType::Histogram,
                MetricKind::Summary => MetricType::Summary,
            },
            unit: unit_name(&metric.unit),
            help: metric.description.clone().into_owned(),
        };
        self.metadata.entry(name.clone()).or_insert(metadata);
        Ok(Family { name, is_delta })
    }
}

impl Sink for OtlpSeries {
    fn resource(&mut self, resource: &Resource<'_>) {
        self.finish_resource();
        if let Err(reason) = self.try_resource(resource) {
            self.reject(reason);
        }
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        if let Err(reason) = self.try_scope(scope) {
            self.reject(reason);
        }
    }
}

impl MetricSink for OtlpSeries {
    fn metric(&mut self, metric: &Metric<'_>) {
        self.metric = match self.try_metric(metric) {
            Ok(family) => Some(family),
            Err(reason) => {
                self.reject(reason);
                None
            }
        };
    }

    fn point(&mut self, point: &Point<'_>) {
        let Some(family) = self.metric.take() else {
            // Why is said of the metric.
            self.rejections.count += 1;
            return;
        };
        if let Err(reason) = self.try_point(&family, point) {
            self.reject(reason);
        }
        self.metric = Some(family);
    }
}

/// A value as the text of a label.
fn value_text(value: &Value<'_>) -> String {
    match value {
        Value::Empty => String::new(),
        Value::Str(text) => text.clone().into_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::Array(_) | Value::Map(_) => {
            let mut json = Vec::new();
            tripod_storage::write_value(value, &mut json);
            String::from_utf8(json).unwrap_or_default()
        }
    }
}
