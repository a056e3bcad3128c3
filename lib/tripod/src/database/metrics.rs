use std::time::Duration;

use super::Statement;
use crate::metrics::{Collection, Family, Histogram, MetricError, Registry};

#[derive(Clone, Debug)]
pub(super) struct DbMetrics(Family<Histogram, 4>);

/// Bounds that the conventions ask for, in seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

impl DbMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, MetricError> {
        let histogram = registry.histogram("db_client_operation_duration_seconds", "Calls of databases");
        let labels = ["db_system_name", "db_operation_name", "db_collection_name", "error_type"];
        histogram.buckets(SECONDS).labels(labels).register().map(Self)
    }

    /// `error` is empty when all went well.
    pub(super) fn record(&self, system: &str, statement: &Statement, error: &str, took: Duration) {
        let collection = statement.collection.as_deref().unwrap_or_default();
        self.0.with([system, &statement.operation, collection, error]).observe_duration(took);
    }
}

/// The connections of a pool at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Open and waiting for work.
    pub idle: usize,
    /// Open and at work.
    pub used: usize,
    /// The most that there may be.
    pub max: usize,
}

/// Shows a pool of connections in this registry: `db_client_connection_count` with the labels `pool` and `state` (`idle`,
/// `used`), and `db_client_connection_max`. The closure is asked at every collection and must not block.
pub fn watch_pool(registry: &Registry, pool: impl Into<String>, state: impl Fn() -> PoolState + Send + Sync + 'static) {
    let pool = pool.into();
    registry.collect(move |collection: &mut Collection| {
        let PoolState { idle, used, max } = state();
        for (name, count) in [("idle", idle), ("used", used)] {
            let labels = [("pool".into(), pool.clone()), ("state".into(), name.to_owned())];
            collection.gauge("db_client_connection_count", "Connections of the pool", labels, count as f64);
        }
        let labels = [("pool".into(), pool.clone())];
        collection.gauge("db_client_connection_max", "Connections that the pool may have", labels, max as f64);
    });
}
