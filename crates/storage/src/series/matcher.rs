use std::fmt;
use std::sync::Arc;

use regex::Regex;
use tripod_model::series::Labels;

use super::go_regex::to_rust;
use super::pattern::{Shape, shape};

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// One condition on a label. An absent label is compared as an empty value.
#[derive(Clone)]
pub struct LabelMatcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Arc<Expression>>,
}

/// A regular expression, and what it amounts to where the engine is not needed.
struct Expression {
    regex: Regex,
    shape: Shape,
}

/// The text is no regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub struct InvalidRegex {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it, in Go's words.
    pub reason: String,
}

impl LabelMatcher {
    /// A matcher. Regular expressions are those of Go, anchored at both ends, and `.` matches a line break, as in
    /// Prometheus.
    ///
    /// # Errors
    /// [`InvalidRegex`] when the operator takes a regular expression and the value is none, or a huge one.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, InvalidRegex> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let invalid = |reason| InvalidRegex { pattern: value.clone(), reason };
                let rust = to_rust(&value).map_err(invalid)?;
                let regex = Regex::new(&format!("^(?s:{rust})$")).map_err(|error| invalid(error.to_string()))?;
                Some(Arc::new(Expression { shape: shape(&rust), regex }))
            }
        };
        Ok(Self { name: name.into(), op, value, regex })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operator.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or the regular expression, as it was given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a value matches; absent is `""`.
    pub fn matches(&self, value: &str) -> bool {
        match (&self.op, &self.regex) {
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(expression)) => expression.is_match(value),
            (MatchOp::NotRegex, Some(expression)) => !expression.is_match(value),
            _ => value == self.value,
        }
    }

    /// Whether the series' label matches.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }

    /// Whether a series without the label matches.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    /// The only values that can be equal to what the matcher asks for (`=`, `!=`) or match its expression (`=~`, `!~`),
    /// sorted; `None` when they cannot be listed.
    pub fn literals(&self) -> Option<Vec<&str>> {
        match &self.regex {
            None => Some(vec![&self.value]),
            Some(expression) => match &expression.shape {
                Shape::Literals(texts) => Some(texts.iter().map(|text| &**text).collect()),
                _ => None,
            },
        }
    }

    /// The text that every value begins with that is equal to what the matcher asks for or matches its expression.
    pub fn prefix(&self) -> &str {
        match self.regex.as_deref().map(|expression| &expression.shape) {
            None => &self.value,
            Some(Shape::Prefix(text) | Shape::Other(text)) => text,
            Some(_) => "",
        }
    }
}

impl Expression {
    fn is_match(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Literals(texts) => texts.binary_search_by(|text| (**text).cmp(value)).is_ok(),
            Shape::Any => true,
            Shape::NotEmpty => !value.is_empty(),
            Shape::Prefix(prefix) => value.starts_with(&**prefix),
            Shape::Suffix(suffix) => value.ends_with(&**suffix),
            Shape::Contains(part) => value.contains(&**part),
            Shape::Other(prefix) => value.starts_with(&**prefix) && self.regex.is_match(value),
        }
    }
}

impl PartialEq for LabelMatcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Debug for LabelMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_anchored_and_absent_is_empty() {
        let labels = Labels::from_pairs([("job", "api-server")]);
        let matches = |name: &str, op, value: &str| LabelMatcher::new(name, op, value).unwrap().matches_labels(&labels);
        assert!(matches("job", MatchOp::Regex, "api.*"));
        assert!(matches("job", MatchOp::Regex, ".*-s.*"));
        assert!(matches("job", MatchOp::Regex, "[a-z]+-server"));
        assert!(!matches("job", MatchOp::Regex, "api"));
        assert!(matches("job", MatchOp::NotRegex, "api|server"));
        assert!(matches("zone", MatchOp::Equal, ""));
        assert!(matches("zone", MatchOp::Regex, ".*"));
        assert!(!matches("zone", MatchOp::NotEqual, ""));
        for wrong in ["(", "a)(b", "*a", "[b"] {
            assert!(LabelMatcher::new("job", MatchOp::Regex, wrong).is_err(), "{wrong}");
        }
    }
}
