//! Where a decoder puts what it reads.
//!
//! The order of calls follows the nesting of OTLP: a resource, then its scopes, then each scope's records. Every
//! record belongs to the resource and the scope that were announced last. A protocol without scopes announces an
//! empty one.

use crate::{LogRecord, Metric, Point, Resource, Scope, Span};

/// Takes the context that the records which follow belong to.
pub trait Sink {
    /// A new resource; its scopes follow.
    fn resource(&mut self, resource: &Resource<'_>);
    /// A new scope of the last resource; its records follow.
    fn scope(&mut self, scope: &Scope<'_>);
}

/// Takes spans.
pub trait SpanSink: Sink {
    /// A span of the last scope.
    fn span(&mut self, span: &Span<'_>);
}

/// Takes log records.
pub trait LogSink: Sink {
    /// A log record of the last scope.
    fn log(&mut self, record: &LogRecord<'_>);
}

/// Takes metric points.
pub trait MetricSink: Sink {
    /// A metric of the last scope; its points follow.
    fn metric(&mut self, metric: &Metric<'_>);
    /// A point of the last metric.
    fn point(&mut self, point: &Point<'_>);
}
