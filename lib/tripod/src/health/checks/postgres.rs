//! PostgreSQL and its extensions (feature `sqlx`).

use sqlx::PgPool;

use crate::field::Name;
use crate::health::{Check, Outcome};

/// A check `database`: a connection of the pool answers. A pool with all connections in use is degraded, not down, as long
/// as the check gets its turn.
pub fn postgres(pool: PgPool) -> Check {
    Check::new("database", move || {
        let pool = pool.clone();
        async move {
            let one: Result<i32, sqlx::Error> = sqlx::query_scalar("SELECT 1").fetch_one(&pool).await;
            match one {
                Ok(_) => Outcome::healthy("Database connection successful")
                    .detail("pool_connections", pool.size())
                    .detail("pool_idle", pool.num_idle()),
                Err(error) => Outcome::unhealthy(format!("Database connection failed: {error}")),
            }
        }
    })
}

/// A check that an extension is installed in the database: `extension("pgvector", pool, "vector")`.
pub fn extension(name: impl Into<Name>, pool: PgPool, extension: impl Into<String>) -> Check {
    let (name, extension) = (name.into(), extension.into());
    let called = name.clone();
    Check::new(name, move || {
        let (pool, name, extension) = (pool.clone(), called.clone(), extension.clone());
        async move {
            let version: Result<Option<String>, sqlx::Error> =
                sqlx::query_scalar("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = $1")
                    .bind(&extension)
                    .fetch_optional(&pool)
                    .await;
            match version {
                Ok(Some(version)) => {
                    Outcome::healthy(format!("{name} extension is available")).detail("version", version)
                }
                Ok(None) => Outcome::unhealthy(format!(
                    "{name} extension is not installed: CREATE EXTENSION \"{extension}\" in this database"
                )),
                Err(error) => Outcome::unhealthy(format!("{name} extension could not be looked up: {error}")),
            }
        }
    })
}
