//! Log lines: what they are, which are wanted, what may change or drop them, and how they are written.

mod bridge;
mod console;
mod error_report;
mod event;
mod format;
pub(crate) mod json;
mod level;
mod levels;
mod panics;
mod pipeline;
mod processor;
pub(crate) mod timestamp;

pub(crate) use bridge::bridge;
pub use console::ConsoleFormat;
pub use error_report::ErrorReport;
pub use event::LogEvent;
pub use format::Format;
pub use json::JsonFormat;
pub use level::{InvalidLevel, Level};
pub use levels::{InvalidLevels, LevelRules, Levels};
pub use panics::{PANIC_EVENT, report_panics};
pub use pipeline::Pipeline;
pub use processor::{AddField, Processor, SampleEvent, Verdict};
