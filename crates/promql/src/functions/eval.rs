use std::fmt;

use tripod_model::series::FloatHistogram;

use crate::engine::{CallPlan, Evaluated, Evaluator, Grid, Node, Notes, QueryError, RangeKernel};

/// Evaluates a call as a whole.
pub(crate) type NodeFunction = fn(&Evaluator, &Node, &CallPlan, Grid, &mut Notes) -> Result<Evaluated, QueryError>;

/// How a function is computed.
#[derive(Clone, Copy)]
pub(crate) enum Eval {
    /// A number that depends on the query alone; put into the plan.
    Constant,
    /// A number from the step's time (milliseconds) and numbers.
    Scalar(fn(i64, &[f64]) -> f64),
    /// A number from each number of a vector.
    Map(fn(f64) -> f64),
    /// A number, or none, from each number of a vector and further arguments.
    MapWith(fn(f64, &[f64]) -> Option<f64>),
    /// A number from each native histogram of a vector.
    Histogram(fn(&FloatHistogram) -> f64),
    /// A value from the samples in a range.
    Range(RangeKernel),
    /// Anything else.
    Node(NodeFunction),
}

impl fmt::Debug for Eval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "Constant",
            Self::Scalar(_) => "Scalar",
            Self::Map(_) => "Map",
            Self::MapWith(_) => "MapWith",
            Self::Histogram(_) => "Histogram",
            Self::Range(_) => "Range",
            Self::Node(_) => "Node",
        })
    }
}
