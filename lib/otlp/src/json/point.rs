//! The four messages of metric points.

use tripod_model::{Attribute, Buckets, Exemplar, Number, Point, PointValue, Quantile, SpanId, TraceId};

use super::attribute::read_attributes;
use super::reader::Reader;
use super::scalar::{read_double, read_id, read_integer};
use crate::Limits;
use crate::error::{Enclose, Result};
use crate::scratch::{ExponentialHistogramFields, HistogramFields, SpareLists, empty_buckets, reuse_quantiles};

/// `NumberDataPoint`, of gauges and sums.
pub(super) fn read_number<'a>(
    reader: &mut Reader<'a>,
    point: &mut Point<'a>,
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    let mut value = Number::Empty;
    reader.object(|reader, key| {
        match key {
            "asDouble" | "as_double" => value = Number::Double(read_double(reader).field("asDouble")?),
            "asInt" | "as_int" => value = Number::Int(read_integer(reader).field("asInt")?),
            "exemplars" => read_exemplars(reader, point, limits, spare).field("exemplars")?,
            _ => read_shared_member(reader, key, point, limits)?,
        }
        Ok(())
    })?;
    point.value = PointValue::Number(value);
    Ok(())
}

/// `HistogramDataPoint`.
pub(super) fn read_histogram<'a>(
    reader: &mut Reader<'a>,
    point: &mut Point<'a>,
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    let mut fields = HistogramFields::reusing(&mut point.value);
    reader.object(|reader, key| {
        match key {
            "count" => fields.count = read_integer(reader).field("count")?,
            "sum" => fields.sum = Some(read_double(reader).field("sum")?),
            "min" => fields.min = Some(read_double(reader).field("min")?),
            "max" => fields.max = Some(read_double(reader).field("max")?),
            "bucketCounts" | "bucket_counts" => {
                read_list(reader, &mut fields.bucket_counts, limits, read_integer).field("bucketCounts")?;
            }
            "explicitBounds" | "explicit_bounds" => {
                read_list(reader, &mut fields.explicit_bounds, limits, read_double).field("explicitBounds")?;
            }
            "exemplars" => read_exemplars(reader, point, limits, spare).field("exemplars")?,
            _ => read_shared_member(reader, key, point, limits)?,
        }
        Ok(())
    })?;
    point.value = fields.finish().field("bucketCounts")?;
    Ok(())
}

/// `ExponentialHistogramDataPoint`.
pub(super) fn read_exponential_histogram<'a>(
    reader: &mut Reader<'a>,
    point: &mut Point<'a>,
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    let mut fields = ExponentialHistogramFields::reusing(&mut point.value);
    reader.object(|reader, key| {
        match key {
            "count" => fields.count = read_integer(reader).field("count")?,
            "sum" => fields.sum = Some(read_double(reader).field("sum")?),
            "min" => fields.min = Some(read_double(reader).field("min")?),
            "max" => fields.max = Some(read_double(reader).field("max")?),
            "scale" => fields.scale = read_integer(reader).field("scale")?,
            "zeroCount" | "zero_count" => fields.zero_count = read_integer(reader).field("zeroCount")?,
            "zeroThreshold" | "zero_threshold" => {
                fields.zero_threshold = read_double(reader).field("zeroThreshold")?;
            }
            "positive" => read_buckets(reader, &mut fields.positive, limits).field("positive")?,
            "negative" => read_buckets(reader, &mut fields.negative, limits).field("negative")?,
            "exemplars" => read_exemplars(reader, point, limits, spare).field("exemplars")?,
            _ => read_shared_member(reader, key, point, limits)?,
        }
        Ok(())
    })?;
    point.value = fields.finish();
    Ok(())
}

fn read_buckets(reader: &mut Reader<'_>, buckets: &mut Buckets, limits: &Limits) -> Result<()> {
    empty_buckets(buckets);
    reader.object(|reader, key| {
        match key {
            "offset" => buckets.offset = read_integer(reader).field("offset")?,
            "bucketCounts" | "bucket_counts" => {
                read_list(reader, &mut buckets.counts, limits, read_integer).field("bucketCounts")?;
            }
            _ => reader.skip_value()?,
        }
        Ok(())
    })
}

/// `SummaryDataPoint`; it has no exemplars.
pub(super) fn read_summary<'a>(
    reader: &mut Reader<'a>,
    point: &mut Point<'a>,
    limits: &Limits,
    _spare: &mut SpareLists<'a>,
) -> Result<()> {
    let (mut count, mut sum, mut quantiles) = (0, 0.0, reuse_quantiles(&mut point.value));
    reader.object(|reader, key| {
        match key {
            "count" => count = read_integer(reader).field("count")?,
            "sum" => sum = read_double(reader).field("sum")?,
            "quantileValues" | "quantile_values" => {
                read_list(reader, &mut quantiles, limits, read_quantile).field("quantileValues")?;
            }
            _ => read_shared_member(reader, key, point, limits)?,
        }
        Ok(())
    })?;
    point.value = PointValue::Summary { count, sum, quantiles };
    Ok(())
}

fn read_quantile(reader: &mut Reader<'_>) -> Result<Quantile> {
    let mut quantile = Quantile::default();
    reader.object(|reader, key| {
        match key {
            "quantile" => quantile.quantile = read_double(reader).field("quantile")?,
            "value" => quantile.value = read_double(reader).field("value")?,
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    Ok(quantile)
}

/// A member that points of every kind have, or an unknown one.
fn read_shared_member<'a>(reader: &mut Reader<'a>, key: &str, point: &mut Point<'a>, limits: &Limits) -> Result<()> {
    match key {
        "attributes" => read_attributes(reader, &mut point.attributes, limits).field("attributes")?,
        "startTimeUnixNano" | "start_time_unix_nano" => {
            point.start_time_unix_nano = read_integer(reader).field("startTimeUnixNano")?;
        }
        "timeUnixNano" | "time_unix_nano" => point.time_unix_nano = read_integer(reader).field("timeUnixNano")?,
        "flags" => point.flags = read_integer(reader).field("flags")?,
        _ => reader.skip_value()?,
    }
    Ok(())
}

/// Reads an array in place of what the list held.
fn read_list<'a, T>(
    reader: &mut Reader<'a>,
    list: &mut Vec<T>,
    limits: &Limits,
    read: impl Fn(&mut Reader<'a>) -> Result<T>,
) -> Result<()> {
    list.clear();
    reader.array(|reader, index| {
        limits.admit_element(index)?;
        list.push(read(reader)?);
        Ok(())
    })
}

fn read_exemplars<'a>(
    reader: &mut Reader<'a>,
    point: &mut Point<'a>,
    limits: &Limits,
    spare: &mut SpareLists<'a>,
) -> Result<()> {
    spare.empty_exemplars(&mut point.exemplars);
    reader.array(|reader, index| {
        limits.admit_element(index)?;
        point.exemplars.push(read_exemplar(reader, limits, spare.take())?);
        Ok(())
    })
}

fn read_exemplar<'a>(
    reader: &mut Reader<'a>,
    limits: &Limits,
    filtered_attributes: Vec<Attribute<'a>>,
) -> Result<Exemplar<'a>> {
    let mut exemplar = Exemplar { filtered_attributes, ..Exemplar::default() };
    reader.object(|reader, key| {
        match key {
            "filteredAttributes" | "filtered_attributes" => {
                read_attributes(reader, &mut exemplar.filtered_attributes, limits).field("filteredAttributes")?;
            }
            "timeUnixNano" | "time_unix_nano" => {
                exemplar.time_unix_nano = read_integer(reader).field("timeUnixNano")?;
            }
            "asDouble" | "as_double" => exemplar.value = Number::Double(read_double(reader).field("asDouble")?),
            "asInt" | "as_int" => exemplar.value = Number::Int(read_integer(reader).field("asInt")?),
            "traceId" | "trace_id" => exemplar.trace_id = TraceId(read_id(reader).field("traceId")?),
            "spanId" | "span_id" => exemplar.span_id = SpanId(read_id(reader).field("spanId")?),
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    Ok(exemplar)
}
