//! The redactor over everything that goes to Sentry: events, and what an application sends through the `sentry` crate.

use sentry::protocol::{Event, Transaction, Value as Json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::redaction::Redactor;

/// How deep an event is looked into; what is deeper is removed.
const MAX_DEPTH: usize = 64;

/// The event, redacted; without the user's address, name and e-mail address unless these may be sent. Nothing if it cannot
/// be redacted: what cannot be looked at must not be sent.
pub(super) fn event(redactor: &Redactor, mut event: Event<'static>, send_default_pii: bool) -> Option<Event<'static>> {
    if !send_default_pii {
        if let Some(user) = &mut event.user {
            user.email = None;
            user.ip_address = None;
            user.username = None;
            user.other.clear();
        }
        if let Some(request) = &mut event.request {
            request.cookies = None;
            request.data = None;
            request.env.clear();
        }
    }
    scrubbed(redactor, &event)
}

/// The transaction, redacted, or nothing if it cannot be.
pub(super) fn transaction(redactor: &Redactor, transaction: &Transaction<'static>) -> Option<Transaction<'static>> {
    scrubbed(redactor, transaction)
}

fn scrubbed<T: Serialize + DeserializeOwned>(redactor: &Redactor, item: &T) -> Option<T> {
    let mut tree = serde_json::to_value(item).ok()?;
    scrub(redactor, "", &mut tree, 0);
    serde_json::from_value(tree).ok()
}

fn scrub(redactor: &Redactor, name: &str, value: &mut Json, depth: usize) {
    if depth > MAX_DEPTH {
        *value = Json::Null;
        return;
    }
    match value {
        Json::String(text) => {
            let hidden = if name == "query_string" { redactor.query(text) } else { redactor.named_text(name, text) };
            *text = hidden.into_owned();
        }
        Json::Number(number) => {
            let mut typed = match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => crate::field::Value::Unsigned(number),
                (None, Some(number)) => crate::field::Value::Integer(number),
                (None, None) => return,
            };
            redactor.field(name, &mut typed);
            if let crate::field::Value::Text(hidden) = typed {
                *value = Json::String(hidden.into_owned());
            }
        }
        Json::Array(values) => {
            let secret = redactor.is_secret(name);
            for item in values {
                scrub(redactor, if secret { name } else { "" }, item, depth + 1);
            }
        }
        Json::Object(fields) => {
            for (name, item) in fields {
                scrub(redactor, name, item, depth + 1);
            }
        }
        Json::Null | Json::Bool(_) => {}
    }
}
