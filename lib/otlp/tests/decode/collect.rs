//! A sink that writes down every call.

use tripod_model::sink::{LogSink, MetricSink, Sink, SpanSink};
use tripod_model::{LogRecord, Metric, Point, Resource, Scope, Span};
use tripod_otlp::{DecodeError, Limits, json, protobuf};

/// The calls in their order, each with all fields of its view. As text, so that nothing borrows and NaN equals NaN.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Calls(pub(crate) Vec<String>);

impl Calls {
    /// How many spans, log records and points there are.
    pub(crate) fn records(&self) -> usize {
        self.0.iter().filter(|call| ["Span ", "LogRecord ", "Point "].iter().any(|kind| call.starts_with(kind))).count()
    }
}

impl Sink for Calls {
    fn resource(&mut self, resource: &Resource<'_>) {
        self.0.push(format!("{resource:?}"));
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.0.push(format!("{scope:?}"));
    }
}

impl SpanSink for Calls {
    fn span(&mut self, span: &Span<'_>) {
        self.0.push(format!("{span:?}"));
    }
}

impl LogSink for Calls {
    fn log(&mut self, record: &LogRecord<'_>) {
        self.0.push(format!("{record:?}"));
    }
}

impl MetricSink for Calls {
    fn metric(&mut self, metric: &Metric<'_>) {
        self.0.push(format!("{metric:?}"));
    }

    fn point(&mut self, point: &Point<'_>) {
        self.0.push(format!("{point:?}"));
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Signal {
    Traces,
    Logs,
    Metrics,
}

pub(crate) const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

pub(crate) fn read_protobuf(signal: Signal, body: &[u8], limits: &Limits) -> Result<Calls, DecodeError> {
    let mut calls = Calls::default();
    match signal {
        Signal::Traces => protobuf::traces(body, limits, &mut calls),
        Signal::Logs => protobuf::logs(body, limits, &mut calls),
        Signal::Metrics => protobuf::metrics(body, limits, &mut calls),
    }
    .map(|()| calls)
}

pub(crate) fn read_json(signal: Signal, body: &[u8], limits: &Limits) -> Result<Calls, DecodeError> {
    let mut calls = Calls::default();
    match signal {
        Signal::Traces => json::traces(body, limits, &mut calls),
        Signal::Logs => json::logs(body, limits, &mut calls),
        Signal::Metrics => json::metrics(body, limits, &mut calls),
    }
    .map(|()| calls)
}
