//! Evaluates queries over a [`SeriesStore`].
//!
//! An expression is evaluated once for all steps of a query, each series a column over the steps, instead of once per
//! step: what depends on labels alone (which series match which, which group is whose) is computed once, and a range
//! function slides over a series' samples. An instant query is a range of one step.

mod answer;
mod error;
mod options;

use std::sync::Arc;

use tripod_storage::series::SeriesStore;

pub use answer::{Annotations, Answer, MatrixSeries, QueryStats, SampleValue, Value, VectorSample};
pub use error::{QueryError, QueryErrorKind};
pub use options::{Options, QueryOptions};

/// Evaluates queries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    store: Arc<dyn SeriesStore>,
    options: Arc<Options>,
}

impl Engine {
    /// An engine over a store.
    pub fn new(store: Arc<dyn SeriesStore>, options: Options) -> Self {
        Self { store, options: Arc::new(options) }
    }

    /// How this engine works.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The store that this engine reads.
    pub fn store(&self) -> &Arc<dyn SeriesStore> {
        &self.store
    }

    /// Evaluates a query at one moment (milliseconds since the Unix epoch).
    ///
    /// # Errors
    /// [`QueryError`]: the query is invalid, cannot be evaluated on this data, took too long or too many samples, or
    /// the store failed. Dropping the future ends the evaluation.
    pub async fn instant(&self, query: &str, time_ms: i64, options: QueryOptions) -> Result<Answer, QueryError> {
        self.run(query, time_ms, time_ms, 0, options).await
    }

    /// Evaluates a query at each step from the first moment to the last, both included (milliseconds).
    ///
    /// # Errors
    /// As [`Engine::instant`]; also when the query gives a string or a matrix, or the step is not above zero.
    pub async fn range(
        &self,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: QueryOptions,
    ) -> Result<Answer, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::bad_data("zero or negative query resolution step widths are not accepted"));
        }
        self.run(query, start_ms, end_ms, step_ms, options).await
    }

    async fn run(
        &self,
        _query: &str,
        _start_ms: i64,
        _end_ms: i64,
        _step_ms: i64,
        _options: QueryOptions,
    ) -> Result<Answer, QueryError> {
        Err(QueryError::execution("the evaluator is not there yet"))
    }
}
