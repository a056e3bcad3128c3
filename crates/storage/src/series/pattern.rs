//! What an expression amounts to, so that most need no engine.

use regex_syntax::hir::{Class, Hir, HirKind};

/// How many literals an expression may stand for and still be looked up one by one.
const MOST_LITERALS: usize = 4096;

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
    use super::super::go_regex::to_rust;
    use super::*;

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
        fn shapes_match_as_the_expression(pattern in r"[\\\[\]{}^a-cdwsQE&~:,.0-9-]{0,24}") {
            if let Ok(rust) = to_rust(&pattern)
                && let Ok(regex) = regex::Regex::new(&format!("^(?s:{rust})$")) {
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
