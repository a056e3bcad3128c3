//! Credentials that show what they are: bearer and basic, JSON web tokens, private keys, keys of providers.

use std::ops::Range;

/// Beginnings of keys that providers give out, and how many characters at least follow.
pub(super) const PROVIDER_PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("ghu_", 30),
    ("ghr_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xapp-", 10),
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("whsec_", 16),
    ("AIza", 30),
    ("npm_", 30),
    ("hf_", 30),
    ("SG.", 30),
    ("NRAK-", 20),
];

fn run(text: &str, from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    text.as_bytes().get(from..).map_or(from, |rest| from + rest.iter().take_while(|byte| wanted(**byte)).count())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether the text at `start` is the beginning of a word.
fn begins_word(text: &str, start: usize) -> bool {
    start.checked_sub(1).and_then(|before| text.as_bytes().get(before)).is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

/// Whether what begins here is not the continuation of something that could have been a key already. With that every
/// character belongs to one candidate, and a text of a thousand beginnings is read once.
fn begins_key(text: &str, start: usize) -> bool {
    start.checked_sub(1).and_then(|before| text.as_bytes().get(before)).is_none_or(|byte| !is_base64url(*byte))
}

/// `Bearer` and 8 or more characters of RFC 6750; words of prose (“bearer authentication”) have only letters.
pub(super) fn bearer(text: &str, hit: Range<usize>) -> Option<Range<usize>> {
    let end = run(text, hit.end, is_token);
    let token = text.get(hit.end..end)?;
    let is_word = token.len() < 24 && token.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.');
    (begins_word(text, hit.start) && token.len() >= 8 && !is_word).then_some(hit.end..end)
}

/// `Basic` and base64 of at least 8 characters that is no word of prose.
pub(super) fn basic(text: &str, hit: Range<usize>) -> Option<Range<usize>> {
    let end = run(text, hit.end, is_token);
    let token = text.get(hit.end..end)?;
    let is_word = token.bytes().skip(1).all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'-' | b'/'));
    (begins_word(text, hit.start) && token.len() >= 8 && !is_word).then_some(hit.end..end)
}

/// Header, payload and signature; the signature may be missing.
pub(super) fn jwt(text: &str, start: usize) -> Option<Range<usize>> {
    if !text.get(start..)?.starts_with("eyJ") || !begins_key(text, start) {
        return None;
    }
    let header = run(text, start, is_base64url);
    let dot = |at: usize| text.as_bytes().get(at) == Some(&b'.');
    if header - start < 10 || !dot(header) {
        return None;
    }
    let payload = run(text, header + 1, is_base64url);
    if payload - header < 5 {
        return None;
    }
    let signature = if dot(payload) { run(text, payload + 1, is_base64url) } else { payload };
    // A point without a signature behind it may end the sentence.
    Some(start..if signature > payload + 1 { signature } else { payload })
}

/// A PEM block from `-----BEGIN … PRIVATE KEY-----` to its end, or to the end of the text when it is cut.
pub(super) fn private_key(text: &str, start: usize) -> Option<Range<usize>> {
    let block = text.get(start..)?;
    let begin_end = block.get(11..)?.find("-----")? + 11;
    if begin_end > 80 || !block.get(..begin_end)?.to_ascii_uppercase().contains("PRIVATE KEY") {
        return None;
    }
    let end = block.get(begin_end + 5..).and_then(|body| {
        let footer = begin_end + 5 + body.find("-----END")?;
        let close = block.get(footer + 8..)?.find("-----")?;
        Some(start + footer + 8 + close + 5)
    });
    Some(start..end.unwrap_or(text.len()))
}

/// `AKIA` or `ASIA` and 16 capitals or digits.
pub(super) fn aws_key(text: &str, start: usize) -> Option<Range<usize>> {
    let prefix = text.get(start..start + 4)?;
    if !matches!(prefix, "AKIA" | "ASIA") || !begins_word(text, start) {
        return None;
    }
    let end = run(text, start, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let ends_word = text.as_bytes().get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (end - start == 20 && ends_word).then_some(start..end)
}

/// A known beginning and enough of what a key is made of.
pub(super) fn provider_key(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    if !begins_key(text, start) {
        return None;
    }
    let (prefix, least) = PROVIDER_PREFIXES.iter().find(|(prefix, _)| rest.starts_with(prefix))?;
    let end = run(text, start + prefix.len(), is_base64url);
    (end - start - prefix.len() >= *least).then_some(start..end)
}
