use crate::ast::Span;

/// A query that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: parse error: {message}")]
pub struct ParseError {
    /// What is wrong, without the place.
    pub message: String,
    /// The piece of the query that is meant.
    pub span: Span,
    /// Line and column of its first byte, counted from 1: `1:5`.
    pub place: String,
}

impl ParseError {
    pub(super) fn new(query: &str, span: Span, message: String) -> Self {
        let place = if query.is_empty() {
            "unknown position".to_owned()
        } else {
            let (line, column) = span.line_column(query);
            format!("{line}:{column}")
        };
        Self { message, span, place }
    }
}
