//! E-mail addresses.

use std::ops::Range;

/// Calls back for each address in the text.
pub(super) fn find(text: &str, mut found: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'@', bytes) {
        let local = bytes[..at].iter().rev().take_while(|byte| is_local(**byte)).count();
        let domain = bytes[at + 1..].iter().take_while(|byte| is_domain(**byte)).count();
        let mut end = at + 1 + domain;
        while end > at && matches!(bytes.get(end - 1), Some(b'.' | b'-')) {
            end -= 1;
        }
        let is_host = bytes.get(at + 1..end).is_some_and(|domain| {
            let labels: Vec<&[u8]> = domain.split(|byte| *byte == b'.').collect();
            labels.len() >= 2
                && labels.iter().all(|label| !label.is_empty())
                && labels.last().is_some_and(|last| is_top_level(last))
        });
        if local > 0 && is_host {
            // Letters beyond ASCII are taken byte by byte, so both ends lie on boundaries only if widened.
            found(text.floor_char_boundary(at - local)..text.ceil_char_boundary(end));
        }
    }
}

/// Two letters at the least; of other scripts that takes two bytes each or more.
fn is_top_level(label: &[u8]) -> bool {
    let ascii = label.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let other = label.iter().filter(|byte| **byte >= 0x80).count();
    ascii + other == label.len() && (ascii >= 2 || other >= 6)
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'#' | b'$')
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'-')
}
