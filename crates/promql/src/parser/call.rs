use super::{ParseError, Parser};
use crate::ast::{Call, Expr, ExprKind, Span};
use crate::functions::signature;
use crate::lexer::{Token, TokenKind};
use crate::literal::quote;

impl Parser<'_> {
    /// A function call, or a metric's name.
    pub(super) fn call_or_selector(&mut self) -> Result<Expr, ParseError> {
        let name = self.next()?;
        let callable = matches!(name.kind, TokenKind::Identifier | TokenKind::Preprocessor(_));
        if callable && self.peek()?.kind == TokenKind::LeftParen {
            return self.call(name);
        }
        let (vector, span) = self.named_selector(name)?;
        Ok(Expr { kind: ExprKind::Vector(vector), span })
    }

    fn call(&mut self, name: Token) -> Result<Expr, ParseError> {
        let (args, close) = self.arguments()?;
        let text = self.text(name);
        let Some(function) = signature(text) else {
            return Err(self.error(name.span, format!("unknown function with name {}", quote(text))));
        };
        if function.experimental && !self.options.experimental_functions {
            return Err(self.error(name.span, format!("function {} is not enabled", quote(text))));
        }
        self.grow(self.depth)?;
        Ok(Expr { kind: ExprKind::Call(Call { function: function.name, args }), span: name.span.to(close) })
    }

    /// `(args)`, and where its closing parenthesis stands.
    pub(super) fn arguments(&mut self) -> Result<(Vec<Expr>, Span), ParseError> {
        self.expect(TokenKind::LeftParen)?;
        let mut args = Vec::new();
        if let Some(close) = self.accept(TokenKind::RightParen)? {
            self.depth = 0;
            return Ok((args, close.span));
        }
        let mut depth = 0;
        loop {
            args.push(self.expression(0)?);
            depth = depth.max(self.depth);
            let Some(comma) = self.accept(TokenKind::Comma)? else {
                break;
            };
            if !self.peek()?.kind.begins_expression() {
                return Err(self.error(comma.span, "trailing commas not allowed in function call args"));
            }
        }
        self.depth = depth;
        let close = self.expect(TokenKind::RightParen)?;
        Ok((args, close.span))
    }
}
