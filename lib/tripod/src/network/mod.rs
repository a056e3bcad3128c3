//! The one thread on which all network sinks live, with a current-thread runtime of its own, and the queues to it.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::accounts::{Account, Reason};

/// The handle of the network thread. Cloning is cheap and shares the thread.
#[derive(Clone, Debug)]
pub struct Network {}

/// How a queue batches and when it gives up.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// Bytes that may wait; more are dropped with [`Reason::QueueFull`].
    pub max_bytes: usize,
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

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            max_bytes: 8 << 20,
            batch_items: 512,
            batch_bytes: 1 << 20,
            linger: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            retry: Retry::default(),
        }
    }
}

/// What an attempt to send came to.
#[derive(Clone, Debug)]
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

    /// Encodes a batch. `None` drops it with [`Reason::Encoding`].
    fn encode(&mut self, batch: Vec<T>) -> Option<Self::Request>;

    /// Sends a batch once. The queue enforces the timeout and repeats.
    fn send(&mut self, request: &Self::Request) -> impl Future<Output = Delivery> + Send;

    /// Called with a request that was given up, for a fallback.
    fn given_up(&mut self, _request: Self::Request, _reason: Reason) {}
}

/// The application's end of a queue. Cloning is cheap and shares the queue.
#[derive(Debug)]
pub struct Queue<T> {
    _items: std::marker::PhantomData<fn(T)>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { _items: std::marker::PhantomData }
    }
}

impl Network {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Opens a queue whose batches the transport sends.
    pub fn queue<T: Send + 'static>(
        &self,
        _account: Account,
        _options: QueueOptions,
        _transport: impl Transport<T>,
    ) -> Queue<T> {
        Queue { _items: std::marker::PhantomData }
    }

    /// Waits until all queues are empty, or until the deadline. True when all are empty.
    pub fn flush(&self, _deadline: Instant) -> bool {
        true
    }
}

impl<T: Send + 'static> Queue<T> {
    /// Hands over an item that weighs so many bytes. Never blocks. Counts the item as emitted, and as dropped when it is
    /// refused.
    ///
    /// # Errors
    /// The reason why the item was dropped.
    pub fn try_send(&self, _item: T, _bytes: usize) -> Result<(), Reason> {
        Ok(())
    }

    /// Waits until everything that was handed over before is delivered or dropped, or until the deadline.
    pub fn flush(&self, _deadline: Instant) -> bool {
        true
    }
}
