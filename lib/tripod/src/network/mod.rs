//! The one thread on which all network sinks live, with a current-thread runtime of its own, and the queues to it.
//!
//! The application's runtime is never used: whoever waits for a flush waits on a condition of the operating system, so a
//! runtime of one worker, or none at all, cannot deadlock. The alternative, tasks on the application's runtime, was
//! turned down for that reason.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::accounts::Account;

pub mod http;
mod queue;
#[cfg(test)]
pub(crate) mod stand_in;
mod worker;

pub use queue::Queue;
use queue::{Drain, Shared};

/// The handle of the network thread. Cloning is cheap and shares the thread; the thread ends with the last handle.
#[derive(Clone, Debug)]
pub struct Network(Arc<Inner>);

struct Inner {
    runtime: tokio::runtime::Handle,
    /// When the shutdown must be over, once there is one.
    stop: watch::Sender<Option<Instant>>,
    queues: Mutex<Vec<Arc<dyn Drain>>>,
    /// Ends the thread when dropped.
    _alive: tokio::sync::oneshot::Sender<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("queues", &self.queues.lock().len()).finish_non_exhaustive()
    }
}

/// How a queue batches and when it gives up.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// Bytes that may wait or be under way; more are dropped with
    /// [`QueueFull`](crate::accounts::Reason::QueueFull).
    pub max_bytes: usize,
    /// Items that may wait or be under way.
    pub max_items: usize,
    /// Items in one batch.
    pub batch_items: usize,
    /// Bytes in one batch.
    pub batch_bytes: usize,
    /// How long the first item of a batch waits for others.
    pub linger: Duration,
    /// One attempt to send takes no longer than this.
    pub timeout: Duration,
    /// What happens after a failed attempt.
    pub retry: Retry,
}

/// Exponential backoff with full jitter.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Attempts for one batch, the first included.
    pub attempts: u32,
    /// The pause after the first failure.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 6, initial: Duration::from_millis(500), max: Duration::from_secs(30) }
    }
}

impl Retry {
    /// The pause after so many failures (one or more): between half and the whole of `initial · 2ⁿ⁻¹`, at most `max`.
    fn pause(&self, failures: u32) -> Duration {
        let whole = self.initial.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        whole.min(self.max).mul_f64(0.5 + crate::context::random::fraction() / 2.0)
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            max_bytes: 8 << 20,
            max_items: usize::MAX,
            batch_items: 512,
            batch_bytes: 1 << 20,
            linger: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            retry: Retry::default(),
        }
    }
}

/// What an attempt to send came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The other side has it.
    Delivered,
    /// The other side took it but for so many items.
    Partial {
        /// Items that the other side refused.
        refused: u64,
    },
    /// It may work later; after so long if the other side said so.
    Retry {
        /// The pause that the other side asked for.
        after: Option<Duration>,
    },
    /// It will never work.
    Refused,
}

/// Sends batches of items. Runs on the network thread; a batch is encoded once, however often it is sent.
pub trait Transport<T>: Send + 'static {
    /// An encoded batch.
    type Request: Send + Sync;

    /// Encodes a batch. `None` drops it with [`Encoding`](crate::accounts::Reason::Encoding).
    fn encode(&mut self, batch: Vec<T>) -> Option<Self::Request>;

    /// Sends a batch once. The queue enforces the timeout and repeats.
    fn send(&mut self, request: &Self::Request) -> impl Future<Output = Delivery> + Send;

    /// Called with a request that was given up, for a fallback.
    fn given_up(&mut self, _request: Self::Request, _reason: crate::accounts::Reason) {}
}

impl Network {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("tripod-network".into()).spawn(move || {
            // Nothing that happens here becomes telemetry: an exporter that reports its own exports never stops.
            crate::context::silence();
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        })?;
        let stop = watch::Sender::new(None);
        Ok(Self(Arc::new(Inner { runtime: handle, stop, queues: Mutex::default(), _alive: alive })))
    }

    /// Opens a queue whose batches the transport sends.
    pub fn queue<T: Send + 'static>(
        &self,
        account: Account,
        options: QueueOptions,
        transport: impl Transport<T>,
    ) -> Queue<T> {
        let shared = Arc::new(Shared::new(account, options));
        self.0.queues.lock().push(shared.clone());
        let (stop, supervised) = (self.0.stop.subscribe(), shared.clone());
        self.0.runtime.spawn(async move {
            let worker = tokio::spawn(worker::run(supervised.clone(), transport, stop));
            // A panic in a transport closes its queue; what was in it is counted as dropped.
            if worker.await.is_err() {
                supervised.abandon(crate::accounts::Reason::Closed);
            }
        });
        Queue::new(shared)
    }

    /// Runs a future on the network thread until it is done or the thread ends. It must never block.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.runtime.spawn(future);
    }

    /// Waits until everything that was handed over before is delivered or dropped, or until the deadline. True when it
    /// is. Blocks the calling thread, whatever runtime it belongs to.
    pub fn flush(&self, deadline: Instant) -> bool {
        let queues = self.0.queues.lock().clone();
        let targets: Vec<_> = queues.iter().map(|queue| queue.urge()).collect();
        queues.iter().zip(targets).fold(true, |all, (queue, target)| queue.wait(target, deadline) && all)
    }

    /// Closes all queues, waits as [`Network::flush`] does, and counts what is left at the deadline as dropped. True when
    /// nothing was given up for the deadline. Further calls do nothing.
    pub fn shutdown(&self, deadline: Instant) -> bool {
        let queues = self.0.queues.lock().clone();
        queues.iter().for_each(|queue| queue.close());
        let _ = self.0.stop.send_replace(Some(deadline));
        self.flush(deadline);
        queues.iter().for_each(|queue| queue.abandon(crate::accounts::Reason::Shutdown));
        // Not what `flush` found: at the deadline the worker may have given up and booked before this thread looked.
        !queues.iter().any(|queue| queue.is_cut_short())
    }
}

#[cfg(test)]
mod tests;
