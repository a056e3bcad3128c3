//! What is said to a model and what it answers, in the JSON of the conventions (`gen_ai.input.messages`).

use super::MAX_CONTENT;
use crate::field::Value;
use crate::logs::json;

/// A message of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What it is made of.
    pub parts: Vec<Part>,
    /// Why the model stopped; only of messages that a model made.
    pub finish_reason: Option<String>,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// A model asks for a tool.
    ToolCall {
        /// The id of the request.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments, as a value or as the JSON text that the model gave.
        arguments: Value,
    },
    /// What a tool answered.
    ToolResponse {
        /// The id of the request.
        id: String,
        /// The answer.
        response: Value,
    },
}

impl Message {
    /// A message of text.
    pub fn text(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self { role: role.into(), parts: vec![Part::Text(text.into())], finish_reason: None }
    }

    fn value(&self) -> Value {
        let mut fields = vec![
            ("role".into(), self.role.clone().into()),
            ("parts".into(), Value::List(self.parts.iter().map(Part::value).collect())),
        ];
        if let Some(reason) = &self.finish_reason {
            fields.push(("finish_reason".into(), reason.clone().into()));
        }
        Value::Map(fields)
    }
}

impl Part {
    fn value(&self) -> Value {
        let text = |text: &String| Value::from(text.clone());
        Value::Map(match self {
            Self::Text(content) => vec![("type".into(), "text".into()), ("content".into(), text(content))],
            Self::ToolCall { id, name, arguments } => vec![
                ("type".into(), "tool_call".into()),
                ("id".into(), text(id)),
                ("name".into(), text(name)),
                ("arguments".into(), arguments.clone()),
            ],
            Self::ToolResponse { id, response } => vec![
                ("type".into(), "tool_call_response".into()),
                ("id".into(), text(id)),
                ("response".into(), response.clone()),
            ],
        })
    }
}

/// The messages as the JSON text that an attribute holds.
pub(super) fn messages(messages: &[Message]) -> String {
    text(&Value::List(messages.iter().map(Message::value).collect()))
}

/// A value as an attribute holds it: text as it is, all else as JSON; cut when it is too long.
pub(super) fn text(value: &Value) -> String {
    let mut text = match value {
        Value::Text(text) => text.to_string(),
        value => {
            let mut out = Vec::new();
            json::value(value, &mut out, 0);
            String::from_utf8_lossy(&out).into_owned()
        }
    };
    if text.len() > MAX_CONTENT {
        text.truncate(text.floor_char_boundary(MAX_CONTENT));
        text.push('…');
    }
    text
}
