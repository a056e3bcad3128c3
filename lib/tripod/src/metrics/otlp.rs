//! Snapshots as OTLP (`opentelemetry/proto/metrics/v1/metrics.proto`), written straight into bytes.

use std::collections::HashMap;

use super::exemplar::Exemplar;
use super::family::OVERFLOW_LABEL;
use super::snapshot::{FamilySnapshot, HistogramValue, Kind, Labels, Series, SeriesValue, Snapshot};

/// Since when the numbers of an export count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Temporality {
    /// Since the series began: what Prometheus stores.
    #[default]
    Cumulative,
    /// Since the export before.
    Delta,
}

/// Writes snapshots as OTLP, one after the other. Keeps what it needs to tell one from the next.
#[derive(Debug, Default)]
pub struct OtlpWriter {
    temporality: Temporality,
    /// When the snapshot before was taken.
    last_time: u64,
    /// The values of the snapshot before; kept for deltas alone.
    last: HashMap<(String, Labels), SeriesValue>,
}

impl OtlpWriter {
    /// A writer that has written nothing yet.
    pub fn new(temporality: Temporality) -> Self {
        Self { temporality, ..Self::default() }
    }

    /// Appends the metrics as fields `metrics` (2) of a `ScopeMetrics` message, and gives the number of data points.
    pub fn write(&mut self, snapshot: &Snapshot, out: &mut Vec<u8>) -> usize {
        let mut points = 0;
        let mut current = HashMap::new();
        for family in &snapshot.families {
            let series: Vec<(&Series, SeriesValue, u64)> =
                family.series.iter().filter_map(|series| self.since(family, series, &mut current)).collect();
            if series.is_empty() {
                continue;
            }
            points += series.len();
            message(out, 2, |out| {
                string(out, 1, &family.name);
                string(out, 2, &family.help);
                if let Some(unit) = &family.unit {
                    string(out, 3, ucum(unit));
                }
                let (field, temporality) = match family.kind {
                    Kind::Gauge | Kind::Info => (5, None),
                    Kind::Counter => (7, Some(self.temporality)),
                    Kind::Histogram => (9, Some(self.temporality)),
                };
                message(out, field, |out| {
                    for (series, value, start) in &series {
                        message(out, 1, |out| self.point(out, series, value, *start, snapshot.time));
                    }
                    if let Some(temporality) = temporality {
                        integer(out, 2, if temporality == Temporality::Delta { 1 } else { 2 });
                    }
                    if family.kind == Kind::Counter {
                        integer(out, 3, 1);
                    }
                });
            });
        }
        self.last_time = snapshot.time;
        self.last = current;
        points
    }

    /// A series' value in the chosen temporality, and since when it counts. `None` when there is no change to tell of.
    fn since<'a>(
        &self,
        family: &FamilySnapshot,
        series: &'a Series,
        current: &mut HashMap<(String, Labels), SeriesValue>,
    ) -> Option<(&'a Series, SeriesValue, u64)> {
        if self.temporality == Temporality::Cumulative || matches!(family.kind, Kind::Gauge | Kind::Info) {
            return Some((series, series.value.clone(), series.created));
        }
        let key = (family.name.to_string(), series.labels.clone());
        let last = self.last.get(&key);
        current.insert(key, series.value.clone());
        let start = if last.is_some() { self.last_time.max(series.created) } else { series.created };
        // A value below the last one is that of a series that was removed and made again.
        let value = match (&series.value, last) {
            (SeriesValue::Counter(now), Some(SeriesValue::Counter(then))) if now >= then => {
                SeriesValue::Counter(now - then)
            }
            (SeriesValue::Histogram(now), Some(SeriesValue::Histogram(then)))
                if now.counts.len() == then.counts.len()
                    && now.counts.iter().zip(&then.counts).all(|(n, t)| n >= t) =>
            {
                let counts = now.counts.iter().zip(&then.counts).map(|(now, then)| now - then).collect();
                SeriesValue::Histogram(HistogramValue { counts, sum: now.sum - then.sum, ..now.clone() })
            }
            (value, _) => value.clone(),
        };
        let changed = match &value {
            SeriesValue::Counter(value) => *value != 0.0,
            SeriesValue::Histogram(histogram) => histogram.count() > 0,
            SeriesValue::Gauge(_) | SeriesValue::Info => true,
        };
        changed.then_some((series, value, start))
    }

    /// A `NumberDataPoint`, or a `HistogramDataPoint`.
    fn point(&self, out: &mut Vec<u8>, series: &Series, value: &SeriesValue, start: u64, time: u64) {
        fixed(out, 2, start.min(time));
        fixed(out, 3, time);
        let attributes = match value {
            SeriesValue::Counter(value) | SeriesValue::Gauge(value) => {
                fixed(out, 4, value.to_bits());
                if let Some(exemplar) = series.exemplar.as_ref().filter(|exemplar| exemplar.time > self.last_time) {
                    message(out, 5, |out| self::exemplar(out, exemplar));
                }
                7
            }
            SeriesValue::Info => {
                fixed(out, 4, 1f64.to_bits());
                7
            }
            SeriesValue::Histogram(histogram) => {
                fixed(out, 4, histogram.count());
                fixed(out, 5, histogram.sum.to_bits());
                packed(out, 6, histogram.counts.iter().copied());
                packed(out, 7, histogram.bounds.iter().map(|bound| bound.to_bits()));
                // Those that were in the export before are not told again.
                for exemplar in histogram.exemplars.iter().flatten().filter(|exemplar| exemplar.time > self.last_time) {
                    message(out, 8, |out| self::exemplar(out, exemplar));
                }
                9
            }
        };
        for (name, value) in series.labels.iter() {
            message(out, attributes, |out| match name == OVERFLOW_LABEL && series.overflow {
                true => {
                    string(out, 1, "otel.metric.overflow");
                    message(out, 2, |out| integer(out, 2, 1));
                }
                false => {
                    string(out, 1, name);
                    message(out, 2, |out| bytes(out, 1, value.as_bytes()));
                }
            });
        }
    }
}

fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    fixed(out, 2, exemplar.time);
    fixed(out, 3, exemplar.value.to_bits());
    bytes(out, 4, &exemplar.span_id.0);
    bytes(out, 5, &exemplar.trace_id.0);
}

/// The unit as OpenTelemetry writes it.
fn ucum(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "milliseconds" => "ms",
        "bytes" => "By",
        "ratio" => "1",
        "celsius" => "Cel",
        "meters" => "m",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "grams" => "g",
        unit => unit,
    }
}

// The wire format (https://protobuf.dev/programming-guides/encoding/): a tag of field number and wire type, then the
// value.

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn integer(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn fixed(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn string(out: &mut Vec<u8>, field: u64, value: &str) {
    if !value.is_empty() {
        bytes(out, field, value.as_bytes());
    }
}

fn packed(out: &mut Vec<u8>, field: u64, values: impl ExactSizeIterator<Item = u64>) {
    varint(out, field << 3 | 2);
    varint(out, 8 * values.len() as u64);
    values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

/// A nested message. Its length is known only when it is written: it is moved up to make room for the length.
fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, field << 3 | 2);
    let start = out.len();
    write(out);
    let end = out.len();
    varint(out, (end - start) as u64);
    let length = out.len() - end;
    out[start..].rotate_right(length);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{Metric, ScopeMetrics, number_data_point};
    use prost::Message;

    use super::*;
    use crate::context::{SpanContext, SpanId, TraceFlags, TraceId};
    use crate::metrics::{BuildInfo, Registry};

    fn sampled() -> Option<SpanContext> {
        let (trace_id, span_id) = (TraceId([1; 16]), SpanId([2; 8]));
        Some(SpanContext { trace_id, span_id, flags: TraceFlags(1), ..SpanContext::default() })
    }

    fn export(writer: &mut OtlpWriter, registry: &Registry) -> (Vec<Metric>, usize) {
        let mut out = Vec::new();
        let points = writer.write(&registry.snapshot(), &mut out);
        (ScopeMetrics::decode(&out[..]).unwrap().metrics, points)
    }

    fn find<'a>(metrics: &'a [Metric], name: &str) -> Option<&'a Metric> {
        metrics.iter().find(|metric| metric.name == name)
    }

    #[test]
    fn metrics_are_read_back_by_the_generated_types() {
        let registry = Registry::builder().exemplars(sampled).build().unwrap();
        let hits = registry.counter("hits_total", "Hits").labels(["page"]).max_series(1).register().unwrap();
        hits.with(["home"]).add(3);
        hits.with(["other"]).inc();
        registry.gauge("level_ratio", "Level").register().unwrap().set(0.5);
        let latency = registry.histogram("latency", "Latency").unit("s").buckets(&[1.0, 2.0]).register().unwrap();
        latency.observe(1.5);
        latency.observe(9.0);
        registry.collect(BuildInfo::new("", "svc", "1"));
        let (metrics, points) = export(&mut OtlpWriter::new(Temporality::Cumulative), &registry);
        assert_eq!(points, metrics.iter().map(count).sum::<usize>());

        let hits = find(&metrics, "hits_total").unwrap();
        assert_eq!((&*hits.description, &*hits.unit), ("Hits", ""));
        let Some(Data::Sum(sum)) = &hits.data else { panic!("{hits:?}") };
        assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
        let point = &sum.data_points[0];
        assert_eq!(point.value, Some(number_data_point::Value::AsDouble(3.0)));
        assert_eq!((point.exemplars.len(), &*point.exemplars[0].trace_id), (1, &[1; 16][..]));
        assert!(point.start_time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano);
        assert_eq!(point.attributes[0].key, "page");
        let value = |point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
            point.attributes[0].value.clone().unwrap().value.unwrap()
        };
        assert_eq!(value(point), Value::StringValue("home".into()));
        assert_eq!(sum.data_points[1].attributes[0].key, "otel.metric.overflow");
        assert_eq!(value(&sum.data_points[1]), Value::BoolValue(true));

        assert_eq!(find(&metrics, "level_ratio").unwrap().unit, "1");
        let latency = find(&metrics, "latency").unwrap();
        assert_eq!(latency.unit, "s");
        let Some(Data::Histogram(histogram)) = &latency.data else { panic!("{latency:?}") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum), (2, Some(10.5)));
        assert_eq!((&*point.bucket_counts, &*point.explicit_bounds), (&[0, 1, 1][..], &[1.0, 2.0][..]));
        assert_eq!(point.exemplars.len(), 2);
        assert_eq!((&*point.exemplars[0].trace_id, &*point.exemplars[0].span_id), (&[1; 16][..], &[2; 8][..]));
        assert!(matches!(find(&metrics, "build_info").unwrap().data, Some(Data::Gauge(_))));
    }

    fn count(metric: &Metric) -> usize {
        match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            Some(Data::Sum(sum)) => sum.data_points.len(),
            Some(Data::Histogram(histogram)) => histogram.data_points.len(),
            _ => 0,
        }
    }

    #[test]
    fn deltas_count_from_the_export_before() {
        let registry = Registry::builder().exemplars(sampled).build().unwrap();
        let hits = registry.counter("hits_total", "Hits").register().unwrap();
        let latency = registry.histogram("latency", "Latency").buckets(&[1.0]).register().unwrap();
        let mut writer = OtlpWriter::new(Temporality::Delta);
        let mut seen = Vec::new();
        for (hit, values) in [(5, &[0.5, 2.0][..]), (2, &[0.25]), (0, &[])] {
            hits.add(hit);
            values.iter().for_each(|value| latency.observe(*value));
            let (metrics, _) = export(&mut writer, &registry);
            seen.push((
                find(&metrics, "hits_total").map(|metric| match &metric.data {
                    Some(Data::Sum(sum)) => (sum.aggregation_temporality, sum.data_points[0].clone()),
                    _ => panic!("{metric:?}"),
                }),
                find(&metrics, "latency").map(|metric| match &metric.data {
                    Some(Data::Histogram(histogram)) => histogram.data_points[0].clone(),
                    _ => panic!("{metric:?}"),
                }),
            ));
        }
        let number = |index: usize| seen[index].0.as_ref().unwrap().1.value.unwrap();
        assert_eq!(number(0), number_data_point::Value::AsDouble(5.0));
        assert_eq!(number(1), number_data_point::Value::AsDouble(2.0));
        assert!(seen[2].0.is_none() && seen[2].1.is_none());
        let (first, second) = (seen[0].0.as_ref().unwrap(), seen[1].0.as_ref().unwrap());
        assert_eq!(first.0, 1);
        assert_eq!(second.1.start_time_unix_nano, first.1.time_unix_nano);
        let second = seen[1].1.as_ref().unwrap();
        assert_eq!((second.count, second.sum, &*second.bucket_counts), (1, Some(0.25), &[1, 0][..]));
        assert_eq!(second.exemplars.len(), 1);
    }
}
