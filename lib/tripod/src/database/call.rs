use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;

use super::{DbClient, Statement};
use crate::field::{Name, Value};
use crate::span::SpanExt as _;
use crate::traces::Status;

/// A call of a database. Ends with [`finish`](Self::finish) or [`fail`](Self::fail); dropped before, it counts as cancelled.
#[derive(Debug)]
pub struct DbCall {
    client: DbClient,
    statement: Arc<Statement>,
    span: Span,
    started: Instant,
    rows: u64,
    ended: bool,
}

impl DbCall {
    pub(super) fn begin(client: &DbClient, statement: Arc<Statement>) -> Self {
        let shared = &client.0;
        let name = if statement.summary.is_empty() { shared.system.as_ref() } else { statement.summary.as_str() };
        let span = tracing::info_span!(
            target: "tripod::database",
            "db",
            otel.name = name,
            otel.kind = "client",
            db.system.name = shared.system.as_ref(),
            db.namespace = shared.namespace.as_deref(),
            db.operation.name = (!statement.operation.is_empty()).then_some(statement.operation.as_str()),
            db.collection.name = statement.collection.as_deref(),
            db.query.summary = (!statement.text.is_empty()).then_some(statement.summary.as_str()),
            db.query.text = (!statement.text.is_empty()).then_some(statement.text.as_str()),
            db.response.returned_rows = Empty,
            server.address = shared.server.as_ref().map(|(address, _)| address.as_str()),
            server.port = shared.server.as_ref().map(|(_, port)| *port),
        );
        Self { client: client.clone(), statement, span, started: Instant::now(), rows: 0, ended: false }
    }

    /// The span; what happens within it lies below the call.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Sets an attribute: `db.operation.batch.size` or any other.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> &mut Self {
        self.span.set_attribute(name, value);
        self
    }

    /// Adds to the rows that the database has returned.
    pub fn rows(&mut self, rows: u64) -> &mut Self {
        self.rows += rows;
        self
    }

    /// The database has answered.
    pub fn finish(mut self) {
        self.end("");
    }

    /// The call failed. The code is that of the database, such as an SQLSTATE; without one the error counts as `error`.
    pub fn fail(mut self, error: &(impl Error + ?Sized), code: Option<&str>) {
        self.end_failed(error, code);
    }

    pub(super) fn end_failed(&mut self, error: &(impl Error + ?Sized), code: Option<&str>) {
        self.span.record_error(error);
        if let Some(code) = code {
            self.span.set_attribute("db.response.status_code", code.to_owned());
            self.span.set_attribute("error.type", code.to_owned());
        }
        self.end(code.unwrap_or("error"));
    }

    /// `error` is empty when all went well.
    pub(super) fn end(&mut self, error: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.span.set_attribute("db.response.returned_rows", i64::try_from(self.rows).unwrap_or(i64::MAX));
        if let Some(metrics) = &self.client.0.metrics {
            metrics.record(&self.client.0.system, &self.statement, error, self.started.elapsed());
        }
        self.span.end();
    }
}

impl Drop for DbCall {
    fn drop(&mut self) {
        if !self.ended {
            self.span.set_attribute("error.type", "cancelled");
            self.span.set_status(Status::Error("cancelled".into()));
            self.end("cancelled");
        }
    }
}
