use tripod_model::series::METRIC_NAME;
use tripod_storage::series::{LabelMatcher, MatchOp};

use super::{ParseError, Parser};
use crate::ast::{BinaryOp, Expr, ExprKind, Span, VectorSelector};
use crate::lexer::{Token, TokenKind};

impl Parser<'_> {
    pub(super) fn selector(&mut self) -> Result<Expr, ParseError> {
        let (vector, span) = self.vector_selector()?;
        Ok(Expr { kind: ExprKind::Vector(vector), span })
    }

    /// `name{matchers}`, either of both, and where it stands.
    pub(super) fn vector_selector(&mut self) -> Result<(VectorSelector, Span), ParseError> {
        let token = self.peek()?;
        if token.kind == TokenKind::LeftBrace {
            let (matchers, span) = self.matchers()?;
            return Ok((VectorSelector { name: None, matchers, offset: None, at: None, extension: None }, span));
        }
        if !token.kind.is_metric_name() {
            return self.unexpected();
        }
        self.next()?;
        self.named_selector(token)
    }

    /// A selector whose name was taken.
    pub(super) fn named_selector(&mut self, name: Token) -> Result<(VectorSelector, Span), ParseError> {
        let (mut matchers, span) = match self.peek()?.kind {
            TokenKind::LeftBrace => self.matchers()?,
            _ => (Vec::new(), name.span),
        };
        let span = name.span.to(span);
        let name = self.text(name).to_owned();
        matchers.push(LabelMatcher::equal(METRIC_NAME, name.clone()));
        Ok((VectorSelector { name: Some(name), matchers, offset: None, at: None, extension: None }, span))
    }

    /// `{matchers}`
    fn matchers(&mut self) -> Result<(Vec<LabelMatcher>, Span), ParseError> {
        let open = self.next()?;
        let mut matchers = Vec::new();
        if let Some(close) = self.accept(TokenKind::RightBrace)? {
            return Ok((matchers, open.span.to(close.span)));
        }
        loop {
            matchers.push(self.matcher()?);
            let comma = self.accept(TokenKind::Comma)?;
            if let Some(close) = self.accept(TokenKind::RightBrace)? {
                return Ok((matchers, open.span.to(close.span)));
            }
            if comma.is_none() {
                return self.unexpected_in("label matching", r#""," or "}""#);
            }
        }
    }

    /// `label op "value"`, or a metric's name in quotes.
    fn matcher(&mut self) -> Result<LabelMatcher, ParseError> {
        let token = self.peek()?;
        let label = match token.kind {
            TokenKind::Identifier => self.next().map(|_| self.text(token).to_owned())?,
            TokenKind::String => {
                self.next()?;
                self.string(token)?
            }
            _ => return self.unexpected_in("label matching", r#"identifier or "}""#),
        };
        let op = match self.peek()?.kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
            TokenKind::MatchRegex => MatchOp::Regex,
            TokenKind::MatchNotRegex => MatchOp::NotRegex,
            _ if token.kind == TokenKind::String => return Ok(LabelMatcher::equal(METRIC_NAME, label)),
            _ => return self.unexpected_in("label matching", "label matching operator"),
        };
        self.next()?;
        if self.peek()?.kind != TokenKind::String {
            return self.unexpected_in("label matching", "string");
        }
        let literal = self.next()?;
        let value = self.string(literal)?;
        LabelMatcher::new(label, op, value).map_err(|error| {
            let message = format!("error parsing regexp: {}", error.reason);
            self.error(token.span.to(literal.span), message)
        })
    }
}
