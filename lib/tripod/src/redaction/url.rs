//! User and password in URLs, and parameters of their queries that carry secrets.

use std::ops::Range;

/// Parameters that carry secrets and are no key by themselves: signatures of presigned URLs, codes of OAuth, keys of APIs.
const SECRET_PARAMETERS: &[&str] = &[
    "sig",
    "signature",
    "x-amz-signature",
    "x-amz-credential",
    "x-goog-signature",
    "x-goog-credential",
    "code",
    "key",
];

/// The longest URL that is looked at, in bytes.
const MAX_URL: usize = 2 * 1024;

fn ends_url(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\')
}

/// Looks at the URL whose `://` is at `hit`; the flag of the call back says that the range is user and password.
pub(super) fn find(text: &str, hit: usize, whole_query: bool, mut found: impl FnMut(Range<usize>, bool)) {
    let bytes = text.as_bytes();
    let start = hit + 3;
    let Some(rest) = bytes.get(start..) else { return };
    let rest = rest.get(..MAX_URL).unwrap_or(rest);
    let url_end = || start + rest.iter().take_while(|byte| !ends_url(**byte)).count();
    let authority_end =
        start + rest.iter().take_while(|byte| !ends_url(**byte) && !matches!(byte, b'/' | b'?' | b'#')).count();
    let mut userinfo_end = memchr::memrchr(b'@', &bytes[start..authority_end]).map(|at| start + at);
    if userinfo_end.is_none() {
        // A password with `/`, `?` or `#` in it, not encoded: what follows the `:` is then no port.
        let colon = memchr::memchr(b':', &bytes[start..authority_end]).map(|at| start + at);
        let is_port = colon.is_none_or(|colon| bytes[colon + 1..authority_end].iter().all(u8::is_ascii_digit));
        let is_ipv6 = bytes.get(start) == Some(&b'[');
        if !is_port && !is_ipv6 {
            userinfo_end = memchr::memrchr(b'@', &bytes[start..url_end()]).map(|at| start + at);
        }
    }
    if let Some(end) = userinfo_end
        && end > start
    {
        found(start..end, true);
    }
    let from = userinfo_end.unwrap_or(start);
    if memchr::memchr(b'?', rest).is_none() {
        return;
    }
    let end = url_end();
    if let Some(question) = memchr::memchr(b'?', bytes.get(from..end).unwrap_or_default()) {
        query(text, from + question + 1..end, whole_query, |range| found(range, false));
    }
}

/// Calls back for the values in a query that must be hidden.
pub(super) fn query(text: &str, range: Range<usize>, whole_query: bool, mut found: impl FnMut(Range<usize>)) {
    let Some(query) = text.get(range.clone()) else { return };
    let query = query.split('#').next().unwrap_or_default();
    let mut at = range.start;
    for pair in query.split('&') {
        if let Some((name, value)) = pair.split_once('=') {
            let is_secret = SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
            if (whole_query || is_secret) && !value.is_empty() && value != super::replacement::MASK {
                let start = at + name.len() + 1;
                found(start..start + value.len());
            }
        }
        at += pair.len() + 1;
    }
}
