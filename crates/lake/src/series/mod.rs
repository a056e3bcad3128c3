//! Series: samples in a write-ahead log of their own, in memory, and in a Delta table of chunks.
//!
//! Rows of spans and logs leave memory within seconds; samples stay for hours, because a chunk of many is small and one
//! of few is not. So their log is apart, and the other one does not grow with it. What moves samples from memory to the
//! table is otherwise as for rows: the commit carries the log's position ([`crate::shard`]).

mod compaction;
mod file_index;
mod flush;
mod head;
mod metadata;
mod reader;
mod record;
mod replay;
mod rows;
mod store;
mod writer;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deltalake::kernel::Action;
use deltalake::protocol::{DeltaOperation, SaveMode};
use tokio::sync::Notify;
use tripod_storage::series::LabelQuery;
use tripod_storage::{AppendError, series::SeriesAppended, series::SeriesBatch};
use tripod_wal::{Progress, Record, Recovery, Wal, WriteError};

use crate::columns::DATE;
use crate::compaction::choose;
use crate::data_file::{DataFile, Files, now_millis};
use crate::layout::DataDir;
use crate::settings::{CompactionSettings, SeriesSettings, WalSettings};
use crate::shard::spawn_blocking;
use crate::status::{SeriesStatus, TableStatus};
use crate::table::{Location, Table};
use crate::table_files::TableFiles;
use crate::{LakeError, OpenError};

use head::Head;
use reader::Reader;
use rows::{SeriesKey, TABLE};
use writer::Written;

/// So many files of a day are worth being merged.
const MIN_MERGED_FILES: usize = 4;

/// The series of a lake.
#[derive(Debug)]
pub(crate) struct SeriesShard {
    head: Arc<Head>,
    wal: Wal,
    pub(crate) recovery: Recovery,
    /// Samples that were found in the log without labels.
    pub(crate) unnamed: usize,
    reader: Arc<Reader>,
    table: tokio::sync::Mutex<Table>,
    pub(crate) files: TableFiles,
    metadata: PathBuf,
    /// Wakes the flusher.
    pub(crate) wake: Notify,
    settings: SeriesSettings,
    meters: Meters,
}

#[derive(Debug)]
struct Meters {
    samples: metrics::Counter,
    exemplars_dropped: metrics::Counter,
    flush_seconds: metrics::Histogram,
    flushed: metrics::Counter,
    compaction_seconds: metrics::Histogram,
    compacted_files: metrics::Counter,
    expired: metrics::Counter,
}

impl Meters {
    fn new() -> Self {
        let table = TABLE.name;
        Self {
            samples: metrics::counter!("tripod_series_samples_total"),
            exemplars_dropped: metrics::counter!("tripod_series_exemplars_dropped_total"),
            flush_seconds: metrics::histogram!("tripod_flush_duration_seconds", "table" => table),
            flushed: metrics::counter!("tripod_flush_rows_total", "table" => table),
            compaction_seconds: metrics::histogram!("tripod_compaction_duration_seconds", "table" => table),
            compacted_files: metrics::counter!("tripod_compaction_files_total", "table" => table),
            expired: metrics::counter!("tripod_retention_rows_total", "table" => table),
        }
    }
}

/// Tells the head when a record did not get into the log.
///
/// Its samples stay known as the newest of their series: they may come again, and another value of the same time is
/// refused. To forget them would be wrong while a record with the same samples is on its way. One that is refused for its
/// epoch lies in the log, and a replay would put it before another value that was taken meanwhile.
struct InFlight {
    head: Arc<Head>,
    epoch: u32,
    is_written: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.is_written {
            self.head.fail(self.epoch);
        }
    }
}

impl SeriesShard {
    /// Opens the table and replays the log.
    pub(crate) async fn open(
        data_dir: &DataDir,
        settings: &SeriesSettings,
        wal_settings: &WalSettings,
        progress: &Arc<Progress>,
    ) -> Result<Self, OpenError> {
        let open_table = async {
            let location = Location::local(data_dir.series_table())?;
            let table = Table::open(rows::shape(), location, &data_dir.node).await?;
            let files = table.files()?;
            let table_files = TableFiles::open(&table, &files).await?;
            let metadata = metadata::load(&data_dir.metric_metadata())?;
            Ok((table, files, table_files, metadata))
        };
        let (table, files, table_files, metadata) =
            open_table.await.map_err(|source| OpenError::Table { table: TABLE.name, source })?;
        let head = Arc::new(Head::new(Arc::new(files), metadata));
        let (wal, recovery, unnamed) = replay::replay(data_dir, wal_settings, &head, table.committed(), progress)?;
        Ok(Self {
            reader: Arc::new(Reader::new(table.objects(), settings.index_cache_bytes)),
            head,
            wal,
            recovery,
            unnamed,
            files: table_files,
            table: tokio::sync::Mutex::new(table),
            metadata: data_dir.metric_metadata(),
            wake: Notify::new(),
            settings: settings.clone(),
            meters: Meters::new(),
        })
    }

    /// Keeps a batch; see [`tripod_storage::series::SeriesStore::append_series`].
    pub(crate) async fn append(&self, batch: SeriesBatch) -> Result<SeriesAppended, AppendError> {
        let (count, exemplars) = (batch.floats.len() + batch.histograms.len(), batch.exemplars.len());
        if count > self.settings.max_samples_per_request {
            return Err(AppendError::Invalid(format!(
                "{count} samples are more than a request may have (store.series.max_samples_per_request is {})",
                self.settings.max_samples_per_request
            )));
        }
        let outcome = Arc::new(AtomicBool::new(false));
        let (submitted, appended, samples) = {
            let mut state = self.head.state.write();
            if state.bytes > self.settings.memory_limit_bytes {
                self.wake.notify_one();
                return Err(AppendError::Overloaded {
                    reason: format!("{} bytes of samples wait to be written to disk", state.bytes),
                    retry_after: Duration::from_secs(1),
                });
            }
            let admitted = self.head.admit(&mut state, batch, &self.settings)?;
            self.meters.exemplars_dropped.increment(exemplars.saturating_sub(admitted.appended.exemplars) as u64);
            if admitted.record.is_empty() {
                return Ok(self.count(admitted.appended, 0));
            }
            let samples = admitted.record.floats.len() + admitted.record.histograms.len();
            let payload = admitted.record.encode();
            let mut in_flight = InFlight { head: Arc::clone(&self.head), epoch: admitted.epoch, is_written: false };
            let (record, applied) = (admitted.record, Arc::clone(&outcome));
            let durable = move |lsn| {
                in_flight.is_written = true;
                if !in_flight.head.has_failed(in_flight.epoch) {
                    in_flight.head.apply(lsn, record);
                    applied.store(true, Ordering::Release);
                }
            };
            let record = Record { tag: record::SAMPLES, payload: vec![payload] };
            (self.wal.submit(record, durable), admitted.appended, samples)
        };
        let written = match submitted {
            Ok(submitted) => submitted.written().await,
            Err(error) => Err(error),
        };
        match written {
            Ok(_) if outcome.load(Ordering::Acquire) => Ok(self.count(appended, samples)),
            Ok(_) => Err(AppendError::Overloaded {
                reason: "the write-ahead log could not take a request a moment ago".to_owned(),
                retry_after: Duration::from_secs(1),
            }),
            Err(WriteError::NoSpace) => Err(AppendError::Overloaded {
                reason: "the disk is full".to_owned(),
                retry_after: Duration::from_secs(10),
            }),
            Err(WriteError::Closed) => Err(AppendError::ShuttingDown),
            Err(error) => Err(AppendError::Failed(error.to_string())),
        }
    }

    fn count(&self, appended: SeriesAppended, samples: usize) -> SeriesAppended {
        self.meters.samples.increment(samples as u64);
        if appended.refused > 0 {
            // The first ones stand for all of a request: they are refused for one reason, as a rule.
            let reason = appended.rejected.first().map_or("other", |rejected| rejected.reason.name());
            metrics::counter!("tripod_series_rejected_total", "reason" => reason).increment(appended.refused as u64);
        }
        appended
    }

    /// Whether a bound on memory, log or age is reached.
    pub(crate) fn is_due(&self) -> bool {
        let state = self.head.state.read();
        let age = state.oldest.map_or(Duration::ZERO, |oldest| oldest.elapsed());
        state.frozen.is_some()
            || (!state.is_empty()
                && (age.as_secs() >= self.settings.flush_interval_seconds
                    || state.bytes > self.settings.memory_limit_bytes / 2
                    || self.wal.retained_bytes() > self.settings.flush_log_bytes))
    }

    /// Moves the samples in memory into the table. On an error they stay where they are, visible and in the log.
    pub(crate) async fn flush(&self) -> Result<(), LakeError> {
        let mut table = self.table.lock().await;
        self.flush_into(&mut table).await
    }

    async fn flush_into(&self, table: &mut Table) -> Result<(), LakeError> {
        let start = Instant::now();
        table.settle().await?;
        self.cut().await?;
        let Some(frozen) = self.head.state.read().frozen.clone() else { return Ok(()) };
        if table.committed() >= frozen.last_lsn {
            // An earlier attempt landed after all.
            self.head.replace(Arc::new(table.files()?), true);
        } else {
            self.store_metadata().await?;
            let rows = Arc::clone(&frozen);
            let written = spawn_blocking(move || flush::write(&rows)).await??;
            let added = self.files.put(written).await?;
            let adds = added.iter().map(|file| Action::Add(file.add(TABLE, true))).collect();
            let operation = DeltaOperation::Write {
                mode: SaveMode::Append,
                partition_by: Some(vec![DATE.to_owned()]),
                predicate: None,
            };
            if let Err(error) = table.commit(adds, operation, Some(frozen.last_lsn)).await {
                if table.is_settled() {
                    self.files.discard(&added).await;
                }
                return Err(error);
            }
            self.head.replace(self.with(&[], added), true);
        }
        self.wal.release(frozen.last_lsn)?;
        self.meters.flushed.increment(frozen.samples as u64);
        self.meters.flush_seconds.record(start.elapsed());
        tracing::debug!(samples = frozen.samples, seconds = start.elapsed().as_secs_f64(), "flushed series");
        Ok(())
    }

    /// Moves all that is in memory now; one flush may move no more than what an earlier one could not.
    async fn flush_all(&self, table: &mut Table) -> Result<(), LakeError> {
        self.flush_into(table).await?;
        self.flush_into(table).await
    }

    /// Ends the part of the log that the next flush moves, and sets its samples aside.
    async fn cut(&self) -> Result<(), LakeError> {
        let submitted = {
            let mut state = self.head.state.write();
            // Records on their way are in no memory yet, so an empty one may have something behind it; that waits for
            // the next flush.
            if state.frozen.is_some() || state.is_empty() {
                return Ok(());
            }
            self.head.begin_epoch(&mut state);
            let head = Arc::clone(&self.head);
            let record = Record { tag: record::CUT, payload: Vec::new() };
            self.wal.submit(record, move |lsn| head.freeze(Some(lsn)))
        };
        let written = match submitted {
            Ok(submitted) => submitted.written().await,
            Err(error) => Err(error),
        };
        match written {
            Ok(_) => Ok(()),
            // Nothing follows: what is in memory is all there is.
            Err(WriteError::Closed) => {
                self.head.freeze(None);
                Ok(())
            }
            Err(error) => Err(LakeError::Io(std::io::Error::other(error))),
        }
    }

    /// The metadata of metrics as it is now, safe on disk.
    async fn store_metadata(&self) -> Result<(), LakeError> {
        let metadata = {
            let mut state = self.head.state.write();
            if !std::mem::take(&mut state.metadata_is_new) {
                return Ok(());
            }
            state.metadata.clone()
        };
        let path = self.metadata.clone();
        let stored = spawn_blocking(move || metadata::store(&path, &metadata)).await?;
        if stored.is_err() {
            self.head.state.write().metadata_is_new = true;
        }
        stored
    }

    /// The table's files with some gone and some added.
    fn with(&self, gone: &[Arc<DataFile>], added: Vec<Arc<DataFile>>) -> Files {
        let state = self.head.state.read();
        let stay = state.files.iter().filter(|file| !gone.iter().any(|gone| gone.path == file.path)).cloned();
        Arc::new(stay.chain(added).collect())
    }

    fn current_files(&self) -> Files {
        Arc::clone(&self.head.state.read().files)
    }

    /// Merges small files until no group of them is worth it. There are a dozen a day, each with all series, so that fewer
    /// of them are worth it than of a table's with rows.
    pub(crate) async fn compact(&self, settings: &CompactionSettings) -> Result<(), LakeError> {
        let settings = &CompactionSettings { min_files: settings.min_files.min(MIN_MERGED_FILES), ..settings.clone() };
        while let Some(chosen) = choose(&self.current_files(), settings) {
            let start = Instant::now();
            let written = compaction::merge(&self.reader, &chosen).await?;
            let mut table = self.table.lock().await;
            table.settle().await?;
            let current = self.current_files();
            if !chosen.iter().all(|chosen| current.iter().any(|file| file.path == chosen.path)) {
                // Something was deleted meanwhile.
                continue;
            }
            let operation = DeltaOperation::Optimize { predicate: None, target_size: settings.target_bytes as i64 };
            self.exchange(&mut table, chosen.clone(), written, false, operation).await?;
            self.meters.compacted_files.increment(chosen.len() as u64);
            self.meters.compaction_seconds.record(start.elapsed());
            tracing::debug!(files = chosen.len(), "compacted series");
        }
        Ok(())
    }

    /// Drops files of which every sample is older than `age` and that were written longer ago than that.
    pub(crate) async fn expire(&self, age: Duration) -> Result<(), LakeError> {
        let limit = now_millis().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let is_past = |file: &&Arc<DataFile>| file.written < limit && file.max_time < limit;
        if !self.current_files().iter().any(|file| is_past(&file)) {
            return Ok(());
        }
        let mut table = self.table.lock().await;
        table.settle().await?;
        let expired: Vec<_> = self.current_files().iter().filter(is_past).cloned().collect();
        let rows = expired.iter().map(|file| file.rows).sum();
        let operation = DeltaOperation::Delete { predicate: None };
        self.exchange(&mut table, expired, Vec::new(), true, operation).await?;
        self.meters.expired.increment(rows);
        tracing::info!(table = TABLE.name, rows, "dropped what is past its retention");
        Ok(())
    }

    /// Rewrites the files that hold what is meant, without it, one after the other. The samples in memory are flushed
    /// first, and nothing else is until the end: what comes meanwhile stays in memory and is kept.
    pub(crate) async fn delete(&self, query: &LabelQuery) -> Result<(), LakeError> {
        let mut table = self.table.lock().await;
        self.flush_all(&mut table).await?;
        for file in self.current_files().iter() {
            if !query.range.overlaps(file.min_time, file.max_time) {
                continue;
            }
            let selection = self.reader.select(file, &query.matcher_sets, query.range, &self.head).await?;
            let meant: HashSet<SeriesKey> = selection.labels().map(SeriesKey::new).collect();
            if meant.is_empty() {
                continue;
            }
            let written = compaction::delete(&self.reader, file, &meant, query.range).await?;
            let operation = DeltaOperation::Delete { predicate: None };
            self.exchange(&mut table, vec![Arc::clone(file)], written, true, operation).await?;
        }
        self.head.forget_newest(&query.matcher_sets, query.range);
        Ok(())
    }

    /// Lets `copy` have the table's files while nobody commits; with all samples, or with those that are in files by now.
    pub(crate) async fn copy(
        &self,
        with_memory: bool,
        copy: impl FnOnce(&[Arc<DataFile>]) -> Result<(), LakeError> + Send + 'static,
    ) -> Result<(), LakeError> {
        let mut table = self.table.lock().await;
        table.settle().await?;
        if with_memory {
            self.flush_all(&mut table).await?;
        }
        let files = self.current_files();
        spawn_blocking(move || copy(&files)).await?
    }

    /// Writes files and commits that they take the place of others.
    async fn exchange(
        &self,
        table: &mut Table,
        gone: Vec<Arc<DataFile>>,
        written: Vec<Written>,
        changes_data: bool,
        operation: DeltaOperation,
    ) -> Result<(), LakeError> {
        let added = self.files.put(written).await?;
        let removes = gone.iter().map(|file| Action::Remove(file.remove(changes_data)));
        let adds = added.iter().map(|file| Action::Add(file.add(TABLE, changes_data)));
        if let Err(error) = table.commit(removes.chain(adds).collect(), operation, None).await {
            if table.is_settled() {
                let files = Arc::new(table.files()?);
                if !files.iter().any(|file| added.iter().any(|new| new.path == file.path)) {
                    self.files.discard(&added).await;
                }
                self.head.replace(files, false);
            }
            return Err(error);
        }
        self.head.replace(self.with(&gone, added), false);
        self.reader.forget(&gone);
        self.files.note_removed(&gone);
        Ok(())
    }

    /// Takes no more samples; what is in memory stays there.
    pub(crate) fn close(&self) {
        self.wal.close();
    }

    pub(crate) fn status(&self) -> SeriesStatus {
        let version = self.table.try_lock().map_or(0, |table| table.version());
        let state = self.head.state.read();
        SeriesStatus {
            active_series: state.index.len(),
            wal_retained_bytes: self.wal.retained_bytes(),
            wal_damaged: self.recovery.damage.len(),
            wal_unnamed_samples: self.unnamed,
            table: TableStatus {
                table: TABLE.name,
                version,
                files: state.files.len(),
                file_rows: state.files.iter().map(|file| file.rows).sum(),
                file_bytes: state.files.iter().map(|file| file.bytes).sum(),
                hot_rows: state.samples + state.frozen.as_ref().map_or(0, |frozen| frozen.samples),
                hot_bytes: state.bytes,
            },
        }
    }
}

type Metadata = BTreeMap<String, tripod_model::series::SeriesMetadata>;
