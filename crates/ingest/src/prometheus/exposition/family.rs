//! Which samples belong together.

use tripod_model::series::MetricType;

use super::LabelSet;
use super::number::{parse_float, write_label_float};

/// The family that the last `# TYPE` line named, and the metric of the last sample.
#[derive(Debug, Default)]
pub(super) struct CurrentFamily {
    pub(super) name: String,
    pub(super) metric_type: MetricType,
    metric: Vec<u8>,
    next: Vec<u8>,
}

impl CurrentFamily {
    pub(super) fn begin(&mut self, name: &str, metric_type: MetricType) {
        self.name.clear();
        self.name.push_str(name);
        self.metric_type = metric_type;
        self.metric.clear();
    }

    /// Writes the values of `le` and `quantile` in one spelling, so that a series stays the same whatever form the
    /// source speaks: `1`, `1.0` and `1e0` become `1.0`, as in Prometheus 3.
    pub(super) fn normalize(&self, labels: &mut LabelSet) {
        let Some(bound) = self.bound_label() else { return };
        let Some(value) = labels.get(bound) else { return };
        let Some(number) = parse_float(value) else { return };
        let mut text = String::new();
        write_label_float(&mut text, number);
        if text != value {
            labels.replace(bound, |out| out.push_str(&text));
        }
    }

    /// The label that tells the samples of one metric apart.
    fn bound_label(&self) -> Option<&'static str> {
        match self.metric_type {
            MetricType::Histogram => Some("le"),
            MetricType::Summary => Some("quantile"),
            _ => None,
        }
    }

    /// Whether a sample is the first of a metric: of a label set without `le` and `quantile`.
    pub(super) fn begins_metric(&mut self, labels: &LabelSet) -> bool {
        self.next.clear();
        let bound = self.bound_label();
        for (name, value) in labels.iter() {
            let value = match name {
                "__name__" => self.suffix(value).map_or(value, |_| &self.name),
                _ if Some(name) == bound => continue,
                _ => value,
            };
            for text in [name, value] {
                self.next.extend_from_slice(&(text.len() as u32).to_le_bytes());
                self.next.extend_from_slice(text.as_bytes());
            }
        }
        let begins = self.next != self.metric;
        std::mem::swap(&mut self.next, &mut self.metric);
        begins
    }

    /// What follows the family's name in a sample's name, when the sample is one of the family's.
    pub(super) fn suffix<'a>(&self, name: &'a str) -> Option<&'a str> {
        let suffix = name.strip_prefix(self.name.as_str())?;
        suffixes(self.metric_type).contains(&suffix).then_some(suffix)
    }
}

/// How the names of a type's samples end.
pub(super) fn suffixes(metric_type: MetricType) -> &'static [&'static str] {
    match metric_type {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Histogram => &["_bucket", "_count", "_sum", "_created"],
        MetricType::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        MetricType::Summary => &["", "_count", "_sum", "_created"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::StateSet | MetricType::Unknown => &[""],
    }
}
