//! A snapshot of all metrics as an `ExportMetricsServiceRequest`, with cumulative temporality.

use super::attributes::{scope, text_attribute};
use super::protobuf::Message;
use super::transport::Encode;
use crate::metrics::{Exemplar, FamilySnapshot, HistogramValue, Kind, Labels, Series, SeriesValue, Snapshot};

/// Encodes snapshots.
pub(super) struct Metrics;

const CUMULATIVE: u64 = 2;

impl Encode for Metrics {
    type Item = Snapshot;
    const SERVICE: &'static str = "opentelemetry.proto.collector.metrics.v1.MetricsService";

    fn encode(&mut self, resource: &[u8], batch: Vec<Snapshot>, out: &mut Message) {
        out.message(1, |out| {
            out.bytes(1, resource);
            for snapshot in &batch {
                out.message(2, |out| {
                    scope(out, "tripod");
                    for family in &snapshot.families {
                        out.message(2, |out| write(out, family, snapshot.time));
                    }
                });
            }
        });
    }
}

fn write(out: &mut Message, family: &FamilySnapshot, time: u64) {
    out.text(1, &family.name);
    out.text(2, &family.help);
    out.text(3, family.unit.as_deref().map_or("", unit));
    let points = |out: &mut Message| {
        family.series.iter().for_each(|series| out.message(1, |out| point(out, series, time)));
    };
    match family.kind {
        Kind::Gauge | Kind::Info => out.message(5, points),
        Kind::Counter => out.message(7, |out| {
            points(out);
            out.varint(2, CUMULATIVE);
            out.varint(3, 1);
        }),
        Kind::Histogram => out.message(9, |out| {
            points(out);
            out.varint(2, CUMULATIVE);
        }),
    }
}

/// UCUM for the units that Prometheus spells out.
fn unit(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        unit => unit,
    }
}

fn point(out: &mut Message, series: &Series, time: u64) {
    match &series.value {
        SeriesValue::Counter(value) => {
            out.fixed64(2, series.created);
            number(out, *value, &series.labels, time);
        }
        SeriesValue::Gauge(value) => number(out, *value, &series.labels, time),
        SeriesValue::Info => number(out, 1.0, &series.labels, time),
        SeriesValue::Histogram(value) => histogram(out, value, series, time),
    }
    if series.overflow {
        // The name that the specification gives to the series beyond the limit.
        let field = if matches!(series.value, SeriesValue::Histogram(_)) { 9 } else { 7 };
        super::attributes::attribute(out, field, "otel.metric.overflow", &true.into());
    }
}

fn number(out: &mut Message, value: f64, labels: &Labels, time: u64) {
    out.fixed64(3, time);
    out.double(4, value);
    labels.iter().for_each(|(name, value)| text_attribute(out, 7, name, value));
}

fn histogram(out: &mut Message, value: &HistogramValue, series: &Series, time: u64) {
    out.fixed64(2, series.created);
    out.fixed64(3, time);
    out.fixed64(4, value.count());
    out.double(5, value.sum);
    out.packed64(6, value.counts.iter().copied());
    out.packed64(7, value.bounds.iter().map(|bound| bound.to_bits()));
    value.exemplars.iter().flatten().for_each(|exemplar| out.message(8, |out| write_exemplar(out, exemplar)));
    series.labels.iter().for_each(|(name, value)| text_attribute(out, 9, name, value));
}

fn write_exemplar(out: &mut Message, exemplar: &Exemplar) {
    out.fixed64(2, exemplar.time);
    out.double(3, exemplar.value);
    out.bytes(4, &exemplar.span_id.0);
    out.bytes(5, &exemplar.trace_id.0);
}
