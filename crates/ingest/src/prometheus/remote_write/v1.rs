//! `prometheus.WriteRequest`.

use tripod_model::series::SeriesMetadata;
use tripod_storage::series::FloatSample;

use super::collect::{Collected, malformed, metric_type};
use crate::prometheus::exposition::LabelSet;
use crate::prometheus::protobuf::{Field, Malformed, Message};
use crate::refusal::Refusal;

pub(super) fn decode(body: &[u8], max_samples: usize) -> Result<Collected, Refusal> {
    let mut collected = Collected::new(max_samples);
    let mut labels = LabelSet::default();
    let mut exemplar_labels = LabelSet::default();
    let mut message = Message::new(body);
    while let Some((number, field)) = message.next().map_err(malformed)? {
        match number {
            1 => {
                let bytes = field.bytes().map_err(malformed)?;
                series(bytes, &mut labels, &mut exemplar_labels, &mut collected)?;
            }
            3 => {
                let metadata = metadata(field).map_err(malformed)?;
                collected.batch.metadata.push(metadata);
            }
            _ => {}
        }
    }
    Ok(collected)
}

fn series(
    bytes: &[u8],
    labels: &mut LabelSet,
    exemplar_labels: &mut LabelSet,
    collected: &mut Collected,
) -> Result<(), Refusal> {
    labels.clear();
    let mut samples = 0;
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next().map_err(malformed)? {
        match number {
            1 => label(field, labels).map_err(malformed)?,
            2 | 4 => samples += 1,
            _ => {}
        }
    }
    let Some(series) = collected.series(labels, samples) else { return Ok(()) };
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next().map_err(malformed)? {
        match number {
            2 => {
                let (value, timestamp) = pair(field, None).map_err(malformed)?;
                collected.float(FloatSample { series, timestamp, start: 0, value })?;
            }
            3 => {
                exemplar_labels.clear();
                let (value, timestamp) = pair(field, Some(exemplar_labels)).map_err(malformed)?;
                collected.exemplar(series, exemplar_labels, value, timestamp)?;
            }
            4 => collected.histogram(series, 0, field)?,
            _ => {}
        }
    }
    Ok(())
}

fn label(field: Field<'_>, labels: &mut LabelSet) -> Result<(), Malformed> {
    let (mut name, mut value) = ("", "");
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    labels.push(name, value);
    Ok(())
}

/// A sample, or an exemplar, whose fields come after its labels.
fn pair(field: Field<'_>, labels: Option<&mut LabelSet>) -> Result<(f64, i64), Malformed> {
    let (mut value, mut timestamp) = (0.0, 0);
    let first = if labels.is_some() { 2 } else { 1 };
    let mut labels = labels;
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        if number == first {
            value = field.double()?;
        } else if number == first + 1 {
            timestamp = field.int64()?;
        } else if let (1, Some(labels)) = (number, &mut labels) {
            label(field, labels)?;
        }
    }
    Ok((value, timestamp))
}

fn metadata(field: Field<'_>) -> Result<(String, SeriesMetadata), Malformed> {
    let mut name = "";
    let mut metadata = SeriesMetadata::default();
    let mut message = Message::new(field.bytes()?);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => metadata.metric_type = metric_type(field.varint()?),
            2 => name = field.text()?,
            4 => metadata.help = field.text()?.to_owned(),
            5 => metadata.unit = field.text()?.to_owned(),
            _ => {}
        }
    }
    Ok((name.to_owned(), metadata))
}
