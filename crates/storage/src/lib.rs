//! The seam: how telemetry is handed to a store and how it is asked back.
//!
//! Receivers turn requests into [`Batch`]es with the builders in [`record`] and call [`Store::append`]; query APIs
//! describe what they want as a [`Select`] and get Arrow record batches. Neither side knows which store answers: the
//! lake on disk, or [`memory::MemoryStore`] in tests. The shape of each signal's rows is in [`schema`], column by
//! column.
//!
//! What is absent here on purpose: files, Delta Lake, wire protocols, query languages and DataFusion. A select takes
//! a conjunction of matchers rather than an expression tree of some engine, so that a store stays free to answer it
//! from an index, a chunk or another machine (`docs/decisions/0002-the-seam.md`).

mod attribute_json;
mod column;
mod error;
pub mod matcher;
pub mod memory;
pub mod record;
pub mod schema;
mod select;
pub mod series;
#[cfg(feature = "suite")]
pub mod suite;

use std::fmt::Debug;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

pub use attribute_json::{read_attributes, read_value, write_attributes, write_text, write_value};
pub use column::null_column;
pub use error::{AppendError, SelectError};
pub use matcher::{Matcher, Predicate, Scalar};
pub use schema::Signal;
pub use select::{BatchStream, Select, Selection, TimeRange};

/// Rows of one signal, in the columns that [`Signal::schema`] gives.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which table the rows belong to.
    pub signal: Signal,
    /// The rows; the schema equals [`Signal::schema`].
    pub rows: RecordBatch,
}

/// A place that keeps telemetry and gives it back.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Keeps a batch, all of it or nothing.
    ///
    /// When this returns `Ok`, the rows survive a crash (in a durable store) and the next [`Store::select`] sees
    /// them. Cancelling the future leaves it open whether the batch was kept.
    ///
    /// # Errors
    /// [`AppendError`] says whether the sender should try again, and when.
    async fn append(&self, batch: Batch) -> Result<(), AppendError>;

    /// Starts a query. The selection is of one consistent moment: a row that was appended before the call is in it
    /// exactly once, whatever flushes or compactions happen while it is read.
    ///
    /// # Errors
    /// [`SelectError::Invalid`] when a column or operand does not fit the signal's schema.
    async fn select(&self, select: Select) -> Result<Selection, SelectError>;
}
