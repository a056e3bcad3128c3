//! A pull reader of JSON text (RFC 8259) that borrows from it.
//!
//! `serde_json` is not used for three reasons: it gives no position to come back to, which deferred lists need; it reads
//! doubles exactly only with a feature that would be switched on for the whole program; and a visitor per scalar is
//! more code than the reader. It serves as the reference in tests instead.

use std::borrow::Cow;

use super::text;
use crate::error::{DecodeError, Enclose, Result};

/// How deep a value that is skipped may nest.
const DEEPEST_SKIPPED: u32 = 128;

/// A place in the text. A copy is a bookmark.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The body goes on behind the text, but not in UTF-8.
    damaged: bool,
}

impl<'a> Reader<'a> {
    /// Reads the part of the body that is UTF-8; if that is not the whole, the error comes where the text ends, so that
    /// it names the field.
    pub(super) fn new(body: &'a [u8]) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self { text, at: 0, damaged: false },
            Err(error) => {
                let text = std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default();
                Self { text, at: 0, damaged: true }
            }
        }
    }

    /// The text is over, but for white space.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            Some(_) => Err(self.unexpected("the end of the body")),
            None if self.damaged => Err(self.ended()),
            None => Ok(()),
        }
    }

    /// Reads an object: calls `member` with each key, to read or skip the value. `null` counts as absent and is not
    /// reported.
    pub(super) fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        self.expect(b'{', "an object")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a member's name in quotes"));
            }
            let key = self.string()?;
            self.expect(b':', "`:`")?;
            if !self.null()? {
                member(self, &key)?;
            }
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',', "`,` or `}`")?;
        }
    }

    /// Reads an array: calls `element` for each element with its index, which it adds to the path of errors.
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self, usize) -> Result<()>) -> Result<()> {
        self.expect(b'[', "an array")?;
        if self.take(b']') {
            return Ok(());
        }
        for index in 0.. {
            element(self, index).index(index)?;
            if self.take(b']') {
                break;
            }
            self.expect(b',', "`,` or `]`")?;
        }
        Ok(())
    }

    /// Reads a string; borrowed unless it has escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        self.at += text::plain_length(&self.text.as_bytes()[start..]);
        let plain = &self.text[start..self.at];
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        self.escaped_string(plain.to_owned()).map(Cow::Owned)
    }

    fn escaped_string(&mut self, mut value: String) -> Result<String> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => {
                    let Some((character, length)) = text::unescape(&bytes[self.at..]) else {
                        return Err(self.invalid("an escape that JSON does not know, or half a surrogate pair,"));
                    };
                    value.push(character);
                    self.at += length;
                }
                Some(_) => {
                    return Err(self.invalid("a control character, which must be escaped in a string,"));
                }
                None => return Err(self.ended()),
            }
            let start = self.at;
            self.at += text::plain_length(&bytes[start..]);
            value.push_str(&self.text[start..self.at]);
        }
    }

    /// Reads a number as it is written.
    #[inline]
    pub(super) fn number(&mut self) -> Result<&'a str> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {}
            _ => return Err(self.unexpected("a number")),
        }
        let rest = &self.text[self.at..];
        let length = text::number_length(rest.as_bytes());
        let follower = rest.as_bytes().get(length);
        if length == 0 || follower.is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
            return Err(self.invalid("a malformed number"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.unexpected("true or false")),
        }
    }

    /// Reads `null`, if that is what comes.
    #[inline]
    pub(super) fn null(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b'n') => self.word("null").map(|()| true),
            _ => Ok(false),
        }
    }

    /// Does a string come next?
    pub(super) fn at_string(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    /// Steps over a value of any type, which must be JSON.
    pub(super) fn skip_value(&mut self) -> Result<()> {
        // A bit for each array or object that is open: is it an object?
        let mut open: u128 = 0;
        let mut depth = 0;
        loop {
            match self.peek() {
                Some(byte @ (b'{' | b'[')) => {
                    if depth == DEEPEST_SKIPPED {
                        return Err(self.invalid("a value that nests deeper than 128 levels"));
                    }
                    depth += 1;
                    open = open << 1 | u128::from(byte == b'{');
                    self.at += 1;
                    match byte {
                        b'{' if self.take(b'}') => {}
                        b'{' => {
                            self.skip_key()?;
                            continue;
                        }
                        _ if self.take(b']') => {}
                        _ => continue,
                    }
                    depth -= 1;
                    open >>= 1;
                }
                Some(b'"') => self.string().map(drop)?,
                Some(b't' | b'f') => self.boolean().map(drop)?,
                Some(b'n') => self.word("null")?,
                Some(b'-' | b'0'..=b'9') => self.number().map(drop)?,
                _ => return Err(self.unexpected("a value")),
            }
            // A value is complete; so may be what holds it.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let in_object = open & 1 == 1;
                if self.take(b',') {
                    if in_object {
                        self.skip_key()?;
                    }
                    break;
                }
                if in_object {
                    self.expect(b'}', "`,` or `}`")?;
                } else {
                    self.expect(b']', "`,` or `]`")?;
                }
                depth -= 1;
                open >>= 1;
            }
        }
    }

    fn skip_key(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a member's name in quotes"));
        }
        self.string()?;
        self.expect(b':', "`:`")
    }

    /// Bookmarks an array that is to be read later and steps over it. Only its brackets are looked at; an array that
    /// was bookmarked before will not be read, so it is checked now.
    pub(super) fn defer(&mut self, bookmark: &mut Option<Self>) -> Result<()> {
        if self.peek() != Some(b'[') {
            return Err(self.unexpected("an array"));
        }
        if let Some(mut replaced) = bookmark.replace(*self) {
            replaced.skip_value()?;
        }
        match text::enclosed_length(&self.text.as_bytes()[self.at..]) {
            Some(length) => {
                self.at += length;
                Ok(())
            }
            None => {
                self.at = self.text.len();
                Err(self.ended())
            }
        }
    }

    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
        None
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.unexpected(word))
    }

    #[cold]
    fn unexpected(&mut self, expected: &str) -> DecodeError {
        let got = match self.peek() {
            None => return self.ended(),
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b'-' | b'0'..=b'9') => "a number",
            _ => {
                let rest = &self.text[self.at..];
                let word = rest.split(|character: char| !character.is_ascii_alphabetic()).next().unwrap_or_default();
                match word {
                    "true" | "false" => "a truth value",
                    "null" => "null",
                    _ => {
                        let character = rest.chars().next().unwrap_or_default();
                        return DecodeError::new(format!("must be {expected}, got {character:?} at byte {}", self.at));
                    }
                }
            }
        };
        DecodeError::new(format!("must be {expected}, got {got} at byte {}", self.at))
    }

    #[cold]
    fn invalid(&self, what: &str) -> DecodeError {
        DecodeError::new(format!("{what} stands at byte {}", self.at))
    }

    #[cold]
    fn ended(&self) -> DecodeError {
        let length = self.text.len();
        DecodeError::new(match self.damaged {
            true => format!("must be UTF-8, byte {length} of the body is not"),
            false => format!("the body ends at byte {length} before the JSON does"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn accepts(body: &[u8]) -> bool {
        let mut reader = Reader::new(body);
        reader.skip_value().and_then(|()| reader.end()).is_ok()
    }

    fn reference_accepts(body: &[u8]) -> bool {
        // `IgnoredAny` lets text inside strings pass that is not UTF-8, or is half a surrogate pair: `Value` does not.
        std::str::from_utf8(body).is_ok()
            && serde_json::from_slice::<IgnoredAny>(body).is_ok()
            && serde_json::from_slice::<serde_json::Value>(body)
                .map_or_else(|error| error.to_string().contains("number out of range"), |_| true)
    }

    proptest! {
        #[test]
        fn what_is_json_is_what_serde_json_says(body in r#"([\[\]{},:" \n0-9.eE+\-]|"a":|"b\\u00e9"|\\|\\ud83d|\\ude00|true|false|null|1\.5e3|-0|é|\x01){0,12}"#) {
            prop_assert_eq!(accepts(body.as_bytes()), reference_accepts(body.as_bytes()), "{}", body);
        }

        #[test]
        fn strings_read_as_written(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let mut reader = Reader::new(written.as_bytes());
            prop_assert_eq!(reader.string().unwrap(), text);
            prop_assert!(reader.end().is_ok());
        }

        #[test]
        fn a_deferred_array_is_stepped_over(text in vec(vec(".{0,9}", 0..4), 0..4)) {
            let written = format!("{} ", serde_json::to_string(&text).unwrap());
            let mut reader = Reader::new(written.as_bytes());
            let mut bookmark = None;
            reader.defer(&mut bookmark).unwrap();
            prop_assert!(reader.end().is_ok());
            let mut again = bookmark.unwrap();
            again.skip_value().unwrap();
            prop_assert!(again.end().is_ok());
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for (depth, accepted) in [(128, true), (129, false), (100_000, false)] {
            let body = "[".repeat(depth) + &"]".repeat(depth);
            assert_eq!(accepts(body.as_bytes()), accepted, "{depth}");
        }
    }

    #[test]
    fn surrogates_pair_up() {
        let read = |text: &str| Reader::new(text.as_bytes()).string().map(Cow::into_owned);
        assert_eq!(read(r#""\ud83d\ude00""#).unwrap(), "😀");
        assert_eq!(read(r#""\u00E9\n\/\"""#).unwrap(), "é\n/\"");
        for bad in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83d\u0041""#, r#""\u12g4""#, r#""\x""#, "\"a\nb\""] {
            assert!(read(bad).unwrap_err().message().contains("at byte"), "{bad}");
        }
    }
}
