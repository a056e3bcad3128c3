//! What was sent and what of it was acknowledged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::load::Signal;

/// What records are, and so by which way they come and in which log they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rows of a table, by OTLP.
    Rows(Signal),
    /// Samples of series, by remote write.
    Samples,
}

impl Kind {
    /// Those that are rows.
    pub(super) const ROWS: [Self; 2] = [Self::Rows(Signal::Spans), Self::Rows(Signal::Logs)];

    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::ROWS[0], Self::ROWS[1], Self::Samples];

    /// What one record is called.
    pub(super) fn item(self) -> &'static str {
        match self {
            Self::Rows(signal) => signal.item(),
            Self::Samples => "sample",
        }
    }
}

/// A request: records of one kind with consecutive numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) kind: Kind,
    /// Number of the first record.
    pub(super) first: u64,
    /// How many records.
    pub(super) count: u64,
    /// Whether the server has said that it holds them.
    pub(super) acknowledged: bool,
}

/// All requests of a proof.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    batches: Vec<Batch>,
    next_record: u64,
    refusals: u64,
    unexpected: Vec<String>,
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request that is about to be sent; gives its number and that of its first record.
    pub(super) fn begin(&self, kind: Kind, count: usize) -> (usize, u64) {
        let mut entries = self.entries();
        let first = entries.next_record;
        entries.next_record += count as u64;
        entries.batches.push(Batch { kind, first, count: count as u64, acknowledged: false });
        (entries.batches.len() - 1, first)
    }

    /// Notes that a request was acknowledged.
    pub(super) fn acknowledge(&self, batch: usize) {
        if let Some(batch) = self.entries().batches.get_mut(batch) {
            batch.acknowledged = true;
        }
    }

    /// Counts a polite refusal.
    pub(super) fn refuse(&self) {
        self.entries().refusals += 1;
    }

    /// Notes an answer that the server should not have given.
    pub(super) fn complain(&self, message: String) {
        self.entries().unexpected.push(message);
    }

    /// All requests so far; a request's number is its index.
    pub(super) fn batches(&self) -> Vec<Batch> {
        self.entries().batches.clone()
    }

    /// How many requests were refused politely.
    pub(super) fn refusals(&self) -> u64 {
        self.entries().refusals
    }

    /// Answers that the server should not have given.
    pub(super) fn unexpected(&self) -> Vec<String> {
        self.entries().unexpected.clone()
    }

    /// How many records were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.entries().batches.iter().filter(|batch| batch.acknowledged).map(|batch| batch.count).sum()
    }
}
