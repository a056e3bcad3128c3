/// A label's name as it stands in a path: `U__` begins one whose unusual characters are written as their code in
/// hexadecimal digits between underscores, and whose underscores are doubled. What is no such form is taken as it is.
pub(super) fn unescape(name: &str) -> String {
    name.strip_prefix("U__").and_then(decode).unwrap_or_else(|| name.to_owned())
}

fn decode(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((plain, tail)) = rest.split_once('_') {
        name.push_str(plain);
        let (code, tail) = tail.split_once('_')?;
        match code {
            "" => name.push('_'),
            code if code.len() <= 6 && code.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            }
            _ => return None,
        }
        rest = tail;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_method", "http.method"),
            ("U__a__b_20_c", "a_b c"),
            ("U___1f600_", "😀"),
            ("U__", ""),
            // Not of this form.
            ("U__a_b", "U__a_b"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_1234567_", "U__a_1234567_"),
            ("U__a_d800_", "U__a_d800_"),
        ] {
            assert_eq!(unescape(escaped), name, "{escaped}");
        }
    }
}
