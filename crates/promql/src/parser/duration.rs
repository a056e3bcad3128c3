use super::{ParseError, Parser};
use crate::ast::{BinaryOp, Duration, DurationExpr, DurationKind, Span};
use crate::lexer::{Preprocessor, TokenKind};

/// From here on a number of seconds does not fit into nanoseconds.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

impl Parser<'_> {
    /// The duration of a range or step.
    pub(super) fn positive_duration(&mut self) -> Result<Duration, ParseError> {
        self.depth = 0;
        let expr = self.duration_expression(0)?;
        // What follows is looked at before the value is.
        self.peek()?;
        match expr.kind {
            DurationKind::Number { value, .. } if value <= 0.0 => {
                Err(self.error(expr.span, "duration must be greater than 0"))
            }
            _ => Ok(duration(expr)),
        }
    }

    /// The duration of an offset, and where it ends. Binary operators after it belong to what the offset is applied
    /// to, unless the duration begins with a parenthesis or two signs.
    pub(super) fn offset_duration(&mut self) -> Result<(Duration, Span), ParseError> {
        self.depth = 0;
        let token = self.peek()?;
        let expr = match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number_of_seconds()?;
                self.in_range(number, token.span)?
            }
            TokenKind::Preprocessor(_) => self.duration_operand()?,
            TokenKind::Operator(sign @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.next()?;
                let minus = sign == BinaryOp::Sub;
                match self.peek()?.kind {
                    TokenKind::Number | TokenKind::Duration => {
                        let number = self.number_of_seconds()?;
                        self.signed(minus, token.span, number)?
                    }
                    TokenKind::Preprocessor(_) => {
                        let operand = self.unchecked_preprocessor()?;
                        self.check_enabled(token.span)?;
                        self.signed(minus, token.span, operand)?
                    }
                    TokenKind::LeftParen => {
                        self.next()?;
                        let inner = self.duration_expression(0)?;
                        self.expect(TokenKind::RightParen)?;
                        let start = inner.span;
                        self.signed(minus, token.span, wrapped(inner, start))?
                    }
                    _ => {
                        let operand = self.duration_expression(BinaryOp::Pow.precedence())?;
                        let first = self.signed(minus, token.span, operand)?;
                        self.duration_operators(first, 0)?
                    }
                }
            }
            _ => self.duration_expression(0)?,
        };
        let span = expr.span;
        Ok((duration(expr), span))
    }

    /// A duration whose binary operators bind at least as strongly as given.
    fn duration_expression(&mut self, precedence: u8) -> Result<DurationExpr, ParseError> {
        self.nested(|parser| {
            let first = parser.duration_operand()?;
            parser.duration_operators(first, precedence)
        })
    }

    fn duration_operators(&mut self, first: DurationExpr, precedence: u8) -> Result<DurationExpr, ParseError> {
        let mut lhs = first;
        loop {
            let op = match self.peek()?.kind {
                TokenKind::Operator(op) if op.precedence() >= precedence && is_arithmetic(op) => op,
                _ => return Ok(lhs),
            };
            let sign = self.next()?;
            let depth = self.depth;
            let rhs = self.duration_expression(op.precedence() + u8::from(op != BinaryOp::Pow))?;
            self.grow(depth.max(self.depth))?;
            self.check_enabled(lhs.span)?;
            if matches!(rhs.kind, DurationKind::Number { value: 0.0, .. }) {
                match op {
                    BinaryOp::Div => return Err(self.error(sign.span, "division by zero")),
                    BinaryOp::Mod => return Err(self.error(sign.span, "modulo by zero")),
                    _ => {}
                }
            }
            let span = lhs.span.to(rhs.span);
            let kind = DurationKind::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) };
            lhs = DurationExpr { kind, span };
        }
    }

    fn duration_operand(&mut self) -> Result<DurationExpr, ParseError> {
        let token = self.peek()?;
        self.depth = 1;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number_of_seconds()?;
                self.in_range(number, token.span)
            }
            TokenKind::Operator(sign @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.next()?;
                let operand = self.duration_expression(BinaryOp::Pow.precedence())?;
                self.signed(sign == BinaryOp::Sub, token.span, operand)
            }
            TokenKind::LeftParen => {
                self.next()?;
                let inner = self.duration_expression(0)?;
                self.expect(TokenKind::RightParen)?;
                self.check_enabled(inner.span)?;
                self.grow(self.depth)?;
                Ok(wrapped(inner, token.span))
            }
            TokenKind::Preprocessor(_) => {
                let operand = self.unchecked_preprocessor()?;
                self.check_enabled(operand.span)?;
                Ok(operand)
            }
            _ => self.unexpected(),
        }
    }

    /// `step()`, `range()`, `max_of(a, b)` or `min_of(a, b)`
    fn unchecked_preprocessor(&mut self) -> Result<DurationExpr, ParseError> {
        let token = self.peek()?;
        let max = match token.kind {
            TokenKind::Preprocessor(word @ (Preprocessor::Step | Preprocessor::Range)) => {
                self.next()?;
                self.expect(TokenKind::LeftParen)?;
                let close = self.expect(TokenKind::RightParen)?;
                let kind = if word == Preprocessor::Step { DurationKind::Step } else { DurationKind::Range };
                return Ok(DurationExpr { kind, span: token.span.to(close.span) });
            }
            TokenKind::Preprocessor(Preprocessor::MaxOf) => true,
            TokenKind::Preprocessor(Preprocessor::MinOf) => false,
            _ => return self.unexpected(),
        };
        self.next()?;
        self.expect(TokenKind::LeftParen)?;
        let lhs = Box::new(self.duration_expression(0)?);
        let depth = self.depth;
        self.expect(TokenKind::Comma)?;
        let rhs = Box::new(self.duration_expression(0)?);
        self.expect(TokenKind::RightParen)?;
        self.grow(depth.max(self.depth))?;
        // Where Prometheus says that it stands.
        let span = lhs.span.to(rhs.span);
        Ok(DurationExpr { kind: DurationKind::MinMax { max, lhs, rhs }, span })
    }

    fn number_of_seconds(&mut self) -> Result<DurationExpr, ParseError> {
        let (value, duration, span) = self.number()?;
        Ok(DurationExpr { kind: DurationKind::Number { value, duration }, span })
    }

    /// Applies a sign that stands at `sign`. A plus leaves no trace.
    fn signed(&mut self, minus: bool, sign: Span, operand: DurationExpr) -> Result<DurationExpr, ParseError> {
        match operand.kind {
            DurationKind::Number { value, duration } => {
                let value = if minus { -value } else { value };
                let kind = DurationKind::Number { value, duration };
                self.in_range(DurationExpr { kind, span: sign.to(operand.span) }, sign)
            }
            _ if minus => {
                self.grow(self.depth)?;
                let span = sign.to(operand.span);
                Ok(DurationExpr { kind: DurationKind::Minus(Box::new(operand)), span })
            }
            _ => Ok(operand),
        }
    }

    fn in_range(&self, expr: DurationExpr, span: Span) -> Result<DurationExpr, ParseError> {
        match expr.kind {
            DurationKind::Number { value, .. } if value.abs() > MAX_SECONDS => {
                Err(self.error(span, "duration out of range"))
            }
            _ => Ok(expr),
        }
    }

    fn check_enabled(&self, span: Span) -> Result<(), ParseError> {
        if self.options.duration_expressions {
            return Ok(());
        }
        Err(self.error(span, "experimental duration expression is not enabled"))
    }
}

/// Parentheses around a duration; a second pair leaves no trace. `start` begins where a number in them is said to stand.
fn wrapped(inner: DurationExpr, start: Span) -> DurationExpr {
    match inner.kind {
        DurationKind::Paren(_) => inner,
        DurationKind::Number { .. } => {
            let span = start.to(inner.span);
            DurationExpr { kind: DurationKind::Paren(Box::new(inner)), span }
        }
        _ => {
            let span = inner.span;
            DurationExpr { kind: DurationKind::Paren(Box::new(inner)), span }
        }
    }
}

fn duration(expr: DurationExpr) -> Duration {
    match expr.kind {
        // To nanoseconds first, as Prometheus does.
        DurationKind::Number { value, .. } => Duration::Millis((value * 1e9).round() as i64 / 1_000_000),
        _ => Duration::Expr(Box::new(expr)),
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow)
}
