use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value as Json;

use super::assemble::{join, to_json};
use super::document::{self, Value};
use super::units::Unit;
use super::{DEFAULTS, Loaded, Origin};

/// What stands in place of a secret.
const MASK: &str = "********";

/// The settings in effect as YAML, in the order of the defaults; secrets are masked, and a value that is not a
/// default says where it came from.
pub(crate) fn print(loaded: &Loaded) -> String {
    let mut text = String::new();
    let order = document::parse(DEFAULTS).map_or(Value::Null, |root| root.value);
    print_section(&mut text, &to_json(&loaded.settings), &order, "", 0, &loaded.origins);
    text
}

fn print_section(
    text: &mut String,
    section: &Json,
    order: &Value,
    key: &str,
    depth: usize,
    origins: &BTreeMap<String, Origin>,
) {
    let Json::Object(entries) = section else { return };
    let order: &[document::Entry] = match order {
        Value::Map(entries) => entries,
        _ => &[],
    };
    let rank = |name: &str| order.iter().position(|entry| entry.key == name).unwrap_or(order.len());
    let mut names: Vec<&String> = entries.keys().collect();
    names.sort_by_key(|name| rank(name));
    for name in names {
        let value = &entries[name];
        let inner = join(key, name);
        let indent = "  ".repeat(depth);
        match value {
            Json::Object(fields) if !fields.is_empty() => {
                let _ = writeln!(text, "{indent}{}:", scalar(name));
                let order = order.get(rank(name)).map_or(&Value::Null, |entry| &entry.node.value);
                print_section(text, value, order, &inner, depth + 1, origins);
            }
            _ => {
                let shown = match value {
                    Json::Null => "null".to_owned(),
                    _ if is_secret(name) => format!("\"{MASK}\""),
                    Json::String(value) => scalar(value),
                    Json::Number(number) => match (Unit::of(name), number.as_u64()) {
                        (Some(unit), Some(count)) => unit.format(count),
                        _ => number.to_string(),
                    },
                    other => masked(other).to_string(),
                };
                let _ = write!(text, "{indent}{}: {shown}", scalar(name));
                let _ = match origins.get(&inner) {
                    Some(origin) => writeln!(text, "  # {origin}"),
                    None => writeln!(text),
                };
            }
        }
    }
}

/// A list without the secrets in it.
fn masked(value: &Json) -> Json {
    match value {
        Json::Array(items) => items.iter().map(masked).collect(),
        Json::Object(entries) => entries
            .iter()
            .map(|(name, value)| {
                let is_secret = is_secret(name) && (value.is_string() || value.is_number() || value.is_array());
                (name.clone(), if is_secret { MASK.into() } else { masked(value) })
            })
            .collect(),
        other => other.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["token", "password", "secret", "credential", "access_key", "account_key"].iter().any(|word| name.contains(word))
}

/// Text as a YAML scalar that reads as the same text, also where variables are expanded.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./".contains(letter))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    // A JSON string is a YAML string in double quotes.
    if plain { text.to_owned() } else { Json::String(text.replace('$', "$$")).to_string() }
}
