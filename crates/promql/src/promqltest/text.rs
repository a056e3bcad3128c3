/// A place in a line of a script.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, rest: line }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek_is(&self, expected: char) -> bool {
        self.rest.starts_with(expected)
    }

    pub(super) fn advance(&mut self) {
        let mut characters = self.rest.chars();
        characters.next();
        self.rest = characters.as_str();
    }

    pub(super) fn eat(&mut self, expected: &str) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Skips blanks; whether there were any.
    pub(super) fn skip_space(&mut self) -> bool {
        !self.take_while(char::is_whitespace).is_empty()
    }

    /// A string in double quotes, single quotes or backticks; `None` when none begins here.
    ///
    /// # Errors
    /// When it does not end, or has an unknown escape.
    pub(super) fn string(&mut self) -> Result<Option<String>, String> {
        let Some(quote @ ('"' | '\'' | '`')) = self.rest.chars().next() else { return Ok(None) };
        self.advance();
        let mut text = String::new();
        loop {
            let Some(next) = self.rest.chars().next() else { return Err(self.unexpected("the end of a string")) };
            self.advance();
            if next == quote {
                return Ok(Some(text));
            }
            if next != '\\' || quote == '`' {
                text.push(next);
                continue;
            }
            let Some(escape) = self.rest.chars().next() else { return Err(self.unexpected("an escape")) };
            self.advance();
            text.push(match escape {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'v' => '\x0b',
                '\\' | '"' | '\'' => escape,
                'u' => self.hexadecimal(4)?,
                'U' => self.hexadecimal(8)?,
                _ => return Err(self.unexpected("a known escape")),
            });
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<char, String> {
        let code = self.rest.get(..digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let character = code.and_then(char::from_u32).ok_or_else(|| self.unexpected("hexadecimal digits"))?;
        self.rest = &self.rest[digits..];
        Ok(character)
    }

    /// What to say when something else should stand here.
    pub(super) fn unexpected(&self, expected: &str) -> String {
        let column = self.line[..self.line.len() - self.rest.len()].chars().count() + 1;
        match self.rest.chars().next() {
            Some(found) => format!("column {column}: unexpected {found:?}, expected {expected}"),
            None => format!("column {column}: the line ends, expected {expected}"),
        }
    }
}
/// Milliseconds of a duration (`1h30m`, `5s`, `0`).
///
/// # Errors
/// What is wrong with the text.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    crate::literal::parse_duration(text).map(|nanos| nanos / 1_000_000)
}
