use std::borrow::Cow;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use super::Pattern;

/// What stands where a secret stood.
pub(super) const MASK: &str = "[REDACTED]";

/// What is done with what must not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// `[REDACTED]` by key, `[REDACTED:email]` by pattern.
    #[default]
    Mask,
    /// `[HASH:6b86b273ff34fce1]`: the same secret gives the same hash, so that lines can still be brought together.
    ///
    /// The hash is keyed (SipHash-2-4, 64 bits). Without a key of your own the key is new in every process.
    Hash,
}

/// Writes what stands in for a secret.
pub(super) struct Replacer {
    key: [u8; 16],
}

impl Replacer {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// What stands in for a secret that was found by its key.
    pub(super) fn secret(&self, secret: &str, action: Action) -> Cow<'static, str> {
        match action {
            Action::Mask => Cow::Borrowed(MASK),
            // Hashing a hash again would make lines of two hops differ.
            Action::Hash if secret.starts_with("[HASH:") => Cow::Owned(secret.to_owned()),
            Action::Hash => Cow::Owned(format!("[HASH:{:016x}]", self.hash(secret))),
        }
    }

    /// Appends what stands in for something that was found by its looks.
    pub(super) fn append(&self, found: &str, pattern: Option<Pattern>, action: Action, out: &mut String) {
        match (action, pattern) {
            (Action::Mask, Some(pattern)) => {
                out.push_str("[REDACTED:");
                out.push_str(pattern.as_str());
                out.push(']');
            }
            (action, _) => out.push_str(&self.secret(found, action)),
        }
    }

    fn hash(&self, secret: &str) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(secret.as_bytes());
        hasher.finish()
    }
}
