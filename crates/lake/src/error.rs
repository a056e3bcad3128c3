use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the lake could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A file or directory could not be read or written.
    #[error("{} cannot be {action}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Another process has the directory.
    #[error("{} is in use by another tripod process; stop it first, or choose another --data-dir", .0.display())]
    Locked(PathBuf),
    /// The directory was written by another version.
    #[error(
        "{} has data format {found}, this version of tripod reads and writes format {known}; use the version that \
         wrote it, or choose another --data-dir",
        path.display()
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// The format that stands there.
        found: String,
        /// The format that this version knows.
        known: u32,
    },
    /// The write-ahead log could not be opened.
    #[error(transparent)]
    Wal(#[from] tripod_wal::OpenError),
    /// A record of the write-ahead log is intact but cannot be understood.
    #[error("record {lsn} of the write-ahead log cannot be read: {reason}")]
    Record {
        /// The record's number.
        lsn: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A table could not be opened.
    #[error("table {table} cannot be opened: {source}")]
    Table {
        /// The table's name.
        table: &'static str,
        /// Why.
        #[source]
        source: LakeError,
    },
    /// The settings contradict each other.
    #[error("the store's settings are wrong: {}", .0.join("; "))]
    Settings(Vec<String>),
}

impl OpenError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Why work on a table failed.
#[derive(Debug, Error)]
pub enum LakeError {
    /// The Delta table's log.
    #[error(transparent)]
    Delta(#[from] deltalake::DeltaTableError),
    /// A data file.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Columns in memory.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// Reading through DataFusion.
    #[error(transparent)]
    DataFusion(#[from] datafusion::error::DataFusionError),
    /// The object store.
    #[error(transparent)]
    ObjectStore(#[from] object_store::Error),
    /// The file system.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The table on disk is not what this version writes.
    #[error("{0}")]
    Unexpected(String),
}
