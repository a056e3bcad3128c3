use serde::Serialize;

/// The lake's state, for people and for metrics.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// One entry a table.
    pub tables: Vec<TableStatus>,
    /// The series.
    pub series: SeriesStatus,
    /// The write-ahead log.
    pub wal: WalStatus,
    /// The disk.
    pub disk: DiskStatus,
    /// Bytes of rows in memory, of all tables.
    pub memory_bytes: usize,
    /// Bytes of rows in memory beyond which appends are refused.
    pub memory_limit_bytes: usize,
}

/// A table's state.
#[derive(Clone, Debug, Serialize)]
pub struct TableStatus {
    /// The table's name.
    pub table: &'static str,
    /// Version of the Delta table.
    pub version: u64,
    /// Data files.
    pub files: usize,
    /// Rows in data files.
    pub file_rows: u64,
    /// Bytes of data files.
    pub file_bytes: u64,
    /// Rows that are not in data files yet, those being flushed included.
    pub hot_rows: usize,
    /// Bytes of the rows that wait for the next flush.
    pub hot_bytes: usize,
}

/// The state of the series. In [`TableStatus`] a row in a file is a chunk, one in memory a sample.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesStatus {
    /// Series in memory.
    pub active_series: usize,
    /// Bytes in closed segments of their write-ahead log.
    pub wal_retained_bytes: u64,
    /// Parts of their write-ahead log that were found damaged at the last start.
    pub wal_damaged: usize,
    /// Samples that were found there without labels at the last start: with damage they are lost, and without they were
    /// never acknowledged.
    pub wal_unnamed_samples: usize,
    /// Their table.
    pub table: TableStatus,
}

/// The write-ahead log's state.
#[derive(Clone, Debug, Serialize)]
pub struct WalStatus {
    /// Bytes in closed segments.
    pub retained_bytes: u64,
    /// Number of the newest record.
    pub last_lsn: u64,
    /// Parts that were found damaged at the last start.
    pub damaged: usize,
}

/// The disk's state.
#[derive(Clone, Debug, Serialize)]
pub struct DiskStatus {
    /// Bytes free.
    pub free_bytes: u64,
    /// Bytes below which appends are refused.
    pub min_free_bytes: u64,
    /// Whether appends are accepted as far as the disk is concerned.
    pub has_room: bool,
}
