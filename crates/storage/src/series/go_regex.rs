//! Go's regular expressions, which Prometheus matches with, in the syntax of the `regex` crate.
//!
//! An expression is read by the grammar of Go's package `regexp/syntax` with its Perl flags, and written anew so that it means
//! the same on both sides: `\d`, `\w`, `\s` and `\b` are ASCII, `\Q…\E` quotes, `\101` is an octal number, a brace that begins
//! no repetition is a brace, and a class knows no set operations. What Go refuses is refused, in its words.

use std::collections::HashSet;

use regex_syntax::escape_into;

/// Go's bound for how often something is repeated.
const MOST_REPETITIONS: u32 = 1000;

/// An expression of Go's syntax in the syntax of the `regex` crate.
///
/// # Errors
/// What is wrong, as Go says it: the kind of the mistake and where it is, for example ``missing closing ): `(a` ``.
pub fn to_rust(pattern: &str) -> Result<String, String> {
    let mut reader = Reader {
        rust: String::with_capacity(pattern.len() + 8),
        names: HashSet::new(),
        open: Vec::new(),
        level: Level::default(),
    };
    reader.read(pattern)?;
    if !reader.open.is_empty() {
        return Err(wrong("missing closing )", pattern));
    }
    Ok(reader.rust)
}

struct Reader<'a> {
    rust: String,
    /// Groups may have the same name in Go.
    names: HashSet<&'a str>,
    /// What surrounds the innermost group, outermost first.
    open: Vec<Level>,
    level: Level,
}

/// One group, or the whole.
#[derive(Clone, Copy, Default)]
struct Level {
    /// How often the last element may be repeated by what is inside of it; `None` when there is nothing to be repeated.
    last: Option<u32>,
    /// The most of all elements.
    most: u32,
}

/// What a backslash begins outside and inside of a class.
enum Escaped<'a> {
    Char(char),
    /// Members of a class, without brackets, and whether all others are meant.
    Class(&'static str, bool),
    /// A class of Unicode, as it is written.
    Unicode(&'a str),
}

fn wrong(kind: &str, place: &str) -> String {
    format!("{kind}: `{place}`")
}

/// The part of a text that is before another, which is its end.
fn until<'a>(text: &'a str, end: &str) -> &'a str {
    &text[..text.len() - end.len()]
}

impl<'a> Reader<'a> {
    fn read(&mut self, pattern: &'a str) -> Result<(), String> {
        let mut rest = pattern;
        // From where the repetition stands that is right before this place.
        let mut repeated: Option<&'a str> = None;
        while let Some(each) = rest.chars().next() {
            let before = rest;
            rest = &rest[each.len_utf8()..];
            let last_repetition = repeated.take();
            match each {
                '(' if rest.starts_with('?') => rest = self.extension(before)?,
                '(' => self.begin("("),
                ')' => {
                    let Some(outer) = self.open.pop() else { return Err(wrong("unexpected )", pattern)) };
                    let inner = self.level.most.max(1);
                    self.level = outer;
                    self.element(")", inner);
                }
                '|' => {
                    self.rust.push('|');
                    self.level.last = None;
                }
                '^' | '$' | '.' => self.element(each.encode_utf8(&mut [0; 4]), 1),
                '[' => rest = self.class(before)?,
                '*' | '+' | '?' => {
                    rest = self.repeat(before, rest, last_repetition, 1)?;
                    repeated = Some(before);
                }
                '{' => match repetition(rest) {
                    None => self.element("\\{", 1),
                    Some((least, most, after)) => {
                        let bound = most.unwrap_or(least);
                        if least > MOST_REPETITIONS || bound > MOST_REPETITIONS || bound < least {
                            return Err(wrong("invalid repeat count", until(before, after)));
                        }
                        rest = self.repeat(before, after, last_repetition, bound)?;
                        repeated = Some(before);
                    }
                },
                '\\' => rest = self.backslash(before)?,
                each => self.literal(each),
            }
        }
        Ok(())
    }

    fn begin(&mut self, rust: &str) {
        self.rust.push_str(rust);
        self.open.push(std::mem::take(&mut self.level));
    }

    /// Something that can be repeated, and how often it is already repeated inside.
    fn element(&mut self, rust: &str, inner: u32) {
        self.rust.push_str(rust);
        self.level.last = Some(inner);
        self.level.most = self.level.most.max(inner);
    }

    fn literal(&mut self, each: char) {
        escape_into(each.encode_utf8(&mut [0; 4]), &mut self.rust);
        self.element("", 1);
    }

    /// Takes a repetition that reaches from `before` to `after`, with a question mark that makes it lazy.
    fn repeat(&mut self, before: &str, after: &'a str, last: Option<&str>, times: u32) -> Result<&'a str, String> {
        let after = after.strip_prefix('?').unwrap_or(after);
        if let Some(last) = last {
            return Err(wrong("invalid nested repetition operator", until(last, after)));
        }
        let text = until(before, after);
        let Some(inner) = self.level.last else {
            return Err(wrong("missing argument to repetition operator", text));
        };
        let times = inner.saturating_mul(times.max(1));
        if times > MOST_REPETITIONS {
            return Err(wrong("invalid repeat count", text));
        }
        self.element(text, times);
        Ok(after)
    }

    /// What begins with `(?`: a named group, or flags.
    fn extension(&mut self, text: &'a str) -> Result<&'a str, String> {
        let inside = &text[2..];
        if let Some(named) = inside.strip_prefix("P<").or(inside.strip_prefix('<')).filter(|named| !named.is_empty()) {
            let Some((name, after)) = named.split_once('>') else {
                return Err(wrong("invalid named capture", text));
            };
            if name.is_empty() || !name.chars().all(|each| each.is_ascii_alphanumeric() || each == '_') {
                return Err(wrong("invalid named capture", until(text, after)));
            }
            let begins_as_name = !name.starts_with(|each: char| each.is_ascii_digit());
            if begins_as_name && self.names.insert(name) {
                self.begin(&format!("(?P<{name}>"));
            } else {
                self.begin("(");
            }
            return Ok(after);
        }
        let mut rest = inside;
        let (mut negated, mut flags) = (false, 0);
        while let Some(each) = rest.chars().next() {
            rest = &rest[each.len_utf8()..];
            match each {
                'i' | 'm' | 's' | 'U' => flags += 1,
                '-' if !negated => (negated, flags) = (true, 0),
                ':' | ')' if !negated || flags > 0 => {
                    let flags = until(text, rest);
                    match (each, flags) {
                        (':', flags) => self.begin(flags),
                        // Nothing is switched.
                        (_, "(?)") => {}
                        (_, flags) => self.rust.push_str(flags),
                    }
                    return Ok(rest);
                }
                _ => break,
            }
        }
        Err(wrong("invalid or unsupported Perl syntax", until(text, rest)))
    }

    /// What begins with a backslash, outside of classes.
    fn backslash(&mut self, text: &'a str) -> Result<&'a str, String> {
        let after = text.get(2..).unwrap_or("");
        match text.as_bytes().get(1) {
            Some(b'A') => self.element("\\A", 1),
            Some(b'z') => self.element("\\z", 1),
            Some(b'b') => self.element("(?-u:\\b)", 1),
            Some(b'B') => self.element("(?-u:\\B)", 1),
            Some(b'Q') => {
                let (quoted, after) = after.split_once("\\E").unwrap_or((after, ""));
                quoted.chars().for_each(|each| self.literal(each));
                return Ok(after);
            }
            _ => {
                let (escaped, after) = escape(text)?;
                match escaped {
                    Escaped::Char(each) => self.literal(each),
                    Escaped::Class(members, negated) => {
                        self.element(&format!("[{}{members}]", if negated { "^" } else { "" }), 1);
                    }
                    Escaped::Unicode(class) => self.element(class, 1),
                }
                return Ok(after);
            }
        }
        Ok(after)
    }

    /// A class in brackets.
    fn class(&mut self, text: &'a str) -> Result<&'a str, String> {
        let negated = text[1..].strip_prefix('^');
        let mut rest = negated.unwrap_or(&text[1..]);
        let mut rust = String::from(if negated.is_some() { "[^" } else { "[" });
        let mut first = true;
        while std::mem::take(&mut first) || !rest.starts_with(']') {
            if let Some(end) = rest.strip_prefix("[:").and_then(|name| name.find(":]")) {
                let (class, after) = rest.split_at(end + 4);
                if !is_posix(class) {
                    return Err(wrong("invalid character class range", class));
                }
                rust.push_str(class);
                rest = after;
                continue;
            }
            let start = rest;
            let low = match member(rest, text)? {
                (Escaped::Char(each), after) => {
                    rest = after;
                    each
                }
                (Escaped::Class(members, negated), after) => {
                    let (open, close) = if negated { ("[^", "]") } else { ("", "") };
                    rust.extend([open, members, close]);
                    rest = after;
                    continue;
                }
                (Escaped::Unicode(class), after) => {
                    rust.push_str(class);
                    rest = after;
                    continue;
                }
            };
            push_member(&mut rust, low);
            if rest.len() >= 2
                && let Some(after) = rest.strip_prefix('-').filter(|after| !after.starts_with(']'))
            {
                let (Escaped::Char(high), after) = member(after, text)? else {
                    return Err(wrong("invalid escape sequence", &after[..2]));
                };
                if high < low {
                    return Err(wrong("invalid character class range", until(start, after)));
                }
                rust.push('-');
                push_member(&mut rust, high);
                rest = after;
            }
        }
        rust.push(']');
        self.element(&rust, 1);
        Ok(&rest[1..])
    }
}

/// One member of the class that begins with `class`.
fn member<'a>(text: &'a str, class: &str) -> Result<(Escaped<'a>, &'a str), String> {
    match text.chars().next() {
        None => Err(wrong("missing closing ]", class)),
        Some('\\') => escape(text),
        Some(each) => Ok((Escaped::Char(each), &text[each.len_utf8()..])),
    }
}

fn push_member(rust: &mut String, each: char) {
    match each {
        '&' | '~' | '-' | '[' | ']' | '^' | '\\' => rust.extend(['\\', each]),
        each => rust.push(each),
    }
}

fn is_posix(class: &str) -> bool {
    let name = class.trim_start_matches("[:").trim_end_matches(":]");
    let names = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "word", "xdigit",
    ];
    names.contains(&name.strip_prefix('^').unwrap_or(name))
}

/// What a backslash and what follows it stand for, and what is behind it.
fn escape(text: &str) -> Result<(Escaped<'_>, &str), String> {
    let Some(kind) = text[1..].chars().next() else {
        return Err(wrong("trailing backslash at end of expression", ""));
    };
    let rest = &text[1 + kind.len_utf8()..];
    let class = |members| Ok((Escaped::Class(members, kind.is_ascii_uppercase()), rest));
    let invalid = |rest: &str| Err(wrong("invalid escape sequence", until(text, rest)));
    let control = match kind {
        'd' | 'D' => return class("0-9"),
        'w' | 'W' => return class("0-9A-Za-z_"),
        's' | 'S' => return class("\\t\\n\\f\\r "),
        'p' | 'P' => return unicode(text),
        '1'..='7' if !rest.starts_with(|digit| matches!(digit, '0'..='7')) => return invalid(rest),
        '0'..='7' => {
            let digits = rest.bytes().take(2).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
            let value = u32::from_str_radix(&text[1..2 + digits], 8).ok().and_then(char::from_u32);
            return value.map_or_else(|| invalid(rest), |value| Ok((Escaped::Char(value), &rest[digits..])));
        }
        'x' => return hexadecimal(text, rest),
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        kind if kind.is_ascii() && !kind.is_ascii_alphanumeric() => kind,
        _ => return invalid(rest),
    };
    Ok((Escaped::Char(control), rest))
}

/// `\x41` or `\x{1F600}`; `rest` is what follows the x.
fn hexadecimal<'a>(text: &str, rest: &'a str) -> Result<(Escaped<'a>, &'a str), String> {
    let (digits, after) = match rest.strip_prefix('{') {
        Some(inside) => match inside.split_once('}') {
            Some(found) => found,
            None => return Err(wrong("invalid escape sequence", text)),
        },
        None => match rest.split_at_checked(2) {
            Some(found) => found,
            None => return Err(wrong("invalid escape sequence", text)),
        },
    };
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let value = u32::from_str_radix(digits, 16).ok().filter(|_| hexadecimal).and_then(char::from_u32);
    match value {
        Some(value) => Ok((Escaped::Char(value), after)),
        None => Err(wrong("invalid escape sequence", until(text, after))),
    }
}

/// `\pN`, `\p{Greek}`, `\P{^Lu}`
fn unicode(text: &str) -> Result<(Escaped<'_>, &str), String> {
    let end = match text[2..].chars().next() {
        None => text.len(),
        Some('{') => match text.find('}') {
            Some(end) => end + 1,
            None => return Err(wrong("invalid character class range", text)),
        },
        Some(name) => 2 + name.len_utf8(),
    };
    let (class, rest) = text.split_at(end);
    // Names are written as they are defined, which the other side does not insist on.
    let name = class[2..].trim_matches(['{', '}', '^']);
    let is_name = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|each| each.is_ascii_alphanumeric() || each == b'_');
    if !is_name || regex_syntax::parse(class).is_err() {
        return Err(wrong("invalid character class range", class));
    }
    Ok((Escaped::Unicode(class), rest))
}

/// The bounds of what follows a brace when that makes it a repetition, `2}`, `2,}` or `2,3}`, and what is behind it.
fn repetition(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (inside, after) = text.split_once('}')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let plain = plain && (digits.len() == 1 || !digits.starts_with('0'));
        plain.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    match inside.split_once(',') {
        None => number(inside).map(|times| (times, Some(times), after)),
        Some((least, "")) => number(least).map(|least| (least, None, after)),
        Some((least, most)) => Some((number(least)?, Some(number(most)?), after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gos_expressions_mean_the_same() {
        for (go, text, matches) in [
            (r"\d+", "12", true),
            (r"\d+", "١٢", false),
            (r"[\d.]+", "1.2", true),
            (r"[\w-]+", "a-b", true),
            ("/api/{id}", "/api/{id}", true),
            ("a{2}", "aa", true),
            ("a{2,}", "aaa", true),
            ("a{,2}", "a{,2}", true),
            ("a{02}", "a{02}", true),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b\E", "axb", false),
            ("[a[b]+", "[ab", true),
            ("[]a]+", "]a", true),
            ("[^]a]+", "]", false),
            ("[a&&b]+", "&", true),
            ("[[:alpha:]-]+", "x-y", true),
            ("[a-]+", "a-", true),
            ("a.b", "a\nb", true),
            ("(?i)ABC", "abc", true),
            (r"\x{65e5}\x41\101\0", "日AA\0", true),
            (r"\p{Greek}\pL\P{Lu}[\p{Han}\d]", "αaa1", true),
            ("(?P<n>a)(?P<n>b)(?P<1>c)", "abc", true),
            ("(?)a", "a", true),
        ] {
            let rust = to_rust(go).unwrap_or_else(|error| panic!("{go}: {error}"));
            let regex = regex::Regex::new(&format!("^(?s:{rust})$")).unwrap_or_else(|error| panic!("{go}: {error}"));
            assert_eq!(regex.is_match(text), matches, "{go} on {text:?}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_in_its_words() {
        for (go, error) in [
            ("(a", "missing closing ): `(a`"),
            ("a)b(", "unexpected ): `a)b(`"),
            ("[a", "missing closing ]: `[a`"),
            ("[]", "missing closing ]: `[]`"),
            ("*a", "missing argument to repetition operator: `*`"),
            ("a|+?", "missing argument to repetition operator: `+?`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("(a{30}){40}", "invalid repeat count: `{40}`"),
            ("a{3,2}", "invalid repeat count: `{3,2}`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            (r"[a-\d]", r"invalid escape sequence: `\d`"),
            (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
            (r"\q", r"invalid escape sequence: `\q`"),
            (r"\8", r"invalid escape sequence: `\8`"),
            (r"\é", r"invalid escape sequence: `\é`"),
            (r"\u0041", r"invalid escape sequence: `\u`"),
            (r"a\", "trailing backslash at end of expression: ``"),
            ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
            ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
            ("(?<!a)", "invalid named capture: `(?<!a)`"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
            ("(?P<n-m>a)", "invalid named capture: `(?P<n-m>`"),
        ] {
            assert_eq!(to_rust(go), Err(error.to_owned()), "{go}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_can_be_compiled(pattern in r"[\\()|\[\]{}^$a-cdpPwsxQEU?imé&~:<>,.*+0-9-]{0,24}") {
            if let Ok(rust) = to_rust(&pattern) {
                let compiled = regex::RegexBuilder::new(&format!("^(?s:{rust})$")).size_limit(1 << 28).build();
                proptest::prop_assert!(compiled.is_ok(), "{:?} as {:?}: {:?}", pattern, rust, compiled);
            }
        }
    }
}
