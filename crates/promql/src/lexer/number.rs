use super::{LexError, Lexer, TokenKind, is_alphanumeric};
use crate::literal::quote;

impl Lexer<'_> {
    /// A number or a duration. What has the shape of one may still have no value, which the parser finds out.
    pub(super) fn number_or_duration(&mut self) -> Result<TokenKind, LexError> {
        if self.scan_number() {
            return Ok(TokenKind::Number);
        }
        if self.scan_units() {
            return Ok(TokenKind::Duration);
        }
        self.error(format!("bad number or duration syntax: {}", quote(self.text())))
    }

    /// Reads on while it looks like a number; whether it is one.
    fn scan_number(&mut self) -> bool {
        let begin = self.pos;
        let mut hex = false;
        if self.accept(|each| each == '0') && self.accept(|each| matches!(each, 'x' | 'X')) {
            self.accept(|each| each == '_');
            hex = true;
        }
        let is_digit = |each: char| if hex { each.is_ascii_hexdigit() } else { each.is_ascii_digit() };
        self.accept(|each| each == '.');
        self.accept(is_digit);
        let (mut dot, mut exponent) = (false, false);
        while let Some(next) = self.peek() {
            match next {
                '.' if dot => {
                    self.advance();
                    return false;
                }
                '.' => {
                    dot = true;
                    self.advance();
                    if self.accept(|each| matches!(each, '_' | '.')) || hex {
                        return false;
                    }
                }
                'e' | 'E' if exponent => {
                    self.advance();
                    return false;
                }
                'e' | 'E' => {
                    exponent = true;
                    self.advance();
                    self.accept(|each| matches!(each, '+' | '-'));
                    if self.accept(not_after_mark) || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.advance();
                    if self.accept(not_after_mark) || self.peek().is_none() {
                        return false;
                    }
                }
                next if is_digit(next) => self.take_while(is_digit),
                _ => break,
            }
        }
        self.pos > begin && !self.peek().is_some_and(is_alphanumeric)
    }

    /// Reads the units of a duration and the numbers between them; whether they are there.
    fn scan_units(&mut self) -> bool {
        if !self.accept(|each| "smhdwy".contains(each)) {
            return false;
        }
        self.accept(|each| each == 's');
        while self.accept(|each| each.is_ascii_digit()) {
            self.take_while(|each| each.is_ascii_digit());
            if !self.accept(|each| "smhdw".contains(each)) {
                return false;
            }
            self.accept(|each| each == 's');
        }
        // The offending character is shown in the message.
        !self.accept(is_alphanumeric)
    }
}

/// What may follow neither an exponent nor an underscore.
fn not_after_mark(each: char) -> bool {
    matches!(each, '.' | '_' | 'e' | 'E')
}
