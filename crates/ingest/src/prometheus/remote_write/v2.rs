//! `io.prometheus.write.v2.Request`: every text stands once in a table of symbols.

use std::collections::HashMap;

use tripod_model::series::{MetricType, SeriesMetadata};
use tripod_storage::series::FloatSample;

use super::collect::{Collected, malformed, metric_type};
use crate::prometheus::exposition::LabelSet;
use crate::prometheus::protobuf::{Field, Malformed, Message, up_to};
use crate::refusal::Refusal;

/// No series and no exemplar has more labels.
const MAX_REFERENCES: usize = 4096;

pub(super) fn decode(body: &[u8], max_samples: usize) -> Result<Collected, Refusal> {
    let mut reader = Reader {
        symbols: Vec::new(),
        references: Vec::new(),
        labels: LabelSet::default(),
        exemplar_labels: LabelSet::default(),
        metadata: HashMap::new(),
        collected: Collected::new(max_samples),
    };
    // The table may come behind the series that refer to it.
    let mut message = Message::new(body);
    while let Some((number, field)) = message.next().map_err(malformed)? {
        if number == 4 {
            reader.symbols.push(field.text().map_err(malformed)?);
        }
    }
    let mut message = Message::new(body);
    while let Some((number, field)) = message.next().map_err(malformed)? {
        if number == 5 {
            reader.series(field.bytes().map_err(malformed)?)?;
        }
    }
    let Reader { mut collected, metadata, .. } = reader;
    collected.batch.metadata = metadata.into_iter().map(|(name, metadata)| (name.to_owned(), metadata)).collect();
    Ok(collected)
}

struct Reader<'a> {
    symbols: Vec<&'a str>,
    references: Vec<u64>,
    labels: LabelSet,
    exemplar_labels: LabelSet,
    metadata: HashMap<String, SeriesMetadata>,
    collected: Collected,
}

impl Reader<'_> {
    fn series(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.references.clear();
        let (mut samples, mut start, mut metadata) = (0, 0, None);
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next().map_err(malformed)? {
            match number {
                1 => field
                    .extend_varints(&mut self.references, |value| value, up_to(MAX_REFERENCES))
                    .map_err(malformed)?,
                2 | 3 => samples += 1,
                5 => metadata = Some(field),
                // Until the start moved into each sample it stood here.
                6 => start = field.int64().map_err(malformed)?,
                _ => {}
            }
        }
        self.labels.clear();
        if let Err(problem) = resolve(&self.references, &self.symbols, &mut self.labels) {
            self.collected.problem(format!("parsing labels for series {:?}: {problem}", self.references), samples);
            return Ok(());
        }
        if let Some(metadata) = metadata
            && let Err(problem) = self.metadata(metadata).map_err(malformed)?
        {
            self.collected.problem(format!("parsing metadata for series {:?}: {problem}", self.references), samples);
            return Ok(());
        }
        let Some(series) = self.collected.series(&self.labels, samples) else { return Ok(()) };
        if samples == 0 {
            let labels = self.labels.to_labels();
            let problem = format!("TimeSeries must contain at least one sample or histogram for series {labels}");
            self.collected.problem(problem, 0);
            return Ok(());
        }
        let mut message = Message::new(bytes);
        while let Some((number, field)) = message.next().map_err(malformed)? {
            match number {
                2 => {
                    let sample = sample(field, series, start).map_err(malformed)?;
                    self.collected.float(sample)?;
                }
                3 => self.collected.histogram(series, start, field)?,
                4 => self.exemplar(series, field)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn exemplar(&mut self, series: u32, field: Field<'_>) -> Result<(), Refusal> {
        let mut references = Vec::new();
        let (mut value, mut timestamp) = (0.0, 0);
        let mut message = Message::new(field.bytes().map_err(malformed)?);
        while let Some((number, field)) = message.next().map_err(malformed)? {
            match number {
                1 => field.extend_varints(&mut references, |value| value, up_to(MAX_REFERENCES)).map_err(malformed)?,
                2 => value = field.double().map_err(malformed)?,
                3 => timestamp = field.int64().map_err(malformed)?,
                _ => {}
            }
        }
        self.exemplar_labels.clear();
        if let Err(problem) = resolve(&references, &self.symbols, &mut self.exemplar_labels) {
            let labels = self.labels.to_labels();
            self.collected.problem(format!("parsing exemplar for series {labels}: {problem}"), 0);
            return Ok(());
        }
        self.collected.exemplar(series, &self.exemplar_labels, value, timestamp)
    }

    /// What is known of the series' family. The first series that says something speaks for all of the family.
    fn metadata(&mut self, field: Field<'_>) -> Result<Result<(), String>, Malformed> {
        let mut metadata = SeriesMetadata::default();
        let (mut help, mut unit) = (0, 0);
        let mut message = Message::new(field.bytes()?);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => metadata.metric_type = metric_type(field.varint()?),
                3 => help = field.varint()?,
                4 => unit = field.varint()?,
                _ => {}
            }
        }
        for (reference, text) in [(help, &mut metadata.help), (unit, &mut metadata.unit)] {
            match symbol(reference, &self.symbols) {
                Ok(symbol) => *text = symbol.to_owned(),
                // 0 is the empty text, even of an empty table.
                Err(_) if reference == 0 => {}
                Err(problem) => return Ok(Err(problem)),
            }
        }
        if metadata != SeriesMetadata::default() {
            let family = family(self.labels.metric_name(), metadata.metric_type);
            if !self.metadata.contains_key(family) {
                self.metadata.insert(family.to_owned(), metadata);
            }
        }
        Ok(Ok(()))
    }
}

/// The family of a series by its name: what its type adds is cut off.
fn family(name: &str, metric_type: MetricType) -> &str {
    let suffixes: &[&str] = match metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => &["_bucket", "_count", "_sum"],
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn resolve(references: &[u64], symbols: &[&str], labels: &mut LabelSet) -> Result<(), String> {
    let (pairs, rest) = references.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(format!("invalid labelRefs length {}", references.len()));
    }
    for [name, value] in pairs {
        labels.push(symbol(*name, symbols)?, symbol(*value, symbols)?);
    }
    Ok(())
}

fn symbol<'a>(reference: u64, symbols: &[&'a str]) -> Result<&'a str, String> {
    let symbol = usize::try_from(reference).ok().and_then(|index| symbols.get(index));
    symbol
        .copied()
        .ok_or_else(|| format!("labelRef {reference} is outside of the symbols table (size {})", symbols.len()))
}

fn sample(field: Field<'_>, series: u32, start: i64) -> Result<FloatSample, Malformed> {
    let mut sample = FloatSample { series, timestamp: 0, start, value: 0.0 };
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => sample.value = field.double()?,
            2 => sample.timestamp = field.int64()?,
            3 => sample.start = field.int64()?,
            _ => {}
        }
    }
    Ok(sample)
}
