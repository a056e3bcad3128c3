//! `password=…`, `"token": "…"`, `Authorization: Bearer …`, `api_key: Some("…")`: a key with its value inside a text.

use std::ops::Range;

use super::keys::{Class, Keys};
use super::replacement::Action;

/// The longest part of a name that is looked at on each side of a key: text that is one long word must not be read over
/// and over.
const MAX_NAME: usize = 128;

/// Schemes of an `Authorization` header: the secret is what follows.
const SCHEMES: &[&str] = &["bearer", "basic", "digest", "token", "negotiate", "apikey", "aws4-hmac-sha256"];

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn skip(bytes: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    bytes.get(from..).map_or(bytes.len(), |rest| from + rest.iter().take_while(|byte| wanted(**byte)).count())
}

/// The value that belongs to the key that was found at `hit`, if a value follows.
pub(super) fn find(text: &str, hit: Range<usize>, keys: &Keys) -> Option<(Range<usize>, Action)> {
    let bytes = text.as_bytes();
    let after = bytes.get(hit.end..)?;
    let end = hit.end + after.iter().take(MAX_NAME).take_while(|byte| is_name(**byte)).count();
    let before = bytes.get(..hit.start)?;
    let start = hit.start - before.iter().rev().take(MAX_NAME).take_while(|byte| is_name(**byte)).count();
    let separated = separator(bytes, end)?;
    let name = text.get(start..end)?;
    let (action, numbers_are_plain) = match keys.class(name) {
        Class::Plain => return None,
        Class::Secret(action) => (action, false),
        Class::SecretUnlessNumber(action) => (action, true),
    };
    let range = value(text, separated.value, separated.is_header, 0)?;
    let found = text.get(range.clone())?.trim();
    let is_plain = found.is_empty()
        || matches!(found, "true" | "false" | "null" | "None" | "none")
        || (numbers_are_plain && found.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    (!is_plain).then_some((range, action))
}

struct Separated {
    /// Where the value begins.
    value: usize,
    /// `name: value` outside of quotes, as headers are written: the value may hold spaces.
    is_header: bool,
}

/// What stands between a key and its value: a closing quote or bracket, spaces, `:` or `=`, spaces.
fn separator(bytes: &[u8], end: usize) -> Option<Separated> {
    let at = skip(bytes, end, |byte| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b']'));
    let quoted = at > end;
    let at = skip(bytes, at, |byte| byte == b' ');
    let rest = bytes.get(at..)?;
    let length = match rest {
        // A path of Rust, a URL.
        [b':', b':', ..] | [b':', b'/', b'/', ..] => return None,
        [b':', b'=', ..] | [b'=', b'>', ..] | [b'=', b'=', ..] => 2,
        [b':', ..] | [b'=', ..] => 1,
        [b'%', b'3', b'D' | b'd' | b'A' | b'a', ..] => 3,
        _ => return None,
    };
    let value = skip(bytes, at + length, |byte| matches!(byte, b' ' | b'\t'));
    Some(Separated { value, is_header: !quoted && rest.first() == Some(&b':') && value > at + 1 })
}

fn value(text: &str, start: usize, is_header: bool, depth: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let rest = bytes.get(start..)?;
    match rest {
        [] => None,
        [b'\\', quote @ (b'"' | b'\''), ..] => {
            let close = [b'\\', *quote];
            let from = start + 2;
            let length = memchr::memmem::find(bytes.get(from..)?, &close);
            Some(from..length.map_or(text.len(), |length| from + length))
        }
        [quote @ (b'"' | b'\'' | b'`'), ..] => Some(start + 1..closing_quote(bytes, start + 1, *quote)),
        // A value that was hidden before stays as it is.
        [b'[', b'R', b'E', b'D', b'A', b'C', b'T', b'E', b'D', ..] | [b'[', b'H', b'A', b'S', b'H', b':', ..] => None,
        [b'[' | b'{' | b'(', ..] => Some(start..closing_bracket(bytes, start)),
        _ => {
            // `Some("…")`, `Secret(…)`: the value is inside.
            let word = skip(bytes, start, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if word > start && bytes.get(word) == Some(&b'(') && depth < 4 {
                let close = closing_bracket(bytes, word);
                return Some(word + 1..close.saturating_sub(usize::from(bytes.get(close - 1) == Some(&b')'))));
            }
            Some(start..unquoted(bytes, start, is_header))
        }
    }
}

fn unquoted(bytes: &[u8], start: usize, is_header: bool) -> usize {
    let ends = |byte: u8| {
        byte.is_ascii_whitespace()
            || matches!(byte, b',' | b';' | b'&' | b')' | b']' | b'}' | b'"' | b'\'' | b'<' | b'|')
    };
    let end = skip(bytes, start, |byte| !ends(byte));
    let word = bytes.get(start..end).unwrap_or_default();
    let is_scheme = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()));
    if is_header && !is_scheme && bytes.get(end) == Some(&b';') {
        // `Cookie: a=1; b=2`
        return skip(bytes, start, |byte| !matches!(byte, b'\n' | b'\r' | b'"'));
    }
    if !is_scheme {
        return end;
    }
    if !word.eq_ignore_ascii_case(b"digest") && !word.eq_ignore_ascii_case(b"aws4-hmac-sha256") {
        let credential = skip(bytes, end, |byte| byte == b' ');
        return skip(bytes, credential, |byte| !ends(byte));
    }
    // Schemes with parameters: to the end of the line.
    skip(bytes, end, |byte| !matches!(byte, b'\n' | b'\r'))
}

fn closing_quote(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match *byte {
            b'\\' => at += 2,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the bracket that closes the one at `open`; the end of the text when none does.
fn closing_bracket(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = open;
    while let Some(byte) = bytes.get(at) {
        match *byte {
            b'"' => at = closing_quote(bytes, at + 1, b'"'),
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
