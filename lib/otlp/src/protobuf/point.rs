//! The four messages of metric points.

use tripod_model::{Attribute, Buckets, Exemplar, Number, Point, PointValue, Quantile, SpanId, TraceId};
use tripod_protobuf::{Field, Message};

use super::attribute::push_attribute;
use crate::Limits;
use crate::error::{Enclose, Result};
use crate::scratch::{ExponentialHistogramFields, HistogramFields, SpareLists, reuse_quantiles};

/// `NumberDataPoint`, of gauges and sums.
pub(super) fn read_number<'a>(
    point: &mut Point<'a>,
    message: &'a [u8],
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    let mut value = Number::Empty;
    let mut wire = Message::new(message);
    while let Some((number, raw)) = wire.next()? {
        match number {
            2 => point.start_time_unix_nano = raw.fixed64().field("startTimeUnixNano")?,
            3 => point.time_unix_nano = raw.fixed64().field("timeUnixNano")?,
            4 => value = Number::Double(raw.double().field("asDouble")?),
            5 => push_exemplar(point, raw, limits, spare).field("exemplars")?,
            6 => value = Number::Int(raw.fixed64().field("asInt")? as i64),
            7 => push_attribute(&mut point.attributes, raw, limits).field("attributes")?,
            8 => point.flags = raw.uint32().field("flags")?,
            _ => {}
        }
    }
    point.value = PointValue::Number(value);
    Ok(())
}

/// `HistogramDataPoint`.
pub(super) fn read_histogram<'a>(
    point: &mut Point<'a>,
    message: &'a [u8],
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    let admit = |held| limits.admit_element(held);
    let mut fields = HistogramFields::reusing(&mut point.value);
    let mut wire = Message::new(message);
    while let Some((number, raw)) = wire.next()? {
        match number {
            2 => point.start_time_unix_nano = raw.fixed64().field("startTimeUnixNano")?,
            3 => point.time_unix_nano = raw.fixed64().field("timeUnixNano")?,
            4 => fields.count = raw.fixed64().field("count")?,
            5 => fields.sum = Some(raw.double().field("sum")?),
            6 => raw.extend_fixed64(&mut fields.bucket_counts, |count| count, admit).field("bucketCounts")?,
            7 => raw.extend_fixed64(&mut fields.explicit_bounds, f64::from_bits, admit).field("explicitBounds")?,
            8 => push_exemplar(point, raw, limits, spare).field("exemplars")?,
            9 => push_attribute(&mut point.attributes, raw, limits).field("attributes")?,
            10 => point.flags = raw.uint32().field("flags")?,
            11 => fields.min = Some(raw.double().field("min")?),
            12 => fields.max = Some(raw.double().field("max")?),
            _ => {}
        }
    }
    point.value = fields.finish().field("bucketCounts")?;
    Ok(())
}

/// `ExponentialHistogramDataPoint`.
pub(super) fn read_exponential_histogram<'a>(
    point: &mut Point<'a>,
    message: &'a [u8],
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    let mut fields = ExponentialHistogramFields::reusing(&mut point.value);
    let mut wire = Message::new(message);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => push_attribute(&mut point.attributes, raw, limits).field("attributes")?,
            2 => point.start_time_unix_nano = raw.fixed64().field("startTimeUnixNano")?,
            3 => point.time_unix_nano = raw.fixed64().field("timeUnixNano")?,
            4 => fields.count = raw.fixed64().field("count")?,
            5 => fields.sum = Some(raw.double().field("sum")?),
            6 => fields.scale = raw.sint32().field("scale")?,
            7 => fields.zero_count = raw.fixed64().field("zeroCount")?,
            8 => merge_buckets(&mut fields.positive, raw, limits).field("positive")?,
            9 => merge_buckets(&mut fields.negative, raw, limits).field("negative")?,
            10 => point.flags = raw.uint32().field("flags")?,
            11 => push_exemplar(point, raw, limits, spare).field("exemplars")?,
            12 => fields.min = Some(raw.double().field("min")?),
            13 => fields.max = Some(raw.double().field("max")?),
            14 => fields.zero_threshold = raw.double().field("zeroThreshold")?,
            _ => {}
        }
    }
    point.value = fields.finish();
    Ok(())
}

fn merge_buckets(buckets: &mut Buckets, raw: Field<'_>, limits: &Limits) -> Result<()> {
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => buckets.offset = raw.sint32().field("offset")?,
            2 => raw
                .extend_varints(&mut buckets.counts, |count| count, |held| limits.admit_element(held))
                .field("bucketCounts")?,
            _ => {}
        }
    }
    Ok(())
}

/// `SummaryDataPoint`; it has no exemplars.
pub(super) fn read_summary<'a>(
    point: &mut Point<'a>,
    message: &'a [u8],
    limits: &Limits,
    _spare: &mut SpareLists<'a>,
) -> Result<()> {
    let (mut count, mut sum, mut quantiles) = (0, 0.0, reuse_quantiles(&mut point.value));
    let mut wire = Message::new(message);
    while let Some((number, raw)) = wire.next()? {
        match number {
            2 => point.start_time_unix_nano = raw.fixed64().field("startTimeUnixNano")?,
            3 => point.time_unix_nano = raw.fixed64().field("timeUnixNano")?,
            4 => count = raw.fixed64().field("count")?,
            5 => sum = raw.double().field("sum")?,
            6 => {
                let index = quantiles.len();
                let quantile = limits.admit_element(index).and_then(|()| read_quantile(raw));
                quantiles.push(quantile.index(index).field("quantileValues")?);
            }
            7 => push_attribute(&mut point.attributes, raw, limits).field("attributes")?,
            8 => point.flags = raw.uint32().field("flags")?,
            _ => {}
        }
    }
    point.value = PointValue::Summary { count, sum, quantiles };
    Ok(())
}

fn read_quantile(raw: Field<'_>) -> Result<Quantile> {
    let mut quantile = Quantile::default();
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            1 => quantile.quantile = raw.double().field("quantile")?,
            2 => quantile.value = raw.double().field("value")?,
            _ => {}
        }
    }
    Ok(quantile)
}

fn push_exemplar<'a>(point: &mut Point<'a>, raw: Field<'a>, limits: &Limits, spare: &mut SpareLists<'a>) -> Result<()> {
    let index = point.exemplars.len();
    let exemplar = limits.admit_element(index).and_then(|()| read_exemplar(raw, limits, spare.take()));
    point.exemplars.push(exemplar.index(index)?);
    Ok(())
}

fn read_exemplar<'a>(raw: Field<'a>, limits: &Limits, filtered_attributes: Vec<Attribute<'a>>) -> Result<Exemplar<'a>> {
    let mut exemplar = Exemplar { filtered_attributes, ..Exemplar::default() };
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            2 => exemplar.time_unix_nano = raw.fixed64().field("timeUnixNano")?,
            3 => exemplar.value = Number::Double(raw.double().field("asDouble")?),
            4 => exemplar.span_id = SpanId(raw.id().field("spanId")?),
            5 => exemplar.trace_id = TraceId(raw.id().field("traceId")?),
            6 => exemplar.value = Number::Int(raw.fixed64().field("asInt")? as i64),
            7 => push_attribute(&mut exemplar.filtered_attributes, raw, limits).field("filteredAttributes")?,
            _ => {}
        }
    }
    Ok(exemplar)
}
