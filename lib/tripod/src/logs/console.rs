//! Log lines for people: `2026-01-16 10:30:45 | INFO     | app::api:42 - command_received command="research" …`.

use super::timestamp::{rfc3339_micros, seconds_text};
use super::{Format, Level, LogEvent};
use crate::field::Value;

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";

/// Log lines as text for people.
///
/// Line breaks in messages and values are written as `\n`, so that a line stays a line and nobody can forge one; an
/// error's causes and stack follow on lines of their own, indented.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConsoleFormat {
    colors: bool,
    micros: bool,
}

impl ConsoleFormat {
    /// Without colours: for files.
    pub fn plain() -> Self {
        Self::default()
    }

    /// With ANSI colours.
    pub fn colored() -> Self {
        Self { colors: true, micros: false }
    }

    /// With colours if standard output is a terminal and `NO_COLOR` is not set.
    pub fn for_terminal() -> Self {
        use std::io::IsTerminal as _;
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colors: !refused && std::io::stdout().is_terminal(), micros: false }
    }

    /// Times with microseconds.
    pub fn with_micros(mut self) -> Self {
        self.micros = true;
        self
    }

    fn paint(&self, style: &str, text: &[u8], out: &mut Vec<u8>) {
        if self.colors {
            out.extend_from_slice(style.as_bytes());
        }
        out.extend_from_slice(text);
        if self.colors {
            out.extend_from_slice(RESET.as_bytes());
        }
    }
}

fn level_style(level: Level) -> &'static str {
    match level {
        Level::Trace => "\x1b[2m",
        Level::Debug => "\x1b[34m",
        Level::Info => "\x1b[1m",
        Level::Warning => "\x1b[33m",
        Level::Error => "\x1b[31m",
    }
}

impl Format for ConsoleFormat {
    fn write(&self, event: &LogEvent, out: &mut Vec<u8>) {
        if self.micros {
            let mut time = rfc3339_micros(event.time);
            time[10] = b' ';
            self.paint(GREEN, &time[..26], out);
        } else {
            let mut time = seconds_text(event.time / 1_000_000_000);
            time[10] = b' ';
            self.paint(GREEN, &time, out);
        }
        out.extend_from_slice(b" | ");
        let mut padded = *b"        ";
        let level = event.level.as_upper_str().as_bytes();
        padded[..level.len()].copy_from_slice(level);
        self.paint(level_style(event.level), &padded, out);
        out.extend_from_slice(b" | ");
        self.paint(CYAN, event.logger.as_bytes(), out);
        if let Some(line) = event.line {
            out.push(b':');
            self.paint(CYAN, itoa::Buffer::new().format(line).as_bytes(), out);
        }
        out.extend_from_slice(b" - ");
        let mut message = Vec::with_capacity(event.event.len());
        visible(&event.event, &mut message);
        self.paint(if event.level >= Level::Warning { level_style(event.level) } else { BOLD }, &message, out);
        for (name, content) in event.fields.iter().chain(event.context_fields()) {
            out.push(b' ');
            let mut label = Vec::with_capacity(name.len() + 1);
            visible(name, &mut label);
            label.push(b'=');
            self.paint(DIM, &label, out);
            match content {
                Value::Text(text) if is_word(text) => out.extend_from_slice(text.as_bytes()),
                content => super::json::value(content, out, 0),
            }
        }
        if let Some(span) = &event.span {
            out.push(b' ');
            self.paint(DIM, b"trace_id=", out);
            out.extend_from_slice(&span.trace_id.digits());
        }
        if let Some(error) = event.error.as_deref() {
            out.extend_from_slice(b"\n    ");
            let mut text = Vec::new();
            visible(&error.kind, &mut text);
            text.extend_from_slice(b": ");
            visible(&error.message, &mut text);
            self.paint(level_style(Level::Error), &text, out);
            for cause in &error.causes {
                out.extend_from_slice(b"\n    caused by: ");
                visible(cause, out);
            }
            for frame in error.backtrace.iter().flat_map(|backtrace| backtrace.lines()) {
                out.extend_from_slice(b"\n    ");
                visible(frame, out);
            }
        }
    }
}

/// Text that needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'='))
}

/// The text with control characters (line breaks, terminal escapes) made visible.
fn visible(text: &str, out: &mut Vec<u8>) {
    if !text.contains(|c: char| c.is_control()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default().map(|c| c as u8));
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::ErrorReport;

    fn event() -> LogEvent {
        let mut event = LogEvent::new(Level::Warning, "app::api", "slow\nFAKE LINE");
        event.time = 1_768_559_445_123_456_000;
        event.line = Some(42);
        event.set("path", "/jobs");
        event.set("command", "two words");
        event.set("seconds", 1.5);
        event
    }

    #[test]
    fn a_plain_line() {
        let mut out = Vec::new();
        ConsoleFormat::plain().write(&event(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2026-01-16 10:30:45 | WARNING  | app::api:42 - slow\\nFAKE LINE path=/jobs command=\"two words\" seconds=1.5"
        );
    }

    #[test]
    fn colours_and_an_error() {
        let mut event = event();
        event.error = Some(Box::new(ErrorReport {
            kind: "io::Error".into(),
            message: "gone".into(),
            causes: vec!["\x1b[31mred".into()],
            backtrace: None,
        }));
        let mut out = Vec::new();
        ConsoleFormat::colored().write(&event, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\x1b[33mWARNING \x1b[0m"), "{text}");
        assert!(text.ends_with("\n    \x1b[31mio::Error: gone\x1b[0m\n    caused by: \\u{1b}[31mred"), "{text}");
    }
}
