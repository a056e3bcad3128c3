//! One signal's part of the lake: rows in memory, its table, and the work that moves rows from one to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use deltalake::kernel::Action;
use deltalake::protocol::{DeltaOperation, SaveMode};
use tokio::sync::Notify;
use tripod_storage::Signal;

use crate::LakeError;
use crate::columns::DATE;
use crate::compaction::{choose, merge};
use crate::data_file::{DataFile, now_millis, write_day};
use crate::hot::{Frozen, Hot, MANY_SMALL, Reservation};
use crate::join::{is_worth_joining, join};
use crate::order::sort;
use crate::scan::Reader;
use crate::settings::{CompactionSettings, FlushSettings};
use crate::table::Table;
use crate::table_files::TableFiles;

/// A signal's rows and their table.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) signal: Signal,
    pub(crate) hot: Hot,
    /// Wakes the flusher.
    pub(crate) wake: Notify,
    table: tokio::sync::Mutex<Table>,
    pub(crate) files: TableFiles,
    committed: AtomicU64,
    version: AtomicU64,
    meters: Meters,
}

#[derive(Debug)]
struct Meters {
    flush_seconds: metrics::Histogram,
    flushed_rows: metrics::Counter,
    compaction_seconds: metrics::Histogram,
    compacted_files: metrics::Counter,
    expired_rows: metrics::Counter,
}

impl Shard {
    /// Takes over an open table. Files in its directory that no version names are left from an interrupted write and
    /// are deleted.
    pub(crate) async fn new(signal: Signal, table: Table, reader: &Reader) -> Result<Self, LakeError> {
        reader.register(signal, table.objects())?;
        let files = table.files()?;
        let table_files = TableFiles::open(&table, &files).await?;
        let label = signal.table();
        Ok(Self {
            signal,
            hot: Hot::new(signal, files),
            wake: Notify::new(),
            files: table_files,
            committed: AtomicU64::new(table.committed()),
            version: AtomicU64::new(table.version()),
            table: tokio::sync::Mutex::new(table),
            meters: Meters {
                flush_seconds: metrics::histogram!("tripod_flush_duration_seconds", "table" => label),
                flushed_rows: metrics::counter!("tripod_flush_rows_total", "table" => label),
                compaction_seconds: metrics::histogram!("tripod_compaction_duration_seconds", "table" => label),
                compacted_files: metrics::counter!("tripod_compaction_files_total", "table" => label),
                expired_rows: metrics::counter!("tripod_retention_rows_total", "table" => label),
            },
        })
    }

    /// The last record of the write-ahead log of which this signal's rows, and all before, are in the table.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// The table's version.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Takes rows that are safe in the log; called in the log's order.
    pub(crate) fn push(&self, lsn: u64, rows: RecordBatch, reservation: Reservation, flush: &FlushSettings) {
        let figures = self.hot.push(lsn, rows, reservation);
        if figures.rows >= flush.rows || figures.bytes >= flush.bytes || figures.small_batches >= 2 * MANY_SMALL {
            self.wake.notify_one();
        }
    }

    /// Whether a bound on rows, bytes or age is reached.
    pub(crate) fn is_due(&self, flush: &FlushSettings, memory_is_tight: bool) -> bool {
        let figures = self.hot.figures();
        figures.rows > 0
            && (figures.rows >= flush.rows
                || figures.bytes >= flush.bytes
                || memory_is_tight
                || figures.age_seconds >= flush.interval_seconds as f64)
    }

    /// Moves the rows in memory into the table. On an error they stay where they are, visible and in the log.
    pub(crate) async fn flush(&self) -> Result<(), LakeError> {
        let start = Instant::now();
        let mut table = self.table.lock().await;
        table.settle().await?;
        let Some(frozen) = self.hot.freeze() else { return Ok(()) };
        if table.committed() >= frozen.last_lsn {
            // An earlier attempt landed after all.
            self.hot.reset(table.files()?);
        } else {
            let files = self.write(&frozen).await?;
            let actions = files.iter().map(|file| Action::Add(file.add(self.signal, true))).collect();
            let operation = DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: Some(vec![DATE.to_owned()]),
                predicate: None,
            };
            if let Err(error) = table.commit(actions, operation, Some(frozen.last_lsn)).await {
                if table.is_settled() {
                    self.files.discard(&files).await;
                }
                return Err(error);
            }
            self.hot.replace(&[], files, true);
        }
        self.note(&table);
        self.meters.flushed_rows.increment(frozen.rows as u64);
        self.meters.flush_seconds.record(start.elapsed());
        tracing::debug!(table = %self.signal, rows = frozen.rows, seconds = start.elapsed().as_secs_f64(), "flushed");
        Ok(())
    }

    fn note(&self, table: &Table) {
        self.committed.store(table.committed(), Ordering::Release);
        self.version.store(table.version(), Ordering::Relaxed);
    }

    async fn write(&self, frozen: &Frozen) -> Result<Vec<Arc<DataFile>>, LakeError> {
        let (signal, batches) = (self.signal, Arc::clone(&frozen.batches));
        let encode = move || {
            let places: Vec<&RecordBatch> = batches.iter().collect();
            sort(signal, &batches).iter().map(|day| write_day(signal, &places, day)).collect::<Result<Vec<_>, _>>()
        };
        let written = spawn_blocking(encode).await??;
        self.files.put(written).await
    }

    /// Merges or joins small files until no group of them is worth it.
    pub(crate) async fn compact(&self, reader: &Reader, settings: &CompactionSettings) -> Result<(), LakeError> {
        while let Some(chosen) = choose(&self.hot.files(), settings) {
            let start = Instant::now();
            let added = if is_worth_joining(&chosen) {
                vec![Arc::new(join(self.signal, &self.files.store, &chosen).await?)]
            } else {
                self.files.put(merge(self.signal, reader, &chosen, settings.target_bytes).await?).await?
            };
            let removes = chosen.iter().map(|file| Action::Remove(file.remove(false)));
            let adds = added.iter().map(|file| Action::Add(file.add(self.signal, false)));
            let operation = DeltaOperation::Optimize { predicate: None, target_size: settings.target_bytes as i64 };
            self.exchange(&chosen, added.clone(), removes.chain(adds).collect(), operation).await?;
            self.meters.compacted_files.increment(chosen.len() as u64);
            self.meters.compaction_seconds.record(start.elapsed());
            tracing::debug!(table = %self.signal, files = chosen.len(), "compacted");
        }
        Ok(())
    }

    /// Drops files of which every row is older than `age` and was written longer ago than that.
    pub(crate) async fn expire(&self, age: Duration) -> Result<(), LakeError> {
        let limit = now_millis().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let expired: Vec<_> = self
            .hot
            .files()
            .iter()
            .filter(|file| file.written < limit && file.max_time / 1_000_000 < limit)
            .cloned()
            .collect();
        if expired.is_empty() {
            return Ok(());
        }
        let removes = expired.iter().map(|file| Action::Remove(file.remove(true))).collect();
        self.exchange(&expired, Vec::new(), removes, DeltaOperation::Delete { predicate: None }).await?;
        let rows = expired.iter().map(|file| file.rows).sum();
        self.meters.expired_rows.increment(rows);
        tracing::info!(table = %self.signal, rows, files = expired.len(), "dropped what is past its retention");
        Ok(())
    }

    /// Commits that some files give way to others.
    async fn exchange(
        &self,
        gone: &[Arc<DataFile>],
        added: Vec<Arc<DataFile>>,
        actions: Vec<Action>,
        operation: DeltaOperation,
    ) -> Result<(), LakeError> {
        let mut table = self.table.lock().await;
        table.settle().await?;
        let committed = table.commit(actions, operation, None).await;
        if let Err(error) = committed {
            if table.is_settled() {
                self.hot.reset_files(table.files()?);
                if !self.hot.files().iter().any(|file| added.iter().any(|new| new.path == file.path)) {
                    self.files.discard(&added).await;
                }
            }
            return Err(error);
        }
        self.note(&table);
        self.hot.replace(gone, added, false);
        self.files.note_removed(gone);
        Ok(())
    }
}

/// Runs work that takes long on a thread for such work.
pub(crate) async fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LakeError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LakeError::Unexpected(error.to_string()))
}
