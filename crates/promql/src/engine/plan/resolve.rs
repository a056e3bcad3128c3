use super::duration::{Scale, millis};
use super::{AggregatePlan, BinaryPlan, CallPlan, MatrixPlan, Node, NodeKind, SubqueryPlan, VectorPlan};
use crate::ast::{At, BinaryOp, Expr, ExprKind, Subquery, ValueType, VectorSelector};
use crate::engine::error::QueryError;
use crate::functions::signature;

/// What the query asks for beside its text.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Scope {
    /// Milliseconds since the Unix epoch.
    pub start: i64,
    /// See above.
    pub end: i64,
    /// Milliseconds; 0 for an instant query.
    pub step: i64,
    /// The step of a subquery that names none, milliseconds.
    pub subquery_step: i64,
}

/// Makes the plan of a parsed query.
///
/// # Errors
/// A duration expression without a sensible value, a function that does not exist.
pub(in crate::engine) fn resolve(expr: &Expr, scope: Scope) -> Result<Node, QueryError> {
    let mut node = scope.node(expr)?;
    mark_without_buckets(&mut node, false);
    let (_, wrap) = mark_invariant(&mut node);
    Ok(if wrap { invariant(node) } else { node })
}

impl Scope {
    fn scale(&self) -> Scale {
        Scale { step: self.step as f64 / 1000.0, range: self.end.saturating_sub(self.start) as f64 / 1000.0 }
    }

    fn node(&self, expr: &Expr) -> Result<Node, QueryError> {
        let (kind, gives) = match &expr.kind {
            ExprKind::Number { value, .. } => (NodeKind::Number(*value), ValueType::Scalar),
            ExprKind::String(text) => (NodeKind::String(text.clone()), ValueType::String),
            ExprKind::Vector(selector) => (NodeKind::Vector(self.vector(selector)?), ValueType::Vector),
            ExprKind::Matrix(matrix) => {
                let range = millis(&matrix.range, self.scale(), false)?;
                let plan = MatrixPlan { vector: self.vector(&matrix.vector)?, range };
                (NodeKind::Matrix(plan), ValueType::Matrix)
            }
            ExprKind::Subquery(subquery) => (NodeKind::Subquery(Box::new(self.subquery(subquery)?)), ValueType::Matrix),
            ExprKind::Unary { minus, operand } => {
                let operand = self.node(operand)?;
                let gives = operand.gives;
                (NodeKind::Sign(*minus, Box::new(operand)), gives)
            }
            ExprKind::Paren(inner) => {
                let inner = self.node(inner)?;
                let gives = inner.gives;
                (NodeKind::Paren(Box::new(inner)), gives)
            }
            ExprKind::Binary(binary) => {
                let (lhs, rhs) = (self.node(&binary.lhs)?, self.node(&binary.rhs)?);
                let scalars = lhs.gives == ValueType::Scalar && rhs.gives == ValueType::Scalar;
                let gives = if scalars { ValueType::Scalar } else { ValueType::Vector };
                let plan = BinaryPlan {
                    op: binary.op,
                    lhs,
                    rhs,
                    return_bool: binary.return_bool,
                    matching: binary.matching.clone(),
                };
                (NodeKind::Binary(Box::new(plan)), gives)
            }
            ExprKind::Aggregate(aggregate) => {
                let mut labels = aggregate.labels.clone();
                labels.sort_unstable();
                labels.dedup();
                let param = aggregate.param.as_ref().map(|param| self.node(param)).transpose()?;
                let plan = AggregatePlan {
                    op: aggregate.op,
                    param: param.map(Node::unwrap_paren),
                    expr: self.node(&aggregate.expr)?.unwrap_paren(),
                    without: aggregate.without,
                    labels,
                };
                (NodeKind::Aggregate(Box::new(plan)), ValueType::Vector)
            }
            ExprKind::Call(call) => {
                if let Some(value) = self.constant(call.function) {
                    (NodeKind::Number(value), ValueType::Scalar)
                } else {
                    let function = signature(call.function)
                        .ok_or_else(|| QueryError::bad_data(format!("unknown function {:?}", call.function)))?;
                    let args = call.args.iter().map(|arg| Ok(self.node(arg)?.unwrap_paren()));
                    let args = args.collect::<Result<_, QueryError>>()?;
                    (NodeKind::Call(CallPlan { function, args }), function.returns)
                }
            }
        };
        Ok(Node { kind, position: expr.span.start, gives })
    }

    fn vector(&self, selector: &VectorSelector) -> Result<VectorPlan, QueryError> {
        let offset = selector.offset.as_ref().map(|offset| millis(offset, self.scale(), true)).transpose()?;
        Ok(VectorPlan {
            matchers: selector.matchers.clone(),
            offset: offset.unwrap_or(0),
            at: selector.at.map(|at| self.moment(at)),
            extension: selector.extension,
            without_buckets: false,
            slot: usize::MAX,
        })
    }

    fn subquery(&self, subquery: &Subquery) -> Result<SubqueryPlan, QueryError> {
        let positive = |duration| millis(duration, self.scale(), false);
        let offset = subquery.offset.as_ref().map(|offset| millis(offset, self.scale(), true)).transpose()?;
        let step = subquery.step.as_ref().map(positive).transpose()?.filter(|step| *step > 0);
        Ok(SubqueryPlan {
            expr: self.node(&subquery.expr)?,
            range: positive(&subquery.range)?,
            step: step.unwrap_or(self.subquery_step).max(1),
            offset: offset.unwrap_or(0),
            at: subquery.at.map(|at| self.moment(at)),
        })
    }

    fn moment(&self, at: At) -> i64 {
        match at {
            At::Timestamp(millis) => millis,
            At::Start => self.start,
            At::End => self.end,
        }
    }

    /// The value of functions that tell about the query itself.
    fn constant(&self, function: &str) -> Option<f64> {
        Some(match function {
            "start" => self.start as f64 / 1000.0,
            "end" => self.end as f64 / 1000.0,
            "range" => self.end.saturating_sub(self.start) as f64 / 1000.0,
            "step" if self.start == self.end => 0.0,
            "step" => self.step as f64 / 1000.0,
            _ => return None,
        })
    }
}

fn invariant(node: Node) -> Node {
    let (position, gives) = (node.position, node.gives);
    Node { kind: NodeKind::Invariant(Box::new(node)), position, gives }
}

fn wrap(node: &mut Node) {
    let taken = std::mem::replace(node, Node { kind: NodeKind::Number(0.0), position: 0, gives: ValueType::Scalar });
    *node = invariant(taken);
}

/// Marks the largest parts that give the same at all steps; tells whether all of the node does and whether it is worth to
/// mark it. As upstream: what a range function takes is never marked itself, and an aggregation's parameter does not count.
fn mark_invariant(node: &mut Node) -> (bool, bool) {
    match &mut node.kind {
        NodeKind::Number(_) | NodeKind::String(_) => (true, false),
        NodeKind::Vector(selector) => (selector.at.is_some(), selector.at.is_some()),
        NodeKind::Matrix(matrix) => (matrix.vector.at.is_some(), false),
        NodeKind::Subquery(subquery) => {
            if mark_invariant(&mut subquery.expr).0 {
                wrap(&mut subquery.expr);
            }
            (subquery.at.is_some(), false)
        }
        NodeKind::Sign(_, inner) | NodeKind::Paren(inner) => mark_invariant(inner),
        NodeKind::Invariant(_) => (true, false),
        NodeKind::Aggregate(aggregate) => mark_invariant(&mut aggregate.expr),
        NodeKind::Binary(binary) => {
            let (lhs, wrap_lhs) = mark_invariant(&mut binary.lhs);
            let (rhs, wrap_rhs) = mark_invariant(&mut binary.rhs);
            if lhs && rhs {
                return (true, true);
            }
            if wrap_lhs {
                wrap(&mut binary.lhs);
            }
            if wrap_rhs {
                wrap(&mut binary.rhs);
            }
            (false, false)
        }
        NodeKind::Call(call) => {
            let marks: Vec<_> = call.args.iter_mut().map(mark_invariant).collect();
            let invariant_args = marks.iter().all(|(invariant, _)| *invariant);
            let fixed_selectors = invariant_args
                && call.args.iter().all(|arg| matches!(arg.kind, NodeKind::Vector(_)))
                && call.function.name == "timestamp";
            if (invariant_args && !depends_on_time(call.function.name)) || fixed_selectors {
                return (true, true);
            }
            for (arg, (_, worth)) in call.args.iter_mut().zip(marks) {
                if worth {
                    wrap(arg);
                }
            }
            (false, false)
        }
    }
}

/// Marks the selectors whose native histograms are needed for their counts and sums alone. What else looks at buckets on
/// the way up keeps them, as do subqueries: only buckets tell of all resets.
fn mark_without_buckets(node: &mut Node, totals: bool) {
    match &mut node.kind {
        NodeKind::Number(_) | NodeKind::String(_) => {}
        NodeKind::Vector(selector) => selector.without_buckets = totals,
        NodeKind::Matrix(matrix) => matrix.vector.without_buckets = totals,
        // Selectors were made with buckets, and stay so.
        NodeKind::Subquery(_) => {}
        NodeKind::Sign(_, inner) | NodeKind::Paren(inner) | NodeKind::Invariant(inner) => {
            mark_without_buckets(inner, totals);
        }
        NodeKind::Binary(binary) if matches!(binary.op, BinaryOp::TrimLower | BinaryOp::TrimUpper) => {}
        NodeKind::Binary(binary) => {
            mark_without_buckets(&mut binary.lhs, totals);
            mark_without_buckets(&mut binary.rhs, totals);
        }
        NodeKind::Aggregate(aggregate) => {
            mark_without_buckets(&mut aggregate.expr, totals);
            aggregate.param.iter_mut().for_each(|param| mark_without_buckets(param, totals));
        }
        NodeKind::Call(call) => match call.function.name {
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {}
            name => {
                let totals = totals || matches!(name, "histogram_count" | "histogram_sum" | "histogram_avg");
                call.args.iter_mut().for_each(|arg| mark_without_buckets(arg, totals));
            }
        },
    }
}

/// Functions whose result depends on the moment of the evaluation even when their arguments do not.
fn depends_on_time(function: &str) -> bool {
    matches!(
        function,
        "days_in_month"
            | "day_of_month"
            | "day_of_week"
            | "day_of_year"
            | "hour"
            | "minute"
            | "month"
            | "year"
            | "predict_linear"
            | "time"
            | "timestamp"
    )
}
