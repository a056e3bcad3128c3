//! Reads queries into the tree, with the messages and positions of Prometheus 3.
//!
//! Written by hand (`docs/decisions/0013-promql-parser.md`): operators by precedence, everything else by descent. The
//! first error ends the reading. What Prometheus' grammar would name as the place of an error ("in aggregation") is
//! [`Parser::expecting`].

mod aggregate;
mod binary;
mod call;
mod check;
mod duration;
mod error;
mod expression;
mod modifier;
mod selector;

use crate::ast::{Expr, Span, VectorSelector};
use crate::lexer::{Lexer, Token, TokenKind};

pub use error::ParseError;

/// The parts of the language that are off by default, as in Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Functions and aggregations that Prometheus calls experimental.
    pub experimental_functions: bool,
    /// `[5m * 2]`
    pub duration_expressions: bool,
    /// `anchored` and `smoothed`
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left` and `fill_right`
    pub fill_modifiers: bool,
}

impl Options {
    /// Everything.
    pub const ALL: Self = Self {
        experimental_functions: true,
        duration_expressions: true,
        extended_range_selectors: true,
        fill_modifiers: true,
    };
}

/// How deep a tree may be. Operators in a chain, such as `a or b or c`, make it deeper too. Everything that walks a tree
/// may count on it.
pub const MAX_DEPTH: usize = 256;

/// How many expressions may be one inside the other: in parentheses, in calls, after signs.
pub const MAX_NESTING: usize = 100;

/// The longest query, in bytes.
pub const MAX_LENGTH: usize = 1 << 20;

/// Reads a query and checks its types.
///
/// # Errors
/// [`ParseError`] with Prometheus' message and the place.
pub fn parse(query: &str, options: Options) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query, options)?;
    if parser.peek()?.kind == TokenKind::End {
        return Err(parser.error(Span::default(), "no expression found in input"));
    }
    let mut expr = parser.expression(0)?;
    parser.end()?;
    check::check(&mut expr, query)?;
    Ok(expr)
}

/// Reads a selector alone, as in `match[]` of the HTTP API. It may select everything.
///
/// # Errors
/// As [`parse`].
pub fn parse_selector(selector: &str) -> Result<VectorSelector, ParseError> {
    let mut parser = Parser::new(selector, Options::default())?;
    let vector = parser.vector_selector()?;
    parser.end()?;
    Ok(vector.0)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    options: Options,
    /// The next word, once somebody looked at it. Prometheus finds some mistakes before it reads on, and of two
    /// mistakes the first is reported.
    ahead: Option<Token>,
    /// What is being read and what could stand here, for messages.
    expecting: Expecting,
    /// How many expressions are being read, one inside the other.
    nesting: usize,
    /// How deep the tree is that was made last.
    depth: usize,
}

/// What messages say about the place of an unexpected word.
#[derive(Clone, Copy)]
struct Expecting {
    context: &'static str,
    expected: &'static str,
}

impl Expecting {
    const NOTHING: Self = Self { context: "", expected: "" };
}

impl<'a> Parser<'a> {
    fn new(query: &'a str, options: Options) -> Result<Self, ParseError> {
        if query.len() > MAX_LENGTH {
            let message = format!("the query has {} bytes; at most {MAX_LENGTH} are read", query.len());
            return Err(ParseError::new("", Span::default(), message));
        }
        Ok(Self { lexer: Lexer::new(query), options, ahead: None, expecting: Expecting::NOTHING, nesting: 0, depth: 0 })
    }

    fn peek(&mut self) -> Result<Token, ParseError> {
        if let Some(token) = self.ahead {
            return Ok(token);
        }
        let input = self.lexer.input();
        let token = self
            .lexer
            .next()
            .map_err(|error| ParseError::new(input, Span { start: error.start, end: input.len() }, error.message))?;
        self.ahead = Some(token);
        Ok(token)
    }

    fn next(&mut self) -> Result<Token, ParseError> {
        let token = self.peek()?;
        self.ahead = None;
        Ok(token)
    }

    /// Takes the next word if it is of this kind.
    fn accept(&mut self, kind: TokenKind) -> Result<Option<Token>, ParseError> {
        let token = self.peek()?;
        if token.kind != kind {
            return Ok(None);
        }
        self.ahead = None;
        Ok(Some(token))
    }

    /// Takes the next word, which must be of this kind.
    fn expect(&mut self, kind: TokenKind) -> Result<Token, ParseError> {
        match self.accept(kind)? {
            Some(token) => Ok(token),
            None => self.unexpected(),
        }
    }

    /// The query must end here.
    fn end(&mut self) -> Result<(), ParseError> {
        self.expect(TokenKind::End).map(|_| ())
    }

    fn text(&self, token: Token) -> &'a str {
        &self.lexer.input()[token.span.start..token.span.end]
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.lexer.input(), span, message.into())
    }

    /// Says that the next word cannot stand here.
    fn unexpected<T>(&mut self) -> Result<T, ParseError> {
        let Expecting { context, expected } = self.expecting;
        self.unexpected_in(context, expected)
    }

    fn unexpected_in<T>(&mut self, context: &str, expected: &str) -> Result<T, ParseError> {
        let token = self.peek()?;
        let mut message = format!("unexpected {}", token.describe(self.text(token)));
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        Err(self.error(token.span, message))
    }

    /// Reads something where messages are to name another place.
    fn expecting<T>(
        &mut self,
        context: &'static str,
        expected: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        let outer = std::mem::replace(&mut self.expecting, Expecting { context, expected });
        let read = read(self);
        self.expecting = outer;
        read
    }

    /// Reads something one level further in.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return self.too_deep(MAX_NESTING);
        }
        let read = read(self);
        self.nesting -= 1;
        read
    }

    /// A tree over one of the given depth was made.
    fn grow(&mut self, depth: usize) -> Result<(), ParseError> {
        self.depth = depth + 1;
        if self.depth > MAX_DEPTH { self.too_deep(MAX_DEPTH) } else { Ok(()) }
    }

    fn too_deep<T>(&mut self, levels: usize) -> Result<T, ParseError> {
        let span = self.peek()?.span;
        Err(self.error(span, format!("the expression is nested too deeply: more than {levels} levels")))
    }
}

#[cfg(test)]
mod tests;
