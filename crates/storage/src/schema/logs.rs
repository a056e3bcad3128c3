use super::{Column, Kind};

pub(super) const COLUMNS: &[Column] = &[
    Column::required(
        "time",
        Kind::Time,
        "When it happened; when the sender did not say, when it was observed, else when it arrived.",
    ),
    Column::optional(
        "time_unix_nano",
        Kind::Int,
        "0 when the sender did not say when it happened; null when `time` is what it said.",
    ),
    Column::required("observed_time", Kind::Time, "When it was collected; 1970-01-01 when the sender did not say."),
    Column::required(
        "severity_number",
        Kind::Int,
        "0 unspecified, 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn, 17–20 error, 21–24 fatal.",
    ),
    Column::optional("severity_text", Kind::Text, "Severity as the source wrote it."),
    Column::optional("body", Kind::Text, "The message: its text when it is a string, else JSON."),
    Column::required(
        "body_type",
        Kind::Text,
        "string when body is the message itself, json when it is JSON, empty when there is none.",
    ),
    Column::optional("event_name", Kind::Text, "Name of the event; null for a plain log record."),
    Column::optional("trace_id", Kind::TraceId, "The trace that the record belongs to."),
    Column::optional("span_id", Kind::SpanId, "The span that the record belongs to."),
    Column::promoted("request_id", "request_id", Kind::Text, "The request's id."),
    Column::promoted("session_id", "session_id", Kind::Text, "The session's id."),
    Column::promoted("job_id", "job_id", Kind::Text, "The background job's id."),
    Column::promoted("user_id", "user_id", Kind::Text, "The user's id."),
    Column::promoted("correlation_id", "correlation_id", Kind::Text, "The correlation id."),
    Column::promoted(
        "event",
        "event",
        Kind::Text,
        "Name of the event: the attribute that structured loggers send, or else the record's event name.",
    ),
    Column::promoted(
        "logger",
        "logger",
        Kind::Text,
        "Name of the logger: the attribute, or else the name of the instrumentation scope.",
    ),
    Column::promoted("exception.type", "exception_type", Kind::Text, "Class of the exception."),
    Column::promoted("exception.message", "exception_message", Kind::Text, "Message of the exception."),
    Column::promoted("exception.stacktrace", "exception_stacktrace", Kind::Text, "Stack trace of the exception."),
    Column::optional("attributes", Kind::Json, "Attributes of the record that have no column of their own."),
    Column::required("dropped_attributes_count", Kind::Int, "Attributes that the sender dropped."),
    Column::required("flags", Kind::Int, "W3C trace flags in the low 8 bits."),
];
