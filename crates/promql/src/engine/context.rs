use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tripod_storage::series::SeriesStore;

use super::error::{QueryError, QueryErrorKind};
use super::grid::Grid;
use super::notes::Notes;
use super::options::Options;

/// Fewer series than this are not worth a second thread.
const PARALLEL_FROM: usize = 64;

/// What a query may use and what it has used.
#[derive(Debug)]
pub(crate) struct Context {
    pub options: Arc<Options>,
    pub store: Arc<dyn SeriesStore>,
    pub runtime: Handle,
    pub lookback_ms: i64,
    pub deadline: Instant,
    /// Nobody waits for the answer any more.
    pub canceled: Arc<AtomicBool>,
    pub counts: Counts,
}

/// Samples that a query has looked at, as Prometheus counts them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    held: AtomicUsize,
    peak: AtomicUsize,
    total: AtomicU64,
    read: AtomicU64,
    /// By step of the query, when asked for.
    per_step: Option<Mutex<Vec<u64>>>,
    /// How many subqueries deep the evaluation is: samples within are counted by whoever uses the subquery.
    depth: AtomicU32,
}

/// What one thread has found out about some series.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub notes: Notes,
    total: u64,
    read: u64,
    per_step: Vec<u64>,
}

impl Worker {
    /// Counts samples that a step looks at.
    pub(crate) fn count(&mut self, step: usize, samples: u64) {
        self.total += samples;
        if let Some(count) = self.per_step.get_mut(step) {
            *count += samples;
        }
    }

    /// Counts samples that were not looked at by an earlier step.
    pub(crate) fn count_read(&mut self, samples: u64) {
        self.read += samples;
    }
}

impl Context {
    /// Whether the evaluation may go on.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.canceled.load(Relaxed) {
            let message = "query was canceled in expression evaluation";
            return Err(QueryError::new(QueryErrorKind::Canceled, message));
        }
        if Instant::now() >= self.deadline {
            let message = "query timed out in expression evaluation";
            return Err(QueryError::new(QueryErrorKind::Timeout, message));
        }
        Ok(())
    }

    /// Counts samples as being in memory.
    pub(crate) fn hold(&self, samples: usize) -> Result<(), QueryError> {
        let held = self.counts.held.fetch_add(samples, Relaxed).saturating_add(samples);
        self.counts.peak.fetch_max(held, Relaxed);
        if held > self.options.max_samples {
            return Err(too_many_samples());
        }
        Ok(())
    }

    /// Counts samples as no longer in memory.
    pub(crate) fn release(&self, samples: usize) {
        self.counts.held.fetch_sub(samples, Relaxed);
    }

    /// How many samples are in memory.
    pub(crate) fn held(&self) -> usize {
        self.counts.held.load(Relaxed)
    }

    /// Sets how many samples are in memory.
    pub(crate) fn hold_exactly(&self, samples: usize) -> Result<(), QueryError> {
        self.counts.held.store(samples, Relaxed);
        self.hold(0)
    }

    /// Refuses more cells than fit in the memory that samples may take: a column has one for each step, used or not.
    pub(crate) fn check_cells(&self, columns: usize, grid: Grid) -> Result<(), QueryError> {
        // A sample of a series counts as 16 bytes, a cell takes 8; sparse series may waste some.
        match columns.checked_mul(grid.steps()) {
            Some(cells) if cells / 4 <= self.options.max_samples => Ok(()),
            _ => Err(too_many_samples()),
        }
    }

    /// Works on each item, on several threads when there are many, and gives what comes out in the order of the items.
    pub(crate) fn each<I, S, R>(
        &self,
        items: &[I],
        notes: &mut Notes,
        scratch: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, &I, &mut Worker) -> Result<Option<R>, QueryError> + Sync,
    ) -> Result<Vec<R>, QueryError>
    where
        I: Sync,
        R: Send,
    {
        let run = |items: &[I]| -> Result<(Vec<R>, Worker), QueryError> {
            let mut worker = self.worker();
            let mut scratch = scratch();
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                self.check()?;
                out.extend(work(&mut scratch, item, &mut worker)?);
            }
            Ok((out, worker))
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len() / PARALLEL_FROM);
        if threads < 2 {
            let (out, worker) = run(items)?;
            self.finish(worker, notes);
            return Ok(out);
        }
        // Parts smaller than a thread's share, so that threads finish together.
        let part = items.len().div_ceil(threads * 4);
        let next = AtomicUsize::new(0);
        let mut done = std::thread::scope(|scope| {
            let parts = || {
                let mut done = Vec::new();
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    let Some(items) = items.chunks(part).nth(index) else { break };
                    let result = run(items);
                    let failed = result.is_err();
                    done.push((index, result));
                    if failed {
                        break;
                    }
                }
                done
            };
            let threads: Vec<_> = (1..threads).map(|_| scope.spawn(parts)).collect();
            let mut done = parts();
            for thread in threads {
                match thread.join() {
                    Ok(more) => done.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        done.sort_unstable_by_key(|(index, _)| *index);
        let mut all = Vec::with_capacity(items.len());
        for (_, result) in done {
            let (out, worker) = result?;
            all.extend(out);
            self.finish(worker, notes);
        }
        Ok(all)
    }

    /// A new count.
    pub(crate) fn worker(&self) -> Worker {
        let steps = match &self.counts.per_step {
            Some(counts) if !self.within_subquery() => counts.lock().unwrap_or_else(PoisonError::into_inner).len(),
            _ => 0,
        };
        Worker { per_step: vec![0; steps], ..Worker::default() }
    }

    /// Adds what a worker has counted.
    pub(crate) fn finish(&self, worker: Worker, notes: &mut Notes) {
        notes.merge(worker.notes);
        self.counts.read.fetch_add(worker.read, Relaxed);
        if self.within_subquery() {
            return;
        }
        self.counts.total.fetch_add(worker.total, Relaxed);
        if let Some(counts) = &self.counts.per_step {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.iter_mut().zip(&worker.per_step).for_each(|(count, more)| *count += more);
        }
    }

    fn within_subquery(&self) -> bool {
        self.counts.depth.load(Relaxed) > 0
    }

    /// Evaluates a subquery's inside: its samples are counted by whoever uses the subquery.
    pub(crate) fn within<T>(&self, evaluate: impl FnOnce() -> T) -> T {
        self.counts.depth.fetch_add(1, Relaxed);
        let value = evaluate();
        self.counts.depth.fetch_sub(1, Relaxed);
        value
    }

    /// Evaluates at the first step what is the same at all steps: each step counts the samples.
    pub(crate) fn once<T>(&self, steps: usize, evaluate: impl FnOnce() -> T) -> T {
        let total = self.counts.total.load(Relaxed);
        let value = evaluate();
        if !self.within_subquery() && steps > 1 {
            let samples = self.counts.total.load(Relaxed) - total;
            self.counts.total.fetch_add(samples * (steps as u64 - 1), Relaxed);
            if let Some(counts) = &self.counts.per_step {
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                counts.iter_mut().take(steps).skip(1).for_each(|count| *count += samples);
            }
        }
        value
    }
}

impl Counts {
    /// Nothing counted yet; by step when `steps` is given.
    pub(crate) fn new(steps: Option<usize>) -> Self {
        Self { per_step: steps.map(|steps| Mutex::new(vec![0; steps])), ..Self::default() }
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Relaxed) as u64
    }

    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Samples by step; empty unless asked for.
    pub(crate) fn per_step(&self) -> Vec<u64> {
        let counts = self.per_step.as_ref();
        counts.map(|counts| counts.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }
}

fn too_many_samples() -> QueryError {
    QueryError::execution("query processing would load too many samples into memory in query execution")
}
