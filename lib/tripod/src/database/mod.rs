//! Calls of databases: a span each, with the statement but not its values, by OpenTelemetry's conventions for databases.
//!
//! ```
//! use tripod::database::DbClient;
//!
//! let db = DbClient::new("postgresql").namespace("app").server("db.internal", 5432);
//! let mut call = db.call("SELECT name FROM users WHERE id = 42");
//! // … ask the database within `call.span()` …
//! call.rows(1);
//! call.finish();
//! ```
//!
//! With the feature `sqlx` the calls of sqlx 0.9 are followed by a wrapper around any of its executors: a pool, a
//! connection, a transaction.

mod call;
mod metrics;
#[cfg(feature = "sqlx")]
mod sqlx;
mod statement;

#[cfg(feature = "sqlx")]
pub use self::sqlx::Traced;
pub use crate::redaction::sanitize;
pub use call::DbCall;
pub use metrics::{PoolState, watch_pool};
pub use statement::Statement;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::field::Name;
use crate::metrics::{MetricError, Registry};
use metrics::DbMetrics;

/// Statements whose sanitised form is remembered. Services have fewer; those that build SQL from values fill it and go
/// on without.
const MAX_REMEMBERED: usize = 512;

/// A database as it is called from here. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct DbClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    system: Name,
    namespace: Option<String>,
    server: Option<(String, u16)>,
    metrics: Option<DbMetrics>,
    statements: RwLock<HashMap<Box<str>, Arc<Statement>>>,
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        Self {
            system: self.system.clone(),
            namespace: self.namespace.clone(),
            server: self.server.clone(),
            metrics: self.metrics.clone(),
            statements: RwLock::default(),
        }
    }
}

impl DbClient {
    /// A database by one of the conventions' names: `postgresql`, `sqlite`, `mysql`, `redis`, `mongodb`, …
    pub fn new(system: impl Into<Name>) -> Self {
        let statements = RwLock::default();
        Self(Arc::new(Shared { system: system.into(), namespace: None, server: None, metrics: None, statements }))
    }

    fn change(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The database's name.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.change(|shared| shared.namespace = Some(namespace.into()))
    }

    /// The server's address and port.
    #[must_use]
    pub fn server(self, address: impl Into<String>, port: u16) -> Self {
        self.change(|shared| shared.server = Some((address.into(), port)))
    }

    /// Measures calls in this registry: `db_client_operation_duration_seconds`.
    ///
    /// # Errors
    /// When the name is in use for something else.
    pub fn metrics(self, registry: &Registry) -> Result<Self, MetricError> {
        let metrics = DbMetrics::register(registry)?;
        Ok(self.change(|shared| shared.metrics = Some(metrics)))
    }

    /// A call with a statement of SQL, or of a language that writes its values as SQL does.
    pub fn call(&self, sql: &str) -> DbCall {
        DbCall::begin(self, self.statement(sql))
    }

    /// A call without a statement: `find` in the collection `users`, `get` of a key-value store.
    pub fn operation(&self, operation: &str, collection: Option<&str>) -> DbCall {
        DbCall::begin(self, Arc::new(Statement::of_operation(operation, collection)))
    }

    fn statement(&self, sql: &str) -> Arc<Statement> {
        if let Some(statement) = self.0.statements.read().get(sql) {
            return statement.clone();
        }
        let statement = Arc::new(Statement::of_sql(sql));
        let mut statements = self.0.statements.write();
        if statements.len() < MAX_REMEMBERED && sql.len() <= crate::redaction::MAX_STATEMENT {
            statements.insert(sql.into(), statement.clone());
        }
        statement
    }
}

/// A call with a statement of SQL, for a database that has no [`DbClient`] of its own.
pub fn db_span(system: impl Into<Name>, sql: &str) -> DbCall {
    DbClient::new(system).call(sql)
}

#[cfg(test)]
mod tests;
