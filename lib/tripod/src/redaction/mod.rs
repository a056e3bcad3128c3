//! One redactor for every sink: log fields, span attributes, metric labels, baggage, error reports.
//!
//! Two ways of finding what must not leave the process, both on by default:
//!
//! - **by key**: the value of a field whose name says that it is a secret (`password`, `authorization`, `api_key`, …) is
//!   replaced as a whole, also inside lists, maps, JSON, `Debug` output, headers and queries that are written as text;
//! - **by pattern**: e-mail addresses, card numbers that pass the Luhn check, phone numbers, bearer and basic
//!   credentials, JSON web tokens, private keys, keys of AWS and other providers, user and password in URLs.
//!
//! One automaton finds all keys and all beginnings of patterns in one pass; text without any costs that pass and
//! nothing else. Regular expressions were turned down: a set of them is slower, and larger to compile, than the few
//! scanners here.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::context::Context;
use crate::field::{Fields, Name, Value};
use crate::logs::{ErrorReport, LogEvent};

mod assignment;
mod builder;
mod credential;
mod email;
mod keys;
mod memory;
mod number;
mod replacement;
mod scan;
mod statement;
mod url;

pub use builder::RedactorBuilder;
pub use replacement::Action;
pub(crate) use statement::MAX_TEXT as MAX_STATEMENT;
pub use statement::sanitize;

use keys::{Class, Keys};
use memory::Memory;
use replacement::Replacer;
use scan::Scanner;

/// How deep lists and maps are looked into; what is deeper is replaced as a whole.
const MAX_DEPTH: usize = 16;

/// What is found by its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `someone@example.com`
    Email,
    /// 13 to 19 digits that begin as a card number does and pass the Luhn check.
    Card,
    /// `+49 30 1234567`, `(555) 123-4567`
    Phone,
    /// `Bearer …`, `Basic …`
    Credentials,
    /// Three parts of base64 that begin with `eyJ`.
    Jwt,
    /// A PEM block of a private key.
    PrivateKey,
    /// `AKIA…`: the id of an AWS access key.
    AwsKey,
    /// Keys of providers with a known beginning: `ghp_…`, `xoxb-…`, `sk-…`, `AIza…` and the like.
    ProviderKey,
    /// User and password in a URL, and signatures in its query.
    Url,
}

impl Pattern {
    /// All patterns.
    pub const ALL: [Self; 9] = [
        Self::Email,
        Self::Card,
        Self::Phone,
        Self::Credentials,
        Self::Jwt,
        Self::PrivateKey,
        Self::AwsKey,
        Self::ProviderKey,
        Self::Url,
    ];

    /// The name in `[REDACTED:name]`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Card => "card",
            Self::Phone => "phone",
            Self::Credentials => "credentials",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private_key",
            Self::AwsKey => "aws_key",
            Self::ProviderKey => "api_key",
            Self::Url => "url",
        }
    }
}

/// Finds what an application wants hidden beyond keys and patterns.
pub trait Detector: Send + Sync {
    /// Adds the byte ranges of the text that must be hidden. Ranges that do not lie on character boundaries are widened.
    fn find(&self, text: &str, found: &mut Vec<Range<usize>>);
}

/// Hides secrets and personal data, by key and by pattern. Cloning is cheap and shares.
#[derive(Clone)]
pub struct Redactor(Arc<Inner>);

struct Inner {
    /// Whose answers these are in the threads' memories.
    owner: u64,
    keys: Keys,
    scanner: Scanner,
    replacer: Replacer,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("keys", &self.0.keys.len()).finish_non_exhaustive()
    }
}

impl Default for Redactor {
    /// All default keys and all patterns, masked.
    fn default() -> Self {
        // Building the automaton takes a millisecond; everybody who wants the default shares one.
        static SHARED: std::sync::OnceLock<Redactor> = std::sync::OnceLock::new();
        SHARED.get_or_init(|| Self::builder().build()).clone()
    }
}

impl Redactor {
    /// Begins with the default keys and all patterns.
    pub fn builder() -> RedactorBuilder {
        RedactorBuilder::default()
    }

    /// Redacts the value of a field in place: as a whole when the name is that of a secret, else what its text holds.
    pub fn field(&self, name: &str, value: &mut Value) {
        self.value(self.0.keys.class(name), name, value, 0);
    }

    /// As [`field`](Self::field), quicker for names that live as long as the program.
    pub fn named(&self, name: &Name, value: &mut Value) {
        self.value(self.class(name), name, value, 0);
    }

    /// Redacts all fields of a list in place.
    pub fn fields(&self, fields: &mut [(Name, Value)]) {
        for (name, value) in fields {
            self.named(name, value);
        }
    }

    /// Redacts free text. Borrowed when there was nothing to hide.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.scanner.redact(text, &self.0.keys, &self.0.replacer)
    }

    /// Redacts a text value that has a name, such as a metric's label or a header. Borrowed when there was nothing to hide.
    pub fn named_text<'a>(&self, name: &str, text: &'a str) -> Cow<'a, str> {
        match self.0.keys.class(name) {
            Class::Secret(action) | Class::SecretUnlessNumber(action) if !text.is_empty() => {
                self.0.replacer.secret(text, action)
            }
            _ => self.text(text),
        }
    }

    /// Redacts the query of a URL, given without its `?`: values of parameters that carry secrets.
    pub fn query<'a>(&self, query: &'a str) -> Cow<'a, str> {
        self.0.scanner.redact_query(query, &self.0.keys, &self.0.replacer)
    }

    /// Whether the name says that its value is a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        !matches!(self.0.keys.class(name), Class::Plain)
    }

    /// Redacts a log event in place: what happened, its fields, its error. A field of the shared context that must be
    /// hidden is hidden by a field of the event's own with the same name.
    pub fn event(&self, event: &mut LogEvent) {
        self.name(&mut event.event);
        self.fields(&mut event.fields);
        // The beginning of a statement, as sqlx shows it beside the whole.
        if event.logger == "sqlx::query"
            && let Some((_, Value::Text(text))) = event.fields.iter_mut().find(|(name, _)| name == "summary")
        {
            *text = Cow::Owned(sanitize(text));
        }
        if let Some(error) = event.error.as_deref_mut() {
            self.error(error);
        }
        self.bound(&event.context, &mut event.fields);
    }

    /// Hides what must be hidden of a shared context: by a field of the same name among the own ones, which counts first.
    pub(crate) fn bound(&self, context: &Context, own: &mut Fields) {
        if context.is_clean_for(self.0.owner) {
            return;
        }
        let mut is_clean = true;
        for (name, value) in context.fields() {
            if self.is_clean(name, value) {
                continue;
            }
            is_clean = false;
            if own.iter().any(|(own, _)| own == name) {
                continue;
            }
            let mut value = value.clone();
            self.named(name, &mut value);
            own.push((name.clone(), value));
        }
        if is_clean {
            // The lines to come need not look again.
            context.set_clean_for(self.0.owner);
        }
    }

    /// Redacts an error's message, causes and backtrace in place.
    pub fn error(&self, error: &mut ErrorReport) {
        self.string(&mut error.message);
        for cause in &mut error.causes {
            self.string(cause);
        }
        if let Some(backtrace) = &mut error.backtrace {
            self.string(backtrace);
        }
    }

    /// Redacts text in place.
    pub fn string(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.text(text) {
            *text = redacted;
        }
    }

    fn class(&self, name: &Name) -> Class {
        thread_local!(static CLASSES: Memory<Class> = const { Memory::new() });
        match name {
            Cow::Borrowed(name) => CLASSES
                .try_with(|memory| memory.answer(self.0.owner, name, || self.0.keys.class(name)))
                .unwrap_or_else(|_| self.0.keys.class(name)),
            Cow::Owned(name) => self.0.keys.class(name),
        }
    }

    /// The text with everything hidden that must be; nothing when it can stay.
    fn hidden(&self, text: &Name) -> Option<String> {
        thread_local!(static CLEAN: Memory<bool> = const { Memory::new() });
        let is_clean = |text: &str| matches!(self.text(text), Cow::Borrowed(_));
        if let Cow::Borrowed(text) = text
            && CLEAN.try_with(|memory| memory.answer(self.0.owner, text, || is_clean(text))).unwrap_or(false)
        {
            return None;
        }
        match self.text(text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(hidden) => Some(hidden),
        }
    }

    /// Redacts a name in place, quicker for one that lives as long as the program.
    pub(crate) fn name(&self, text: &mut Name) {
        if let Some(hidden) = self.hidden(text) {
            *text = Cow::Owned(hidden);
        }
    }

    fn is_clean(&self, name: &Name, value: &Value) -> bool {
        matches!(self.class(name), Class::Plain)
            && match value {
                Value::Text(text) => self.hidden(text).is_none(),
                Value::Null | Value::Bool(_) | Value::Float(_) => true,
                Value::Integer(number) => !u64::try_from(*number).is_ok_and(number::is_card),
                Value::Unsigned(number) => !number::is_card(*number),
                Value::List(_) | Value::Map(_) => false,
            }
    }

    fn value(&self, class: Class, name: &str, value: &mut Value, depth: usize) {
        match class {
            Class::Secret(action) => return self.hide(value, action),
            Class::SecretUnlessNumber(action) => {
                if !matches!(value, Value::Integer(_) | Value::Unsigned(_) | Value::Float(_)) {
                    return self.hide(value, action);
                }
            }
            Class::Plain => {}
        }
        if depth >= MAX_DEPTH && matches!(value, Value::List(_) | Value::Map(_)) {
            return self.hide(value, Action::Mask);
        }
        match value {
            Value::Text(text) if name.ends_with("url.query") => {
                if let Cow::Owned(redacted) = self.query(text) {
                    *text = Cow::Owned(redacted);
                }
            }
            // Libraries write statements as they are into lines and spans of their own: sqlx warns of slow ones.
            Value::Text(text) if matches!(name, "db.statement" | "db.query.text") => {
                *text = Cow::Owned(sanitize(text));
                self.name(text);
            }
            Value::Text(text) => self.name(text),
            Value::Integer(number) if u64::try_from(*number).is_ok_and(number::is_card) => {
                *value = self.hide_card(&number.to_string());
            }
            Value::Unsigned(number) if number::is_card(*number) => *value = self.hide_card(&number.to_string()),
            Value::List(values) => values.iter_mut().for_each(|item| self.value(Class::Plain, name, item, depth + 1)),
            Value::Map(fields) => {
                for (name, item) in fields {
                    self.value(self.0.keys.class(name), name, item, depth + 1);
                }
            }
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) => {}
        }
    }

    fn hide_card(&self, digits: &str) -> Value {
        match self.text(digits) {
            // The pattern is switched off.
            Cow::Borrowed(_) => digits.parse().map_or(Value::Null, Value::Unsigned),
            Cow::Owned(text) => Value::Text(Cow::Owned(text)),
        }
    }

    fn hide(&self, value: &mut Value, action: Action) {
        let hidden = match value {
            // Whether there is a secret tells nothing about it.
            Value::Null | Value::Bool(_) => return,
            Value::Text(text) if text.is_empty() => return,
            Value::Text(text) => match self.0.replacer.secret(text, action) {
                Cow::Borrowed(text) => Cow::Owned(text.to_owned()),
                Cow::Owned(text) => Cow::Owned(text),
            },
            Value::Integer(number) => Cow::Owned(self.0.replacer.secret(&number.to_string(), action).into_owned()),
            Value::Unsigned(number) => Cow::Owned(self.0.replacer.secret(&number.to_string(), action).into_owned()),
            Value::Float(_) | Value::List(_) | Value::Map(_) => Cow::Borrowed(replacement::MASK),
        };
        *value = Value::Text(hidden);
    }
}

#[cfg(test)]
mod tests;
