//! Which names say that their value is a secret.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::Action;

/// Names that are a secret's wherever they occur in a longer name: `db_password`, `X-Api-Key`, `clientSecret`.
pub(super) const DEFAULT_KEYS: &[&str] = &[
    "authorization",
    "cookie",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "api_key",
    "private_key",
    "access_key",
    "signing_key",
    "encryption_key",
    "session_key",
    "credential",
    "card_number",
    "credit_card",
    "security_code",
    "social_security",
    // Short names: only as the last word of a name, see `is_word`.
    "pwd",
    "pass",
    "pin",
    "cvv",
    "cvc",
    "ssn",
    "otp",
    "auth",
    "jwt",
    "iban",
];

/// Around these, `token` counts and names the tokens of language models; their numbers are no secrets.
const TOKEN_COUNTS: &[&str] = &[
    "tokens",
    "token_count",
    "token_usage",
    "token_limit",
    "token_budget",
    "max_token",
    "first_token",
    "per_token",
    "output_token",
    "input_token",
];

/// Around these it is the name of a kind or a tool.
const TOKEN_NAMES: &[&str] = &["token_type", "token.type", "tokenizer", "token-type"];

/// Keys shorter than this stand for themselves only as a name's last word: `pin` for `card_pin`, not for `mapping`.
const WORD_LENGTH: usize = 5;

/// What a name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing.
    Plain,
    /// It is a secret.
    Secret(Action),
    /// It is a secret if it is no number.
    SecretUnlessNumber(Action),
}

/// The keys of one redactor.
pub(super) struct Keys {
    /// As the application wrote them, with what to do.
    keys: Vec<(String, Action)>,
    automaton: Option<AhoCorasick>,
    /// For each pattern of the automaton, its key.
    key_of_pattern: Vec<usize>,
}

/// A key in the ways in which words are joined: `api_key`, `api-key`, `api.key`, `api key`, `apikey`.
pub(super) fn spellings(key: &str) -> Vec<String> {
    let key = key.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    if !key.contains('_') {
        return vec![key];
    }
    ["_", "-", ".", " ", ""].iter().map(|joint| key.replace('_', joint)).collect()
}

impl Keys {
    pub(super) fn new(keys: Vec<(String, Action)>) -> Self {
        let mut patterns = Vec::new();
        let mut key_of_pattern = Vec::new();
        for (index, (key, _)) in keys.iter().enumerate() {
            for spelling in spellings(key) {
                patterns.push(spelling);
                key_of_pattern.push(index);
            }
        }
        // Fails only beyond four thousand million states, which `RedactorBuilder::key` makes impossible.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&patterns)
            .ok();
        Self { keys, automaton, key_of_pattern }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(key, _)| key.as_str())
    }

    /// What the name says about its value.
    pub(super) fn class(&self, name: &str) -> Class {
        let Some(automaton) = &self.automaton else { return Class::Plain };
        let mut class = Class::Plain;
        let mut kind_of_token = None;
        for found in automaton.find_overlapping_iter(name) {
            let Some((key, action)) =
                self.key_of_pattern.get(found.pattern().as_usize()).and_then(|i| self.keys.get(*i))
            else {
                continue;
            };
            if key.len() < WORD_LENGTH && !is_last_word(name, found.start(), found.end()) {
                continue;
            }
            if key == "token" {
                match *kind_of_token.get_or_insert_with(|| TokenKind::of(name)) {
                    TokenKind::Secret => {}
                    TokenKind::Name => continue,
                    TokenKind::Count => {
                        class = Class::SecretUnlessNumber(*action);
                        continue;
                    }
                }
            }
            return Class::Secret(*action);
        }
        class
    }
}

/// What a name that has `token` in it is about.
#[derive(Clone, Copy)]
enum TokenKind {
    Secret,
    Name,
    Count,
}

impl TokenKind {
    fn of(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        if TOKEN_NAMES.iter().any(|known| lower.contains(known)) {
            Self::Name
        } else if TOKEN_COUNTS.iter().any(|known| lower.contains(known)) {
            Self::Count
        } else {
            Self::Secret
        }
    }
}

/// Whether the part of the name is a word by itself, and its last: `pin` in `card_pin` and `cardPin`, not in `mapping`
/// or `pin_count`.
fn is_last_word(name: &str, start: usize, end: usize) -> bool {
    let bytes = name.as_bytes();
    let begins = match start.checked_sub(1).and_then(|before| bytes.get(before)) {
        None => true,
        Some(before) if before.is_ascii_lowercase() => bytes.get(start).is_some_and(u8::is_ascii_uppercase),
        Some(before) => !before.is_ascii_alphanumeric() || before.is_ascii_digit(),
    };
    begins && end == bytes.len()
}
