//! Rows that are in the write-ahead log and not yet in a table, and what a query sees of both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parking_lot::RwLock;
use tripod_storage::{Signal, null_column};

use crate::data_file::{DataFile, Files};

/// Batches below this many rows are merged, so that a query over many small requests does not pay for each. Merging copies:
/// what an SDK sends at a time by default, 512 rows, is left as it is.
const SMALL_ROWS: usize = 256;
/// Rows of a merged batch.
const MERGED_ROWS: usize = 16 * 1024;
/// How many small batches are let gather before they are merged.
pub(crate) const MANY_SMALL: usize = 256;

/// Bytes of rows in memory, over all signals.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

/// Part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// More than half of the limit is used: the time to flush before appends are refused.
    pub(crate) fn is_tight(&self) -> bool {
        self.used() > self.limit / 2
    }

    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let reserved = Reservation { budget: Arc::clone(self), bytes };
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        // Dropping the reservation gives it back. A batch larger than the limit may pass when nothing else is there,
        // or it could never be kept at all.
        (before == 0 || before.saturating_add(bytes) <= self.limit).then_some(reserved)
    }

    /// Takes without asking: for what is in the log already.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Reservation { budget: Arc::clone(self), bytes }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What rows take in memory. Columns without a value share their bytes with all others and count nothing.
pub(crate) fn memory_bytes(rows: &RecordBatch) -> usize {
    rows.columns()
        .iter()
        .filter(|column| column.null_count() < column.len())
        .map(|column| data_bytes(&column.to_data()))
        .sum()
}

/// Bytes of all buffers. Arrow's own count of a slice leaves out the text that views point to.
fn data_bytes(data: &ArrayData) -> usize {
    let own: usize = data.buffers().iter().map(arrow::buffer::Buffer::len).sum();
    let nulls = data.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    own + nulls + data.child_data().iter().map(data_bytes).sum::<usize>()
}

/// Rows in the order of the log.
#[derive(Debug, Default)]
struct Buffer {
    batches: Vec<RecordBatch>,
    reservations: Vec<Reservation>,
    bytes: usize,
    rows: usize,
    last_lsn: u64,
    oldest: Option<Instant>,
    /// How many batches at the front have been merged already.
    merged: usize,
}

/// Rows on their way into the table; still seen by queries.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) batches: Arc<Vec<RecordBatch>>,
    pub(crate) last_lsn: u64,
    pub(crate) rows: usize,
    /// Gives the memory back when the last query over the rows has ended.
    _reservations: Arc<Vec<Reservation>>,
}

#[derive(Debug, Default)]
struct State {
    active: Buffer,
    /// Counts how often `active` was set aside.
    generation: u64,
    frozen: Option<Frozen>,
    files: Files,
}

/// A signal's rows at one moment: every row once.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) hot: Vec<RecordBatch>,
    pub(crate) files: Files,
    _frozen: Option<Frozen>,
}

/// The rows of a signal, in memory and in files.
#[derive(Debug)]
pub(crate) struct Hot {
    signal: Signal,
    state: RwLock<State>,
}

/// Figures about the rows in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HotFigures {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    pub(crate) age_seconds: f64,
    pub(crate) small_batches: usize,
}

impl Hot {
    pub(crate) fn new(signal: Signal, files: Vec<Arc<DataFile>>) -> Self {
        let state = State { files: Arc::new(files), ..State::default() };
        Self { signal, state: RwLock::new(state) }
    }

    /// Takes rows that the log holds as record `lsn`. Called in the order of the log.
    pub(crate) fn push(&self, lsn: u64, rows: RecordBatch, reservation: Reservation) -> HotFigures {
        let mut state = self.state.write();
        let buffer = &mut state.active;
        buffer.bytes += reservation.bytes;
        buffer.rows += rows.num_rows();
        buffer.last_lsn = lsn;
        buffer.oldest.get_or_insert_with(Instant::now);
        buffer.batches.push(rows);
        buffer.reservations.push(reservation);
        buffer.figures()
    }

    pub(crate) fn figures(&self) -> HotFigures {
        self.state.read().active.figures()
    }

    /// Rows that are not in the table yet, those being written included.
    pub(crate) fn rows(&self) -> usize {
        let state = self.state.read();
        state.active.rows + state.frozen.as_ref().map_or(0, |frozen| frozen.rows)
    }

    /// Whether every row that was pushed is in the table.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.read();
        state.active.rows == 0 && state.frozen.is_none()
    }

    pub(crate) fn view(&self) -> View {
        let state = self.state.read();
        let frozen = state.frozen.iter().flat_map(|frozen| frozen.batches.iter());
        View {
            hot: frozen.chain(&state.active.batches).cloned().collect(),
            files: Arc::clone(&state.files),
            _frozen: state.frozen.clone(),
        }
    }

    pub(crate) fn files(&self) -> Files {
        Arc::clone(&self.state.read().files)
    }

    /// Sets the rows aside that are to be written; those set aside before, if that write failed.
    pub(crate) fn freeze(&self) -> Option<Frozen> {
        let mut state = self.state.write();
        if state.frozen.is_none() && state.active.rows > 0 {
            let buffer = std::mem::take(&mut state.active);
            state.generation += 1;
            state.frozen = Some(Frozen {
                batches: Arc::new(buffer.batches),
                last_lsn: buffer.last_lsn,
                rows: buffer.rows,
                _reservations: Arc::new(buffer.reservations),
            });
        }
        state.frozen.clone()
    }

    /// Exchanges files, and with `flushed` the frozen rows for the files that hold them, in one step.
    pub(crate) fn replace(&self, removed: &[Arc<DataFile>], added: Vec<Arc<DataFile>>, flushed: bool) {
        let mut state = self.state.write();
        let mut files: Vec<_> =
            state.files.iter().filter(|file| !removed.iter().any(|gone| gone.path == file.path)).cloned().collect();
        files.extend(added);
        state.files = Arc::new(files);
        if flushed {
            state.frozen = None;
        }
    }

    /// Whether rows set aside still wait to be written.
    pub(crate) fn has_frozen(&self) -> bool {
        self.state.read().frozen.is_some()
    }

    /// Takes the table's files as they are read anew; the frozen rows turned out to be among them.
    pub(crate) fn reset(&self, files: Vec<Arc<DataFile>>) {
        let mut state = self.state.write();
        state.files = Arc::new(files);
        state.frozen = None;
    }

    /// Takes the table's files as they are read anew.
    pub(crate) fn reset_files(&self, files: Vec<Arc<DataFile>>) {
        self.state.write().files = Arc::new(files);
    }

    /// Merges small batches. Only one thread may merge.
    pub(crate) fn merge_small(&self) -> Result<(), ArrowError> {
        let (generation, start, batches) = {
            let state = self.state.read();
            let buffer = &state.active;
            (state.generation, buffer.merged, buffer.batches[buffer.merged..].to_vec())
        };
        if batches.len() < MANY_SMALL {
            return Ok(());
        }
        let merged = merge(&self.signal.schema(), &batches)?;
        let mut state = self.state.write();
        if state.generation != generation {
            // Set aside meanwhile: there is nothing left to merge into.
            return Ok(());
        }
        let buffer = &mut state.active;
        buffer.merged = start + merged.len();
        buffer.batches.splice(start..start + batches.len(), merged);
        Ok(())
    }
}

/// The same rows in fewer batches. Only columns that hold something are copied: the others would turn from shared zeros
/// into memory of their own.
fn merge(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    let filled: Vec<usize> = (0..schema.fields().len())
        .filter(|index| batches.iter().any(|batch| batch.column(*index).null_count() < batch.num_rows()))
        .collect();
    let mut coalescer = BatchCoalescer::new(Arc::new(schema.project(&filled)?), MERGED_ROWS)
        .with_biggest_coalesce_batch_size(Some(SMALL_ROWS));
    let mut narrow = Vec::new();
    for batch in batches {
        coalescer.push_batch(batch.project(&filled)?)?;
        narrow.extend(std::iter::from_fn(|| coalescer.next_completed_batch()));
    }
    coalescer.finish_buffered_batch()?;
    narrow.extend(std::iter::from_fn(|| coalescer.next_completed_batch()));
    narrow.iter().map(|rows| widen(schema, &filled, rows)).collect()
}

/// Puts the columns of `rows` where `filled` says and empty columns elsewhere.
pub(crate) fn widen(schema: &SchemaRef, filled: &[usize], rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().iter().zip(filled).peekable();
    let arrays = schema.fields().iter().enumerate().map(|(index, field)| {
        let column = columns.next_if(|(_, place)| **place == index);
        column.map_or_else(|| null_column(field.data_type(), rows.num_rows()), |(column, _)| Arc::clone(column))
    });
    RecordBatch::try_new(Arc::clone(schema), arrays.collect())
}

impl Buffer {
    fn figures(&self) -> HotFigures {
        HotFigures {
            rows: self.rows,
            bytes: self.bytes,
            age_seconds: self.oldest.map_or(0.0, |oldest| oldest.elapsed().as_secs_f64()),
            small_batches: self.batches.len() - self.merged,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringViewArray};

    use super::*;

    #[test]
    fn long_text_counts() {
        let text = "x".repeat(1000);
        let filled: ArrayRef = Arc::new(StringViewArray::from_iter_values([text.as_str(); 10]));
        let empty = null_column(filled.data_type(), 10);
        let bytes = |column: ArrayRef| memory_bytes(&RecordBatch::try_from_iter([("a", column)]).unwrap());
        assert_eq!(bytes(empty), 0);
        assert!((10_160..30_000).contains(&bytes(Arc::clone(&filled))), "{}", bytes(filled));
    }
}
