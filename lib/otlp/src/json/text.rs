//! Measuring tokens of JSON text.

/// How many bytes of a string's inside come before the first quote, backslash or control character.
#[inline]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    // Eight bytes at a time. For each byte the high bit of the mask is set where it ends the run; a borrow may set it
    // for bytes behind the first hit too, which does not matter as only the first is looked at.
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, _) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quotes = zeros(word ^ (ONES * b'"' as u64));
        let backslashes = zeros(word ^ (ONES * b'\\' as u64));
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let mask = (quotes | backslashes | controls) & HIGHS;
        if mask != 0 {
            return index * 8 + mask.trailing_zeros() as usize / 8;
        }
    }
    let rest = words.len() * 8;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    bytes[rest..].iter().position(ends).map_or(bytes.len(), |length| rest + length)
}

/// The character that an escape stands for, and the escape's length. `bytes` begins with the backslash.
pub(super) fn unescape(bytes: &[u8]) -> Option<(char, usize)> {
    let character = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = code_unit(bytes)?;
            if !(0xd800..0xdc00).contains(&high) {
                return char::from_u32(high).map(|character| (character, 6));
            }
            let low = code_unit(bytes.get(6..)?)?;
            if !(0xdc00..0xe000).contains(&low) {
                return None;
            }
            let point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return char::from_u32(point).map(|character| (character, 12));
        }
        _ => return None,
    };
    Some((character, 2))
}

/// The UTF-16 code unit of an escape such as `\u00e9`.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let (b"\\u", digits) = bytes.get(..6)?.split_at(2) else {
        return None;
    };
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// The length of the number that the bytes begin with; 0 when they do not.
#[inline]
pub(super) fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = usize::from(bytes.first() == Some(&b'-'));
    match digits(length) {
        0 => return 0,
        // A leading zero stands alone.
        _ if bytes[length] == b'0' => length += 1,
        count => length += count,
    }
    if bytes.get(length) == Some(&b'.') {
        match digits(length + 1) {
            0 => return 0,
            count => length += 1 + count,
        }
    }
    if let Some(b'e' | b'E') = bytes.get(length) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        match digits(length + 1 + sign) {
            0 => return 0,
            count => length += 1 + sign + count,
        }
    }
    length
}

/// The length of the array or object that the bytes begin with, judged by brackets alone; [`None`] when it does not
/// end.
pub(super) fn enclosed_length(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += 1;
                loop {
                    at += plain_length(&bytes[at..]);
                    match bytes.get(at)? {
                        b'"' => break,
                        b'\\' => at += 2,
                        _ => at += 1,
                    }
                    // A backslash may be the last byte of all.
                    bytes.get(at)?;
                }
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_run_ends_at_each_byte_that_must_not_stand_in_it() {
        for end in 0..=255_u8 {
            for position in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[position] = end;
                let expected = if matches!(end, b'"' | b'\\' | ..0x20) { position } else { 20 };
                assert_eq!(plain_length(&bytes), expected, "byte {end} at {position}");
            }
        }
    }

    #[test]
    fn numbers_are_measured() {
        for (text, length) in
            [("0", 1), ("-0", 2), ("01", 1), ("10.25e-3,", 8), ("1e+", 0), ("1.", 0), ("-", 0), ("", 0), ("5]", 1)]
        {
            assert_eq!(number_length(text.as_bytes()), length, "{text}");
        }
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(enclosed_length(br#"["]\"]", {"a]": []}] x"#), Some(20));
        for endless in [&br#"["\"#[..], b"[", b"[\"]", br#"["\"]"#, b"[{]"] {
            assert_eq!(enclosed_length(endless), None, "{endless:?}");
        }
    }
}
