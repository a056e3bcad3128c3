//! `io.prometheus.write.v2.Request`, written: for what sends to a receiver, and to prove that what is written is read.

use std::collections::HashMap;

use prost::encoding::{double, int64, uint32};
use tripod_model::series::{Labels, MetricType, SeriesMetadata};
use tripod_prometheus_proto::{histogram, nested};
use tripod_storage::series::SeriesBatch;

/// A batch as a request of version 2, not compressed.
///
/// Metadata goes with the series of the family that it is about.
pub fn encode(batch: &SeriesBatch) -> Vec<u8> {
    let mut symbols = Symbols::default();
    symbols.reference("");
    let metadata: HashMap<&str, &SeriesMetadata> =
        batch.metadata.iter().map(|(name, metadata)| (name.as_str(), metadata)).collect();
    let mut by_labels: HashMap<&Labels, usize> = HashMap::new();
    let mut series: Vec<Vec<u8>> = Vec::new();
    let mut of_index = Vec::with_capacity(batch.labels.len());
    for labels in &batch.labels {
        let at = *by_labels.entry(labels).or_insert_with(|| {
            let mut message = Vec::new();
            let references: Vec<u32> =
                labels.iter().flat_map(|(name, value)| [name, value]).map(|text| symbols.reference(text)).collect();
            uint32::encode_packed(1, &references, &mut message);
            if let Some(known) = family_of(labels.metric_name().unwrap_or(""), &metadata) {
                let body = symbols.metadata(known);
                nested(5, &body, &mut message);
            }
            series.push(message);
            series.len() - 1
        });
        of_index.push(at);
    }
    let mut body = Vec::new();
    for sample in &batch.floats {
        let Some(message) = of_index.get(sample.series as usize).and_then(|at| series.get_mut(*at)) else { continue };
        body.clear();
        double::encode(1, &sample.value, &mut body);
        int64::encode(2, &sample.timestamp, &mut body);
        if sample.start != 0 {
            int64::encode(3, &sample.start, &mut body);
        }
        nested(2, &body, message);
    }
    for sample in &batch.histograms {
        let Some(message) = of_index.get(sample.series as usize).and_then(|at| series.get_mut(*at)) else { continue };
        body.clear();
        histogram(&sample.value, &mut body);
        int64::encode(15, &sample.timestamp, &mut body);
        if sample.start != 0 {
            int64::encode(17, &sample.start, &mut body);
        }
        nested(3, &body, message);
    }
    for (index, exemplar) in &batch.exemplars {
        let Some(message) = of_index.get(*index as usize).and_then(|at| series.get_mut(*at)) else { continue };
        let references: Vec<u32> = exemplar
            .labels
            .iter()
            .flat_map(|(name, value)| [name, value])
            .map(|text| symbols.reference(text))
            .collect();
        body.clear();
        uint32::encode_packed(1, &references, &mut body);
        double::encode(2, &exemplar.value, &mut body);
        int64::encode(3, &exemplar.timestamp, &mut body);
        nested(4, &body, message);
    }
    let mut request = Vec::new();
    for symbol in &symbols.texts {
        nested(4, symbol.as_bytes(), &mut request);
    }
    for message in &series {
        nested(5, message, &mut request);
    }
    request
}

fn family_of<'a>(name: &str, metadata: &HashMap<&str, &'a SeriesMetadata>) -> Option<&'a SeriesMetadata> {
    let suffixes = ["", "_total", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info"];
    suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix)).find_map(|family| metadata.get(family).copied())
}

#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    by_text: HashMap<String, u32>,
}

impl Symbols {
    fn reference(&mut self, text: &str) -> u32 {
        if let Some(reference) = self.by_text.get(text) {
            return *reference;
        }
        let reference = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.by_text.insert(text.to_owned(), reference);
        reference
    }

    fn metadata(&mut self, metadata: &SeriesMetadata) -> Vec<u8> {
        let number = match metadata.metric_type {
            MetricType::Unknown => 0,
            MetricType::Counter => 1,
            MetricType::Gauge => 2,
            MetricType::Histogram => 3,
            MetricType::GaugeHistogram => 4,
            MetricType::Summary => 5,
            MetricType::Info => 6,
            MetricType::StateSet => 7,
        };
        let mut body = Vec::new();
        uint32::encode(1, &number, &mut body);
        uint32::encode(3, &self.reference(&metadata.help), &mut body);
        uint32::encode(4, &self.reference(&metadata.unit), &mut body);
        body
    }
}
