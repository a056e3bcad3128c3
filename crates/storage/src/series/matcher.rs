use std::fmt;

use regex::Regex;
use tripod_model::series::Labels;

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
    regex: Option<Regex>,
}

/// The text is no regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("invalid regular expression {pattern:?}: {reason}")]
pub struct InvalidRegex {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl LabelMatcher {
    /// A matcher. Regular expressions are anchored at both ends and `.` matches a line break, as in Prometheus.
    ///
    /// # Errors
    /// [`InvalidRegex`] when the operator takes a regular expression and the value is none, or a huge one.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, InvalidRegex> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(
                Regex::new(&format!("^(?s:{value})$"))
                    .map_err(|error| InvalidRegex { pattern: value.clone(), reason: error.to_string() })?,
            ),
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
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            _ => value == self.value,
        }
    }

    /// Whether the series' label matches.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
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
        assert!(!matches("job", MatchOp::Regex, "api"));
        assert!(matches("job", MatchOp::NotRegex, "api|server"));
        assert!(matches("zone", MatchOp::Equal, ""));
        assert!(matches("zone", MatchOp::Regex, ".*"));
        assert!(!matches("zone", MatchOp::NotEqual, ""));
        assert!(LabelMatcher::new("job", MatchOp::Regex, "(").is_err());
    }
}
