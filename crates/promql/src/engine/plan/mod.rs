//! What is to be evaluated: the tree of a query with everything resolved that does not depend on data.
//!
//! Durations are numbers, `@` is a moment, `start()` and the like are numbers, and what is the same at all steps is
//! marked so that it is evaluated once.

mod duration;
mod resolve;
mod select;

use tripod_storage::series::LabelMatcher;

use super::grid::Grid;
use crate::ast::{AggregateOp, BinaryOp, RangeExtension, ValueType, VectorMatching};
use crate::functions::Signature;

pub(super) use resolve::{Scope, resolve};
pub(super) use select::selects;

/// A piece of the plan.
#[derive(Debug)]
pub(crate) struct Node {
    pub kind: NodeKind,
    /// Where it starts in the query, in bytes; for annotations.
    pub position: usize,
    /// What it gives.
    pub gives: ValueType,
}

#[derive(Debug)]
pub(crate) enum NodeKind {
    Number(f64),
    String(Vec<u8>),
    Vector(VectorPlan),
    Matrix(MatrixPlan),
    Subquery(Box<SubqueryPlan>),
    /// A sign; `true` for a minus.
    Sign(bool, Box<Node>),
    Paren(Box<Node>),
    Binary(Box<BinaryPlan>),
    Aggregate(Box<AggregatePlan>),
    Call(CallPlan),
    /// The same at all steps.
    Invariant(Box<Node>),
}

/// Selects series at a moment.
#[derive(Debug)]
pub(crate) struct VectorPlan {
    pub matchers: Vec<LabelMatcher>,
    /// Milliseconds to look back from each step; negative for the future.
    pub offset: i64,
    /// The moment to look at, instead of each step.
    pub at: Option<i64>,
    pub extension: Option<RangeExtension>,
    /// Of native histograms only count and sum are looked at.
    pub without_buckets: bool,
    /// Which of the query's selections holds its series.
    pub slot: usize,
}

/// Selects ranges of samples.
#[derive(Debug)]
pub(crate) struct MatrixPlan {
    pub vector: VectorPlan,
    /// Milliseconds.
    pub range: i64,
}

/// Evaluates an expression over a range.
#[derive(Debug)]
pub(crate) struct SubqueryPlan {
    pub expr: Node,
    pub range: i64,
    pub step: i64,
    pub offset: i64,
    pub at: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct BinaryPlan {
    pub op: BinaryOp,
    pub lhs: Node,
    pub rhs: Node,
    pub return_bool: bool,
    pub matching: Option<VectorMatching>,
}

#[derive(Debug)]
pub(crate) struct AggregatePlan {
    pub op: AggregateOp,
    pub param: Option<Node>,
    pub expr: Node,
    pub without: bool,
    /// Sorted, each once.
    pub labels: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct CallPlan {
    pub function: &'static Signature,
    pub args: Vec<Node>,
}

impl VectorPlan {
    /// The moment that a step looks at.
    pub(crate) fn reference(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }
}

impl SubqueryPlan {
    /// The steps of the inside, for the steps of the outside: aligned to multiples of the subquery's own step, the first
    /// one after the border of the range.
    pub(crate) fn grid(&self, outer: Grid) -> Grid {
        let (first, last) = match self.at {
            Some(at) => (at, at),
            None => (outer.start, outer.last()),
        };
        let border = first.saturating_sub(self.offset).saturating_sub(self.range);
        let mut start = self.step * (border / self.step);
        if start <= border {
            start = start.saturating_add(self.step);
        }
        Grid { start, end: last.saturating_sub(self.offset), interval: self.step }
    }
}

impl Node {
    /// The inside of parentheses.
    pub(crate) fn unwrap_paren(self) -> Self {
        match self.kind {
            NodeKind::Paren(inner) => inner.unwrap_paren(),
            _ => self,
        }
    }

    /// The text of a string, which may be no UTF-8.
    pub(crate) fn text(&self) -> &[u8] {
        match &self.kind {
            NodeKind::String(text) => text,
            _ => b"",
        }
    }

    /// The text of a string where a label's name is wanted; `None` when it cannot be one.
    pub(crate) fn label_name(&self) -> Option<&str> {
        std::str::from_utf8(self.text()).ok().filter(|name| !name.is_empty())
    }
}
