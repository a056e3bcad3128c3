//! The lake: telemetry in a write-ahead log, in memory and in Delta Lake tables, as one store.
//!
//! A batch is appended to the log, which acknowledges it after an fsync, and from then on is seen by queries from
//! memory. A flush sorts what has gathered and commits it to the signal's table; the commit carries the log's
//! position as an application transaction, so that after a crash every row is either in the table or replayed from
//! the log, never both. Compaction, retention and vacuum work on the tables in the background; a query keeps the
//! files that it reads until it has ended.
//!
//! What is absent here on purpose: wire protocols and query languages. Rows come and go in the columns of
//! `tripod-storage`.

mod columns;
mod compaction;
mod data_file;
mod disk;
mod error;
mod hot;
mod join;
mod lake;
mod layout;
mod meters;
mod order;
mod scan;
mod series;
mod settings;
mod shard;
mod snapshot;
mod status;
mod table;
mod table_files;
mod trace_index;
mod trace_lookup;
mod wal_record;

pub use error::{LakeError, OpenError};
pub use lake::Lake;
pub use meters::describe;
pub use settings::{CompactionSettings, FlushSettings, RetentionSettings, SeriesSettings, Settings, WalSettings};
pub use status::{DiskStatus, SeriesStatus, Status, TableStatus, WalStatus};
pub use tripod_wal::Progress as ReplayProgress;
