//! Statements of SQL without their values.

/// The longest statement that is kept, in bytes; what is longer is cut.
pub(crate) const MAX_TEXT: usize = 4 * 1024;

/// The statement with `?` in place of its values: numbers, texts in single quotes or between dollars, lists of values.
/// Comments are removed: they may hold values too. Placeholders (`$1`, `?`, `:name`) and names in double quotes stay. Text in
/// double quotes is a value in some dialects of MySQL; there, use placeholders.
pub fn sanitize(sql: &str) -> String {
    let bytes = sql.as_bytes();
    let mut out = String::with_capacity(sql.len().min(MAX_TEXT));
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if out.len() >= MAX_TEXT {
            out.push('…');
            break;
        }
        let next = bytes.get(at + 1).copied();
        match byte {
            b'\'' => {
                // A prefix (`E'…'`, `x'…'`) belongs to the value.
                if out.ends_with(['E', 'e', 'X', 'x', 'B', 'b', 'N', 'n']) && !ends_in_longer_word(&out) {
                    let escapes = out.ends_with(['E', 'e']);
                    out.pop();
                    at = end_of_text(bytes, at + 1, escapes);
                } else {
                    at = end_of_text(bytes, at + 1, false);
                }
                value(&mut out);
            }
            b'$' if dollar_tag(bytes, at).is_some() => {
                let tag = dollar_tag(bytes, at).unwrap_or_default();
                let body = at + tag.len();
                let rest = bytes.get(body..).unwrap_or_default();
                at = memchr::memmem::find(rest, tag).map_or(bytes.len(), |end| body + end + tag.len());
                value(&mut out);
            }
            b'$' | b':' | b'@' if next.is_some_and(|next| next.is_ascii_alphanumeric() || next == b'_') => {
                // A placeholder, with its number or name.
                let end = word_end(bytes, at + 1);
                out.push_str(sql.get(at..end).unwrap_or_default());
                at = end;
            }
            b'?' if next.is_some_and(|next| next.is_ascii_digit()) => {
                // A numbered placeholder of SQLite.
                let end = word_end(bytes, at + 1);
                out.push_str(sql.get(at..end).unwrap_or_default());
                at = end;
            }
            b'-' if next == Some(b'-') => {
                at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end);
                space(&mut out);
            }
            b'/' if next == Some(b'*') => {
                let rest = bytes.get(at + 2..).unwrap_or_default();
                at = memchr::memmem::find(rest, b"*/").map_or(bytes.len(), |end| at + 2 + end + 2);
                space(&mut out);
            }
            b'"' | b'`' => {
                let rest = bytes.get(at + 1..).unwrap_or_default();
                let end = memchr::memchr(*byte, rest).map_or(bytes.len(), |end| at + 1 + end + 1);
                out.push_str(sql.get(at..end).unwrap_or_default());
                at = end;
            }
            b'0'..=b'9' => {
                at = number_end(bytes, at);
                value(&mut out);
            }
            b'.' if next.is_some_and(|next| next.is_ascii_digit())
                && !out.ends_with(|c: char| c.is_alphanumeric() || c == '"') =>
            {
                at = number_end(bytes, at + 1);
                value(&mut out);
            }
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                space(&mut out);
            }
            byte if byte.is_ascii_alphabetic() || *byte == b'_' || *byte >= 0x80 => {
                let end = word_end(bytes, at);
                out.push_str(sql.get(at..end).unwrap_or_default());
                at = end;
            }
            byte => {
                out.push(char::from(*byte));
                at += 1;
            }
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// A value: `?`, and once for a list of values.
fn value(out: &mut String) {
    let before = out.trim_end();
    if let Some(list) = before.strip_suffix(',')
        && list.trim_end().ends_with('?')
    {
        out.truncate(list.trim_end().len());
        return;
    }
    out.push('?');
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// Whether the letter at the end is more than a prefix of its own.
fn ends_in_longer_word(out: &str) -> bool {
    out.chars().rev().nth(1).is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// Behind the closing quote; a doubled quote is none.
fn end_of_text(bytes: &[u8], mut at: usize, escapes: bool) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `$$` or `$tag$`.
fn dollar_tag(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at + 1..)?;
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let is_tag = rest.get(length) == Some(&b'$') && !rest.first().is_some_and(u8::is_ascii_digit);
    is_tag.then(|| bytes.get(at..at + length + 2)).flatten()
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || **byte >= 0x80)
        .count()
}

/// Behind a number: `1`, `1.5e-3`, `0xff`, `1_000`.
fn number_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        let is_sign_of_exponent = matches!(byte, b'+' | b'-')
            && matches!(bytes.get(at.wrapping_sub(1)), Some(b'e' | b'E'))
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || is_sign_of_exponent) {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_become_question_marks() {
        for (sql, expected) in [
            (
                "SELECT * FROM users WHERE id = 42 AND name = 'O''Brien'",
                "SELECT * FROM users WHERE id = ? AND name = ?",
            ),
            ("SELECT 1.5e-3, .5, 0xFF, -7", "SELECT ?, -?"),
            ("SELECT * FROM t WHERE a IN (1, 2, 3) AND b IN ('x','y')", "SELECT * FROM t WHERE a IN (?) AND b IN (?)"),
            ("SELECT E'it\\'s', x'cafe', N'n'", "SELECT ?"),
            ("SELECT $$body $1$$, $tag$ it's $tag$", "SELECT ?"),
            (
                "SELECT * FROM t1 WHERE c2 = $1 AND d = :name AND e = ?2",
                "SELECT * FROM t1 WHERE c2 = $1 AND d = :name AND e = ?2",
            ),
            ("SELECT a -- password 'x'\nFROM t /* token 5 */ WHERE b", "SELECT a FROM t WHERE b"),
            ("SELECT \"Column 1\" FROM `t 2`", "SELECT \"Column 1\" FROM `t 2`"),
            ("SELECT x::int4, y::varchar(10)", "SELECT x::int4, y::varchar(?)"),
            ("SELECT 'unterminated", "SELECT ?"),
            ("  SELECT\n\t1  ", "SELECT ?"),
            ("SELECT größe FROM maße", "SELECT größe FROM maße"),
        ] {
            assert_eq!(sanitize(sql), expected, "{sql}");
        }
    }

    proptest! {
        #[test]
        fn no_value_survives(secret in "[a-z]{8,20}", number in 10_000..u64::MAX) {
            let sql = format!("SELECT * FROM users WHERE name = '{secret}' AND id = {number} -- {secret}\nLIMIT {number}");
            let text = sanitize(&sql);
            prop_assert!(!text.contains(&secret) && !text.contains(&number.to_string()), "{}", text);
        }

        #[test]
        fn sanitising_again_changes_nothing(sql in "(SELECT|FROM|a1|'x'|[0-9]{1,4}|[(),.=*?$ -]|\\$1|\"q\"){0,20}") {
            let once = sanitize(&sql);
            prop_assert_eq!(sanitize(&once), once);
        }
    }
}
