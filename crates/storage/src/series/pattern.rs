//! Regular expressions as Prometheus understands them.
//!
//! Prometheus matches with Go's RE2 syntax. Rust's is nearly the same; what differs is rewritten here, so that an
//! expression means the same on both sides: `\d`, `\w`, `\s` and `\b` are ASCII, `\Q…\E` quotes, a brace that begins no
//! repetition is a brace, and a class knows no set operations.

use regex_syntax::hir::{Class, Hir, HirKind};

/// How many literals an expression may stand for and still be looked up one by one.
const MOST_LITERALS: usize = 4096;

/// An expression of Go's syntax in the syntax of the `regex` crate. What is wrong in Go stays wrong.
pub fn to_rust(pattern: &str) -> String {
    let mut rust = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(each) = rest.chars().next() {
        let tail = &rest[each.len_utf8()..];
        match each {
            '\\' => {
                if let Some(quoted) = tail.strip_prefix('Q').filter(|_| !in_class) {
                    let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                    rust.push_str(&regex_syntax::escape(literal));
                    rest = after;
                    continue;
                }
                let Some(escaped) = tail.chars().next() else {
                    rust.push('\\');
                    break;
                };
                match (escaped, in_class) {
                    ('d', false) => rust.push_str("[0-9]"),
                    ('D', _) => rust.push_str("[^0-9]"),
                    ('w', false) => rust.push_str("[0-9A-Za-z_]"),
                    ('W', _) => rust.push_str("[^0-9A-Za-z_]"),
                    ('s', false) => rust.push_str("[\\t\\n\\f\\r ]"),
                    ('S', _) => rust.push_str("[^\\t\\n\\f\\r ]"),
                    ('d', true) => rust.push_str("0-9"),
                    ('w', true) => rust.push_str("0-9A-Za-z_"),
                    ('s', true) => rust.push_str("\\t\\n\\f\\r "),
                    ('b', false) => rust.push_str("(?-u:\\b)"),
                    ('B', false) => rust.push_str("(?-u:\\B)"),
                    _ => {
                        rust.push('\\');
                        rust.push(escaped);
                    }
                }
                rest = &tail[escaped.len_utf8()..];
                continue;
            }
            '[' if in_class && tail.starts_with(':') && tail.contains(":]") => {
                let end = tail.find(":]").map_or(0, |end| end + 2);
                rust.push('[');
                rust.push_str(&tail[..end]);
                rest = &tail[end..];
                continue;
            }
            '[' if in_class => rust.push_str("\\["),
            '[' => {
                in_class = true;
                rust.push('[');
                // A bracket right at the start belongs to the class.
                let negated = tail.strip_prefix('^');
                if negated.is_some() {
                    rust.push('^');
                }
                rest = negated.unwrap_or(tail);
                if let Some(after) = rest.strip_prefix(']') {
                    rust.push_str("\\]");
                    rest = after;
                }
                continue;
            }
            ']' if in_class => {
                in_class = false;
                rust.push(']');
            }
            '&' | '~' if in_class => {
                rust.push('\\');
                rust.push(each);
            }
            '-' if in_class && tail.starts_with('-') => rust.push_str("\\-"),
            '{' if !in_class && !begins_repetition(tail) => rust.push_str("\\{"),
            _ => rust.push(each),
        }
        rest = tail;
    }
    rust
}

/// Whether what follows a brace makes it a repetition: `2}`, `2,}` or `2,3}`.
fn begins_repetition(tail: &str) -> bool {
    let Some((inside, _)) = tail.split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && [least, most].iter().all(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What an anchored expression amounts to, as far as it can be told without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Exactly these texts, sorted.
    Literals(Vec<Box<str>>),
    /// Everything: `.*`.
    Any,
    /// Everything but the empty text: `.+`.
    NotEmpty,
    /// What begins so: `text.*`.
    Prefix(Box<str>),
    /// What ends so: `.*text`.
    Suffix(Box<str>),
    /// What holds this: `.*text.*`.
    Contains(Box<str>),
    /// Only the expression itself can tell, but every match begins with this text, which may be empty.
    Other(Box<str>),
}

/// Looks at an expression in Rust's syntax, without anchors, in which `.` matches line breaks.
pub(crate) fn shape(rust: &str) -> Shape {
    let parser = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(rust);
    let Ok(hir) = parser else { return Shape::Other("".into()) };
    if let Some(mut literals) = literals(&hir) {
        literals.sort_unstable();
        literals.dedup();
        return Shape::Literals(literals.into_iter().map(Into::into).collect());
    }
    let parts: Vec<&Hir> = match hir.kind() {
        HirKind::Concat(parts) => parts.iter().collect(),
        _ => vec![&hir],
    };
    let text = |hir: &Hir| match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(Box::<str>::from),
        _ => None,
    };
    match parts.as_slice() {
        [all] if is_any(all, 0) => Shape::Any,
        [all] if is_any(all, 1) => Shape::NotEmpty,
        [first, all] if is_any(all, 0) => text(first).map_or(Shape::Other("".into()), Shape::Prefix),
        [all, last] if is_any(all, 0) => text(last).map_or(Shape::Other("".into()), Shape::Suffix),
        [all, middle, more] if is_any(all, 0) && is_any(more, 0) => {
            text(middle).map_or(Shape::Other("".into()), Shape::Contains)
        }
        [first, ..] => Shape::Other(text(first).unwrap_or_default()),
        [] => Shape::Other("".into()),
    }
}

/// `.*` (`least` 0) or `.+` (1), with `.` matching everything.
fn is_any(hir: &Hir, least: u32) -> bool {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            repetition.min == least
                && repetition.max.is_none()
                && matches!(repetition.sub.kind(), HirKind::Class(Class::Unicode(class))
                    if matches!(class.ranges(), [all] if (all.start(), all.end()) == ('\0', char::MAX)))
        }
        HirKind::Capture(capture) => is_any(&capture.sub, least),
        _ => false,
    }
}

/// All texts that an expression matches, when they are few.
fn literals(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![String::from_utf8(literal.0.to_vec()).ok()?]),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.ranges().iter().map(|range| range.len()).sum();
            if count > 64 {
                return None;
            }
            Some(class.iter().flat_map(|range| (range.start()..=range.end()).map(String::from)).collect())
        }
        HirKind::Capture(capture) => literals(&capture.sub),
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut all = literals(&repetition.sub)?;
            all.push(String::new());
            Some(all)
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(literals(branch)?);
                if all.len() > MOST_LITERALS {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => {
            let mut all = vec![String::new()];
            for part in parts {
                let next = literals(part)?;
                if all.len() * next.len() > MOST_LITERALS {
                    return None;
                }
                all = all.iter().flat_map(|head| next.iter().map(move |tail| format!("{head}{tail}"))).collect();
            }
            Some(all)
        }
        _ => None,
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
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b\E", "axb", false),
            ("[a[b]+", "[ab", true),
            ("[]a]+", "]a", true),
            ("[^]a]+", "]", false),
            ("[a&&b]+", "&", true),
            ("[[:alpha:]-]+", "x-y", true),
            ("a.b", "a\nb", true),
            ("(?i)ABC", "abc", true),
        ] {
            let regex =
                regex::Regex::new(&format!("^(?s:{})$", to_rust(go))).unwrap_or_else(|error| panic!("{go}: {error}"));
            assert_eq!(regex.is_match(text), matches, "{go} on {text:?}");
        }
    }

    #[test]
    fn shapes_are_told() {
        let literals = |texts: &[&str]| Shape::Literals(texts.iter().map(|text| (*text).into()).collect());
        assert_eq!(shape("api"), literals(&["api"]));
        assert_eq!(shape("b|a|a"), literals(&["a", "b"]));
        assert_eq!(shape("(5|4)0[0-2]"), literals(&["400", "401", "402", "500", "501", "502"]));
        assert_eq!(shape("a?"), literals(&["", "a"]));
        assert_eq!(shape(""), literals(&[""]));
        assert_eq!(shape(".*"), Shape::Any);
        assert_eq!(shape(".+"), Shape::NotEmpty);
        assert_eq!(shape("api.*"), Shape::Prefix("api".into()));
        assert_eq!(shape(".*api"), Shape::Suffix("api".into()));
        assert_eq!(shape(".*api.*"), Shape::Contains("api".into()));
        assert_eq!(shape("api.+x"), Shape::Other("api".into()));
        assert_eq!(shape("[0-9]+"), Shape::Other("".into()));
        assert_eq!(shape("(?i)ab"), literals(&["AB", "Ab", "aB", "ab"]));
    }

    proptest::proptest! {
        #[test]
        fn rewriting_never_panics(pattern in r"[\\\[\]{}^a-cdwsQE&~:,.0-9-]{0,24}") {
            let rust = to_rust(&pattern);
            if let Ok(regex) = regex::Regex::new(&format!("^(?s:{rust})$")) {
                for text in ["", "a", "ab", "1", "[", "-", "cab"] {
                    let fast = match shape(&rust) {
                        Shape::Literals(texts) => texts.iter().any(|each| **each == *text),
                        Shape::Any => true,
                        Shape::NotEmpty => !text.is_empty(),
                        Shape::Prefix(prefix) => text.starts_with(&*prefix),
                        Shape::Suffix(suffix) => text.ends_with(&*suffix),
                        Shape::Contains(part) => text.contains(&*part),
                        Shape::Other(prefix) => regex.is_match(text) && { assert!(text.starts_with(&*prefix)); true },
                    };
                    proptest::prop_assert_eq!(fast, regex.is_match(text), "{:?} on {:?}", pattern, text);
                }
            }
        }
    }
}
