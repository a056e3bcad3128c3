//! Checks types, and what else a tree can have wrong though it could be read.

use tripod_model::series::METRIC_NAME;

use super::ParseError;
use crate::ast::{Binary, Call, Cardinality, Expr, ExprKind, Span, ValueType, VectorSelector};
use crate::functions::{Arity, signature};
use crate::literal::quote;

/// Checks a tree and completes how vectors are matched.
pub(super) fn check(expr: &mut Expr, query: &str) -> Result<(), ParseError> {
    Check { query }.expr(expr).map(|_| ())
}

struct Check<'a> {
    query: &'a str,
}

impl Check<'_> {
    fn error<T>(&self, span: Span, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::new(self.query, span, message.into()))
    }

    fn expr(&self, expr: &mut Expr) -> Result<ValueType, ParseError> {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Number { .. } => Ok(ValueType::Scalar),
            ExprKind::String(_) => Ok(ValueType::String),
            ExprKind::Vector(vector) => self.selector(vector, span, false).map(|()| ValueType::Vector),
            ExprKind::Matrix(matrix) => {
                self.selector(&matrix.vector, matrix.vector_span, false).map(|()| ValueType::Matrix)
            }
            ExprKind::Subquery(subquery) => match self.expr(&mut subquery.expr)? {
                ValueType::Vector => Ok(ValueType::Matrix),
                other => {
                    let name = other.name();
                    self.error(span, format!("subquery is only allowed on instant vector, got {name} instead"))
                }
            },
            ExprKind::Unary { operand, .. } => match self.expr(operand)? {
                found @ (ValueType::Scalar | ValueType::Vector) => Ok(found),
                other => {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        quote(other.documented_name())
                    );
                    self.error(span, message)
                }
            },
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Binary(binary) => self.binary(binary, span),
            ExprKind::Aggregate(aggregate) => {
                self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
                if let (Some(wanted), Some(param)) = (aggregate.op.parameter(), &mut aggregate.param) {
                    self.expect(param, wanted, "aggregation parameter")?;
                }
                Ok(ValueType::Vector)
            }
            ExprKind::Call(call) => self.call(call, span),
        }
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, place: &str) -> Result<(), ParseError> {
        let found = self.expr(expr)?;
        if found == wanted {
            return Ok(());
        }
        let (wanted, found) = (wanted.documented_name(), found.documented_name());
        self.error(expr.span, format!("expected type {wanted} in {place}, got {found}"))
    }

    fn selector(&self, vector: &VectorSelector, span: Span, may_be_empty: bool) -> Result<(), ParseError> {
        if let Some(name) = &vector.name {
            let others = &vector.matchers[..vector.matchers.len().saturating_sub(1)];
            if let Some(other) = others.iter().find(|each| each.name() == METRIC_NAME) {
                let (name, other) = (quote(name), quote(other.value()));
                return self.error(span, format!("metric name must not be set twice: {name} or {other}"));
            }
        } else if !may_be_empty && vector.matchers.iter().all(|each| each.matches("")) {
            return self.error(span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(())
    }

    fn binary(&self, binary: &mut Binary, span: Span) -> Result<ValueType, ParseError> {
        let lhs = self.expr(&mut binary.lhs)?;
        let rhs = self.expr(&mut binary.rhs)?;
        let op = binary.op;
        let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        if binary.return_bool && !op.is_comparison() {
            return self.error(binary.op_span, "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && scalars {
            return self.error(binary.op_span, "comparisons between scalars must use BOOL modifier");
        }
        if let Some(matching) = &binary.matching
            && matching.on
            && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
        {
            let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
            return self.error(binary.op_span, message);
        }
        for (operand, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.error(operand.span, message);
            }
        }
        self.matching(binary, span, lhs == ValueType::Vector && rhs == ValueType::Vector)?;
        Ok(if scalars { ValueType::Scalar } else { ValueType::Vector })
    }

    fn matching(&self, binary: &mut Binary, span: Span, vectors: bool) -> Result<(), ParseError> {
        let op = binary.op;
        let Some(matching) = &mut binary.matching else {
            return Ok(());
        };
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if !vectors {
            if !matching.labels.is_empty() {
                return self.error(span, "vector matching only allowed between instant vectors");
            }
            if fills {
                return self.error(span, "filling in missing series only allowed between instant vectors");
            }
            binary.matching = None;
            if op.is_set() {
                let name = quote(op.sign());
                return self.error(span, format!("set operator {name} not allowed in binary scalar expression"));
            }
            return Ok(());
        }
        if op.is_set() {
            if matching.cardinality != Cardinality::OneToOne {
                return self.error(span, format!("no grouping allowed for {} operation", quote(op.sign())));
            }
            if fills {
                return self.error(span, "filling in missing series not allowed for set operators");
            }
            matching.cardinality = Cardinality::ManyToMany;
        }
        Ok(())
    }

    fn call(&self, call: &mut Call, span: Span) -> Result<ValueType, ParseError> {
        let Some(function) = signature(call.function) else {
            return self.error(span, format!("unknown function with name {}", quote(call.function)));
        };
        let name = quote(function.name);
        let given = call.args.len();
        let least = function.least();
        let wrong = match function.most() {
            _ if function.arity == Arity::Exact && given != least => {
                Some(format!("expected {least} argument(s) in call to {name}, got {given}"))
            }
            _ if given < least => Some(format!("expected at least {least} argument(s) in call to {name}, got {given}")),
            Some(most) if given > most => {
                Some(format!("expected at most {most} argument(s) in call to {name}, got {given}"))
            }
            _ => None,
        };
        if let Some(message) = wrong {
            return self.error(span, message);
        }
        let info = function.name == "info";
        if info && let Some(labels) = call.args.get(1) {
            self.info_labels(labels, span)?;
        }
        for (place, arg) in call.args.iter_mut().enumerate() {
            let found = match &arg.kind {
                ExprKind::Vector(vector) if info && place == 1 => {
                    self.selector(vector, arg.span, true)?;
                    ValueType::Vector
                }
                _ => self.expr(arg)?,
            };
            if let Some(wanted) = function.arg(place).filter(|wanted| *wanted != found) {
                let (wanted, found) = (wanted.documented_name(), found.documented_name());
                let message = format!("expected type {wanted} in call to function {name}, got {found}");
                return self.error(arg.span, message);
            }
        }
        Ok(function.returns)
    }

    /// The second argument of `info` is a selector without a name.
    fn info_labels(&self, labels: &Expr, span: Span) -> Result<(), ParseError> {
        let found = labels.value_type();
        if found != ValueType::Vector {
            let (wanted, found) = (ValueType::Vector.documented_name(), found.documented_name());
            return self.error(span, format!("expected type {wanted} in call to function \"info\", got {found}"));
        }
        match &labels.kind {
            ExprKind::Vector(vector) if vector.name.is_none() => Ok(()),
            ExprKind::Vector(_) => {
                self.error(labels.span, "expected label selectors only, got vector selector instead")
            }
            _ => self.error(labels.span, "expected label selectors only"),
        }
    }
}
