//! Metrics and their points.

use tripod_model::sink::MetricSink;
use tripod_model::{Metric, MetricKind, Point, Temporality};

use super::attribute::read_attributes;
use super::context::Records;
use super::point;
use super::reader::Reader;
use super::scalar::{TEMPORALITY, read_enumeration};
use crate::Limits;
use crate::error::{Enclose, Result};
use crate::limits::RecordCount;
use crate::scratch::{SpareLists, empty_metric, empty_point};
use crate::signal::{METRICS, Name, Signal};

pub(super) struct Metrics<'a, 's, S> {
    limits: &'s Limits,
    sink: &'s mut S,
    count: RecordCount,
    metric: Metric<'a>,
    point: Point<'a>,
    spare: SpareLists<'a>,
}

impl<'s, S> Metrics<'_, 's, S> {
    pub(super) fn new(limits: &'s Limits, sink: &'s mut S) -> Self {
        Self {
            limits,
            sink,
            count: RecordCount::new(limits),
            metric: Metric::default(),
            point: Point::default(),
            spare: SpareLists::default(),
        }
    }
}

/// The alternatives of a metric's `data`.
const DATA: [(Name, MetricKind); 5] = [
    (Name { json: "gauge", proto: "gauge" }, MetricKind::Gauge),
    (Name { json: "sum", proto: "sum" }, MetricKind::Sum),
    (Name { json: "histogram", proto: "histogram" }, MetricKind::Histogram),
    (Name { json: "exponentialHistogram", proto: "exponential_histogram" }, MetricKind::ExponentialHistogram),
    (Name { json: "summary", proto: "summary" }, MetricKind::Summary),
];

/// The data that counts: its name and where its points are.
struct Data<'a> {
    name: &'static str,
    points: Option<Reader<'a>>,
}

impl<'a, S: MetricSink> Records<'a> for Metrics<'a, '_, S> {
    const SIGNAL: Signal = METRICS;
    type Sink = S;

    fn sink(&mut self) -> &mut S {
        self.sink
    }

    fn record(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        empty_metric(&mut self.metric);
        let mut chosen: Option<Data<'a>> = None;
        reader.object(|reader, key| {
            let metric = &mut self.metric;
            match key {
                "name" => metric.name = reader.string().field("name")?,
                "description" => metric.description = reader.string().field("description")?,
                "unit" => metric.unit = reader.string().field("unit")?,
                "metadata" => read_attributes(reader, &mut metric.metadata, self.limits).field("metadata")?,
                _ => {
                    let Some((name, kind)) = DATA.iter().find(|(name, _)| name.is(key)) else {
                        return reader.skip_value();
                    };
                    if let Some(Data { points: Some(mut replaced), .. }) = chosen.take() {
                        replaced.skip_value()?;
                    }
                    let points = self.data_context(reader, *kind).field(name.json)?;
                    chosen = Some(Data { name: name.json, points });
                }
            }
            Ok(())
        })?;
        self.sink.metric(&self.metric);
        match chosen {
            Some(Data { name, points }) => self.points(points).field(name),
            None => Ok(()),
        }
    }
}

impl<'a, S: MetricSink> Metrics<'a, '_, S> {
    /// Reads what a kind of data says about all of its points, and bookmarks the points.
    fn data_context(&mut self, reader: &mut Reader<'a>, kind: MetricKind) -> Result<Option<Reader<'a>>> {
        self.metric.kind = kind;
        self.metric.temporality = Temporality::default();
        self.metric.is_monotonic = false;
        let aggregated = !matches!(kind, MetricKind::Gauge | MetricKind::Summary);
        let mut points = None;
        reader.object(|reader, key| {
            match key {
                "dataPoints" | "data_points" => {
                    if let Err(error) = reader.defer(&mut points) {
                        // The array does not end. Reading it shows where exactly; the sink still sees its calls in
                        // order.
                        self.sink.metric(&self.metric);
                        return self.points(points).and(Err(error).field("dataPoints"));
                    }
                }
                "aggregationTemporality" | "aggregation_temporality" if aggregated => {
                    let number = read_enumeration(reader, &TEMPORALITY).field("aggregationTemporality")?;
                    self.metric.temporality = Temporality(number);
                }
                "isMonotonic" | "is_monotonic" if kind == MetricKind::Sum => {
                    self.metric.is_monotonic = reader.boolean().field("isMonotonic")?;
                }
                _ => reader.skip_value()?,
            }
            Ok(())
        })?;
        Ok(points)
    }

    fn points(&mut self, list: Option<Reader<'a>>) -> Result<()> {
        let Some(mut list) = list else { return Ok(()) };
        list.array(|reader, _| self.point(reader)).field("dataPoints")
    }

    fn point(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.count.admit()?;
        empty_point(&mut self.point, &mut self.spare);
        let read = match self.metric.kind {
            MetricKind::Gauge | MetricKind::Sum => point::read_number,
            MetricKind::Histogram => point::read_histogram,
            MetricKind::ExponentialHistogram => point::read_exponential_histogram,
            MetricKind::Summary => point::read_summary,
        };
        read(reader, &mut self.point, self.limits, &mut self.spare)?;
        self.sink.point(&self.point);
        Ok(())
    }
}
