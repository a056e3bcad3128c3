use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Number, Value as Json};
use tripod_ingest::prometheus::yaml::is_text_key;

use super::document::{self, Node, Position, Value};
use super::environment;
use super::expand::expand;
use super::mistake::{Mistake, Mistakes, Origin, nearest};
use super::units::Unit;
use super::{Loaded, Settings};

/// Values from the command line, which beat all others: key, text and the flag's name.
pub(crate) type Overrides = Vec<(String, String, &'static str)>;

/// Puts the settings together: defaults, then the file, then the environment, then flags.
///
/// # Errors
/// All mistakes at once, in the order file, environment, flags, and then values that do not work together.
pub(crate) fn load(
    file: Option<(&Path, &str)>,
    environment: &BTreeMap<String, String>,
    flags: &Overrides,
) -> Result<Loaded, Mistakes> {
    let mut assembly = Assembly::new(environment);
    if let Some((path, text)) = file {
        assembly.add_file(&path.display().to_string(), text);
    }
    let warnings = assembly.add_environment();
    for (key, text, flag) in flags {
        assembly.add_text(key, text, Origin::Flag(flag));
    }
    assembly.finish(warnings)
}

/// Sections in the words of another program, where a dollar sign and a key's name mean what they mean there.
const VERBATIM: [&str; 2] = ["prometheus.global", "prometheus.scrape_configs"];

struct Assembly<'a> {
    /// The values so far; begins as the defaults.
    tree: Json,
    defaults: Json,
    /// Defaults in which optional sections are there: says which keys exist and what they hold.
    shape: Json,
    environment: &'a BTreeMap<String, String>,
    origins: BTreeMap<String, Origin>,
    mistakes: Vec<Mistake>,
}

impl<'a> Assembly<'a> {
    fn new(environment: &'a BTreeMap<String, String>) -> Self {
        let defaults = to_json(&Settings::default());
        Self {
            tree: defaults.clone(),
            defaults,
            shape: to_json(&Settings::shape()),
            environment,
            origins: BTreeMap::new(),
            mistakes: Vec::new(),
        }
    }

    fn add_file(&mut self, path: &str, text: &str) {
        let origin = |position: Position| Origin::File { path: path.to_owned(), position };
        match document::parse(text) {
            Ok(root) => {
                let shape = self.shape.clone();
                self.add_node(&root, &shape, "", &origin);
            }
            Err(error) => self.mistakes.push(Mistake {
                place: Some(error.position.map_or_else(|| path.to_owned(), |position| origin(position).to_string())),
                key: None,
                message: error.message,
            }),
        }
    }

    fn add_environment(&mut self) -> Vec<String> {
        let environment = self.environment;
        let keys: BTreeMap<String, String> =
            leaves(&self.shape).into_iter().map(|key| (environment::variable(&key), key)).collect();
        for (name, key) in &keys {
            if let Some(text) = environment.get(name) {
                self.add_text(key, text, Origin::Environment(name.clone()));
            }
        }
        environment::warn_of_unknown(environment.keys().map(String::as_str), &keys)
    }

    /// Adds a value that was given as text, by an environment variable or a flag.
    fn add_text(&mut self, key: &str, text: &str, origin: Origin) {
        let Some(shape) = look_up(&self.shape, key).cloned() else {
            let keys = leaves(&self.shape);
            let help = nearest(key, keys.iter().map(String::as_str))
                .map_or_else(|| "see tripod config --defaults".to_owned(), |near| format!("did you mean \"{near}\"?"));
            self.mistake(Some(&origin), key, format!("there is no such setting; {help}"));
            return;
        };
        let position = Position { line: 1, column: 1 };
        let node = |value| Node::new(position, value);
        let value = match &shape {
            Json::Array(_) if text.trim_start().starts_with('[') => match document::parse(text) {
                Ok(list) => list.value,
                Err(error) => return self.mistake(Some(&origin), key, error.message),
            },
            Json::Array(_) => Value::List(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| node(Value::Text(item.to_owned())))
                    .collect(),
            ),
            // Whether an optional value without a default holds a number is told by its text alone.
            Json::Null => match serde_json::from_str::<Number>(text) {
                Ok(number) => Value::Number(number),
                Err(_) => Value::Text(text.to_owned()),
            },
            _ => Value::Text(text.to_owned()),
        };
        self.add_leaf(&node(value), &shape, key, &|_| origin.clone());
    }

    fn add_node(&mut self, node: &Node, shape: &Json, key: &str, origin: &dyn Fn(Position) -> Origin) {
        let sections = match shape {
            Json::Object(sections) if !sections.is_empty() => sections,
            _ => return self.add_leaf(node, shape, key, origin),
        };
        let entries = match &node.value {
            Value::Map(entries) => entries,
            // A section in which everything is commented out.
            Value::Null => return,
            other => {
                let message = format!("must be a section with keys of its own, not {}", other.describe());
                return self.mistake(Some(&origin(node.position)), key, message);
            }
        };
        for entry in entries {
            let inner = join(key, &entry.key);
            match sections.get(&entry.key) {
                Some(shape) => self.add_node(&entry.node, shape, &inner, origin),
                None => {
                    let message = self.unknown_key(&entry.key, sections);
                    self.mistake(Some(&origin(entry.position)), &inner, message);
                }
            }
        }
    }

    fn unknown_key(&self, name: &str, siblings: &Map<String, Json>) -> String {
        if let Some(near) = nearest(name, siblings.keys().map(String::as_str)) {
            return format!("there is no such setting; did you mean \"{near}\"?");
        }
        let elsewhere = leaves(&self.shape);
        match elsewhere.iter().find(|key| key.rsplit('.').next() == Some(name)) {
            Some(key) => format!("there is no such setting here; did you mean \"{key}\"?"),
            None => {
                let known: Vec<_> = siblings.keys().map(String::as_str).collect();
                format!("there is no such setting; here can be {}", known.join(", "))
            }
        }
    }

    fn add_leaf(&mut self, node: &Node, shape: &Json, key: &str, origin: &dyn Fn(Position) -> Origin) {
        let place = origin(node.position);
        match self.convert(node, shape, key) {
            Ok(value) => {
                self.set(key, value);
                self.origins.insert(key.to_owned(), place);
            }
            Err(messages) => {
                for message in messages {
                    self.mistake(Some(&place), key, message);
                }
            }
        }
    }

    /// The value in the type that the shape has. Text may stand for a number or truth value, since that is all that
    /// the environment can give.
    fn convert(&self, node: &Node, shape: &Json, key: &str) -> Result<Json, Vec<String>> {
        let name = key.rsplit('.').next().unwrap_or(key);
        let unexpected = |wanted: &str| Err(vec![format!("must be {wanted}, not {}", node.value.describe())]);
        if VERBATIM.contains(&key) {
            return match (shape, &node.value) {
                (Json::Array(_), Value::List(_)) | (Json::Object(_), Value::Map(_)) => Ok(verbatim(node, false)),
                (Json::Array(_), Value::Null) => Ok(Json::Array(Vec::new())),
                (Json::Object(_), Value::Null) => Ok(Json::Object(Map::new())),
                (Json::Array(_), _) => unexpected("a list"),
                _ => unexpected("a section with keys of its own"),
            };
        }
        let text = match &node.value {
            Value::Text(text) => Some(expand(text, |name| self.environment.get(name).cloned())?),
            _ => None,
        };
        match (shape, &node.value) {
            (Json::Number(number), value) => {
                let count = match (value, text) {
                    (Value::Number(count), _) => return Ok(Json::Number(count.clone())),
                    (_, Some(text)) => parse_number(name, &text, number.is_f64())?,
                    _ => return unexpected("a number"),
                };
                Ok(Json::Number(count))
            }
            (Json::Bool(_), Value::Bool(value)) => Ok(Json::Bool(*value)),
            (Json::Bool(_), _) => match text.as_deref() {
                Some("true" | "1" | "yes" | "on") => Ok(Json::Bool(true)),
                Some("false" | "0" | "no" | "off") => Ok(Json::Bool(false)),
                Some(text) => Err(vec![format!("must be true or false, not \"{text}\"")]),
                None => unexpected("true or false"),
            },
            (Json::String(_), Value::Number(_) | Value::Bool(_)) => unexpected("text; put it in quotes"),
            (Json::String(_), Value::Null) if look_up(&self.defaults, key) == Some(&Json::Null) => Ok(Json::Null),
            (Json::String(_), _) => text.map_or_else(|| unexpected("text"), |text| Ok(Json::String(text))),
            (Json::Array(_), Value::List(items)) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.convert(item, &Json::Null, "")).collect();
                items.map(Json::Array)
            }
            (Json::Array(_), Value::Null) => Ok(Json::Array(Vec::new())),
            (Json::Array(_), _) => unexpected("a list"),
            // Free keys, or a value without a default: what it may be is known by the crate that reads it.
            (Json::Object(_) | Json::Null, Value::Map(entries)) => {
                let mut map = Map::new();
                for entry in entries {
                    map.insert(entry.key.clone(), self.convert(&entry.node, &Json::Null, &join(key, &entry.key))?);
                }
                Ok(Json::Object(map))
            }
            (Json::Object(_), Value::Null) => Ok(Json::Object(Map::new())),
            (Json::Object(_), _) => unexpected("a section with keys of its own"),
            (Json::Null, Value::Null) => Ok(Json::Null),
            (Json::Null, Value::Bool(value)) => Ok(Json::Bool(*value)),
            (Json::Null, Value::Number(value)) => Ok(Json::Number(value.clone())),
            (Json::Null, Value::List(items)) => {
                items.iter().map(|item| self.convert(item, &Json::Null, "")).collect::<Result<_, _>>().map(Json::Array)
            }
            (Json::Null, Value::Text(_)) => match (Unit::of(name), text) {
                (Some(_), Some(text)) => Ok(Json::Number(parse_number(name, &text, false)?)),
                (None, text) => Ok(text.map_or(Json::Null, Json::String)),
                (Some(_), None) => Ok(Json::Null),
            },
        }
    }

    fn set(&mut self, key: &str, value: Json) {
        let mut target = &mut self.tree;
        for part in key.split('.') {
            if !target.is_object() {
                *target = Json::Object(Map::new());
            }
            target = &mut target[part];
        }
        *target = value;
    }

    fn mistake(&mut self, origin: Option<&Origin>, key: &str, message: String) {
        self.mistakes.push(Mistake {
            place: origin.map(Origin::to_string),
            key: (!key.is_empty()).then(|| key.to_owned()),
            message,
        });
    }

    /// The origin of a key, or of something in it or around it.
    fn origin_near(&self, key: &str) -> Option<Origin> {
        let inside = format!("{key}.");
        self.origins
            .get(key)
            .or_else(|| self.origins.iter().find(|(other, _)| other.starts_with(&inside)).map(|(_, origin)| origin))
            .cloned()
    }

    fn finish(mut self, warnings: Vec<String>) -> Result<Loaded, Mistakes> {
        let settings = loop {
            match serde_path_to_error::deserialize::<_, Settings>(&self.tree) {
                Ok(settings) => break Some(settings),
                Err(error) => {
                    let key = error.path().to_string();
                    let key = key.split('[').next().unwrap_or_default().trim_matches('.').to_owned();
                    let origin = self.origin_near(&key);
                    self.mistake(origin.as_ref(), &key, error.into_inner().to_string());
                    // Serde stops at its first mistake; with the default in place it goes on to the next.
                    match look_up(&self.defaults, &key).cloned() {
                        Some(default) if look_up(&self.tree, &key) != Some(&default) => self.set(&key, default),
                        _ => break None,
                    }
                }
            }
        };
        for (key, message) in settings.iter().flat_map(Settings::check) {
            let origin = self.origin_near(&key);
            self.mistake(origin.as_ref(), &key, message);
        }
        match settings {
            Some(settings) if self.mistakes.is_empty() => Ok(Loaded { settings, origins: self.origins, warnings }),
            _ => Err(Mistakes(self.mistakes)),
        }
    }
}

/// The value as it stands in the file; where Prometheus wants a text, what was written.
fn verbatim(node: &Node, is_text: bool) -> Json {
    match (&node.value, &node.written) {
        (Value::Bool(_) | Value::Number(_), Some(written)) if is_text => Json::String(written.clone()),
        (Value::Null, _) => Json::Null,
        (Value::Bool(value), _) => Json::Bool(*value),
        (Value::Number(number), _) => Json::Number(number.clone()),
        (Value::Text(text), _) => Json::String(text.clone()),
        (Value::List(items), _) => Json::Array(items.iter().map(|item| verbatim(item, is_text)).collect()),
        (Value::Map(entries), _) => {
            let member = |entry: &document::Entry| {
                let is_text = is_text || is_text_key(&entry.key);
                (entry.key.clone(), verbatim(&entry.node, is_text))
            };
            Json::Object(entries.iter().map(member).collect())
        }
    }
}

/// What a crate's own check says, as the full key that the text begins with and the rest of it.
pub(super) fn split_key(section: &str, text: &str) -> (String, String) {
    let first = text.split(' ').next().unwrap_or_default().trim_end_matches(':');
    let key = join(section, first);
    if !first.is_empty() && look_up(&to_json(&Settings::shape()), &key).is_some() {
        return (key, text[first.len()..].trim_start_matches(':').trim_start().to_owned());
    }
    (section.to_owned(), text.to_owned())
}

fn parse_number(name: &str, text: &str, fraction: bool) -> Result<Number, Vec<String>> {
    if let Ok(number) = serde_json::from_str::<Number>(text.trim()) {
        return Ok(number);
    }
    let Some(unit) = Unit::of(name) else {
        return Err(vec![format!("must be a number, not \"{text}\"")]);
    };
    let count = unit.parse(text).map_err(|message| vec![message])?;
    if count.fract() == 0.0 && (0.0..9e18).contains(&count) {
        return Ok(Number::from(count as u64));
    }
    match Number::from_f64(count) {
        Some(number) if fraction => Ok(number),
        _ => Err(vec![format!("\"{text}\" is no whole number of what the key counts")]),
    }
}

pub(super) fn to_json(settings: &Settings) -> Json {
    // Settings hold text, numbers and truth values only; nothing of them can fail to be a JSON value.
    serde_json::to_value(settings).unwrap_or_default()
}

pub(super) fn join(key: &str, part: &str) -> String {
    if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") }
}

pub(super) fn look_up<'a>(tree: &'a Json, key: &str) -> Option<&'a Json> {
    key.split('.').filter(|part| !part.is_empty()).try_fold(tree, |tree, part| tree.get(part))
}

/// The full keys of all values that are not sections.
pub(super) fn leaves(tree: &Json) -> Vec<String> {
    fn walk(tree: &Json, key: &str, found: &mut Vec<String>) {
        match tree {
            Json::Object(entries) if !entries.is_empty() => {
                for (name, value) in entries {
                    walk(value, &join(key, name), found);
                }
            }
            _ => found.push(key.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    found
}
