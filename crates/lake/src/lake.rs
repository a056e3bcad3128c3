//! The store itself: opening, appending, selecting, background work, closing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tripod_storage::{AppendError, Batch, Select, SelectError, Selection, Signal, Store};
use tripod_wal::{Progress, Record, Recovery, Wal, WriteError};

use crate::disk::Disk;
use crate::hot::{Budget, memory_bytes};
use crate::layout::DataDir;
use crate::meters::StatusMeters;
use crate::scan::Reader;
use crate::series::SeriesShard;
use crate::settings::Settings;
use crate::shard::Shard;
use crate::status::{DiskStatus, Status, TableStatus, WalStatus};
use crate::table::{Location, Shape, Table};
use crate::{LakeError, OpenError, snapshot, wal_record};

/// How often the flusher looks at a signal that nobody woke it for.
const FLUSH_TICK: Duration = Duration::from_millis(250);
/// How long the flusher waits after a failed flush.
const FLUSH_PAUSE: Duration = Duration::from_secs(2);
/// How often free space is looked at.
const LOOK_TICK: Duration = Duration::from_millis(500);

/// A durable store in a directory.
#[derive(Debug)]
pub struct Lake {
    inner: Arc<Inner>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    maintenance: Mutex<Option<std::thread::JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    wal: Wal,
    recovery: Recovery,
    shards: Vec<Shard>,
    series: SeriesShard,
    budget: Arc<Budget>,
    disk: Disk,
    reader: Reader,
    closing: AtomicBool,
    /// Number of the newest record that has reached its shard.
    last_lsn: AtomicU64,
    stop: CancellationToken,
    // Last, so that the directory is given up after everything in it.
    data_dir: DataDir,
}

impl Lake {
    /// Opens the directory, creates what is missing, and replays the log.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way and what to do.
    pub async fn open(settings: Settings) -> Result<Arc<Self>, OpenError> {
        Self::open_watched(settings, &Arc::default()).await
    }

    /// As [`Lake::open`]; `progress` tells meanwhile how far the log of series was read.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub async fn open_watched(settings: Settings, progress: &Arc<Progress>) -> Result<Arc<Self>, OpenError> {
        settings.check().map_err(OpenError::Settings)?;
        let data_dir = DataDir::open(&settings.data_dir)?;
        let reader = Reader::new().map_err(|source| OpenError::Table { table: "files", source })?;
        let mut shards = Vec::new();
        for signal in Signal::ALL {
            let open = async {
                let location = Location::local(data_dir.table(signal))?;
                Shard::new(signal, Table::open(Shape::of(signal)?, location, &data_dir.node).await?, &reader).await
            };
            shards.push(open.await.map_err(|source| OpenError::Table { table: signal.table(), source })?);
        }
        let budget = Budget::new(settings.memory_limit_bytes);
        let (wal, recovery) = replay(&settings, &data_dir, &shards, &budget).await?;
        let series = SeriesShard::open(&data_dir, &settings.series, &settings.wal, progress).await?;
        report(&recovery);
        report(&series.recovery);
        metrics::gauge!("tripod_wal_unnamed_samples").set(series.unnamed as f64);
        metrics::gauge!("tripod_wal_damaged").set((recovery.damage.len() + series.recovery.damage.len()) as f64);
        let last_lsn = AtomicU64::new(recovery.last_lsn);
        let inner = Arc::new(Inner {
            disk: Disk::new(&data_dir.root, settings.min_free_disk_bytes),
            settings,
            wal,
            recovery,
            shards,
            series,
            budget,
            reader,
            closing: AtomicBool::new(false),
            last_lsn,
            stop: CancellationToken::new(),
            data_dir,
        });
        let lake = Self { inner, tasks: Mutex::default(), maintenance: Mutex::default() };
        lake.start()?;
        Ok(Arc::new(lake))
    }

    fn start(&self) -> Result<(), OpenError> {
        let mut tasks = self.tasks.lock();
        for index in 0..self.inner.shards.len() {
            let inner = Arc::clone(&self.inner);
            tasks.push(tokio::spawn(async move { inner.keep_flushing(index).await }));
        }
        let inner = Arc::clone(&self.inner);
        tasks.push(tokio::spawn(async move { inner.keep_flushing_series().await }));
        let inner = Arc::clone(&self.inner);
        tasks.push(tokio::spawn(async move { inner.keep_looking().await }));
        // Merging is long and can wait; on a thread of its own it does not hold up requests.
        let inner = Arc::clone(&self.inner);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(OpenError::io("given a runtime", &self.inner.settings.data_dir))?;
        let thread = std::thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || runtime.block_on(inner.keep_maintaining()))
            .map_err(OpenError::io("given a thread", &self.inner.settings.data_dir))?;
        *self.maintenance.lock() = Some(thread);
        Ok(())
    }

    /// Moves the rows that are in memory now into the tables.
    ///
    /// # Errors
    /// When a table could not be written; the rows stay in memory and in the log.
    pub async fn flush(&self) -> Result<(), LakeError> {
        for shard in &self.inner.shards {
            shard.flush().await?;
        }
        self.inner.release()?;
        self.inner.series.flush().await
    }

    /// Runs retention, compaction and vacuum now, on every table.
    ///
    /// # Errors
    /// When a table could not be read or written; it is as it was then.
    pub async fn maintain(&self) -> Result<(), LakeError> {
        for shard in &self.inner.shards {
            self.inner.maintain(shard).await?;
        }
        self.inner.maintain_series().await
    }

    /// Stops taking rows and ends background work, but moves no rows: the next start replays them from the log.
    pub async fn abandon(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        self.inner.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A task that panicked has said so already.
            let _ = task.await;
        }
        let maintenance = self.maintenance.lock().take();
        let inner = Arc::clone(&self.inner);
        let stopped = tokio::task::spawn_blocking(move || {
            inner.wal.close();
            inner.series.close();
            maintenance.map(std::thread::JoinHandle::join)
        });
        if !matches!(stopped.await, Ok(None | Some(Ok(())))) {
            tracing::error!("the maintenance thread panicked");
        }
    }

    /// Stops taking rows, moves all rows into the tables, and ends background work. Safe to call more than once.
    ///
    /// # Errors
    /// When rows could not be moved; they are in the write-ahead log and are replayed at the next start.
    pub async fn close(&self) -> Result<(), LakeError> {
        self.abandon().await;
        self.flush().await
    }

    /// Copies the series as they are now into a data directory of its own, `snapshots/<name>` in this one, and gives its
    /// name. Files are linked, so that a copy takes no room until this directory's own files are merged or deleted.
    ///
    /// # Errors
    /// When samples could not be written or files not be linked; then there is no copy.
    pub(crate) async fn snapshot_series(&self, with_memory: bool) -> Result<String, LakeError> {
        let (name, inner) = (snapshot::name(), Arc::clone(&self.inner));
        let copied = name.clone();
        // In a task of its own: when nobody waits any more, the table must not be changed while its files are linked.
        let copying = tokio::spawn(async move {
            let lake = Arc::clone(&inner);
            inner.series.copy(with_memory, move |files| snapshot::write(&lake.data_dir, &copied, files)).await
        });
        copying.await.map_err(|error| LakeError::Unexpected(error.to_string()))??;
        tracing::info!(name, "wrote a snapshot of the series");
        Ok(name)
    }

    pub(crate) fn series_shard(&self) -> &SeriesShard {
        &self.inner.series
    }

    /// Whether samples are taken now.
    pub(crate) fn admit_series(&self) -> Result<(), AppendError> {
        if self.inner.closing.load(Ordering::SeqCst) {
            return Err(AppendError::ShuttingDown);
        }
        if !self.inner.disk.has_room() {
            return Err(self.inner.disk_is_full());
        }
        Ok(())
    }

    /// The state of the tables, the log, memory and the disk.
    pub fn status(&self) -> Status {
        self.inner.status()
    }
}

#[async_trait]
impl Store for Lake {
    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        let inner = &self.inner;
        let Batch { signal, rows } = batch;
        if rows.schema() != signal.schema() {
            return Err(AppendError::Invalid(format!("the rows do not have the columns of {signal}")));
        }
        if inner.closing.load(Ordering::SeqCst) {
            return Err(AppendError::ShuttingDown);
        }
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if !inner.disk.has_room() {
            return Err(inner.disk_is_full());
        }
        let bytes = memory_bytes(&rows);
        let Some(reservation) = inner.budget.reserve(bytes) else {
            inner.shards.iter().for_each(|shard| shard.wake.notify_one());
            return Err(AppendError::Overloaded {
                reason: format!("{} bytes of rows wait to be written to disk", inner.budget.used()),
                retry_after: Duration::from_secs(1),
            });
        };
        let payload = wal_record::encode(&rows).map_err(|error| AppendError::Failed(error.to_string()))?;
        let record = Record { tag: wal_record::tag(signal), payload };
        let pushed = Arc::clone(inner);
        let durable = move |lsn| {
            if let Some(shard) = pushed.shards.iter().find(|shard| shard.signal == signal) {
                shard.push(lsn, rows, reservation, &pushed.settings.flush);
            }
            pushed.last_lsn.store(lsn, Ordering::Release);
        };
        match inner.wal.append(record, durable).await {
            Ok(_) => Ok(()),
            Err(WriteError::NoSpace) => {
                inner.disk.note_full();
                Err(inner.disk_is_full())
            }
            Err(WriteError::Closed) => Err(AppendError::ShuttingDown),
            Err(error) => Err(AppendError::Failed(error.to_string())),
        }
    }

    async fn select(&self, select: Select) -> Result<Selection, SelectError> {
        self.inner.reader.select(&select, self.inner.shard(select.signal).hot.view()).await
    }
}

impl Inner {
    fn shard(&self, signal: Signal) -> &Shard {
        // `open` makes one shard a signal, in this order.
        &self.shards[signal as usize]
    }

    fn disk_is_full(&self) -> AppendError {
        AppendError::Overloaded {
            reason: format!(
                "the disk is full: {} bytes are free, {} must stay free",
                self.disk.free(),
                self.disk.min_free()
            ),
            retry_after: Duration::from_secs(10),
        }
    }

    /// Flushes a signal whenever a bound is reached, until the lake is closed.
    async fn keep_flushing(&self, index: usize) {
        let shard = &self.shards[index];
        let failures = metrics::counter!("tripod_flush_failures_total", "table" => shard.signal.table());
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = shard.wake.notified() => {}
                () = tokio::time::sleep(FLUSH_TICK) => {}
            }
            if let Err(error) = shard.hot.merge_small() {
                tracing::error!(table = %shard.signal, %error, "merging small batches failed");
            }
            if !shard.is_due(&self.settings.flush, self.budget.is_tight()) && !shard.hot.has_frozen() {
                continue;
            }
            match shard.flush().await {
                Ok(()) => {
                    if let Err(error) = self.release() {
                        tracing::warn!(%error, "a segment of the write-ahead log could not be removed");
                    }
                }
                Err(error) => {
                    failures.increment(1);
                    tracing::error!(
                        table = %shard.signal,
                        %error,
                        "a flush failed; the rows stay in memory and in the log, and it is tried again"
                    );
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(FLUSH_PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Flushes the series whenever a bound is reached, until the lake is closed.
    async fn keep_flushing_series(&self) {
        let failures = metrics::counter!("tripod_flush_failures_total", "table" => "series");
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.series.wake.notified() => {}
                () = tokio::time::sleep(FLUSH_TICK) => {}
            }
            if !self.series.is_due() {
                continue;
            }
            if let Err(error) = self.series.flush().await {
                failures.increment(1);
                tracing::error!(
                    %error,
                    "a flush of series failed; the samples stay in memory and in the log, and it is tried again"
                );
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = tokio::time::sleep(FLUSH_PAUSE) => {}
                }
            }
        }
    }

    /// Lets go of the part of the log that all tables hold.
    fn release(&self) -> std::io::Result<()> {
        // Read before the shards: a record above it is not looked at, whatever becomes of it meanwhile.
        let newest = self.last_lsn.load(Ordering::Acquire);
        let safe = self.shards.iter().map(|shard| if shard.hot.is_empty() { newest } else { shard.committed() });
        self.wal.release(safe.min().unwrap_or(0).min(newest))
    }

    fn status(&self) -> Status {
        self.disk.look();
        let tables = self
            .shards
            .iter()
            .map(|shard| {
                let (files, figures) = (shard.hot.files(), shard.hot.figures());
                TableStatus {
                    table: shard.signal.table(),
                    version: shard.version(),
                    files: files.len(),
                    file_rows: files.iter().map(|file| file.rows).sum(),
                    file_bytes: files.iter().map(|file| file.bytes).sum(),
                    hot_rows: shard.hot.rows(),
                    hot_bytes: figures.bytes,
                }
            })
            .collect();
        Status {
            tables,
            series: self.series.status(),
            wal: WalStatus {
                retained_bytes: self.wal.retained_bytes(),
                last_lsn: self.last_lsn.load(Ordering::Relaxed),
                damaged: self.recovery.damage.len(),
            },
            disk: DiskStatus {
                free_bytes: self.disk.free(),
                min_free_bytes: self.disk.min_free(),
                has_room: self.disk.has_room(),
            },
            memory_bytes: self.budget.used(),
            memory_limit_bytes: self.settings.memory_limit_bytes,
        }
    }

    /// Looks at the disk and shows the state in the metrics, until the lake is closed.
    async fn keep_looking(&self) {
        let meters = StatusMeters::new();
        loop {
            meters.set(&self.status());
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_TICK) => {}
            }
        }
    }

    /// Compaction, retention and vacuum, until the lake is closed.
    async fn keep_maintaining(&self) {
        let interval = Duration::from_secs(self.settings.compaction.interval_seconds);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            for shard in &self.shards {
                tokio::select! {
                    // Dropping the work is safe at any point: what is not committed is deleted at the next start.
                    () = self.stop.cancelled() => return,
                    result = self.maintain(shard) => {
                        if let Err(error) = result {
                            tracing::error!(table = %shard.signal, %error, "maintenance failed; it is tried again");
                        }
                    }
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                result = self.maintain_series() => {
                    if let Err(error) = result {
                        tracing::error!(table = "series", %error, "maintenance failed; it is tried again");
                    }
                }
            }
        }
    }

    async fn maintain_series(&self) -> Result<(), LakeError> {
        let seconds = self.settings.retention.series_seconds;
        if seconds > 0 {
            self.series.expire(Duration::from_secs(seconds)).await?;
        }
        if self.settings.compaction.enabled && self.disk.has_room() {
            self.series.compact(&self.settings.compaction).await?;
        }
        self.series.files.vacuum(Duration::from_secs(self.settings.vacuum_grace_seconds)).await;
        Ok(())
    }

    async fn maintain(&self, shard: &Shard) -> Result<(), LakeError> {
        let seconds = self.settings.retention.seconds(shard.signal);
        if seconds > 0 {
            shard.expire(Duration::from_secs(seconds)).await?;
        }
        if self.settings.compaction.enabled && self.disk.has_room() {
            shard.compact(&self.reader, &self.settings.compaction).await?;
        }
        shard.files.vacuum(Duration::from_secs(self.settings.vacuum_grace_seconds)).await;
        Ok(())
    }
}

/// Opens the log and gives its rows back to the shards whose tables do not hold them yet.
async fn replay(
    settings: &Settings,
    data_dir: &DataDir,
    shards: &[Shard],
    budget: &Arc<Budget>,
) -> Result<(Wal, Recovery), OpenError> {
    let options = tripod_wal::Options {
        directory: data_dir.wal(),
        segment_bytes: settings.wal.segment_bytes,
        fsync: settings.wal.fsync,
        floor: shards.iter().map(Shard::committed).max().unwrap_or(0),
        progress: Arc::default(),
    };
    let mut unreadable = None;
    let opened = Wal::open(options, |lsn, tag, payload| {
        let Some(signal) = wal_record::signal(tag) else {
            unreadable.get_or_insert((lsn, format!("its tag {tag} is not known")));
            return;
        };
        let Some(shard) = shards.iter().find(|shard| shard.signal == signal) else { return };
        if lsn <= shard.committed() {
            return;
        }
        match wal_record::decode(signal, payload) {
            Ok(rows) => {
                let reservation = budget.take(memory_bytes(&rows));
                shard.push(lsn, rows, reservation, &settings.flush);
            }
            Err(error) => {
                unreadable.get_or_insert((lsn, error.to_string()));
            }
        }
    })?;
    match unreadable {
        Some((lsn, reason)) => Err(OpenError::Record { lsn, reason }),
        None => Ok(opened),
    }
}

fn report(recovery: &Recovery) {
    if recovery.torn_bytes > 0 {
        tracing::info!(
            bytes = recovery.torn_bytes,
            "cut an interrupted write from the end of the write-ahead log; it was never acknowledged"
        );
    }
    for damage in &recovery.damage {
        tracing::error!(
            segment = %damage.segment.display(),
            offset = damage.offset,
            bytes = damage.bytes,
            missing = ?damage.missing,
            kept_at = %damage.kept_at.display(),
            "part of the write-ahead log is damaged and was passed over; the segment is kept for inspection"
        );
    }
    if recovery.records > 0 {
        tracing::info!(records = recovery.records, "replayed the write-ahead log");
    }
}
