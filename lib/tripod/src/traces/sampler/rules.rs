//! Rules for routes and names, before the sampler: never health checks, always the checkout, a tenth of the search.

use std::fmt;
use std::str::FromStr;

use super::{Beginning, TraceIdRatio};

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Not recorded, and not kept for an error either.
    Never,
    /// Recorded.
    Always,
    /// This share is recorded.
    Ratio(f64),
}

/// A pattern and what to do with local roots that it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pattern: String,
    action: Action,
}

/// Rules in the order in which they are asked; the first that fits decides, also against the parent.
///
/// Written as `/health*=never,/checkout=always,/search*=0.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules(Vec<Rule>);

/// Rules that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRules(String);

impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected PATTERN=never, PATTERN=always or PATTERN=RATIO, found {:?}", self.0)
    }
}

impl std::error::Error for InvalidRules {}

impl Default for Rules {
    /// Health checks and scrapes are never recorded.
    fn default() -> Self {
        let never = ["/health", "/health/*", "/healthz", "/livez", "/readyz", "/metrics"];
        Self(never.into_iter().map(|pattern| Rule::new(pattern, Action::Never)).collect())
    }
}

impl Rule {
    /// A pattern for `http.route`, `url.path` or the span's name, where `*` stands for anything.
    pub fn new(pattern: impl Into<String>, action: Action) -> Self {
        Self { pattern: pattern.into(), action }
    }

    fn fits(&self, texts: &[Option<&str>]) -> bool {
        texts.iter().flatten().any(|text| fits(self.pattern.as_bytes(), text.as_bytes()))
    }
}

impl Rules {
    /// No rules.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Puts a rule before the others.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.0.insert(0, rule);
        self
    }

    /// What the first rule that fits says of a local root.
    pub fn decide(&self, span: &Beginning<'_>) -> Option<Action> {
        let attribute = |wanted: &str| span.attributes.iter().find(|(name, _)| name == wanted)?.1.as_str();
        // Looked up once for all rules.
        let texts = [Some(span.name), attribute("http.route"), attribute("url.path")];
        self.0.iter().find(|rule| rule.fits(&texts)).map(|rule| rule.action)
    }

    /// Puts these rules before others.
    #[must_use]
    pub(crate) fn before(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }
}

impl Action {
    /// Whether a trace is recorded.
    pub(crate) fn samples(self, span: &Beginning<'_>) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Ratio(ratio) => TraceIdRatio::new(ratio).keeps(span.trace_id),
        }
    }
}

impl FromStr for Rules {
    type Err = InvalidRules;

    fn from_str(text: &str) -> Result<Self, InvalidRules> {
        let rule = |text: &str| {
            let invalid = || InvalidRules(text.to_owned());
            let (pattern, action) = text.rsplit_once('=').ok_or_else(invalid)?;
            let action = match action.trim() {
                "never" => Action::Never,
                "always" => Action::Always,
                ratio => {
                    Action::Ratio(ratio.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(invalid)?)
                }
            };
            Ok(Rule::new(pattern.trim(), action))
        };
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(rule).collect::<Result<_, _>>().map(Self)
    }
}

/// Whether a text fits a pattern in which `*` stands for anything. Takes time in the order of both lengths multiplied.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::TraceId;
    use crate::traces::SpanKind;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules: Rules = "/search*=0, /search/all = always,GET */admin=never".parse().unwrap();
        let decide = |name: &str, path: &'static str| {
            let attributes = [("url.path".into(), path.into())];
            let trace_id = TraceId::random();
            let span = Beginning { parent: None, trace_id, name, kind: SpanKind::Server, attributes: &attributes };
            rules.clone().before(Rules::default()).decide(&span)
        };
        assert_eq!(decide("GET", "/search/all"), Some(Action::Ratio(0.0)));
        assert_eq!(decide("GET /x/admin", "/x/admin"), Some(Action::Never));
        assert_eq!(decide("GET", "/health/ready"), Some(Action::Never));
        assert_eq!(decide("GET", "/healthy"), None);
    }

    #[test]
    fn wrong_rules_are_refused() {
        for text in ["/x", "/x=2", "/x=sometimes", "/x=NaN"] {
            assert!(text.parse::<Rules>().is_err(), "{text}");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in
            [("a*c", "abbc", true), ("a*c", "abcb", false), ("*", "", true), ("", "a", false), ("a**b*", "ab", true)]
        {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
