//! Executors of sqlx 0.9 with a span for every call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use sqlx::error::BoxDynError;
use sqlx::{Database, Describe, Either, Error, Execute, Executor, Pool, SqlStr};

use super::{DbCall, DbClient, PoolState, watch_pool};
use crate::metrics::Registry;

type BoxFuture<'e, T> = Pin<Box<dyn Future<Output = T> + Send + 'e>>;
type BoxStream<'e, T> = Pin<Box<dyn Stream<Item = T> + Send + 'e>>;

/// An executor of sqlx (`&pool`, `&mut connection`, `&mut *transaction`) whose calls have a span each.
#[derive(Debug)]
pub struct Traced<E> {
    inner: E,
    client: DbClient,
}

impl DbClient {
    /// A client for the kind of database that the pool is of.
    pub fn of_pool<DB: Database>(_pool: &Pool<DB>) -> Self {
        Self::new(match DB::NAME {
            "PostgreSQL" => "postgresql",
            "SQLite" => "sqlite",
            "MySQL" => "mysql",
            other => other,
        })
    }

    /// Follows the calls of an executor: `query.fetch_all(db.on(&pool))`.
    pub fn on<'c, E: Executor<'c>>(&self, executor: E) -> Traced<E> {
        Traced { inner: executor, client: self.clone() }
    }

    /// Shows the pool's connections in this registry; see [`watch_pool`].
    pub fn watch<DB: Database>(registry: &Registry, name: impl Into<String>, pool: &Pool<DB>) {
        let pool = pool.clone();
        watch_pool(registry, name, move || {
            let (size, idle) = (pool.size() as usize, pool.num_idle());
            let max = pool.options().get_max_connections() as usize;
            PoolState { idle, used: size.saturating_sub(idle), max }
        });
    }
}

/// A query that has been looked at. Looking takes it apart.
struct Seen<DB: Database> {
    sql: SqlStr,
    statement: Option<DB::Statement>,
    arguments: Option<Result<Option<DB::Arguments>, BoxDynError>>,
    persistent: bool,
}

impl<DB: Database> Seen<DB> {
    fn of<'q>(mut query: impl Execute<'q, DB>) -> Self {
        let arguments = Some(query.take_arguments());
        let (statement, persistent) = (query.statement().cloned(), query.persistent());
        Self { sql: query.sql(), statement, arguments, persistent }
    }
}

impl<'q, DB: Database> Execute<'q, DB> for Seen<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.statement.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        self.arguments.take().unwrap_or(Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

fn fail(call: &mut DbCall, error: &Error) {
    let database = error.as_database_error();
    let code = database.and_then(|error| error.code());
    call.end_failed(error, code.as_deref());
}

/// Rows and results on their way to the application; ends the call with the last.
struct Rows<'e, T> {
    inner: BoxStream<'e, Result<T, Error>>,
    call: DbCall,
    is_row: fn(&T) -> bool,
}

impl<T> Stream for Rows<'_, T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { inner, call, is_row } = &mut *self;
        let polled = call.span().clone().in_scope(|| inner.as_mut().poll_next(context));
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(item))) => {
                call.rows(u64::from(is_row(item)));
            }
            Poll::Ready(Some(Err(error))) => fail(call, error),
            Poll::Ready(None) => call.end(""),
        }
        polled
    }
}

impl<'c, X> Executor<'c> for Traced<X>
where
    X: Executor<'c>,
{
    type Database = X::Database;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<
        'e,
        Result<Either<<Self::Database as Database>::QueryResult, <Self::Database as Database>::Row>, Error>,
    >
    where
        'c: 'e,
        E: 'q + Execute<'q, Self::Database>,
    {
        let seen = Seen::of(query);
        let call = self.client.call(seen.sql.as_str());
        Box::pin(Rows { inner: self.inner.fetch_many(seen), call, is_row: Either::is_right })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<<Self::Database as Database>::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Self::Database>,
    {
        let seen = Seen::of(query);
        let mut call = self.client.call(seen.sql.as_str());
        let future = self.inner.fetch_optional(seen);
        Box::pin(async move {
            let result = tracing::Instrument::instrument(future, call.span().clone()).await;
            match &result {
                Ok(row) => {
                    call.rows(u64::from(row.is_some()));
                    call.end("");
                }
                Err(error) => fail(&mut call, error),
            }
            result
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<Self::Database as Database>::TypeInfo],
    ) -> BoxFuture<'e, Result<<Self::Database as Database>::Statement, Error>>
    where
        'c: 'e,
    {
        self.inner.prepare_with(sql, parameters)
    }

    #[doc(hidden)]
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Self::Database>, Error>>
    where
        'c: 'e,
    {
        self.inner.describe(sql)
    }
}
