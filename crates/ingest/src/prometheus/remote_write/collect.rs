use std::sync::Arc;

use tripod_model::series::{CounterResetHint, METRIC_NAME, MetricType, SeriesExemplar};
use tripod_storage::series::{FloatSample, HistogramSample, SeriesBatch};

use crate::prometheus::exposition::LabelSet;
use crate::prometheus::native_histogram::WireHistogram;
use crate::prometheus::protobuf::{Field, Malformed, Message};
use crate::refusal::{Reason, Refusal};

/// How many problems are described.
const SHOWN: usize = 10;

/// What a request holds, and what of it cannot be kept.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) batch: SeriesBatch,
    pub(super) problems: Vec<String>,
    /// How many samples were left out for these problems.
    pub(super) refused: usize,
    max_samples: usize,
    wire: WireHistogram,
}

impl Collected {
    pub(super) fn new(max_samples: usize) -> Self {
        Self { max_samples, ..Self::default() }
    }

    /// Adds a series; `None`, and a problem, when its labels are not valid.
    pub(super) fn series(&mut self, labels: &LabelSet, samples: usize) -> Option<u32> {
        let problem = if labels.metric_name().is_empty() {
            format!("invalid metric name or labels, got {}: there is no {METRIC_NAME}", labels.to_labels())
        } else if let Some(name) = labels.duplicate() {
            format!("invalid labels for series, labels {}, duplicated label {name}", labels.to_labels())
        } else if labels.iter().any(|(name, _)| name.is_empty()) {
            format!("invalid labels for series, labels {}: a label has no name", labels.to_labels())
        } else {
            let index = self.batch.labels.len() as u32;
            self.batch.labels.push(labels.to_labels());
            return Some(index);
        };
        self.problem(problem, samples);
        None
    }

    pub(super) fn problem(&mut self, problem: String, samples: usize) {
        self.refused += samples;
        if self.problems.len() < SHOWN {
            self.problems.push(problem);
        }
    }

    pub(super) fn float(&mut self, sample: FloatSample) -> Result<(), Refusal> {
        self.batch.floats.push(sample);
        self.check_count()
    }

    pub(super) fn exemplar(
        &mut self,
        series: u32,
        labels: &LabelSet,
        value: f64,
        timestamp: i64,
    ) -> Result<(), Refusal> {
        self.batch.exemplars.push((series, SeriesExemplar { labels: labels.to_labels(), value, timestamp }));
        self.check_count()
    }

    /// Reads a histogram; the messages of both versions are alike but for the start timestamp.
    pub(super) fn histogram(&mut self, series: u32, start: i64, field: Field<'_>) -> Result<(), Refusal> {
        let (timestamp, own_start) = read_histogram(field, &mut self.wire).map_err(malformed)?;
        match self.wire.to_float() {
            Ok(histogram) => {
                let start = if own_start == 0 { start } else { own_start };
                let value = Arc::new(histogram);
                self.batch.histograms.push(HistogramSample { series, timestamp, start, value });
            }
            Err(problem) => {
                let labels = self.batch.labels.get(series as usize).map(ToString::to_string).unwrap_or_default();
                self.problem(format!("{problem} for series {labels}"), 1);
            }
        }
        self.check_count()
    }

    fn check_count(&self) -> Result<(), Refusal> {
        let SeriesBatch { floats, histograms, exemplars, .. } = &self.batch;
        let limit = self.max_samples;
        if floats.len() + histograms.len() + exemplars.len() <= limit {
            return Ok(());
        }
        let message = format!(
            "the request has more than {limit} samples, the limit (max_records_per_request); send smaller batches"
        );
        Err(Refusal::new(Reason::TooLarge, message))
    }
}

fn read_histogram(field: Field<'_>, wire: &mut WireHistogram) -> Result<(i64, i64), Malformed> {
    wire.clear();
    let (mut timestamp, mut start) = (0, 0);
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => wire.count = field.varint()? as f64,
            2 => (wire.count, wire.is_float) = (field.double()?, true),
            3 => wire.sum = field.double()?,
            4 => wire.schema = field.sint32()?,
            5 => wire.zero_threshold = field.double()?,
            6 => wire.zero_count = field.varint()? as f64,
            7 => wire.zero_count = field.double()?,
            8 => wire.negative.span(field)?,
            9 => wire.negative.deltas(field)?,
            10 => wire.negative.counts(field)?,
            11 => wire.positive.span(field)?,
            12 => wire.positive.deltas(field)?,
            13 => wire.positive.counts(field)?,
            14 => {
                wire.hint = match field.varint()? {
                    1 => CounterResetHint::CounterReset,
                    2 => CounterResetHint::NotCounterReset,
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                }
            }
            15 => timestamp = field.int64()?,
            16 => wire.custom_values(field)?,
            17 => start = field.int64()?,
            _ => {}
        }
    }
    Ok((timestamp, start))
}

/// The type that stands for a number in both versions' metadata.
pub(super) fn metric_type(number: u64) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}

#[cold]
pub(super) fn malformed(error: impl Into<Malformed>) -> Refusal {
    Refusal::new(Reason::Malformed, format!("the request is no such protobuf message: {}", error.into().0))
}
