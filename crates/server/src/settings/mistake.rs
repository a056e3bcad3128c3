use std::fmt;

use serde::Serialize;

use super::document::Position;

/// Where a setting's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of the configuration file.
    File {
        /// The file's path as the user gave it.
        path: String,
        /// Where in the file.
        position: Position,
    },
    /// An environment variable.
    Environment(String),
    /// A command line flag, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, position } => write!(f, "{path}:{}:{}", position.line, position.column),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Something in the configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mistake {
    /// Where it stands, for example `tripod.yaml:3:5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
    /// The setting's full name, parts joined by dots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// What is wrong and what would be right.
    pub(crate) message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// All mistakes of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Mistakes(pub(crate) Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {}", count(self.0.len(), "mistake"))?;
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The candidate that `name` most likely means, if one is near.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let similarity = strsim::jaro_winkler(name, candidate)
                .max(strsim::normalized_damerau_levenshtein(name, candidate) + 0.2);
            (candidate, similarity)
        })
        .filter(|(_, similarity)| *similarity > 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(candidate, _)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let names = ["address", "enabled", "tls", "flush_interval_seconds"];
        assert_eq!(nearest("adress", names), Some("address"));
        assert_eq!(nearest("flush_interval", names), Some("flush_interval_seconds"));
        assert_eq!(nearest("enable", names), Some("enabled"));
        assert_eq!(nearest("colour", names), None);
    }
}
