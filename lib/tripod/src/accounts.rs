//! What became of everything that was emitted: the books of each sink. Exposed as `tripod_self_*` metrics.
//!
//! The rule of the books: emitted = delivered + dropped + what still waits in the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// Why something was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The queue's bytes were used up.
    QueueFull,
    /// One item alone was larger than the sink takes.
    TooLarge,
    /// The other side refused it for good (4xx, `INVALID_ARGUMENT`, a partial success).
    Refused,
    /// Retries were used up.
    Retries,
    /// The deadline of the shutdown came first.
    Shutdown,
    /// The sink was not running any more.
    Closed,
    /// The sink could not write (a full disk, a closed pipe).
    Io,
    /// It could not be encoded.
    Encoding,
    /// A processor of the application decided so.
    Processor,
}

impl Reason {
    /// All reasons, in the order of the counters.
    pub const ALL: [Self; 9] = [
        Self::QueueFull,
        Self::TooLarge,
        Self::Refused,
        Self::Retries,
        Self::Shutdown,
        Self::Closed,
        Self::Io,
        Self::Encoding,
        Self::Processor,
    ];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Retries => "retries",
            Self::Shutdown => "shutdown",
            Self::Closed => "closed",
            Self::Io => "io",
            Self::Encoding => "encoding",
            Self::Processor => "processor",
        }
    }
}

/// The books of one sink and signal. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sink: String,
    signal: &'static str,
    emitted: AtomicU64,
    delivered: AtomicU64,
    retried: AtomicU64,
    dropped: [AtomicU64; Reason::ALL.len()],
    queued_bytes: AtomicI64,
    exports: AtomicU64,
    export_nanoseconds: AtomicU64,
}

impl Account {
    /// Books for a sink (`stdout`, `otlp`, `loki`, …) and a signal (`logs`, `spans`, `metrics`, `errors`).
    fn new(sink: impl Into<String>, signal: &'static str) -> Self {
        Self(Arc::new(Inner {
            sink: sink.into(),
            signal,
            emitted: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            dropped: Default::default(),
            queued_bytes: AtomicI64::new(0),
            exports: AtomicU64::new(0),
            export_nanoseconds: AtomicU64::new(0),
        }))
    }

    /// The sink's name: the value of the label `sink`.
    pub fn sink(&self) -> &str {
        &self.0.sink
    }

    /// The signal: the value of the label `signal`.
    pub fn signal(&self) -> &'static str {
        self.0.signal
    }

    /// Counts items that were handed to the sink.
    pub fn emit(&self, items: u64) {
        self.0.emitted.fetch_add(items, Relaxed);
    }

    /// Counts items that the other side, or the file, has.
    pub fn deliver(&self, items: u64) {
        self.0.delivered.fetch_add(items, Relaxed);
    }

    /// Counts items that were lost.
    pub fn drop(&self, reason: Reason, items: u64) {
        self.0.dropped[reason as usize].fetch_add(items, Relaxed);
    }

    /// Counts items whose sending is tried again.
    pub fn retry(&self, items: u64) {
        self.0.retried.fetch_add(items, Relaxed);
    }

    /// Adds to (or, negative, takes from) the bytes that wait in the queue.
    pub fn queue(&self, bytes: i64) {
        self.0.queued_bytes.fetch_add(bytes, Relaxed);
    }

    /// Records the time that one attempt to export took.
    pub fn export(&self, time: std::time::Duration) {
        self.0.exports.fetch_add(1, Relaxed);
        self.0.export_nanoseconds.fetch_add(time.as_nanos().try_into().unwrap_or(u64::MAX), Relaxed);
    }

    /// The books at this moment.
    pub fn balance(&self) -> Balance {
        let dropped = Reason::ALL.map(|reason| (reason, self.0.dropped[reason as usize].load(Relaxed)));
        Balance {
            sink: self.0.sink.clone(),
            signal: self.0.signal,
            emitted: self.0.emitted.load(Relaxed),
            delivered: self.0.delivered.load(Relaxed),
            retried: self.0.retried.load(Relaxed),
            dropped,
            queued_bytes: self.0.queued_bytes.load(Relaxed).max(0) as u64,
            exports: self.0.exports.load(Relaxed),
            export_nanoseconds: self.0.export_nanoseconds.load(Relaxed),
        }
    }
}

/// The books of one sink and signal at one moment.
#[derive(Clone, Debug)]
pub struct Balance {
    /// The sink's name.
    pub sink: String,
    /// The signal: `logs`, `spans`, `metrics` or `errors`.
    pub signal: &'static str,
    /// Items handed to the sink.
    pub emitted: u64,
    /// Items that arrived.
    pub delivered: u64,
    /// Items whose sending was tried again; an item counts once for each further attempt.
    pub retried: u64,
    /// Items that were lost, by reason.
    pub dropped: [(Reason, u64); Reason::ALL.len()],
    /// Bytes that wait in the queue.
    pub queued_bytes: u64,
    /// Attempts to export.
    pub exports: u64,
    /// Nanoseconds that all attempts to export took together.
    pub export_nanoseconds: u64,
}

impl Balance {
    /// Items lost for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

/// The books of all sinks. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<Mutex<Vec<Account>>>);

impl Accounts {
    /// No books yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the books of a sink and signal, or gives those that were opened before under the same names.
    pub fn open(&self, sink: &str, signal: &'static str) -> Account {
        let mut accounts = self.0.lock();
        if let Some(account) = accounts.iter().find(|account| account.sink() == sink && account.signal() == signal) {
            return account.clone();
        }
        let account = Account::new(sink, signal);
        accounts.push(account.clone());
        account
    }

    /// All books at this moment.
    pub fn balances(&self) -> Vec<Balance> {
        self.0.lock().iter().map(Account::balance).collect()
    }
}
