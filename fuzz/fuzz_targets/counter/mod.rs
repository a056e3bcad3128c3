//! A sink that counts what it is handed.

use tripod_model::sink::{LogSink, MetricSink, Sink, SpanSink};
use tripod_model::{LogRecord, Metric, Point, PointValue, Resource, Scope, Span};

#[derive(Default)]
pub struct Counter {
    pub spans: usize,
    pub logs: usize,
    pub points: usize,
    metrics: usize,
    scopes: usize,
    resources: usize,
}

impl Counter {
    pub fn records(&self) -> usize {
        self.spans + self.logs + self.points
    }
}

impl Sink for Counter {
    fn resource(&mut self, _: &Resource<'_>) {
        self.resources += 1;
    }

    fn scope(&mut self, _: &Scope<'_>) {
        assert!(self.resources > 0, "a scope belongs to a resource");
        self.scopes += 1;
    }
}

impl SpanSink for Counter {
    fn span(&mut self, _: &Span<'_>) {
        assert!(self.scopes > 0, "a span belongs to a scope");
        self.spans += 1;
    }
}

impl LogSink for Counter {
    fn log(&mut self, _: &LogRecord<'_>) {
        assert!(self.scopes > 0, "a log record belongs to a scope");
        self.logs += 1;
    }
}

impl MetricSink for Counter {
    fn metric(&mut self, _: &Metric<'_>) {
        assert!(self.scopes > 0, "a metric belongs to a scope");
        self.metrics += 1;
    }

    fn point(&mut self, point: &Point<'_>) {
        assert!(self.metrics > 0, "a point belongs to a metric");
        if let PointValue::Histogram {
            explicit_bounds,
            bucket_counts,
            ..
        } = &point.value
        {
            assert!(bucket_counts.is_empty() || bucket_counts.len() == explicit_bounds.len() + 1);
        }
        self.points += 1;
    }
}
