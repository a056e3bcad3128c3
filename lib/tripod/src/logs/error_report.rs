use std::error::Error;
use std::fmt;

use crate::field::Name;

/// The most causes that are kept of a chain.
const MAX_CAUSES: usize = 16;

/// The longest text that is kept of one message or stack, in bytes; what is longer is cut and ends in `…`.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// An error as a log line reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorReport {
    /// The error's type, for example `sqlx::Error`; what its `Debug` form begins with when the type is not known.
    pub kind: Name,
    /// What it says.
    pub message: String,
    /// What its causes say, the nearest first, at most 16.
    pub causes: Vec<String>,
    /// The stack, when backtraces are on.
    pub backtrace: Option<String>,
}

impl ErrorReport {
    /// Of an error whose type is known.
    pub fn of<E: Error + ?Sized>(error: &E) -> Self {
        let kind = std::any::type_name::<E>();
        let message = bounded(format_args!("{error}"));
        Self { kind: Name::Borrowed(kind), message, causes: causes(error.source()), backtrace: None }
    }

    /// Of an error behind a reference. Its type is lost there; the first word of its `Debug` form stands in.
    pub fn of_dyn(error: &(dyn Error + 'static)) -> Self {
        Self {
            kind: leading_name(&bounded(format_args!("{error:?}"))).to_owned().into(),
            message: bounded(format_args!("{error}")),
            causes: causes(error.source()),
            backtrace: None,
        }
    }

    /// Of the text that `anyhow` and `eyre` print with `{:?}`: a message, `Caused by:` with a list, `Stack backtrace:`
    /// with frames. Nothing when the text has neither of these parts.
    pub fn from_report(text: &str) -> Option<Self> {
        let (rest, backtrace) = match text.split_once("\n\nStack backtrace:\n") {
            Some((rest, backtrace)) => (rest, Some(backtrace.to_owned())),
            None => (text, None),
        };
        let (message, list) = match rest.split_once("\n\nCaused by:\n") {
            Some((message, list)) => (message, Some(list)),
            None => (rest, None),
        };
        if backtrace.is_none() && list.is_none() {
            return None;
        }
        let causes = list.into_iter().flat_map(|list| list.lines()).take(MAX_CAUSES).map(cause_text).collect();
        Some(Self { kind: Name::Borrowed("Error"), message: message.to_owned(), causes, backtrace })
    }

    /// Takes the stack at this place if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` asks for stacks; free otherwise.
    pub fn with_backtrace(mut self) -> Self {
        if self.backtrace.is_none() {
            let backtrace = std::backtrace::Backtrace::capture();
            if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
                self.backtrace = Some(bounded(format_args!("{backtrace}")));
            }
        }
        self
    }

    /// Bytes of text.
    pub(crate) fn size(&self) -> usize {
        self.kind.len()
            + self.message.len()
            + self.causes.iter().map(String::len).sum::<usize>()
            + self.backtrace.as_ref().map_or(0, String::len)
            + size_of::<Self>()
    }
}

fn causes(first: Option<&(dyn Error + 'static)>) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = first;
    while let Some(cause) = next.filter(|_| causes.len() < MAX_CAUSES) {
        causes.push(bounded(format_args!("{cause}")));
        next = cause.source();
    }
    causes
}

/// `    1: connection refused` without the number.
fn cause_text(line: &str) -> String {
    let line = line.trim_start();
    match line.split_once(": ") {
        Some((number, text)) if number.bytes().all(|byte| byte.is_ascii_digit()) => text.to_owned(),
        _ => line.to_owned(),
    }
}

/// `Os` of `Os { code: 2, … }`, `ParseIntError` of `ParseIntError { … }`.
fn leading_name(debug: &str) -> &str {
    let end = debug.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(debug.len());
    match &debug[..end] {
        "" => "Error",
        name => name,
    }
}

fn bounded(text: fmt::Arguments<'_>) -> String {
    let mut text = std::fmt::format(text);
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Failed(std::num::ParseIntError);

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("could not read the port")
        }
    }

    impl Error for Failed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn type_message_and_causes_are_kept() {
        let error = Failed("x".parse::<u16>().unwrap_err());
        let info = ErrorReport::of(&error);
        assert!(info.kind.ends_with("tests::Failed"), "{}", info.kind);
        assert_eq!(info.message, "could not read the port");
        assert_eq!(info.causes, ["invalid digit found in string"]);
        assert_eq!(ErrorReport::of_dyn(&error).kind, "Failed");
    }

    #[test]
    fn a_report_of_anyhow_is_taken_apart() {
        let report = "could not start\n\nCaused by:\n    0: no configuration\n    1: not found: a.toml\n\n\
                      Stack backtrace:\n   0: main";
        let info = ErrorReport::from_report(report).unwrap();
        assert_eq!(info.message, "could not start");
        assert_eq!(info.causes, ["no configuration", "not found: a.toml"]);
        assert_eq!(info.backtrace.as_deref(), Some("   0: main"));
        assert_eq!(ErrorReport::from_report("a plain text"), None);
    }
}
