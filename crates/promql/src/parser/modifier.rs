use super::{ParseError, Parser};
use crate::ast::{At, BinaryOp, Duration, Expr, ExprKind, MatrixSelector, RangeExtension, Span, Subquery};
use crate::lexer::{Keyword, Preprocessor, TokenKind};

/// What may follow where a duration is read.
const DURATION: &str = "number, duration, step(), or range()";

impl Parser<'_> {
    /// `[range]` or `[range:step]`
    pub(super) fn range(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let depth = self.depth;
        let open = self.next()?;
        let range = self.expecting("subquery or range selector", DURATION, Self::positive_duration)?;
        if self.accept(TokenKind::Colon)?.is_some() {
            let expr = self.subquery(expr, range)?;
            self.grow(depth.max(self.depth))?;
            return Ok(expr);
        }
        let Some(close) = self.accept(TokenKind::RightBracket)? else {
            return self.unexpected_in("subquery or range", r#"":" or "]""#);
        };
        let vector_span = expr.span;
        let brackets = open.span.to(close.span);
        let span = vector_span.to(close.span);
        let wrong = match expr.kind {
            ExprKind::Vector(vector) if vector.offset.is_none() && vector.at.is_none() => {
                self.depth = depth.max(self.depth);
                return Ok(Expr { kind: ExprKind::Matrix(MatrixSelector { vector, vector_span, range }), span });
            }
            ExprKind::Vector(vector) if vector.offset.is_some() => "no offset modifiers allowed before range",
            ExprKind::Vector(_) => "no @ modifiers allowed before range",
            _ => "ranges only allowed for vector selectors",
        };
        Err(self.error(brackets, wrong))
    }

    /// What follows `[range:`.
    fn subquery(&mut self, expr: Expr, range: Duration) -> Result<Expr, ParseError> {
        const CONTEXT: &str = "subquery selector";
        let (step, close) = match self.accept(TokenKind::RightBracket)? {
            Some(close) => (None, close),
            None => {
                let expected = r#"number, duration, step(), range(), or "]""#;
                let step = self.expecting(CONTEXT, expected, Self::positive_duration)?;
                match self.accept(TokenKind::RightBracket)? {
                    Some(close) => (Some(step), close),
                    None => return self.unexpected_in(CONTEXT, r#""]""#),
                }
            }
        };
        let span = expr.span.to(close.span);
        let subquery = Subquery { expr: Box::new(expr), range, step, offset: None, at: None };
        Ok(Expr { kind: ExprKind::Subquery(subquery), span })
    }

    /// `offset duration`
    pub(super) fn offset(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        let depth = self.depth;
        self.next()?;
        let (offset, end) = self.expecting("offset", DURATION, Self::offset_duration)?;
        let slot = match &mut expr.kind {
            ExprKind::Vector(vector) => &mut vector.offset,
            ExprKind::Matrix(matrix) => &mut matrix.vector.offset,
            ExprKind::Subquery(subquery) => &mut subquery.offset,
            _ => {
                let message = "offset modifier must be preceded by an instant vector selector or range vector \
                               selector or a subquery";
                return Err(self.error(expr.span, message));
            }
        };
        if slot.is_some() {
            return Err(self.error(expr.span, "offset may not be set multiple times"));
        }
        *slot = Some(offset).filter(|offset| *offset != Duration::Millis(0));
        self.depth = depth.max(self.depth);
        expr.span = expr.span.to(end);
        Ok(expr)
    }

    /// `anchored` or `smoothed`
    pub(super) fn extension(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        let token = self.next()?;
        let (name, extension) = match token.kind {
            TokenKind::Keyword(Keyword::Anchored) => ("anchored", RangeExtension::Anchored),
            _ => ("smoothed", RangeExtension::Smoothed),
        };
        if !self.options.extended_range_selectors {
            return Err(self.error(expr.span, format!("{name} modifier is experimental and not enabled")));
        }
        let slot = match &mut expr.kind {
            ExprKind::Vector(vector) => &mut vector.extension,
            ExprKind::Matrix(matrix) => &mut matrix.vector.extension,
            ExprKind::Subquery(_) => {
                return Err(self.error(expr.span, format!("{name} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(expr.span, format!("{name} modifier not implemented"))),
        };
        if slot.replace(extension).is_some_and(|before| before != extension) {
            return Err(self.error(expr.span, "anchored and smoothed modifiers cannot be used together"));
        }
        expr.span = expr.span.to(token.span);
        Ok(expr)
    }

    /// `@ timestamp`, `@ start()` or `@ end()`
    pub(super) fn at(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        self.next()?;
        let (seconds, end) = self.expecting("@", "timestamp", Self::moment)?;
        let at = match seconds {
            Moment::Border(at) => at,
            Moment::Seconds(seconds) => {
                if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
                    let shown = if seconds.is_finite() {
                        format!("{seconds:.6}")
                    } else {
                        crate::literal::format_float(seconds)
                    };
                    return Err(self.error(expr.span, format!("timestamp out of bounds for @ modifier: {shown}")));
                }
                At::Timestamp((seconds * 1000.0).round() as i64)
            }
        };
        let slot = match &mut expr.kind {
            ExprKind::Vector(vector) => &mut vector.at,
            ExprKind::Matrix(matrix) => &mut matrix.vector.at,
            ExprKind::Subquery(subquery) => &mut subquery.at,
            _ => {
                let message = "@ modifier must be preceded by an instant vector selector or range vector selector \
                               or a subquery";
                return Err(self.error(expr.span, message));
            }
        };
        if slot.is_some() {
            return Err(self.error(expr.span, "@ <timestamp> may not be set multiple times"));
        }
        *slot = Some(at);
        expr.span = expr.span.to(end);
        Ok(expr)
    }

    /// What stands after `@`.
    fn moment(&mut self) -> Result<(Moment, Span), ParseError> {
        let token = self.peek()?;
        let mut minus = false;
        let border = match token.kind {
            TokenKind::Preprocessor(Preprocessor::Start) => Some(At::Start),
            TokenKind::Preprocessor(Preprocessor::End) => Some(At::End),
            TokenKind::Operator(sign @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.next()?;
                minus = sign == BinaryOp::Sub;
                None
            }
            _ => None,
        };
        if let Some(border) = border {
            self.next()?;
            self.expect(TokenKind::LeftParen)?;
            let close = self.expect(TokenKind::RightParen)?;
            return Ok((Moment::Border(border), close.span));
        }
        if !matches!(self.peek()?.kind, TokenKind::Number | TokenKind::Duration) {
            return self.unexpected();
        }
        let (seconds, _, span) = self.number()?;
        Ok((Moment::Seconds(if minus { -seconds } else { seconds }), span))
    }
}

/// What `@` names.
enum Moment {
    Seconds(f64),
    Border(At),
}
