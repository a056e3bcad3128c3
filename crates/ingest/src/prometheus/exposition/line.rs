//! One line of a text form. Both forms share names, labels and numbers; they differ in white space and commas.

use std::borrow::Cow;

use tripod_model::series::METRIC_NAME;

use super::number::parse_float;
use super::{ExpositionError, LabelSet};

/// More labels than any real series has; what is beyond is damage or malice.
const MAX_LABELS: usize = 1024;

/// How much freedom a line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    /// Spaces and tabs between all words, commas between labels as one likes: the Prometheus text format.
    Free,
    /// One space between words, none within braces: OpenMetrics.
    Exact,
}

pub(super) struct Line<'a> {
    text: &'a str,
    at: usize,
    number: u64,
    spacing: Spacing,
}

impl<'a> Line<'a> {
    pub(super) fn new(text: &'a str, number: u64, spacing: Spacing) -> Self {
        Self { text, at: 0, number, spacing }
    }

    /// An error at the current place.
    #[cold]
    pub(super) fn error<T>(&self, message: impl Into<String>) -> Result<T, ExpositionError> {
        self.error_at(self.at, message)
    }

    #[cold]
    fn error_at<T>(&self, at: usize, message: impl Into<String>) -> Result<T, ExpositionError> {
        let column = self.text.get(..at).unwrap_or(self.text).chars().count() as u64 + 1;
        Err(ExpositionError { line: self.number, column, message: message.into() })
    }

    /// "expected X, found Y" at the current place.
    #[cold]
    fn expected<T>(&self, what: &str) -> Result<T, ExpositionError> {
        match self.rest().chars().next() {
            None => self.error(format!("expected {what}, but the line ends here")),
            Some(found) => self.error(format!("expected {what}, found {found:?}")),
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn blanks_if_free(&mut self) {
        if self.spacing == Spacing::Free {
            self.skip_blanks();
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Between two words: any blanks, or exactly one space.
    pub(super) fn gap(&mut self) -> Result<(), ExpositionError> {
        match self.spacing {
            Spacing::Free => self.skip_blanks(),
            Spacing::Exact => {
                if !self.eat(" ") {
                    return self.expected("a space");
                }
            }
        }
        Ok(())
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`, or without colons for the name of a label.
    fn identifier(&mut self, colons: bool) -> Option<&'a str> {
        let accept = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || colons && byte == b':';
        let bytes = self.text.as_bytes().get(self.at..)?;
        let length = bytes.iter().position(|byte| !accept(*byte)).unwrap_or(bytes.len());
        if length == 0 || bytes[0].is_ascii_digit() {
            return None;
        }
        let name = &self.text[self.at..self.at + length];
        self.at += length;
        Some(name)
    }

    /// A text in double quotes, still with its escapes.
    fn quoted(&mut self, what: &str) -> Result<&'a str, ExpositionError> {
        let start = self.at;
        if !self.eat("\"") {
            return self.expected(what);
        }
        let bytes = self.text.as_bytes();
        loop {
            match memchr::memchr2(b'"', b'\\', &bytes[self.at..]) {
                Some(found) if bytes[self.at + found] == b'"' => {
                    let text = &self.text[start + 1..self.at + found];
                    self.at += found + 1;
                    return Ok(text);
                }
                // What is escaped is one character; its other bytes are neither a quote nor a backslash.
                Some(found) if self.at + found + 1 < bytes.len() => self.at += found + 2,
                _ => return self.error_at(start, "this quoted text has no end"),
            }
        }
    }

    /// A metric's or family's name, quoted or not.
    pub(super) fn family_name(&mut self) -> Result<Cow<'a, str>, ExpositionError> {
        if self.peek() == Some(b'"') {
            let start = self.at;
            let name = unescape(self.quoted("a metric name")?);
            return if name.is_empty() { self.error_at(start, "the metric name is empty") } else { Ok(name) };
        }
        match self.identifier(true) {
            Some(name) => Ok(Cow::Borrowed(name)),
            None => self.expected("a metric name (others than letters, digits, _ and : need quotes)"),
        }
    }

    /// A metric's name and its labels, in one of the forms `name`, `name{...}`, `{"name",...}`.
    pub(super) fn series(&mut self, labels: &mut LabelSet) -> Result<(), ExpositionError> {
        let start = self.at;
        labels.clear();
        if self.peek() != Some(b'{') {
            match self.identifier(true) {
                Some(name) => labels.push(METRIC_NAME, name),
                None => return self.expected("a metric name or {"),
            }
            self.blanks_if_free();
        }
        if self.peek() == Some(b'{') {
            self.labels(labels, true)?;
        }
        if labels.metric_name().is_empty() {
            return self.error_at(start, "the metric has no name");
        }
        Ok(())
    }

    /// `{name="value",...}`, added to what is there.
    pub(super) fn labels(&mut self, labels: &mut LabelSet, may_name_metric: bool) -> Result<(), ExpositionError> {
        if !self.eat("{") {
            return self.expected("{");
        }
        loop {
            self.blanks_if_free();
            if self.eat("}") {
                return Ok(());
            }
            let start = self.at;
            let quoted = self.peek() == Some(b'"');
            let name = if quoted {
                unescape(self.quoted("a label name")?)
            } else {
                match self.identifier(false) {
                    Some(name) => Cow::Borrowed(name),
                    None => return self.expected("a label name or }"),
                }
            };
            if name.is_empty() {
                return self.error_at(start, "the name between the quotes is empty");
            }
            if labels.len() >= MAX_LABELS {
                return self.error_at(start, format!("there are more than {MAX_LABELS} labels"));
            }
            self.blanks_if_free();
            if quoted && matches!(self.peek(), Some(b',' | b'}')) {
                if !may_name_metric {
                    return self.error_at(start, "an exemplar has no metric name");
                }
                if !labels.metric_name().is_empty() {
                    return self.error_at(start, "the metric has a name already");
                }
                labels.push(METRIC_NAME, &name);
            } else {
                if !self.eat("=") {
                    return self.expected("= after the label name");
                }
                self.blanks_if_free();
                let value = self.quoted("a label value in double quotes")?;
                if labels.get(&name).is_some() {
                    return self.error_at(start, format!("the label {name:?} is given twice"));
                }
                labels.push_with(&name, |text| unescape_into(value, text));
            }
            self.blanks_if_free();
            if !self.eat(",") && self.spacing == Spacing::Exact && self.peek() != Some(b'}') {
                return self.expected(", or }");
            }
        }
    }

    /// Whether the labels that were just read have a comma after the last one.
    pub(super) fn ends_with_comma(&self) -> bool {
        self.text[..self.at].ends_with(",}")
    }

    /// The characters up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find([' ', '\t']).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// A float; `what` names it for the message.
    pub(super) fn float(&mut self, what: &str) -> Result<f64, ExpositionError> {
        let start = self.at;
        let word = self.word();
        match parse_float(word) {
            Some(value) => Ok(value),
            None if word.is_empty() => self.expected(what),
            None => self.error_at(start, format!("expected {what}, found {word:?}, which is no number")),
        }
    }

    /// A whole number of milliseconds.
    pub(super) fn integer(&mut self, what: &str) -> Result<i64, ExpositionError> {
        let start = self.at;
        let word = self.word();
        match word.parse() {
            Ok(value) => Ok(value),
            Err(_) => self.error_at(start, format!("expected {what}, found {word:?}")),
        }
    }
}

/// Resolves `\\`, `\"` and `\n`; a backslash before anything else stands for itself.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    unescape_into(text, &mut out);
    Cow::Owned(out)
}

fn unescape_into(text: &str, out: &mut String) {
    unescape_some(text, true, out);
}

/// As [`unescape`] for the help of the Prometheus text format, where quotes are not escaped.
pub(super) fn unescape_help(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    unescape_some(text, false, &mut out);
    Cow::Owned(out)
}

fn unescape_some(mut text: &str, quotes: bool, out: &mut String) {
    while let Some(at) = memchr::memchr(b'\\', text.as_bytes()) {
        out.push_str(&text[..at]);
        let (letter, length) = match text.as_bytes().get(at + 1) {
            Some(b'n') => ('\n', 2),
            Some(b'\\') => ('\\', 2),
            Some(b'"') if quotes => ('"', 2),
            _ => ('\\', 1),
        };
        out.push(letter);
        text = &text[at + length..];
    }
    out.push_str(text);
}
