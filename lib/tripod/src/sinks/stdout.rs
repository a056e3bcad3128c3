//! Log lines on standard output, or on anything else that takes bytes.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::accounts::Accounts;
use crate::logs::{Format, LogEvent};

use super::Sink;
use super::writer::{DEFAULT_QUEUE_BYTES, LineWriter, Output};

/// How long a standard output that takes nothing (a full pipe that does not block) is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes lines to standard output, standard error or another writer, on a thread of its own.
///
/// Up to 8 MiB wait when the other side does not read; more is dropped and counted.
pub struct WriteSink(LineWriter);

impl std::fmt::Debug for WriteSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteSink")
    }
}

impl WriteSink {
    /// Lines on standard output; booked as `stdout`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn stdout(format: impl Format + 'static, accounts: &Accounts) -> io::Result<Self> {
        Self::new("stdout", io::stdout(), format, accounts)
    }

    /// Lines on standard error; booked as `stderr`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn stderr(format: impl Format + 'static, accounts: &Accounts) -> io::Result<Self> {
        Self::new("stderr", io::stderr(), format, accounts)
    }

    /// Lines on a writer; booked under the name.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(
        name: &str,
        writer: impl Write + Send + 'static,
        format: impl Format + 'static,
        accounts: &Accounts,
    ) -> io::Result<Self> {
        let account = accounts.open(name, "logs");
        let thread = format!("tripod-{name}");
        LineWriter::start(&thread, Box::new(format), account, DEFAULT_QUEUE_BYTES, Patient(writer)).map(Self)
    }

    /// Writes lines that are text already, each with its line break.
    pub(crate) fn lines(&self, lines: &[u8]) {
        self.0.hand_over(lines, true);
    }
}

impl Sink for WriteSink {
    fn emit(&self, event: &LogEvent) {
        self.0.emit(event);
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.0.flush(deadline)
    }
}

/// Writes all, also to a writer that does not block.
struct Patient<W>(W);

impl<W: Write + Send + 'static> Output for Patient<W> {
    fn write(&mut self, mut lines: &[u8]) -> io::Result<()> {
        let started = Instant::now();
        while !lines.is_empty() {
            match self.0.write(lines) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => lines = lines.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && started.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error),
            }
        }
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{JsonFormat, Level};

    #[test]
    fn lines_arrive_at_the_other_end_of_a_pipe() {
        let (reader, writer) = io::pipe().unwrap();
        let accounts = Accounts::new();
        let sink = WriteSink::new("pipe", writer, JsonFormat::default(), &accounts).unwrap();
        sink.emit(&LogEvent::new(Level::Info, "app", "first"));
        sink.emit(&LogEvent::new(Level::Error, "app", "second"));
        assert!(sink.flush(Instant::now() + Duration::from_secs(60)));
        drop(sink);
        let text = io::read_to_string(reader).unwrap();
        let events: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(events, ["first", "second"]);
        assert_eq!(accounts.open("pipe", "logs").balance().delivered, 2);
    }

    #[test]
    fn a_reader_that_left_costs_lines_and_no_panic() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let accounts = Accounts::new();
        let sink = WriteSink::new("pipe", writer, JsonFormat::default(), &accounts).unwrap();
        sink.emit(&LogEvent::new(Level::Info, "app", "lost"));
        assert!(sink.flush(Instant::now() + Duration::from_secs(60)));
        assert_eq!(accounts.open("pipe", "logs").balance().dropped_total(), 1);
    }
}
