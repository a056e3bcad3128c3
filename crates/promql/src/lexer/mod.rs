//! Cuts a query into words. Inside braces every word is a name; after `[` stands a duration.

mod number;
mod token;

use crate::ast::{BinaryOp, Span};
use crate::literal::{char_is_printable, quote_char};

pub(crate) use token::{Keyword, Preprocessor, Token, TokenKind};

/// The text at a place is no word.
#[derive(Debug)]
pub(crate) struct LexError {
    /// Where the word began.
    pub(crate) start: usize,
    pub(crate) message: String,
}

/// Cuts off one word after the other.
pub(crate) struct Lexer<'a> {
    input: &'a str,
    /// The first byte that is not read.
    pos: usize,
    /// Where the present word began.
    start: usize,
    open_parens: usize,
    in_braces: bool,
    /// In brackets, before the first number: where only what belongs to a duration may stand.
    at_duration: bool,
    in_brackets: bool,
    /// A colon was read since `[`.
    after_colon: bool,
    /// A number was read since the first `[`.
    after_duration: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            open_parens: 0,
            in_braces: false,
            at_duration: false,
            in_brackets: false,
            after_colon: false,
            after_duration: false,
        }
    }

    /// The whole text.
    pub(crate) fn input(&self) -> &'a str {
        self.input
    }

    /// The next word; [`TokenKind::End`] at the end, again and again.
    pub(crate) fn next(&mut self) -> Result<Token, LexError> {
        loop {
            if self.at_duration {
                self.take_while(is_space);
                self.start = self.pos;
                let kind = self.duration_word()?;
                return Ok(self.token(kind));
            }
            self.take_while(is_space);
            if self.peek() == Some('#') {
                self.take_while(|each| each != '\n' && each != '\r');
                continue;
            }
            self.start = self.pos;
            let kind = if self.in_braces { self.matcher_word()? } else { self.word()? };
            return Ok(self.token(kind));
        }
    }

    fn token(&self, kind: TokenKind) -> Token {
        Token { kind, span: Span { start: self.start, end: self.pos } }
    }

    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.pos += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, accepted: impl FnOnce(char) -> bool) -> bool {
        match self.peek() {
            Some(next) if accepted(next) => {
                self.pos += next.len_utf8();
                true
            }
            _ => false,
        }
    }

    fn take_while(&mut self, accepted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.pos += rest.find(|each| !accepted(each)).unwrap_or(rest.len());
    }

    fn text(&self) -> &'a str {
        &self.input[self.start..self.pos]
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError { start: self.start, message: message.into() })
    }

    /// An error after a word that is complete in itself.
    fn error_after<T>(&mut self, message: impl Into<String>) -> Result<T, LexError> {
        self.start = self.pos;
        self.error(message)
    }

    /// A word outside of braces.
    fn word(&mut self) -> Result<TokenKind, LexError> {
        use TokenKind::Operator;
        let Some(first) = self.advance() else {
            return match (self.open_parens, self.in_brackets) {
                (0, false) => Ok(TokenKind::End),
                (0, true) => self.error("unclosed left bracket"),
                _ => self.error("unclosed left parenthesis"),
            };
        };
        if let Some(arithmetic) = arithmetic(first) {
            return Ok(Operator(arithmetic));
        }
        Ok(match first {
            ',' => TokenKind::Comma,
            '@' => TokenKind::At,
            '=' if self.accept(|next| next == '=') => Operator(BinaryOp::Equal),
            '=' if self.peek() == Some('~') => return self.error("unexpected character after '=': '~'"),
            '=' => TokenKind::Assign,
            '!' if self.accept(|next| next == '=') => Operator(BinaryOp::NotEqual),
            '!' => return self.error(format!("unexpected character after '!': {}", shown(self.peek()))),
            '<' if self.accept(|next| next == '=') => Operator(BinaryOp::LessOrEqual),
            '<' if self.accept(|next| next == '/') => Operator(BinaryOp::TrimUpper),
            '<' => Operator(BinaryOp::Less),
            '>' if self.accept(|next| next == '=') => Operator(BinaryOp::GreaterOrEqual),
            '>' if self.accept(|next| next == '/') => Operator(BinaryOp::TrimLower),
            '>' => Operator(BinaryOp::Greater),
            '"' | '\'' => self.quoted(first)?,
            '`' => self.raw()?,
            '(' => {
                self.open_parens += 1;
                TokenKind::LeftParen
            }
            ')' => self.right_paren()?,
            '{' => {
                self.in_braces = true;
                TokenKind::LeftBrace
            }
            '[' if self.in_brackets => return self.error("unexpected left bracket '['"),
            '[' => {
                (self.in_brackets, self.at_duration, self.after_colon) = (true, true, false);
                TokenKind::LeftBracket
            }
            ']' if !self.in_brackets => return self.error("unexpected right bracket ']'"),
            ']' => {
                self.in_brackets = false;
                TokenKind::RightBracket
            }
            first if first.is_ascii_digit() || self.is_fraction(first) => {
                self.pos = self.start;
                self.number_or_duration()?
            }
            first if self.in_brackets && (is_alpha(first) || first == ':') => self.word_in_brackets(first)?,
            first if is_alpha(first) || first == ':' => self.name(),
            first => return self.error(format!("unexpected character: {}", quote_char(first))),
        })
    }

    /// A dot before a digit.
    fn is_fraction(&self, first: char) -> bool {
        first == '.' && self.peek().is_some_and(|next| next.is_ascii_digit())
    }

    fn right_paren(&mut self) -> Result<TokenKind, LexError> {
        match self.open_parens.checked_sub(1) {
            Some(open) => {
                self.open_parens = open;
                Ok(TokenKind::RightParen)
            }
            None => self.error_after("unexpected right parenthesis ')'"),
        }
    }

    /// A letter or colon in brackets, after the first number.
    fn word_in_brackets(&mut self, first: char) -> Result<TokenKind, LexError> {
        if first == ':' {
            if std::mem::replace(&mut self.after_colon, true) {
                return self.error("unexpected colon ':'");
            }
            return Ok(TokenKind::Colon);
        }
        match self.duration_keyword(first) {
            Some(kind) => Ok(kind),
            None => self.error(format!("unexpected character: {}, expected ':'", quote_char(first))),
        }
    }

    /// `step`, `range`, `max_of` or `min_of`, the first letter being read.
    fn duration_keyword(&mut self, first: char) -> Option<TokenKind> {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return None;
        }
        self.take_while(is_alpha);
        match token::keyword(self.text())? {
            kind @ TokenKind::Preprocessor(
                Preprocessor::Step | Preprocessor::Range | Preprocessor::MaxOf | Preprocessor::MinOf,
            ) => Some(kind),
            _ => None,
        }
    }

    /// A word in brackets, before the first number.
    fn duration_word(&mut self) -> Result<TokenKind, LexError> {
        let Some(first) = self.advance() else {
            return self.error("unexpected end of input in duration expression");
        };
        if let Some(arithmetic) = arithmetic(first) {
            return Ok(TokenKind::Operator(arithmetic));
        }
        Ok(match first {
            ']' => {
                (self.in_brackets, self.at_duration, self.after_colon) = (false, false, false);
                TokenKind::RightBracket
            }
            ':' if !self.after_duration => {
                return self.error_after("unexpected colon before duration in duration expression");
            }
            ':' if std::mem::replace(&mut self.after_colon, true) => {
                return self.error_after("unexpected repeated colon in duration expression");
            }
            ':' => TokenKind::Colon,
            '(' => {
                self.open_parens += 1;
                TokenKind::LeftParen
            }
            ')' => self.right_paren()?,
            ',' => TokenKind::Comma,
            first if first.is_ascii_digit() || self.is_fraction(first) => {
                self.pos = self.start;
                (self.after_duration, self.at_duration) = (true, false);
                self.number_or_duration()?
            }
            first => match self.duration_keyword(first) {
                Some(kind) => kind,
                None => {
                    let message = format!("unexpected character in duration expression: {}", quote_char(first));
                    return self.error(message);
                }
            },
        })
    }

    /// A word inside braces.
    fn matcher_word(&mut self) -> Result<TokenKind, LexError> {
        let Some(first) = self.advance() else {
            return self.error("unexpected end of input inside braces");
        };
        Ok(match first {
            ',' => TokenKind::Comma,
            '"' | '\'' => self.quoted(first)?,
            '`' => self.raw()?,
            '=' if self.accept(|next| next == '~') => TokenKind::MatchRegex,
            '=' => TokenKind::Assign,
            '!' if self.accept(|next| next == '~') => TokenKind::MatchNotRegex,
            '!' if self.accept(|next| next == '=') => TokenKind::Operator(BinaryOp::NotEqual),
            '!' => return self.error(format!("unexpected character after '!' inside braces: {}", shown(self.peek()))),
            '{' => return self.error("unexpected left brace '{'"),
            '}' => {
                self.in_braces = false;
                TokenKind::RightBrace
            }
            first if is_alpha(first) => {
                self.take_while(is_alphanumeric);
                TokenKind::Identifier
            }
            first => return self.error(format!("unexpected character inside braces: {}", quote_char(first))),
        })
    }

    /// A name or keyword, the first letter being read.
    fn name(&mut self) -> TokenKind {
        self.take_while(|each| is_alphanumeric(each) || each == ':');
        let word = self.text();
        match token::keyword(word) {
            // So that metrics may have these names.
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.rest().trim_start_matches(is_space).starts_with('(') =>
            {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        }
    }

    /// A string without line breaks, its first quote being read.
    fn quoted(&mut self, quote: char) -> Result<TokenKind, LexError> {
        loop {
            match self.advance() {
                Some('\\') => self.escape(quote)?,
                Some(char::REPLACEMENT_CHARACTER) => return self.error("invalid UTF-8 rune"),
                None | Some('\n') => return self.error("unterminated quoted string"),
                Some(each) if each == quote => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// A string in backticks, the first one being read.
    fn raw(&mut self) -> Result<TokenKind, LexError> {
        loop {
            match self.advance() {
                Some(char::REPLACEMENT_CHARACTER) => return self.error("invalid UTF-8 rune"),
                None => return self.error("unterminated raw string"),
                Some('`') => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, quote: char) -> Result<(), LexError> {
        const UNFINISHED: &str = "escape sequence not terminated";
        let Some(first) = self.advance() else {
            return self.error(UNFINISHED);
        };
        let (mut code, digits, radix, most) = match first {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            first if first == quote => return Ok(()),
            '0'..='7' => (first.to_digit(8).unwrap_or(0), 2, 8, 255),
            'x' => (0, 2, 16, 255),
            'u' => (0, 4, 16, 0x10_ffff),
            'U' => (0, 8, 16, 0x10_ffff),
            other => return self.error(format!("unknown escape sequence {}", named(other))),
        };
        for _ in 0..digits {
            code = match self.advance() {
                None => return self.error(UNFINISHED),
                Some(digit) => match digit.to_digit(radix) {
                    None => return self.error(format!("illegal character {} in escape sequence", named(digit))),
                    Some(digit) => u32::wrapping_add(code.wrapping_mul(radix), digit),
                },
            };
        }
        if code > most || (0xd800..0xe000).contains(&code) {
            return self.error("escape sequence is an invalid Unicode code point");
        }
        Ok(())
    }
}

/// The signs that calculate, also with durations.
fn arithmetic(sign: char) -> Option<BinaryOp> {
    Some(match sign {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}

/// A character that may not be there, as messages show it.
fn shown(each: Option<char>) -> String {
    quote_char(each.unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// A character by its number and, if it can be seen, itself.
fn named(each: char) -> String {
    let number = format!("U+{:04X}", u32::from(each));
    if char_is_printable(each) { format!("{number} '{each}'") } else { number }
}

fn is_space(each: char) -> bool {
    matches!(each, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(each: char) -> bool {
    each == '_' || each.is_ascii_alphabetic()
}

fn is_alphanumeric(each: char) -> bool {
    is_alpha(each) || each.is_ascii_digit()
}
