use std::collections::BTreeMap;
use std::sync::Arc;

use tripod_model::series::{ClassicHistogram, FloatHistogram, Labels, METRIC_NAME, STALE_NAN, is_stale};
use tripod_storage::series::{FloatSample, HistogramSample, SeriesBatch};

use super::script::Load;
use super::series::Point;

/// The samples of a `load`.
///
/// # Errors
/// When classic histograms cannot be converted to native ones.
pub(super) fn batch(load: &Load) -> Result<SeriesBatch, String> {
    let mut batch = SeriesBatch::default();
    for series in &load.series {
        let id = batch.labels.len() as u32;
        batch.labels.push(series.labels.clone());
        let mut after_histogram = false;
        for (position, point) in series.points.iter().enumerate() {
            let timestamp = time(load, position);
            let offset = series.start_times.get(position).copied().flatten();
            let start = offset.map_or(0, |offset| timestamp.saturating_add(offset));
            after_histogram = match point {
                Point::Omitted => after_histogram,
                Point::Float(value) => after_histogram && is_stale(*value),
                Point::Histogram { .. } => true,
            };
            match point {
                Point::Omitted => {}
                // A series of histograms is ended by a histogram.
                Point::Float(value) if is_stale(*value) && after_histogram => {
                    let value = Arc::new(FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() });
                    batch.histograms.push(HistogramSample { series: id, timestamp, start, value });
                }
                Point::Float(value) => batch.floats.push(FloatSample { series: id, timestamp, start, value: *value }),
                Point::Histogram { value, .. } => {
                    batch.histograms.push(HistogramSample { series: id, timestamp, start, value: value.clone() });
                }
            }
        }
    }
    if load.with_nhcb {
        add_converted(load, &mut batch)?;
    }
    Ok(batch)
}

fn time(load: &Load, position: usize) -> i64 {
    load.step_ms.saturating_mul(position as i64)
}

/// Adds native histograms with custom bounds, made of the classic ones.
fn add_converted(load: &Load, batch: &mut SeriesBatch) -> Result<(), String> {
    let mut converted: BTreeMap<Labels, BTreeMap<i64, ClassicHistogram>> = BTreeMap::new();
    for series in &load.series {
        let name = series.labels.metric_name().unwrap_or_default();
        let Some((base, part)) = name.rsplit_once('_') else { continue };
        let bound = match part {
            "bucket" => match series.labels.get("le").unwrap_or_default().parse::<f64>() {
                Ok(bound) if !bound.is_nan() => bound,
                _ => continue,
            },
            "count" | "sum" => 0.0,
            _ => continue,
        };
        let mut labels = series.labels.to_builder();
        labels.set(METRIC_NAME, base).remove("le");
        let histograms = converted.entry(labels.build()).or_default();
        for (position, point) in series.points.iter().enumerate() {
            let Point::Float(value) = point else { continue };
            let histogram = histograms.entry(time(load, position)).or_default();
            let set = match part {
                "bucket" => histogram.set_bucket(bound, *value),
                "count" => histogram.set_count(*value),
                _ => {
                    histogram.set_sum(*value);
                    Ok(())
                }
            };
            set.map_err(|error| format!("{}: {error}", series.labels))?;
        }
    }
    for (labels, histograms) in converted {
        let series = batch.labels.len() as u32;
        for (timestamp, histogram) in histograms {
            let value = histogram.convert().map_err(|error| format!("{labels}: {error}"))?;
            value.validate().map_err(|error| format!("{labels}: {error}"))?;
            batch.histograms.push(HistogramSample { series, timestamp, start: 0, value: Arc::new(value) });
        }
        batch.labels.push(labels);
    }
    Ok(())
}
