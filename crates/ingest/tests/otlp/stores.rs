//! Stores that answer as a test wants.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tripod_storage::memory::MemoryStore;
use tripod_storage::{AppendError, Batch, Select, SelectError, Selection, Signal, Store};

/// After which a test that waits for an event has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Refuses every append with what the function makes.
#[derive(Debug)]
pub(crate) struct Refusing(fn() -> AppendError);

#[async_trait]
impl Store for Refusing {
    async fn append(&self, _: Batch) -> Result<(), AppendError> {
        Err((self.0)())
    }

    async fn select(&self, _: Select) -> Result<Selection, SelectError> {
        Err(SelectError::Invalid("nothing is kept here".to_owned()))
    }
}

impl Refusing {
    pub(crate) fn overloaded() -> Arc<Self> {
        Arc::new(Self(|| AppendError::Overloaded {
            reason: "the disk is full".to_owned(),
            retry_after: Duration::from_millis(2500),
        }))
    }

    pub(crate) fn shutting_down() -> Arc<Self> {
        Arc::new(Self(|| AppendError::ShuttingDown))
    }

    pub(crate) fn failed() -> Arc<Self> {
        Arc::new(Self(|| AppendError::Failed("/secret/path: input/output error".to_owned())))
    }
}

/// Holds every append until it is released, then keeps it.
#[derive(Debug)]
pub(crate) struct Blocking {
    pub(crate) kept: MemoryStore,
    entered: Semaphore,
    left: Notify,
    released: Semaphore,
}

impl Blocking {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            kept: MemoryStore::default(),
            entered: Semaphore::new(0),
            left: Notify::new(),
            released: Semaphore::new(0),
        })
    }

    /// Waits until one more append has begun.
    pub(crate) async fn entered(&self) {
        timeout(PATIENCE, self.entered.acquire()).await.expect("an append begins").unwrap().forget();
    }

    /// Waits until an append has ended or was given up.
    pub(crate) async fn left(&self) {
        timeout(PATIENCE, self.left.notified()).await.expect("an append ends");
    }

    /// Lets one append go on.
    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }
}

struct Leaving<'a>(&'a Notify);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait]
impl Store for Blocking {
    async fn append(&self, batch: Batch) -> Result<(), AppendError> {
        let _leaving = Leaving(&self.left);
        self.entered.add_permits(1);
        self.released.acquire().await.unwrap().forget();
        self.kept.append(batch).await
    }

    async fn select(&self, select: Select) -> Result<Selection, SelectError> {
        self.kept.select(select).await
    }
}

/// How many rows of a signal a store has.
pub(crate) async fn count(store: &dyn Store, signal: Signal) -> usize {
    let selection = store.select(Select::all(signal)).await.unwrap();
    selection.collect().await.unwrap().iter().map(|batch| batch.num_rows()).sum()
}
