//! The thread that writes, and the handle to it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::recovery::{Recovery, Segment, recover, segment_path, sync_directory};
use crate::segment::{MAX_RECORD_BYTES, encode_record, segment_header};
use crate::{Lsn, OpenError, Options, WriteError};

/// A record to be written.
pub struct Record {
    /// What kind of record, in the caller's terms.
    pub tag: u8,
    /// What to keep, in parts that are written one after the other; the log does not know where one ends.
    pub payload: Vec<Vec<u8>>,
}

impl Record {
    /// Bytes of the payload.
    fn len(&self) -> usize {
        self.payload.iter().map(Vec::len).sum()
    }
}

/// A record that has its place in the log and is on its way to the disk.
#[derive(Debug)]
pub struct Submitted(oneshot::Receiver<Result<Lsn, WriteError>>);

impl Submitted {
    /// Waits until the record is safe; its number. Dropping this does not take the record back.
    ///
    /// # Errors
    /// As [`Wal::append`].
    pub async fn written(self) -> Result<Lsn, WriteError> {
        self.0.await.unwrap_or(Err(WriteError::Closed))
    }
}

type Durable = Box<dyn FnOnce(Lsn) + Send>;

struct Pending {
    record: Record,
    durable: Durable,
    answer: oneshot::Sender<Result<Lsn, WriteError>>,
}

#[derive(Default)]
struct Queue {
    pending: Vec<Pending>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    /// Closed segments, oldest first; the writer adds, [`Wal::release`] removes.
    segments: Mutex<VecDeque<Segment>>,
}

/// A log that is open for writing.
pub struct Wal {
    shared: Arc<Shared>,
    directory: PathBuf,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Wal {
    /// Opens the log and hands every record that is in it to `visit`, oldest first.
    ///
    /// # Errors
    /// When a file cannot be read or written; damage inside files is no error but part of the [`Recovery`].
    pub fn open(options: Options, mut visit: impl FnMut(Lsn, u8, &[u8])) -> Result<(Self, Recovery), OpenError> {
        let directory = options.directory.clone();
        let (segments, recovery) = recover(&directory, options.floor, &options.progress, &mut visit)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            segments: Mutex::new(segments.into()),
        });
        let next_lsn = recovery.last_lsn + 1;
        let mut writer = Writer { options, shared: Arc::clone(&shared), next_lsn, active: None, failed: None };
        let thread = std::thread::Builder::new()
            .name("wal".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError { action: "given a thread", path: directory.clone(), source })?;
        Ok((Self { shared, directory, thread: Mutex::new(Some(thread)) }, recovery))
    }

    /// Writes a record and returns its number once it is safe. `durable` runs on the log's thread after the record
    /// is safe and before this returns, in the order of numbers; it must not block.
    ///
    /// Cancelling the future does not take the record back.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of the record is in the log then.
    pub async fn append(&self, record: Record, durable: impl FnOnce(Lsn) + Send + 'static) -> Result<Lsn, WriteError> {
        self.submit(record, durable)?.written().await
    }

    /// As [`Wal::append`], but the record has its place among the others when this returns; whether it is safe is
    /// known from [`Submitted::written`]. `durable` is dropped without being called when it could not be written, and
    /// before it is called for a later record.
    ///
    /// # Errors
    /// When the record is too large or the log is closed.
    pub fn submit(&self, record: Record, durable: impl FnOnce(Lsn) + Send + 'static) -> Result<Submitted, WriteError> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(WriteError::TooLarge(record.len()));
        }
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.shared.queue.lock();
            if queue.closed {
                return Err(WriteError::Closed);
            }
            queue.pending.push(Pending { record, durable: Box::new(durable), answer });
        }
        self.shared.arrived.notify_one();
        Ok(Submitted(answered))
    }

    /// Says that no record up to `lsn` is needed any more; segments that hold only such records are removed.
    ///
    /// # Errors
    /// When a file cannot be removed; it is tried again with the next release.
    pub fn release(&self, lsn: Lsn) -> io::Result<()> {
        let mut segments = self.shared.segments.lock();
        while let Some(segment) = segments.front().filter(|segment| segment.last_lsn <= lsn) {
            match fs::remove_file(&segment.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => segments.pop_front(),
            };
        }
        Ok(())
    }

    /// Bytes in closed segments: what is kept beyond the segment being written.
    pub fn retained_bytes(&self) -> u64 {
        self.shared.segments.lock().iter().map(|segment| segment.bytes).sum()
    }

    /// Writes what is queued and stops. Later appends are refused.
    pub fn close(&self) {
        self.shared.queue.lock().closed = true;
        self.shared.arrived.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the write-ahead log's thread panicked");
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.close();
    }
}

struct Active {
    file: File,
    segment: Segment,
}

struct Writer {
    options: Options,
    shared: Arc<Shared>,
    next_lsn: Lsn,
    active: Option<Active>,
    failed: Option<String>,
}

impl Writer {
    fn run(&mut self) {
        let fsync_seconds = metrics::histogram!("tripod_wal_fsync_duration_seconds");
        let group_records = metrics::histogram!("tripod_wal_group_records");
        let written = metrics::counter!("tripod_wal_written_bytes_total");
        loop {
            let group = {
                let mut queue = self.shared.queue.lock();
                while queue.pending.is_empty() && !queue.closed {
                    self.shared.arrived.wait(&mut queue);
                }
                if queue.pending.is_empty() {
                    break;
                }
                std::mem::take(&mut queue.pending)
            };
            group_records.record(group.len() as f64);
            match self.write(&group, &fsync_seconds) {
                Ok(bytes) => {
                    written.increment(bytes);
                    for pending in group {
                        let lsn = self.next_lsn;
                        self.next_lsn += 1;
                        (pending.durable)(lsn);
                        // A receiver that is gone has cancelled; the record stays.
                        let _ = pending.answer.send(Ok(lsn));
                    }
                }
                Err(error) => {
                    for Pending { answer, durable, .. } in group {
                        // First, so that whoever is told already finds what dropping it does.
                        drop(durable);
                        let _ = answer.send(Err(error.clone()));
                    }
                }
            }
        }
        self.end_segment();
    }

    /// Writes a group, all or nothing; returns its bytes.
    fn write(&mut self, group: &[Pending], fsync_seconds: &metrics::Histogram) -> Result<u64, WriteError> {
        if let Some(reason) = &self.failed {
            return Err(WriteError::Failed(reason.clone()));
        }
        let first = self.next_lsn;
        if self.active.as_ref().is_some_and(|active| active.segment.bytes >= self.options.segment_bytes) {
            self.end_segment();
        }
        let result = self.begin_segment().and_then(|()| self.write_records(group, first, fsync_seconds));
        result.map_err(|error| {
            tracing::error!(%error, "writing to the write-ahead log failed");
            self.undo();
            match (&self.failed, error.kind()) {
                (Some(reason), _) => WriteError::Failed(reason.clone()),
                (None, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => WriteError::NoSpace,
                (None, _) => WriteError::Failed(error.to_string()),
            }
        })
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        if self.active.is_some() {
            return Ok(());
        }
        let path = segment_path(&self.options.directory, self.next_lsn);
        // A file of this name holds no intact record, or the number would be higher.
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
        file.write_all(segment_header())?;
        if self.options.fsync {
            sync_directory(&self.options.directory)?;
        }
        let segment = Segment { path, last_lsn: self.next_lsn - 1, bytes: segment_header().len() as u64 };
        // The same name may stand in the list when a start was followed by no record.
        self.shared.segments.lock().retain(|closed| closed.path != segment.path);
        self.active = Some(Active { file, segment });
        Ok(())
    }

    fn write_records(&mut self, group: &[Pending], first: Lsn, fsync_seconds: &metrics::Histogram) -> io::Result<u64> {
        let Some(active) = &mut self.active else { return Err(io::Error::other("no segment is open")) };
        let mut writer = io::BufWriter::with_capacity(256 * 1024, &active.file);
        let mut bytes = 0;
        for (lsn, pending) in (first..).zip(group) {
            let record = &pending.record;
            let header = encode_record(lsn, record.tag, &record.payload);
            writer.write_all(&header)?;
            for part in &record.payload {
                writer.write_all(part)?;
            }
            bytes += (header.len() + record.len()) as u64;
        }
        writer.flush()?;
        drop(writer);
        if self.options.fsync {
            let start = Instant::now();
            active.file.sync_data()?;
            fsync_seconds.record(start.elapsed());
        }
        active.segment.bytes += bytes;
        active.segment.last_lsn = first + group.len() as Lsn - 1;
        Ok(bytes)
    }

    /// Takes back what a failed group left, so that a record that was refused is never replayed.
    fn undo(&mut self) {
        let Some(active) = &mut self.active else { return };
        let restored = active.file.set_len(active.segment.bytes).and_then(|()| {
            use std::io::{Seek, SeekFrom};
            active.file.seek(SeekFrom::Start(active.segment.bytes))?;
            if self.options.fsync { active.file.sync_data() } else { Ok(()) }
        });
        if let Err(error) = restored {
            self.failed = Some(error.to_string());
        }
    }

    fn end_segment(&mut self) {
        if let Some(active) = self.active.take() {
            self.shared.segments.lock().push_back(active.segment);
        }
    }
}
