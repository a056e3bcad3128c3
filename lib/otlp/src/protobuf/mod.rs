//! OTLP over protobuf: `application/x-protobuf` and gRPC.
//!
//! Fields come in any order; a singular message that occurs again is merged, of a singular scalar and of a `oneof` the
//! last occurrence counts, unknown fields are skipped. A known field with another wire type than its own, a group, and
//! text that is not UTF-8 are errors.

mod attribute;
mod context;
mod log;
mod metric;
mod point;
mod trace;

use tripod_model::sink::{LogSink, MetricSink, SpanSink};

use crate::{DecodeError, Limits};

/// Reads an `ExportTraceServiceRequest` (equally a `TracesData`) into the sink.
///
/// # Errors
/// When the bytes are not that message or exceed a limit. The sink may have taken records by then: drop them.
pub fn traces(body: &[u8], limits: &Limits, sink: &mut impl SpanSink) -> Result<(), DecodeError> {
    context::read_request(body, limits, &mut trace::Spans::new(limits, sink))
}

/// Reads an `ExportLogsServiceRequest` (equally a `LogsData`) into the sink.
///
/// # Errors
/// When the bytes are not that message or exceed a limit. The sink may have taken records by then: drop them.
pub fn logs(body: &[u8], limits: &Limits, sink: &mut impl LogSink) -> Result<(), DecodeError> {
    context::read_request(body, limits, &mut log::LogRecords::new(limits, sink))
}

/// Reads an `ExportMetricsServiceRequest` (equally a `MetricsData`) into the sink.
///
/// # Errors
/// When the bytes are not that message or exceed a limit. The sink may have taken records by then: drop them.
pub fn metrics(body: &[u8], limits: &Limits, sink: &mut impl MetricSink) -> Result<(), DecodeError> {
    context::read_request(body, limits, &mut metric::Metrics::new(limits, sink))
}
