//! Log lines in a file that is rotated.
//!
//! The file is appended to and never truncated; when it is full or its time is over it is renamed and a new one begun.
//! Several processes may write to one file, and `logrotate` may rename, copy and truncate, or remove it:
//!
//! - every batch of whole lines is one appending write under a shared lock of the file (`flock`);
//! - before every batch the file behind the path is compared with the open one, and opened anew if another is there;
//! - a rename needs the file's exclusive lock, and a look whether somebody else was quicker.
//!
//! So no process ever writes into a file that has been renamed, and compressing it loses no line. A lock that somebody
//! holds for too long, or a file system without locks, costs this order and no line.

mod housekeeping;
mod output;
mod settings;

pub use settings::{FileSettings, InvalidFileSetting, Period};

use std::io;
use std::time::Instant;

use crate::accounts::Accounts;
use crate::logs::{Format, LogEvent};

use super::Sink;
use super::writer::LineWriter;
use output::FileOutput;

/// Writes lines to a rotated file, on a thread of its own; booked as `file`.
pub struct FileSink(LineWriter);

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileSink")
    }
}

impl FileSink {
    /// Opens the file, or makes it with its folders, and starts the thread.
    ///
    /// # Errors
    /// When the file cannot be opened for writing, or the system gives no thread.
    pub fn open(settings: FileSettings, format: impl Format + 'static, accounts: &Accounts) -> io::Result<Self> {
        let queue_bytes = settings.queue_bytes;
        let output = FileOutput::open(settings)?;
        let account = accounts.open("file", "logs");
        LineWriter::start("tripod-file", Box::new(format), account, queue_bytes, output).map(Self)
    }
}

impl Sink for FileSink {
    fn emit(&self, event: &LogEvent) {
        self.0.emit(event);
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.0.flush(deadline)
    }
}

#[cfg(test)]
mod tests;
