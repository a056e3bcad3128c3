//! Evaluates queries over a [`SeriesStore`].
//!
//! An expression is evaluated once for all steps of a query, each series a column over the steps, instead of once per
//! step: what depends on labels alone (which series match which, which group is whose) is computed once, and a range
//! function slides over a series' samples. An instant query is a range of one step.

mod aggregate;
mod answer;
mod binary;
mod column;
mod context;
mod error;
mod evaluator;
mod grid;
pub(crate) mod kahan;
pub(crate) mod labels;
mod notes;
mod options;
mod plan;
mod query;
mod range_call;
pub(crate) mod selector;
mod smoothed;
mod window;

use std::sync::Arc;

use query::Moments;
use tokio::sync::Semaphore;
use tripod_storage::series::SeriesStore;

pub use answer::{Annotations, Answer, MatrixSeries, QueryStats, SampleValue, Value, VectorSample};
pub use error::{QueryError, QueryErrorKind};
pub use options::{Options, QueryOptions};

// What functions are made of.
pub(crate) use aggregate::{quantile, sort_by_value};
pub(crate) use binary::Outcome;
pub(crate) use column::{Column, Evaluated, is_absent};
pub(crate) use evaluator::Evaluator;
pub(crate) use grid::Grid;
pub(crate) use kahan::Mean;
pub(crate) use notes::{ForcedMonotonicity, HistogramOperation, Note, Notes};
pub(crate) use plan::{CallPlan, Node, NodeKind, VectorPlan};
pub(crate) use range_call::{RangeCall, RangeKernel};
pub(crate) use smoothed::Extended;
pub(crate) use window::{RangeSeries, Window};

/// Evaluates queries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    store: Arc<dyn SeriesStore>,
    options: Arc<Options>,
    /// As many permits as queries may run at once.
    turns: Arc<Semaphore>,
}

impl Engine {
    /// An engine over a store.
    pub fn new(store: Arc<dyn SeriesStore>, options: Options) -> Self {
        Self { store, turns: Arc::new(Semaphore::new(options.max_concurrency.max(1))), options: Arc::new(options) }
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
        self.run(query, Moments { start: time_ms, end: time_ms, step: 0 }, options).await
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
        self.run(query, Moments { start: start_ms, end: end_ms, step: step_ms }, options).await
    }
}
