//! Environment variables, read with their types. A mistake does not end the reading: all are reported together.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Variables by name, and the mistakes that were found while reading them.
#[derive(Debug, Default)]
pub struct Variables {
    values: HashMap<String, String>,
    prefix: String,
    mistakes: Vec<Mistake>,
}

/// One setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The variable's name, or the builder's method.
    pub name: String,
    /// What is wrong, and what would be right. Never the value of a secret.
    pub message: String,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {many} in the settings:", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {}: {}", mistake.name, mistake.message))
    }
}

impl std::error::Error for Mistakes {}

impl Variables {
    /// The variables of the process. A value that is no Unicode is a mistake if it is read, so it is kept as such.
    pub fn from_environment() -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        Self::from_pairs(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// Given variables; for tests and for settings that come from elsewhere.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { values, ..Self::default() }
    }

    /// Looks for a name with this prefix first: with `SIXSEVEN_`, `SIXSEVEN_LOG_LEVEL` counts before `LOG_LEVEL`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_owned();
        self
    }

    /// The name under which a variable was found, and its value without blanks around it. Empty is the same as not set.
    fn find(&self, name: &str) -> Option<(String, String)> {
        let get = |name: String| {
            let value = self.values.get(&name)?.trim();
            (!value.is_empty()).then(|| (name, value.to_owned()))
        };
        let prefixed = (!self.prefix.is_empty()).then(|| get(format!("{}{name}", self.prefix))).flatten();
        prefixed.or_else(|| get(name.to_owned()))
    }

    /// Whether a variable is set.
    pub fn is_set(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.find(name).map(|(_, value)| value)
    }

    /// The first that is set of several names for one setting.
    pub fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.is_set(name))
    }

    /// A value of any type that can be read from text; `expected` says what it looks like (`a URL`).
    pub fn parse<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let (name, value) = self.find(name)?;
        match value.parse() {
            Ok(value) => Some(value),
            Err(_) => {
                self.mistake(name, format!("expected {expected}, found {value:?}"));
                None
            }
        }
    }

    /// A number within bounds.
    pub fn number<T: FromStr + PartialOrd + fmt::Display>(
        &mut self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let number = self.parse(name, &expected)?;
        if range.contains(&number) {
            return Some(number);
        }
        let name = self.find(name).map_or_else(|| name.to_owned(), |(name, _)| name);
        self.mistake(name, format!("expected {expected}, found {number}"));
        None
    }

    /// `true` or `false`, also `1`, `0`, `yes`, `no`, `on`, `off`, in any case.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let values =
            [("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false), ("on", true)];
        self.choice(name, &[&values[..], &[("off", false)]].concat())
    }

    /// A time in milliseconds.
    pub fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        self.number(name, 0..=i32::MAX as u64).map(Duration::from_millis)
    }

    /// One of a few words, in any case.
    pub fn choice<T: Clone>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let (name, value) = self.find(name)?;
        let found =
            choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&value)).map(|(_, choice)| choice.clone());
        if found.is_none() {
            self.mistake(name, format!("expected {}, found {value:?}", one_of(choices.iter().map(|(word, _)| *word))));
        }
        found
    }

    /// Some of a few words, separated by commas; each once, in the order in which they are named.
    pub fn choices<T: Clone + PartialEq>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<Vec<T>> {
        let (name, value) = self.find(name)?;
        let mut found = Vec::new();
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match choices.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)) {
                Some((_, choice)) if !found.contains(choice) => found.push(choice.clone()),
                Some(_) => {}
                None => {
                    let known = one_of(choices.iter().map(|(word, _)| *word));
                    self.mistake(name.clone(), format!("expected {known}, found {word:?}"));
                }
            }
        }
        Some(found)
    }

    /// Words separated by commas.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        let value = self.text(name)?;
        Some(value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// `name=value,name=value` with percent-encoded values, as resource attributes and headers are written. Values are
    /// not repeated in messages: they may be secrets.
    pub fn pairs(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let (found, value) = self.find(name)?;
        let mut pairs = Vec::new();
        for (place, pair) in value.split(',').map(str::trim).enumerate().filter(|(_, pair)| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    let decode = crate::context::decode_percent;
                    pairs.push((decode(key.trim()), decode(value.trim())));
                }
                _ => self.mistake(found.clone(), format!("expected name=value pairs, but pair {} is none", place + 1)),
            }
        }
        Some(pairs)
    }

    /// Notes a mistake.
    pub fn mistake(&mut self, name: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push(Mistake { name: name.into(), message: message.into() });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All mistakes that were noted.
    pub fn finish(self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported_at_once_and_secrets_are_not_repeated() {
        let mut variables = Variables::from_pairs([
            ("APP_DEBUG", "maybe"),
            ("DEBUG", "true"),
            ("DELAY", "-1"),
            ("RATE", "1.5"),
            ("HEADERS", "api-key=s%20x,hunter2"),
            ("EMPTY", " "),
        ])
        .with_prefix("APP_");
        assert_eq!(variables.flag("DEBUG"), None);
        assert_eq!(variables.milliseconds("DELAY"), None);
        assert_eq!(variables.number("RATE", 0.0..=1.0), None);
        assert_eq!(variables.pairs("HEADERS"), Some(vec![("api-key".to_owned(), "s x".to_owned())]));
        assert_eq!(variables.text("EMPTY"), None);
        let message = variables.finish().unwrap_err().to_string();
        assert!(message.starts_with("4 mistakes"), "{message}");
        assert!(message.contains("APP_DEBUG: expected true, false,"), "{message}");
        assert!(message.contains("RATE: expected a number from 0 to 1, found 1.5"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
