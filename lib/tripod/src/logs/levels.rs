//! Which log lines are wanted, by target, changeable while the service runs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::RwLock;
use tracing::level_filters::LevelFilter;

use super::{InvalidLevel, Level};

/// What a list of levels says: a level for everything and others for some targets.
///
/// Written as `info,app::db=debug,hyper=off`. A target stands for itself and for what is below it: `app::db` for
/// `app::db::pool` but not for `app::dbx`; the longest that fits wins. Levels are those of [`Level`], and `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelRules {
    default: Option<Level>,
    /// Longest target first.
    targets: Vec<(String, Option<Level>)>,
}

impl Default for LevelRules {
    fn default() -> Self {
        Self::at(Level::Info)
    }
}

impl LevelRules {
    /// One level for everything.
    pub fn at(level: Level) -> Self {
        Self { default: Some(level), targets: Vec::new() }
    }

    /// Sets the level of a target and of what is below it; `None` silences it.
    pub fn with_target(mut self, target: impl Into<String>, level: Option<Level>) -> Self {
        let target = target.into();
        self.targets.retain(|(other, _)| *other != target);
        self.targets.push((target, level));
        self.targets.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        self
    }

    /// Whether a line of this level and target is wanted.
    pub fn enabled(&self, level: Level, target: &str) -> bool {
        let found = self.targets.iter().find(|(prefix, _)| is_below(target, prefix));
        let least = found.map_or(self.default, |(_, level)| *level);
        least.is_some_and(|least| level >= least)
    }

    /// The most detailed level that any target has; `None` when all is off.
    fn most_detailed(&self) -> Option<Level> {
        self.targets.iter().filter_map(|(_, level)| *level).chain(self.default).min()
    }
}

fn is_below(target: &str, prefix: &str) -> bool {
    target.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('.'))
}

/// A part of a list of levels that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLevels {
    /// The part, as it was written.
    pub part: String,
    cause: InvalidLevel,
}

impl fmt::Display for InvalidLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in `{}`: {}, off, or target=level, separated by commas", self.part, self.cause)
    }
}

impl std::error::Error for InvalidLevels {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

fn level_or_off(text: &str) -> Result<Option<Level>, InvalidLevel> {
    if text.trim().eq_ignore_ascii_case("off") { Ok(None) } else { text.parse().map(Some) }
}

impl FromStr for LevelRules {
    type Err = InvalidLevels;

    /// An empty text is the default: info for everything.
    fn from_str(text: &str) -> Result<Self, InvalidLevels> {
        let mut rules = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let invalid = |cause| InvalidLevels { part: part.to_owned(), cause };
            match part.split_once('=') {
                Some((target, level)) => {
                    rules = rules.with_target(target.trim(), level_or_off(level).map_err(invalid)?);
                }
                None => rules.default = level_or_off(part).map_err(invalid)?,
            }
        }
        Ok(rules)
    }
}

impl fmt::Display for LevelRules {
    /// The form that is read back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |level: &Option<Level>| level.map_or("off", Level::as_str);
        f.write_str(name(&self.default))?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={}", name(level)))
    }
}

/// The rules that are in force. Cloning shares them; a change takes effect at once, everywhere.
#[derive(Clone, Debug, Default)]
pub struct Levels(Arc<RwLock<LevelRules>>);

impl Levels {
    /// Begins with these rules.
    pub fn new(rules: LevelRules) -> Self {
        Self(Arc::new(RwLock::new(rules)))
    }

    /// Whether a line of this level and target is wanted.
    pub fn enabled(&self, level: Level, target: &str) -> bool {
        self.0.read().enabled(level, target)
    }

    /// The most detailed level that any target has: what `tracing` may skip at once.
    pub fn max_level_hint(&self) -> LevelFilter {
        match self.0.read().most_detailed() {
            None => LevelFilter::OFF,
            Some(Level::Error) => LevelFilter::ERROR,
            Some(Level::Warning) => LevelFilter::WARN,
            Some(Level::Info) => LevelFilter::INFO,
            Some(Level::Debug) => LevelFilter::DEBUG,
            Some(Level::Trace) => LevelFilter::TRACE,
        }
    }

    /// The rules in force.
    pub fn get(&self) -> LevelRules {
        self.0.read().clone()
    }

    /// Puts other rules in force.
    pub fn set(&self, rules: LevelRules) {
        *self.0.write() = rules;
        // Every place in the code remembers whether it is wanted; let them ask again.
        tracing::callsite::rebuild_interest_cache();
        super::bridge::levels_changed(self);
    }

    /// Whether these are the same levels: those that a change of the one changes too.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Reads rules such as `info,app::db=debug` and puts them in force.
    ///
    /// # Errors
    /// When they cannot be read; then nothing changes.
    pub fn set_text(&self, rules: &str) -> Result<(), InvalidLevels> {
        self.set(rules.parse()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_target_wins() {
        let rules: LevelRules = "WARNING, app=debug, app::db=off, app.main=info".parse().unwrap();
        assert!(rules.enabled(Level::Debug, "app::api"));
        assert!(!rules.enabled(Level::Trace, "app::api"));
        assert!(!rules.enabled(Level::Error, "app::db::pool"));
        assert!(rules.enabled(Level::Warning, "application"));
        assert!(!rules.enabled(Level::Info, "application"));
        assert!(!rules.enabled(Level::Debug, "app.main"));
        assert_eq!(rules.to_string().parse(), Ok(rules));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let error = "info,app=loud".parse::<LevelRules>().unwrap_err();
        assert_eq!(error.part, "app=loud");
        assert!(error.to_string().contains("`loud` is no level"), "{error}");
    }

    #[test]
    fn a_change_takes_effect_and_a_wrong_one_none() {
        let levels = Levels::default();
        assert!(!levels.enabled(Level::Debug, "app"));
        levels.clone().set_text("debug").unwrap();
        assert!(levels.enabled(Level::Debug, "app"));
        assert!(levels.set_text("nonsense").is_err());
        assert_eq!(levels.max_level_hint(), LevelFilter::DEBUG);
    }
}
