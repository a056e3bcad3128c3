//! The query APIs: SQL, Prometheus', Jaeger's, health, and the server's own metrics, each as an [`axum::Router`].
//!
//! Every API asks a [`tripod_storage::Store`] through the seam and knows nothing of what is behind it: no files, no
//! Delta Lake, no receivers. Listeners, TLS and where a router hangs are the server's business. The alternative, one
//! router that owns all paths, was turned down because the same API is served under a prefix on the front door and
//! at the root of the port that the ecosystem's tools expect.

pub mod bearer;
pub mod health;
pub mod jaeger;
pub mod prometheus;
pub mod self_metrics;
pub mod sql;
#[cfg(test)]
mod testing;

use serde::{Deserialize, Serialize};

pub use bearer::require_bearer;
pub use prometheus::PrometheusSettings;

/// Limits of the query APIs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Of `/api/v1/sql`.
    pub sql: SqlSettings,
    /// Of the Jaeger query API.
    pub jaeger: JaegerSettings,
    /// Of PromQL and Prometheus' HTTP API.
    pub prometheus: PrometheusSettings,
}

/// Limits of SQL queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqlSettings {
    /// A query that takes longer is stopped, the sending of its answer included; a request may ask for less. Seconds.
    pub timeout_seconds: u64,
    /// An answer ends after this many rows and says that it is truncated; a request may ask for less.
    pub max_rows: usize,
    /// Memory that all running queries together may hold for sorting, grouping and joining. Bytes.
    pub max_memory_bytes: usize,
    /// Queries that run at the same time; more are refused with 429.
    pub max_concurrent: usize,
    /// Longest text of a query. Bytes.
    pub max_query_bytes: usize,
}

impl Default for SqlSettings {
    fn default() -> Self {
        Self {
            timeout_seconds: 30,
            max_rows: 100_000,
            max_memory_bytes: 512 << 20,
            max_concurrent: 8,
            max_query_bytes: 64 << 10,
        }
    }
}

/// Limits of the Jaeger query API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JaegerSettings {
    /// Most traces that one search gives, whatever `limit` it asks for.
    pub max_traces: usize,
    /// Spans of a trace beyond this are left out, and the trace carries a warning.
    pub max_spans_per_trace: usize,
    /// Spans in one answer; those beyond are left out of their traces, which carry a warning.
    pub max_spans: usize,
    /// How far a search without `start` and `lookback` looks back. Seconds.
    pub default_lookback_seconds: u64,
    /// A request that takes longer is stopped. Seconds.
    pub timeout_seconds: u64,
}

impl Default for JaegerSettings {
    fn default() -> Self {
        Self {
            max_traces: 1500,
            max_spans_per_trace: 100_000,
            max_spans: 500_000,
            default_lookback_seconds: 3600,
            timeout_seconds: 30,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_refuse_unknown_keys() {
        let settings: Settings = serde_json::from_str(r#"{"sql":{"max_rows":5}}"#).unwrap();
        assert_eq!(settings.sql, SqlSettings { max_rows: 5, ..SqlSettings::default() });
        assert_eq!(settings.jaeger, JaegerSettings::default());
        let error = serde_json::from_str::<Settings>(r#"{"sql":{"max_row":5}}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `max_row`"), "{error}");
    }
}
