use super::{ParseError, Parser};
use crate::ast::{BinaryOp, Expr, ExprKind, Span};
use crate::lexer::{Keyword, Token, TokenKind};
use crate::literal::{parse_duration, parse_number, unquote};

impl Parser<'_> {
    /// An expression whose binary operators bind at least as strongly as given.
    pub(super) fn expression(&mut self, precedence: u8) -> Result<Expr, ParseError> {
        self.nested(|parser| {
            let mut expr = parser.operand()?;
            loop {
                let depth = parser.depth;
                expr = match parser.peek()?.kind {
                    TokenKind::LeftBracket => parser.range(expr)?,
                    TokenKind::Keyword(Keyword::Offset) => parser.offset(expr)?,
                    TokenKind::Keyword(Keyword::Anchored | Keyword::Smoothed) => parser.extension(expr)?,
                    TokenKind::At => parser.at(expr)?,
                    TokenKind::Operator(op) if op.precedence() >= precedence => {
                        let expr = parser.binary(expr, op)?;
                        parser.grow(depth.max(parser.depth))?;
                        expr
                    }
                    _ => return Ok(expr),
                };
            }
        })
    }

    /// An expression without binary operators and modifiers around it.
    fn operand(&mut self) -> Result<Expr, ParseError> {
        let token = self.peek()?;
        self.depth = 1;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let (value, duration, span) = self.number()?;
                Ok(Expr { kind: ExprKind::Number { value, duration }, span })
            }
            TokenKind::String => {
                self.next()?;
                let text = self.unquoted(token)?;
                Ok(Expr { kind: ExprKind::String(text), span: token.span })
            }
            TokenKind::LeftParen => self.paren(),
            TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => self.unary(op == BinaryOp::Sub),
            TokenKind::LeftBrace => self.selector(),
            TokenKind::Aggregate(op) => self.aggregate_or_selector(op),
            kind if kind.is_metric_name() => self.call_or_selector(),
            _ => self.unexpected(),
        }
    }

    fn paren(&mut self) -> Result<Expr, ParseError> {
        let open = self.next()?;
        let inner = self.expression(0)?;
        let close = self.expect(TokenKind::RightParen)?;
        self.grow(self.depth)?;
        Ok(Expr { kind: ExprKind::Paren(Box::new(inner)), span: open.span.to(close.span) })
    }

    fn unary(&mut self, minus: bool) -> Result<Expr, ParseError> {
        let sign = self.next()?;
        // It binds like `*`, so only a power is taken with the operand.
        let mut operand = self.expression(BinaryOp::Pow.precedence())?;
        let span = sign.span.to(operand.span);
        if let ExprKind::Number { value, .. } = &mut operand.kind {
            if minus {
                *value = -*value;
            }
            operand.span = span;
            return Ok(operand);
        }
        self.grow(self.depth)?;
        Ok(Expr { kind: ExprKind::Unary { minus, operand: Box::new(operand) }, span })
    }

    /// The value of the number or duration (in seconds) that comes next, whether it is a duration, and its place.
    pub(super) fn number(&mut self) -> Result<(f64, bool, Span), ParseError> {
        let token = self.next()?;
        let text = self.text(token);
        let value = match token.kind {
            TokenKind::Duration => parse_duration(text).map(|nanos| {
                // As Go's `Duration.Seconds`: whole seconds and the rest apart.
                (nanos / 1_000_000_000) as f64 + (nanos % 1_000_000_000) as f64 / 1e9
            }),
            _ => parse_number(text).map_err(|reason| format!("error parsing number: {reason}")),
        };
        let value = value.map_err(|message| self.error(token.span, message))?;
        Ok((value, token.kind == TokenKind::Duration, token.span))
    }

    /// The bytes of a string literal.
    pub(super) fn unquoted(&self, token: Token) -> Result<Vec<u8>, ParseError> {
        let literal = self.text(token);
        unquote(literal).map_err(|reason| self.not_unquoted(token, reason))
    }

    /// The text of a string literal of a matcher: labels are UTF-8.
    pub(super) fn string(&self, token: Token) -> Result<String, ParseError> {
        String::from_utf8(self.unquoted(token)?).map_err(|_| self.not_unquoted(token, "labels hold UTF-8 alone"))
    }

    fn not_unquoted(&self, token: Token, reason: &str) -> ParseError {
        let message = format!("error unquoting string {}: {reason}", crate::literal::quote(self.text(token)));
        self.error(token.span, message)
    }
}
