use std::collections::HashMap;
use std::sync::Arc;

use super::keys::{DEFAULT_KEYS, Keys};
use super::memory::new_owner;
use super::replacement::{Action, Replacer};
use super::scan::Scanner;
use super::{Detector, Inner, Pattern, Redactor};

/// The most keys that one redactor takes; further ones are ignored.
const MAX_KEYS: usize = 1_000;

/// The longest key, in bytes; longer ones are ignored.
const MAX_KEY_BYTES: usize = 100;

/// Says what is hidden and how.
pub struct RedactorBuilder {
    keys: Vec<(String, Action)>,
    patterns: HashMap<Pattern, Action>,
    detectors: Vec<(Box<dyn Detector>, Action)>,
    whole_query: bool,
    hash_key: Option<[u8; 16]>,
}

impl std::fmt::Debug for RedactorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedactorBuilder")
            .field("keys", &self.keys)
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

impl Default for RedactorBuilder {
    /// The default keys and all patterns, masked.
    fn default() -> Self {
        Self {
            keys: DEFAULT_KEYS.iter().map(|key| ((*key).to_owned(), Action::Mask)).collect(),
            patterns: Pattern::ALL.into_iter().map(|pattern| (pattern, Action::Mask)).collect(),
            detectors: Vec::new(),
            whole_query: false,
            hash_key: None,
        }
    }
}

impl RedactorBuilder {
    /// Hides the values of names that contain this one, in any case and spelling (`card_holder`, `card-holder`,
    /// `cardHolder`). A key of fewer than five letters counts only as a name's last word. At most 1,000 keys of at most
    /// 100 bytes.
    pub fn key(mut self, key: impl Into<String>, action: Action) -> Self {
        let key = key.into().to_ascii_lowercase();
        self.keys.retain(|(other, _)| *other != key);
        if !key.is_empty() && key.len() <= MAX_KEY_BYTES && self.keys.len() < MAX_KEYS {
            // What the application says comes before what is there by default.
            self.keys.insert(0, (key, action));
        }
        self
    }

    /// Masks the values of names that contain one of these; see [`key`](Self::key).
    pub fn keys(self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        keys.into_iter().fold(self, |builder, key| builder.key(key, Action::Mask))
    }

    /// Lets a key of the default list through.
    pub fn without_key(mut self, key: &str) -> Self {
        self.keys.retain(|(other, _)| !other.eq_ignore_ascii_case(key));
        self
    }

    /// Says what is done with what looks like this.
    pub fn pattern(mut self, pattern: Pattern, action: Action) -> Self {
        self.patterns.insert(pattern, action);
        self
    }

    /// Lets what looks like this through.
    pub fn without_pattern(mut self, pattern: Pattern) -> Self {
        self.patterns.remove(&pattern);
        self
    }

    /// Hides what the application finds itself.
    pub fn detector(mut self, detector: impl Detector + 'static, action: Action) -> Self {
        self.detectors.push((Box::new(detector), action));
        self
    }

    /// Hides the values of all parameters in the queries of URLs, not only of those that carry secrets.
    pub fn whole_query(mut self) -> Self {
        self.whole_query = true;
        self
    }

    /// The key of [`Action::Hash`]: the same key in all processes gives the same hashes. Keep it secret: who has it can
    /// try out all card numbers.
    pub fn hash_key(mut self, key: [u8; 16]) -> Self {
        self.hash_key = Some(key);
        self
    }

    /// Builds the redactor.
    pub fn build(self) -> Redactor {
        let keys = Keys::new(self.keys);
        let scanner = Scanner::new(&keys, self.patterns, self.detectors, self.whole_query);
        let hash_key = self.hash_key.unwrap_or_else(random_key);
        Redactor(Arc::new(Inner { owner: new_owner(), keys, scanner, replacer: Replacer::new(hash_key) }))
    }
}

/// From the system's entropy, by way of the standard library's hash maps.
fn random_key() -> [u8; 16] {
    use std::hash::BuildHasher as _;
    let state = std::collections::hash_map::RandomState::new();
    let mut key = [0; 16];
    key[..8].copy_from_slice(&state.hash_one(0_u8).to_le_bytes());
    key[8..].copy_from_slice(&state.hash_one(1_u8).to_le_bytes());
    key
}
