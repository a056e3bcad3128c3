use crate::ast::{AggregateOp, BinaryOp, Span};

/// A word of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// The kinds of words. A keyword in a place where a name can stand is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    End,
    /// A name without a colon.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    /// `=`
    Assign,
    /// `=~`
    MatchRegex,
    /// `!~`
    MatchNotRegex,
    /// An operator; `!=` in braces too.
    Operator(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    /// A word that stands for a number known when the query runs, or for a function of such.
    Preprocessor(Preprocessor),
}

/// Words that change an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
}

/// Words that name functions with a place in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preprocessor {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// What a word means outside of braces, whatever its case; `None` when it is a name.
pub(crate) fn keyword(word: &str) -> Option<TokenKind> {
    use TokenKind::{Aggregate, Keyword as Key, Operator, Preprocessor as Pre};
    // Longer than every keyword.
    if word.len() > 12 {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "and" => Operator(BinaryOp::And),
        "or" => Operator(BinaryOp::Or),
        "unless" => Operator(BinaryOp::Unless),
        "atan2" => Operator(BinaryOp::Atan2),
        "sum" => Aggregate(AggregateOp::Sum),
        "avg" => Aggregate(AggregateOp::Avg),
        "count" => Aggregate(AggregateOp::Count),
        "min" => Aggregate(AggregateOp::Min),
        "max" => Aggregate(AggregateOp::Max),
        "group" => Aggregate(AggregateOp::Group),
        "stddev" => Aggregate(AggregateOp::Stddev),
        "stdvar" => Aggregate(AggregateOp::Stdvar),
        "topk" => Aggregate(AggregateOp::Topk),
        "bottomk" => Aggregate(AggregateOp::Bottomk),
        "count_values" => Aggregate(AggregateOp::CountValues),
        "quantile" => Aggregate(AggregateOp::Quantile),
        "limitk" => Aggregate(AggregateOp::Limitk),
        "limit_ratio" => Aggregate(AggregateOp::LimitRatio),
        "offset" => Key(Keyword::Offset),
        "smoothed" => Key(Keyword::Smoothed),
        "anchored" => Key(Keyword::Anchored),
        "by" => Key(Keyword::By),
        "without" => Key(Keyword::Without),
        "on" => Key(Keyword::On),
        "ignoring" => Key(Keyword::Ignoring),
        "group_left" => Key(Keyword::GroupLeft),
        "group_right" => Key(Keyword::GroupRight),
        "fill" => Key(Keyword::Fill),
        "fill_left" => Key(Keyword::FillLeft),
        "fill_right" => Key(Keyword::FillRight),
        "bool" => Key(Keyword::Bool),
        "start" => Pre(Preprocessor::Start),
        "end" => Pre(Preprocessor::End),
        "step" => Pre(Preprocessor::Step),
        "range" => Pre(Preprocessor::Range),
        "max_of" => Pre(Preprocessor::MaxOf),
        "min_of" => Pre(Preprocessor::MinOf),
        "inf" | "nan" => TokenKind::Number,
        _ => return None,
    })
}

impl TokenKind {
    /// Whether a metric may have this as its name without quotes.
    pub(crate) fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) | Self::Preprocessor(_) => true,
            Self::Operator(op) => op.is_set(),
            Self::Keyword(keyword) => !matches!(
                keyword,
                Keyword::Bool | Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight
            ),
            _ => false,
        }
    }

    /// Whether a label in a list of labels may have this as its name without quotes.
    pub(crate) fn is_label_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) | Self::Preprocessor(_) => true,
            Self::Operator(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Keyword(keyword) => keyword != Keyword::Without,
            _ => false,
        }
    }

    /// Whether an expression can begin with it.
    pub(crate) fn begins_expression(self) -> bool {
        self.is_metric_name()
            || matches!(
                self,
                Self::Number
                    | Self::Duration
                    | Self::String
                    | Self::LeftParen
                    | Self::LeftBrace
                    | Self::Operator(BinaryOp::Add | BinaryOp::Sub)
            )
    }
}

impl Token {
    /// How messages call it, given its text.
    pub(crate) fn describe(&self, text: &str) -> String {
        let quoted = || crate::literal::quote(text);
        // Literals are cut off, names are not.
        let shown = || match text.char_indices().nth(10) {
            Some((end, _)) if text.len() > 10 => format!("{}...", crate::literal::quote(&text[..end])),
            _ if text.len() > 10 => format!("{}...", quoted()),
            _ => quoted(),
        };
        match self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Identifier => format!("identifier {}", quoted()),
            TokenKind::MetricIdentifier => format!("metric identifier {}", quoted()),
            TokenKind::Number => format!("number {}", shown()),
            TokenKind::Duration => format!("duration {}", shown()),
            TokenKind::String => format!("string {}", shown()),
            TokenKind::Operator(_) | TokenKind::At | TokenKind::MatchRegex | TokenKind::MatchNotRegex => {
                format!("<op:{text}>")
            }
            TokenKind::Aggregate(_) => format!("<aggr:{text}>"),
            TokenKind::Keyword(_) => format!("<{text}>"),
            _ => quoted(),
        }
    }
}
