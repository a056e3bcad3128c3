//! Load: realistic OTLP messages and connections that send them.
//!
//! [`source`] and the builders beside it make messages; [`template`] keeps them encoded and patches what must differ
//! from send to send (ids, times, counter values), so that a load generator costs little beside the server that it
//! measures; [`sender`] sends encoded requests over gRPC or HTTP.

pub(crate) mod exporter;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod sender;
pub(crate) mod source;
pub(crate) mod spans;
pub(crate) mod template;
mod wire;

use clap::ValueEnum;

/// The kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Signal {
    Spans,
    Logs,
    Metrics,
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    Http,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Spans, Self::Logs, Self::Metrics];

    /// The table that holds the signal's rows.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// What one row is called.
    pub(crate) fn item(self) -> &'static str {
        match self {
            Self::Spans => "span",
            Self::Logs => "log record",
            Self::Metrics => "point",
        }
    }

    /// The path of OTLP/HTTP.
    pub(crate) fn http_path(self) -> &'static str {
        match self {
            Self::Spans => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// The method of OTLP/gRPC.
    pub(crate) fn grpc_method(self) -> &'static str {
        match self {
            Self::Spans => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}
