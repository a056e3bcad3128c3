//! Finds in a text what must be hidden, and hides it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::keys::{Keys, spellings};
use super::replacement::{Action, Replacer};
use super::{Detector, Pattern, assignment, credential, email, number, url};

/// A range of the text that must be hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) range: Range<usize>,
    /// `None`: found by a key, or by the application's own detector.
    pub(super) pattern: Option<Pattern>,
    pub(super) action: Action,
}

/// What a match of the automaton may be the beginning of.
#[derive(Clone, Copy, Debug)]
enum Trigger {
    /// A key: perhaps `key=value`.
    Key,
    Bearer,
    Basic,
    Jwt,
    PrivateKey,
    AwsKey,
    ProviderKey,
    Url,
}

const TRIGGERS: &[(&str, Trigger)] = &[
    ("bearer ", Trigger::Bearer),
    ("basic ", Trigger::Basic),
    ("eyj", Trigger::Jwt),
    ("-----begin ", Trigger::PrivateKey),
    ("akia", Trigger::AwsKey),
    ("asia", Trigger::AwsKey),
    ("://", Trigger::Url),
];

pub(super) struct Scanner {
    automaton: Option<AhoCorasick>,
    triggers: Vec<Trigger>,
    patterns: [Option<Action>; Pattern::ALL.len()],
    detectors: Vec<(Box<dyn Detector>, Action)>,
    whole_query: bool,
}

/// Shorter text without any of the characters that [`Marks`] looks for holds nothing.
const SHORT: usize = 20;

/// What a first look at a text sees.
#[derive(Debug, Default, PartialEq, Eq)]
struct Marks {
    at: bool,
    /// `:`, `=` or the `%` of their encoded forms
    separator: bool,
    space: bool,
    digits: usize,
    /// Something else than hexadecimal digits and `-`: ids have only these.
    letter: bool,
}

/// What each byte says, for the rest of a text that fills no chunk.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' | b'-' => 0,
            b'@' => AT | LETTER,
            b':' | b'=' | b'%' => SEPARATOR | LETTER,
            b' ' => SPACE | LETTER,
            _ => LETTER,
        };
        byte += 1;
    }
    kinds
};

const AT: u8 = 1;
const SEPARATOR: u8 = 2;
const SPACE: u8 = 4;
const LETTER: u8 = 8;
const DIGIT: u8 = 128;

impl Marks {
    fn of(text: &str) -> Self {
        let mut marks = Self::default();
        // Chunks with byte-wide sums are what the compiler turns into vector instructions; 32 fits into a byte's sum.
        let (chunks, rest) = text.as_bytes().as_chunks::<32>();
        for chunk in chunks {
            let (mut at, mut separator, mut space, mut digits, mut id) = (0_u8, 0_u8, 0_u8, 0_u8, 1_u8);
            for byte in chunk {
                at |= u8::from(*byte == b'@');
                separator |= u8::from(*byte == b':') | u8::from(*byte == b'=') | u8::from(*byte == b'%');
                space |= u8::from(*byte == b' ');
                digits += u8::from(byte.is_ascii_digit());
                id &= u8::from(byte.is_ascii_digit())
                    | u8::from((*byte | 0x20).wrapping_sub(b'a') < 6)
                    | u8::from(*byte == b'-');
            }
            marks.at |= at != 0;
            marks.separator |= separator != 0;
            marks.space |= space != 0;
            marks.digits += usize::from(digits);
            marks.letter |= id == 0;
        }
        let mut seen = 0;
        for byte in rest {
            let kind = KINDS[usize::from(*byte)];
            seen |= kind;
            marks.digits += usize::from(kind >> 7);
        }
        marks.at |= seen & AT != 0;
        marks.separator |= seen & SEPARATOR != 0;
        marks.space |= seen & SPACE != 0;
        marks.letter |= seen & LETTER != 0;
        marks
    }
}

impl Scanner {
    pub(super) fn new(
        keys: &Keys,
        patterns: HashMap<Pattern, Action>,
        detectors: Vec<(Box<dyn Detector>, Action)>,
        whole_query: bool,
    ) -> Self {
        let actions = Pattern::ALL.map(|pattern| patterns.get(&pattern).copied());
        let mut needles: Vec<String> = Vec::new();
        let mut triggers = Vec::new();
        for (needle, trigger) in TRIGGERS {
            needles.push((*needle).to_owned());
            triggers.push(*trigger);
        }
        for (prefix, _) in credential::PROVIDER_PREFIXES {
            needles.push(prefix.to_ascii_lowercase());
            triggers.push(Trigger::ProviderKey);
        }
        for spelling in keys.names().flat_map(spellings) {
            needles.push(spelling);
            triggers.push(Trigger::Key);
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&needles)
            .ok();
        Self { automaton, triggers, patterns: actions, detectors, whole_query }
    }

    fn action(&self, pattern: Pattern) -> Option<Action> {
        self.patterns.get(pattern as usize).copied().flatten()
    }

    /// The text with everything hidden that must be. Borrowed when there is nothing.
    pub(super) fn redact<'a>(&self, text: &'a str, keys: &Keys, replacer: &Replacer) -> Cow<'a, str> {
        let marks = Marks::of(text);
        let mut found = Vec::new();
        if marks.separator || marks.space || (marks.letter && text.len() >= SHORT) {
            self.triggered(text, keys, &mut found);
        }
        if marks.at
            && let Some(action) = self.action(Pattern::Email)
        {
            email::find(text, |range| {
                // The part before the `@` of a URL is none of an address.
                let at = range.start + text[range.clone()].find('@').unwrap_or(0);
                if !found.iter().any(|other: &Finding| other.pattern == Some(Pattern::Url) && other.range.end == at) {
                    found.push(Finding { range, pattern: Some(Pattern::Email), action });
                }
            });
        }
        if marks.digits >= 8 {
            number::find(text, |range, pattern| {
                if let Some(action) = self.action(pattern) {
                    found.push(Finding { range, pattern: Some(pattern), action });
                }
            });
        }
        if !self.detectors.is_empty() {
            self.detected(text, &mut found);
        }
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(replace(text, found, replacer)) }
    }

    /// As [`redact`](Self::redact), for the query of a URL.
    pub(super) fn redact_query<'a>(&self, query: &'a str, keys: &Keys, replacer: &Replacer) -> Cow<'a, str> {
        let mut found = Vec::new();
        if let Some(action) = self.action(Pattern::Url) {
            url::query(query, 0..query.len(), self.whole_query, |range| {
                found.push(Finding { range, pattern: None, action });
            });
        }
        if found.is_empty() {
            return self.redact(query, keys, replacer);
        }
        let hidden = replace(query, found, replacer);
        match self.redact(&hidden, keys, replacer) {
            Cow::Borrowed(_) => Cow::Owned(hidden),
            Cow::Owned(text) => Cow::Owned(text),
        }
    }

    fn triggered(&self, text: &str, keys: &Keys, found: &mut Vec<Finding>) {
        let Some(automaton) = &self.automaton else { return };
        // Most text holds nothing, and to see only that is twice as fast.
        if !automaton.is_match(text) {
            return;
        }
        // What lies before `done` is hidden already. A key at its very end may still have a value behind it, so keys are
        // passed over only within the values of other keys.
        let (mut done, mut value_done) = (0, 0);
        for hit in automaton.find_overlapping_iter(text) {
            let Some(trigger) = self.triggers.get(hit.pattern().as_usize()) else { continue };
            let is_hidden = match trigger {
                Trigger::Key => hit.end() + 1 < value_done,
                _ => hit.start() < done,
            };
            if is_hidden {
                continue;
            }
            let found_before = found.len();
            let by_looks = |pattern: Pattern, range: Option<Range<usize>>, found: &mut Vec<Finding>| {
                if let (Some(range), Some(action)) = (range, self.action(pattern)) {
                    found.push(Finding { range, pattern: Some(pattern), action });
                }
            };
            match trigger {
                Trigger::Key => {
                    if let Some((range, action)) = assignment::find(text, hit.range(), keys) {
                        value_done = value_done.max(range.end);
                        found.push(Finding { range, pattern: None, action });
                    }
                }
                Trigger::Bearer => by_looks(Pattern::Credentials, credential::bearer(text, hit.range()), found),
                Trigger::Basic => by_looks(Pattern::Credentials, credential::basic(text, hit.range()), found),
                Trigger::Jwt => by_looks(Pattern::Jwt, credential::jwt(text, hit.start()), found),
                Trigger::PrivateKey => by_looks(Pattern::PrivateKey, credential::private_key(text, hit.start()), found),
                Trigger::AwsKey => by_looks(Pattern::AwsKey, credential::aws_key(text, hit.start()), found),
                Trigger::ProviderKey => {
                    by_looks(Pattern::ProviderKey, credential::provider_key(text, hit.start()), found);
                }
                Trigger::Url => {
                    if let Some(action) = self.action(Pattern::Url) {
                        url::find(text, hit.start(), self.whole_query, |range, is_userinfo| {
                            let pattern = is_userinfo.then_some(Pattern::Url);
                            found.push(Finding { range, pattern, action });
                        });
                    }
                }
            }
            // A parameter far into a URL says nothing about what stands before it.
            let is_parameter = |finding: &&Finding| finding.pattern.is_none() && matches!(trigger, Trigger::Url);
            let new = found.iter().skip(found_before).filter(|finding| !is_parameter(finding));
            done = new.map(|finding| finding.range.end).fold(done, usize::max);
        }
    }

    fn detected(&self, text: &str, found: &mut Vec<Finding>) {
        let mut ranges = Vec::new();
        for (detector, action) in &self.detectors {
            // What fails while looking for secrets must not let them through, nor take the application down.
            let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| detector.find(text, &mut ranges)));
            if looked.is_err() {
                ranges.push(0..text.len());
            }
            for range in ranges.drain(..) {
                let range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
                if !range.is_empty() {
                    found.push(Finding { range, pattern: None, action: *action });
                }
            }
        }
    }
}

/// Replaces the findings; those that overlap become one, with the words of the first.
fn replace(text: &str, mut found: Vec<Finding>, replacer: &Replacer) -> String {
    // Of two that begin at the same place the longer one comes first.
    found.sort_by(|a, b| a.range.start.cmp(&b.range.start).then(b.range.end.cmp(&a.range.end)));
    let mut merged: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found {
        match merged.last_mut() {
            Some(last) if finding.range.start < last.range.end => {
                last.range.end = last.range.end.max(finding.range.end);
            }
            _ => merged.push(finding),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for finding in &merged {
        out.push_str(text.get(copied..finding.range.start).unwrap_or_default());
        let secret = text.get(finding.range.clone()).unwrap_or_default();
        replacer.append(secret, finding.pattern, finding.action, &mut out);
        copied = finding.range.end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_look_sees_the_same_wherever_it_stands(text in "[0-9a-fA-F -]{0,70}|[ -~]{0,70}|\\PC{0,40}") {
            let marks = Marks {
                at: text.contains('@'),
                separator: text.contains([':', '=', '%']),
                space: text.contains(' '),
                digits: text.bytes().filter(u8::is_ascii_digit).count(),
                letter: !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
            };
            prop_assert_eq!(Marks::of(&text), marks);
        }
    }
}
