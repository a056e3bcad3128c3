use super::{ParseError, Parser};
use crate::ast::{Binary, BinaryOp, Cardinality, Expr, ExprKind, VectorMatching};
use crate::lexer::{Keyword, TokenKind};

impl Parser<'_> {
    /// What follows the left operand.
    pub(super) fn binary(&mut self, lhs: Expr, op: BinaryOp) -> Result<Expr, ParseError> {
        let sign = self.next()?;
        let return_bool = self.accept(TokenKind::Keyword(Keyword::Bool))?.is_some();
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if let TokenKind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.peek()?.kind {
            self.next()?;
            matching.on = keyword == Keyword::On;
            (matching.labels, _) = self.labels()?;
            self.group(&mut matching)?;
        }
        self.fill(&mut matching)?;
        // All but `^` take what stands left of them first.
        let rhs = self.expression(op.precedence() + u8::from(op != BinaryOp::Pow))?;
        let span = lhs.span.to(rhs.span);
        if !self.options.fill_modifiers && (matching.fill_left.is_some() || matching.fill_right.is_some()) {
            return Err(self.error(span, "binop fill modifiers are experimental and not enabled"));
        }
        let binary = Binary { op, op_span: sign.span, lhs, rhs, return_bool, matching: Some(matching) };
        Ok(Expr { kind: ExprKind::Binary(Box::new(binary)), span })
    }

    /// `group_left (labels)` or `group_right (labels)`
    fn group(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        matching.cardinality = match self.peek()?.kind {
            TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
            TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(()),
        };
        self.next()?;
        let next = self.peek()?.kind;
        if next == TokenKind::LeftParen || !next.begins_expression() {
            (matching.include, _) = self.labels()?;
        }
        Ok(())
    }

    /// `fill (value)`, or one or both of `fill_left (value)` and `fill_right (value)`.
    fn fill(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        let TokenKind::Keyword(first @ (Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)) = self.peek()?.kind
        else {
            return Ok(());
        };
        self.next()?;
        let value = Some(self.fill_value()?);
        let (this, that, other) = match first {
            Keyword::FillLeft => (&mut matching.fill_left, &mut matching.fill_right, Keyword::FillRight),
            Keyword::FillRight => (&mut matching.fill_right, &mut matching.fill_left, Keyword::FillLeft),
            _ => {
                (matching.fill_left, matching.fill_right) = (value, value);
                return Ok(());
            }
        };
        *this = value;
        if self.accept(TokenKind::Keyword(other))?.is_some() {
            *that = Some(self.fill_value()?);
        }
        Ok(())
    }

    /// `(number)`
    fn fill_value(&mut self) -> Result<f64, ParseError> {
        self.expect(TokenKind::LeftParen)?;
        let minus = match self.peek()?.kind {
            TokenKind::Operator(sign @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.next()?;
                sign == BinaryOp::Sub
            }
            _ => false,
        };
        if !matches!(self.peek()?.kind, TokenKind::Number | TokenKind::Duration) {
            return self.unexpected();
        }
        let (value, ..) = self.number()?;
        self.expect(TokenKind::RightParen)?;
        Ok(if minus { -value } else { value })
    }
}
