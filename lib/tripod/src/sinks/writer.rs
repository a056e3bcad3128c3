//! Writes lines on a thread of its own, so that a full pipe or a slow disk never holds up whoever logs.
//!
//! Lines are appended to one buffer, bounded in bytes; the thread takes the buffer whole and writes it at once. A line
//! waits up to [`LINGER`] for others: a wake-up and a system call for every line would cost more than the line. Errors,
//! [`BATCH`] bytes and a flush end the wait at once.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::accounts::{Account, Reason};
use crate::logs::{Format, Level, LogEvent};

/// How long a line waits for others.
const LINGER: Duration = Duration::from_millis(10);

/// So many bytes are not kept waiting for more: two buffers of this size stay in the cache and are never given back.
const BATCH: usize = 64 << 10;

/// How often an idle thread looks after its files.
const IDLE: Duration = Duration::from_secs(600);

/// Buffers keep at most this many bytes.
const KEPT_BUFFER: usize = 2 * BATCH;

/// Bytes that may wait by default.
pub(crate) const DEFAULT_QUEUE_BYTES: usize = 8 << 20;

/// Where lines end up. Used by one thread.
pub(crate) trait Output: Send + 'static {
    /// Writes whole lines, each with its line break.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Called from time to time when nothing is written.
    fn idle(&mut self) {}
}

/// The application's end. When the last one is dropped the thread writes what waits and ends.
pub(crate) struct LineWriter {
    shared: Arc<Shared>,
    format: Box<dyn Format>,
    account: Account,
    max_bytes: usize,
}

struct Shared {
    state: Mutex<State>,
    /// Something for the thread to do.
    work: Condvar,
    /// Lines were written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    pending_lines: u64,
    /// Lines ever taken in.
    taken: u64,
    /// Lines ever written or lost.
    done: u64,
    /// The thread sleeps until there is something to do.
    asleep: bool,
    /// The lines must not wait for others.
    urgent: bool,
    closed: bool,
}

impl LineWriter {
    /// Starts the thread.
    pub(crate) fn start(
        thread: &str,
        format: Box<dyn Format>,
        account: Account,
        max_bytes: usize,
        output: impl Output,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), written: Condvar::new() });
        let theirs = shared.clone();
        let books = account.clone();
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || run(&theirs, &books, output))?;
        Ok(Self { shared, format, account, max_bytes })
    }

    /// Formats the event and hands the line over. Never waits for the output.
    pub(crate) fn emit(&self, event: &LogEvent) {
        thread_local!(static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        let urgent = event.level >= Level::Error;
        let kept = LINE.try_with(|line| {
            let Ok(mut line) = line.try_borrow_mut() else { return false };
            line.clear();
            self.format.write(event, &mut line);
            line.push(b'\n');
            self.hand_over(&line, urgent);
            line.shrink_to(KEPT_BUFFER);
            true
        });
        if !matches!(kept, Ok(true)) {
            // A thread that is being torn down has no buffer any more.
            let mut line = Vec::new();
            self.format.write(event, &mut line);
            line.push(b'\n');
            self.hand_over(&line, urgent);
        }
    }

    /// Hands lines over that are bytes already, each with its line break.
    pub(crate) fn hand_over(&self, lines: &[u8], urgent: bool) {
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        self.account.emit(count);
        if lines.len() > self.max_bytes {
            return self.account.drop(Reason::TooLarge, count);
        }
        let mut state = self.shared.state.lock();
        if state.closed {
            return self.account.drop(Reason::Closed, count);
        }
        if state.pending.len() + lines.len() > self.max_bytes {
            return self.account.drop(Reason::QueueFull, count);
        }
        state.pending.extend_from_slice(lines);
        state.pending_lines += count;
        state.taken += count;
        let hurry = !state.urgent && (urgent || state.pending.len() > BATCH.min(self.max_bytes / 2));
        state.urgent |= hurry;
        if state.asleep || hurry {
            state.asleep = false;
            self.shared.work.notify_one();
        }
        drop(state);
        self.account.queue(lines.len() as i64);
    }

    /// Waits until everything that was handed over before is written, or until the deadline.
    pub(crate) fn flush(&self, deadline: Instant) -> bool {
        let mut state = self.shared.state.lock();
        let target = state.taken;
        while state.done < target {
            state.urgent = true;
            state.asleep = false;
            self.shared.work.notify_one();
            if self.shared.written.wait_until(&mut state, deadline).timed_out() {
                return state.done >= target;
            }
        }
        true
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_one();
    }
}

fn run(shared: &Shared, account: &Account, mut output: impl Output) {
    let mut lines = Vec::new();
    loop {
        let mut state = shared.state.lock();
        while state.pending.is_empty() && !state.closed {
            state.asleep = true;
            if shared.work.wait_for(&mut state, IDLE).timed_out() {
                parking_lot::MutexGuard::unlocked(&mut state, || output.idle());
            }
        }
        state.asleep = false;
        if state.pending.is_empty() {
            return;
        }
        let linger_until = Instant::now() + LINGER;
        while !state.urgent && !state.closed {
            if shared.work.wait_until(&mut state, linger_until).timed_out() {
                break;
            }
        }
        std::mem::swap(&mut lines, &mut state.pending);
        let count = std::mem::take(&mut state.pending_lines);
        state.urgent = false;
        drop(state);

        account.queue(-(lines.len() as i64));
        let started = Instant::now();
        // A writer of the application may panic; later lines must not be lost with the thread.
        match catch_unwind(AssertUnwindSafe(|| output.write(&lines))) {
            Ok(Ok(())) => account.deliver(count),
            Ok(Err(_)) | Err(_) => account.drop(Reason::Io, count),
        }
        account.export(started.elapsed());
        lines.clear();
        lines.shrink_to(KEPT_BUFFER);
        shared.state.lock().done += count;
        shared.written.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::accounts::Accounts;
    use crate::logs::ConsoleFormat;

    /// Gives what is written to the test, and writes on when the test lets it.
    struct Gate {
        written: mpsc::Sender<String>,
        open: mpsc::Receiver<io::Result<()>>,
    }

    impl Output for Gate {
        fn write(&mut self, lines: &[u8]) -> io::Result<()> {
            self.written.send(String::from_utf8(lines.to_vec()).unwrap()).unwrap();
            self.open.recv().unwrap_or(Ok(()))
        }
    }

    struct Fixture {
        writer: LineWriter,
        written: mpsc::Receiver<String>,
        open: mpsc::Sender<io::Result<()>>,
        account: Account,
    }

    fn fixture(max_bytes: usize) -> Fixture {
        let (to_test, written) = mpsc::channel();
        let (open, from_test) = mpsc::channel();
        let account = Accounts::new().open("test", "logs");
        let gate = Gate { written: to_test, open: from_test };
        let writer =
            LineWriter::start("test", Box::new(ConsoleFormat::plain()), account.clone(), max_bytes, gate).unwrap();
        Fixture { writer, written, open, account }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn lines_are_written_together_and_in_order() {
        let Fixture { writer, written, open, account } = fixture(1_000);
        writer.hand_over(b"one\n", false);
        writer.hand_over(b"two\n", false);
        open.send(Ok(())).unwrap();
        open.send(Ok(())).unwrap();
        assert!(writer.flush(later()));
        assert_eq!(written.try_iter().collect::<String>(), "one\ntwo\n");
        let balance = account.balance();
        assert_eq!((balance.emitted, balance.delivered, balance.queued_bytes), (2, 2, 0));
    }

    #[test]
    fn an_output_that_hangs_costs_lines_and_never_time() {
        let Fixture { writer, written, open, account } = fixture(10);
        writer.hand_over(b"stuck\n", true);
        assert_eq!(written.recv().unwrap(), "stuck\n");
        for _ in 0..10 {
            writer.hand_over(b"1234\n", false);
        }
        writer.hand_over(b"far too long a line\n", false);
        assert!(!writer.flush(Instant::now()));
        open.send(Ok(())).unwrap();
        open.send(Ok(())).unwrap();
        assert!(writer.flush(later()));
        let balance = account.balance();
        assert_eq!(balance.emitted, 12);
        assert_eq!(balance.delivered, 3);
        assert_eq!(balance.dropped[Reason::QueueFull as usize].1, 8);
        assert_eq!(balance.dropped[Reason::TooLarge as usize].1, 1);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let Fixture { writer, written, open, account } = fixture(100);
        open.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        writer.hand_over(b"lost\n", true);
        assert!(writer.flush(later()));
        assert_eq!(written.recv().unwrap(), "lost\n");
        assert_eq!(account.balance().dropped[Reason::Io as usize].1, 1);
    }

    #[test]
    fn an_output_that_panics_loses_its_lines_only() {
        struct Panics;
        impl Output for Panics {
            fn write(&mut self, lines: &[u8]) -> io::Result<()> {
                // Unwinds without the noise of the panic hook.
                if lines == b"bad\n" { std::panic::resume_unwind(Box::new(())) } else { Ok(()) }
            }
        }
        let account = Accounts::new().open("test", "logs");
        let writer = LineWriter::start("test", Box::new(ConsoleFormat::plain()), account.clone(), 100, Panics).unwrap();
        writer.hand_over(b"bad\n", true);
        assert!(writer.flush(later()));
        writer.hand_over(b"good\n", true);
        assert!(writer.flush(later()));
        assert_eq!((account.balance().delivered, account.balance().dropped_total()), (1, 1));
    }

    #[test]
    fn the_end_writes_what_waits() {
        let Fixture { writer, written, open, .. } = fixture(100);
        writer.hand_over(b"last\n", false);
        drop(writer);
        assert_eq!(written.recv().unwrap(), "last\n");
        drop(open);
        assert!(written.recv().is_err(), "the thread has ended");
    }
}
