//! A write-ahead log: opaque records, safe on disk before they are acknowledged.
//!
//! One thread writes. Every record that arrives while it is busy joins the next group, and a group shares one fsync,
//! so the log is faster the more writers there are. A record is acknowledged after its group's fsync; what it is for
//! is then done on the writer's thread, in the order of the log ([`Wal::append`]'s `durable`), so that whatever state
//! a caller keeps is always a prefix of the log.
//!
//! On start [`Wal::open`] hands back every record. A torn tail, which is what a crash leaves, is cut. Damage before
//! intact records is something else: it is reported, the damaged segment is kept aside, and the rest is read.
//!
//! The log knows nothing of what it holds. It is a crate of its own and not a module of the lake, so that its reader
//! is fuzzed without building the data stack (`docs/decisions/0005-write-ahead-log.md`).

mod progress;
mod recovery;
mod segment;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

pub use progress::Progress;
pub use recovery::{Damage, Recovery};
pub use segment::{Found, HEADER_BYTES, MAX_RECORD_BYTES, encode_record, scan, segment_header};
pub use writer::{Record, Submitted, Wal};

/// A record's place in the log: 1 for the first, without gaps.
pub type Lsn = u64;

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where segments lie; created when absent.
    pub directory: PathBuf,
    /// A new segment is begun when the current one is larger than this, in bytes.
    pub segment_bytes: u64,
    /// Whether a group is fsynced before it is acknowledged. Without it an acknowledged record survives the death of
    /// the process but not that of the machine.
    pub fsync: bool,
    /// Records up to this one are safe elsewhere; the log continues above it even when it is empty.
    pub floor: Lsn,
    /// Told how far the reading of the log on start has come.
    pub progress: Arc<Progress>,
}

/// Why a record was not written.
#[derive(Clone, Debug, Error)]
pub enum WriteError {
    /// The disk is full. Nothing of the record stays in the log; later records are tried afresh.
    #[error("the disk with the write-ahead log is full")]
    NoSpace,
    /// The record is larger than a record may be.
    #[error("a record of {0} bytes is larger than the write-ahead log takes ({MAX_RECORD_BYTES} bytes)")]
    TooLarge(usize),
    /// The log is closed.
    #[error("the write-ahead log is closed")]
    Closed,
    /// Writing failed and the log could not be brought back to a known state; it takes no more until a restart.
    #[error("the write-ahead log failed and takes no more records until a restart: {0}")]
    Failed(String),
}

/// Why the log could not be opened.
#[derive(Debug, Error)]
#[error("the write-ahead log at {} cannot be {action}: {source}", path.display())]
pub struct OpenError {
    /// What was being done.
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}
