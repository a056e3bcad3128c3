//! Metrics and their points.

use std::borrow::Cow;

use tripod_model::sink::MetricSink;
use tripod_model::{Metric, MetricKind, Point, Temporality};
use tripod_protobuf::{Field, Message};

use super::attribute::push_attribute;
use super::context::{Records, each};
use super::point;
use crate::Limits;
use crate::error::{DecodeError, Enclose, Result};
use crate::limits::RecordCount;
use crate::scratch::{SpareLists, empty_metric, empty_point};
use crate::signal::{METRICS, Signal};

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

/// One alternative of a metric's `data`.
#[derive(Clone, Copy, PartialEq)]
struct Data {
    field: u32,
    name: &'static str,
    kind: MetricKind,
}

const DATA: [Data; 5] = [
    Data { field: 5, name: "gauge", kind: MetricKind::Gauge },
    Data { field: 7, name: "sum", kind: MetricKind::Sum },
    Data { field: 9, name: "histogram", kind: MetricKind::Histogram },
    Data { field: 10, name: "exponentialHistogram", kind: MetricKind::ExponentialHistogram },
    Data { field: 11, name: "summary", kind: MetricKind::Summary },
];

impl<'a, S: MetricSink> Records<'a> for Metrics<'a, '_, S> {
    const SIGNAL: Signal = METRICS;
    type Sink = S;

    fn sink(&mut self) -> &mut S {
        self.sink
    }

    fn record(&mut self, message: &'a [u8]) -> Result<()> {
        empty_metric(&mut self.metric);
        // The data that counts and the rest of the message from its first occurrence on. Data of the same kind that
        // occurs again is merged; data of another kind discards what came before.
        let mut chosen: Option<(Data, Message<'a>)> = None;
        let mut wire = Message::new(message);
        loop {
            let here = wire;
            let Some((number, raw)) = wire.next()? else {
                break;
            };
            let metric = &mut self.metric;
            match number {
                1 => metric.name = Cow::Borrowed(raw.text().field("name")?),
                2 => metric.description = Cow::Borrowed(raw.text().field("description")?),
                3 => metric.unit = Cow::Borrowed(raw.text().field("unit")?),
                12 => push_attribute(&mut metric.metadata, raw, self.limits).field("metadata")?,
                _ => {
                    let Some(data) = DATA.iter().find(|data| data.field == number) else {
                        continue;
                    };
                    if chosen.is_none_or(|(before, _)| before != *data) {
                        chosen = Some((*data, here));
                        metric.kind = data.kind;
                        metric.temporality = Temporality::default();
                        metric.is_monotonic = false;
                    }
                    merge_data_context(metric, raw).field(data.name)?;
                }
            }
        }
        self.sink.metric(&self.metric);
        match chosen {
            Some((data, wire)) => self.points(data, wire),
            None => Ok(()),
        }
    }
}

/// Reads what a kind of data says about all of its points.
fn merge_data_context(metric: &mut Metric<'_>, raw: Field<'_>) -> Result<()> {
    let aggregated = !matches!(metric.kind, MetricKind::Gauge | MetricKind::Summary);
    let mut wire = Message::new(raw.bytes()?);
    while let Some((number, raw)) = wire.next()? {
        match number {
            2 if aggregated => metric.temporality = Temporality(raw.int32().field("aggregationTemporality")?),
            3 if metric.kind == MetricKind::Sum => metric.is_monotonic = raw.boolean().field("isMonotonic")?,
            _ => {}
        }
    }
    Ok(())
}

impl<'a, S: MetricSink> Metrics<'a, '_, S> {
    fn points(&mut self, data: Data, mut wire: Message<'a>) -> Result<()> {
        while let Some((number, raw)) = wire.next()? {
            if number == data.field {
                raw.bytes()
                    .map_err(DecodeError::from)
                    .and_then(|message| {
                        each(Message::new(message), 1, "dataPoints", |point| self.point(data.kind, point))
                    })
                    .field(data.name)?;
            }
        }
        Ok(())
    }

    fn point(&mut self, kind: MetricKind, message: &'a [u8]) -> Result<()> {
        self.count.admit()?;
        empty_point(&mut self.point, &mut self.spare);
        let read = match kind {
            MetricKind::Gauge | MetricKind::Sum => point::read_number,
            MetricKind::Histogram => point::read_histogram,
            MetricKind::ExponentialHistogram => point::read_exponential_histogram,
            MetricKind::Summary => point::read_summary,
        };
        read(&mut self.point, message, self.limits, &mut self.spare)?;
        self.sink.point(&self.point);
        Ok(())
    }
}
