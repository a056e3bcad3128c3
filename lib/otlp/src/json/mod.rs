//! OTLP over JSON: protobuf's JSON mapping with OTLP's deviations (hexadecimal ids).
//!
//! The reader takes more than a sender may write. Names are lowerCamelCase or as in the `.proto` files; 64-bit integers
//! are strings or numbers; enumerations are numbers or names; doubles may be strings; base64 may lack its padding or be
//! URL-safe. Unknown members are checked to be JSON, to at most 128 levels, and ignored. `null` is the same as absent.
//!
//! Where a member occurs twice the last one that is not `null` counts, and so it is between the members of a `oneof`
//! such as `stringValue` and `intValue`. Only the outermost list (`resourceSpans` and its like) must not occur twice: its
//! records have reached the sink by then.

mod attribute;
mod context;
mod log;
mod metric;
mod point;
mod reader;
mod scalar;
mod text;
mod trace;

use tripod_model::sink::{LogSink, MetricSink, SpanSink};

use crate::{DecodeError, Limits};

/// Reads an `ExportTraceServiceRequest` (equally a `TracesData`) into the sink.
///
/// # Errors
/// When the text is not that message or exceeds a limit. The sink may have taken records by then: drop them.
pub fn traces(body: &[u8], limits: &Limits, sink: &mut impl SpanSink) -> Result<(), DecodeError> {
    context::read_request(body, limits, &mut trace::Spans::new(limits, sink))
}

/// Reads an `ExportLogsServiceRequest` (equally a `LogsData`) into the sink.
///
/// # Errors
/// When the text is not that message or exceeds a limit. The sink may have taken records by then: drop them.
pub fn logs(body: &[u8], limits: &Limits, sink: &mut impl LogSink) -> Result<(), DecodeError> {
    context::read_request(body, limits, &mut log::LogRecords::new(limits, sink))
}

/// Reads an `ExportMetricsServiceRequest` (equally a `MetricsData`) into the sink.
///
/// # Errors
/// When the text is not that message or exceeds a limit. The sink may have taken records by then: drop them.
pub fn metrics(body: &[u8], limits: &Limits, sink: &mut impl MetricSink) -> Result<(), DecodeError> {
    context::read_request(body, limits, &mut metric::Metrics::new(limits, sink))
}
