//! The nouns of telemetry, as borrowed views.
//!
//! A receiver decodes a request into these types one record at a time and hands each to a [`sink`]; a view borrows
//! from the request's bytes, so a record that only passes through costs no allocation of its own. The alternative, a
//! tree of owned messages for a whole request, was measured and turned down (`docs/decisions/0003-borrowed-views.md`).
//!
//! Nothing here does IO or knows a wire format or Arrow. Field names and meanings are those of the OpenTelemetry
//! protocol, version 1.x (`opentelemetry/proto/{common,resource,trace,logs,metrics}/v1`).

mod attribute;
mod context;
mod id;
mod log;
mod metric;
pub mod series;
pub mod sink;
mod span;

pub use attribute::{Attribute, Value};
pub use context::{EntityRef, Resource, Scope};
pub use id::{InvalidId, SpanId, TraceId};
pub use log::{LogRecord, SeverityNumber};
pub use metric::{Buckets, Exemplar, Metric, MetricKind, Number, Point, PointValue, Quantile, Temporality};
pub use span::{Span, SpanEvent, SpanKind, SpanLink, Status, StatusCode};
