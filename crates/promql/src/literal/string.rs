use std::sync::LazyLock;

use regex::Regex;

/// The bytes of a string literal without its quotes, escape sequences resolved. `\xNN` and `\NNN` may make what is no UTF-8.
///
/// # Errors
/// What is wrong: an unknown or unfinished escape sequence.
pub fn unquote(literal: &str) -> Result<Vec<u8>, &'static str> {
    const SYNTAX: &str = "invalid syntax";
    let quote = literal.chars().next().ok_or(SYNTAX)?;
    let inner = literal.get(1..literal.len() - 1).filter(|_| literal.ends_with(quote)).ok_or(SYNTAX)?;
    match quote {
        '`' => return Ok(inner.into()),
        '"' | '\'' if !inner.contains('\\') => return Ok(inner.into()),
        '"' | '\'' => {}
        _ => return Err(SYNTAX),
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest.as_bytes().get(at + 1).ok_or(SYNTAX)?;
        let (byte, digits, radix) = match escape {
            b'a' => (7, 0, 0),
            b'b' => (8, 0, 0),
            b'f' => (12, 0, 0),
            b'n' => (b'\n', 0, 0),
            b'r' => (b'\r', 0, 0),
            b't' => (b'\t', 0, 0),
            b'v' => (11, 0, 0),
            b'\\' => (b'\\', 0, 0),
            other if char::from(*other) == quote => (*other, 0, 0),
            b'0'..=b'7' => (0, 3, 8),
            b'x' => (0, 2, 16),
            b'u' => (0, 4, 16),
            b'U' => (0, 8, 16),
            _ => return Err(SYNTAX),
        };
        if digits == 0 {
            bytes.push(byte);
            rest = &rest[at + 2..];
            continue;
        }
        let from = if radix == 8 { at + 1 } else { at + 2 };
        let code =
            rest.get(from..from + digits).and_then(|code| u32::from_str_radix(code, radix).ok()).ok_or(SYNTAX)?;
        if digits < 4 {
            bytes.push(u8::try_from(code).map_err(|_| SYNTAX)?);
        } else {
            let code = char::from_u32(code).ok_or(SYNTAX)?;
            bytes.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = &rest[from + digits..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// The text in double quotes, with the escape sequences of Go; a byte that is no UTF-8 as `\xNN`.
pub fn quote(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for chunk in text.utf8_chunks() {
        for each in chunk.valid().chars() {
            escape_into(&mut quoted, each, '"');
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

/// The text with U+FFFD where it is no UTF-8, for answers, which are.
pub fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// The character in single quotes, with the escape sequences of Go.
pub(crate) fn quote_char(each: char) -> String {
    let mut quoted = String::from('\'');
    escape_into(&mut quoted, each, '\'');
    quoted.push('\'');
    quoted
}

fn escape_into(quoted: &mut String, each: char, quote: char) {
    match each {
        '\\' => quoted.push_str("\\\\"),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        each if each == quote => quoted.extend(['\\', quote]),
        // Which the language accepts in this form only.
        char::REPLACEMENT_CHARACTER => quoted.push_str("\\ufffd"),
        each if char_is_printable(each) => quoted.push(each),
        each => match u32::from(each) {
            code @ (0..0x20 | 0x7f) => quoted.push_str(&format!("\\x{code:02x}")),
            code @ 0..0x1_0000 => quoted.push_str(&format!("\\u{code:04x}")),
            code => quoted.push_str(&format!("\\U{code:08x}")),
        },
    }
}

/// Whether Go prints the character as it is: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn char_is_printable(each: char) -> bool {
    static PRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]").ok());
    if each.is_ascii() {
        return matches!(each, ' '..='~');
    }
    PRINTABLE.as_ref().is_some_and(|printable| printable.is_match(each.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_are_read() {
        for (literal, text) in [
            (r#""a\nb""#, "a\nb"),
            (r#"'it\'s'"#, "it's"),
            (r#"'"'"#, "\""),
            (r"`\n`", "\\n"),
            (r#""\x41\101\u0041\U00000041""#, "AAAA"),
            (r#""\xc3\xa9é""#, "éé"),
            (r#""\a\b\f\r\t\v\\\"""#, "\x07\x08\x0c\r\t\x0b\\\""),
        ] {
            assert_eq!(unquote(literal).as_deref(), Ok(text.as_bytes()), "{literal}");
        }
        for (literal, reason) in [
            (r#""\q""#, "invalid syntax"),
            (r#""\ud800""#, "invalid syntax"),
            (r#""\x4""#, "invalid syntax"),
            ("\"", "invalid syntax"),
            ("", "invalid syntax"),
        ] {
            assert_eq!(unquote(literal), Err(reason), "{literal}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_kept() {
        for (literal, bytes, shown) in
            [(r#""a\xc5z""#, &b"a\xc5z"[..], "a\u{fffd}z"), (r#""\377\xe6\x97""#, b"\xff\xe6\x97", "\u{fffd}\u{fffd}")]
        {
            assert_eq!(unquote(literal).as_deref(), Ok(bytes), "{literal}");
            assert_eq!(unquote(&quote(bytes)).as_deref(), Ok(bytes), "{literal}");
            assert_eq!(lossy(bytes), shown);
        }
        assert_eq!(quote(b"a\xc5z"), r#""a\xc5z""#);
    }

    #[test]
    fn quoting_escapes_what_go_escapes() {
        assert_eq!(
            quote("a\"b\\c\nd\0é\u{a0}\u{301}\u{200b}😀\u{e000}"),
            r#""a\"b\\c\nd\x00é\u00a0"#.to_owned() + "\u{301}\\u200b😀\\ue000\""
        );
        assert_eq!(quote_char('\''), r"'\''");
        assert_eq!(quote_char('"'), "'\"'");
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(text in "\\PC*|.*") {
            prop_assert_eq!(unquote(&quote(&text)), Ok(text.into_bytes()));
        }

        #[test]
        fn quoted_bytes_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            prop_assert_eq!(unquote(&quote(&bytes)), Ok(bytes));
        }

        #[test]
        fn anything_is_read_or_refused(text in ".*") {
            let _ = unquote(&text);
        }
    }
}
