use super::{ParseError, Parser};
use crate::ast::{Aggregate, AggregateOp, Expr, ExprKind, Span};
use crate::lexer::{Keyword, Token, TokenKind};
use crate::literal::quote;

/// `by (labels)` or `without (labels)`
struct Grouping {
    without: bool,
    labels: Vec<String>,
    /// The closing parenthesis.
    end: Span,
}

impl Parser<'_> {
    /// An aggregation, or a metric that is called like one.
    pub(super) fn aggregate_or_selector(&mut self, op: AggregateOp) -> Result<Expr, ParseError> {
        let name = self.next()?;
        match self.peek()?.kind {
            TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without) => {
                self.expecting("aggregation", "", |parser| parser.aggregate(op, name))
            }
            _ => {
                let (vector, span) = self.named_selector(name)?;
                Ok(Expr { kind: ExprKind::Vector(vector), span })
            }
        }
    }

    fn aggregate(&mut self, op: AggregateOp, name: Token) -> Result<Expr, ParseError> {
        let mut grouping = self.grouping()?;
        if self.peek()?.kind != TokenKind::LeftParen {
            return self.unexpected();
        }
        let (mut args, close) = self.arguments()?;
        let depth = self.depth;
        let mut end = close;
        if grouping.is_none() {
            grouping = self.grouping()?;
            end = grouping.as_ref().map_or(end, |grouping| grouping.end);
        }
        let (without, labels) = grouping.map_or((false, Vec::new()), |grouping| (grouping.without, grouping.labels));
        let span = name.span.to(end);

        let given = args.len();
        if given == 0 {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        let parameter = op.parameter().is_some();
        if op.is_experimental() && !self.options.experimental_functions {
            let message = format!(
                "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                op.name()
            );
            return Err(self.error(span, message));
        }
        let wanted = if parameter { 2 } else { 1 };
        let (Some(expr), true) = (args.pop(), given == wanted) else {
            let message =
                format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}");
            return Err(self.error(span, message));
        };
        self.grow(depth)?;
        let aggregate = Aggregate { op, param: args.pop(), expr, without, labels };
        Ok(Expr { kind: ExprKind::Aggregate(Box::new(aggregate)), span })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = match self.peek()?.kind {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.next()?;
        let (labels, end) = self.labels()?;
        Ok(Some(Grouping { without, labels, end }))
    }

    /// `(labels)`, and where its closing parenthesis stands.
    pub(super) fn labels(&mut self) -> Result<(Vec<String>, Span), ParseError> {
        const CONTEXT: &str = "grouping opts";
        if self.accept(TokenKind::LeftParen)?.is_none() {
            return self.unexpected_in(CONTEXT, r#""(""#);
        }
        let mut labels = Vec::new();
        if let Some(close) = self.accept(TokenKind::RightParen)? {
            return Ok((labels, close.span));
        }
        loop {
            let token = self.peek()?;
            let label = match token.kind {
                TokenKind::String => {
                    self.next()?;
                    self.unquoted(token)?
                }
                kind if kind.is_label_name() => {
                    self.next()?;
                    self.text(token).into()
                }
                _ => return self.unexpected_in(CONTEXT, "label"),
            };
            match String::from_utf8(label) {
                Ok(label) if !label.is_empty() => labels.push(label),
                Ok(_) => return Err(self.error(token.span, r#"invalid label name for grouping: """#)),
                Err(error) => {
                    let message = format!("invalid label name for grouping: {}", quote(error.as_bytes()));
                    return Err(self.error(token.span, message));
                }
            }
            let comma = self.accept(TokenKind::Comma)?;
            if let Some(close) = self.accept(TokenKind::RightParen)? {
                return Ok((labels, close.span));
            }
            if comma.is_none() {
                return self.unexpected_in(CONTEXT, r#""," or ")""#);
            }
        }
    }
}
