//! Queues between the application and the network thread, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::QueueOptions;
use crate::accounts::{Account, Reason};

/// The application's end of a queue. Cloning is cheap and shares the queue.
pub struct Queue<T>(Arc<Shared<T>>);

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("account", &self.0.account).finish_non_exhaustive()
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub(super) struct Shared<T> {
    pub(super) account: Account,
    pub(super) options: QueueOptions,
    state: Mutex<State<T>>,
    /// Wakes the worker: the queue is no longer empty, holds a batch, is urged or closed.
    pub(super) wake: Notify,
    settled: Condvar,
}

struct State<T> {
    waiting: VecDeque<Entry<T>>,
    waiting_items: usize,
    waiting_bytes: usize,
    /// Bytes that wait or are under way.
    held_bytes: usize,
    /// Items that were taken in, ever.
    accepted: u64,
    /// Items that were delivered or dropped, ever; never more than accepted. Items are settled in their order.
    settled: u64,
    /// Up to here the worker does not wait for a batch to fill.
    urged: u64,
    closed: bool,
}

/// What waits together: one item, or several that were packed into one value.
struct Entry<T> {
    value: T,
    items: usize,
    bytes: usize,
}

/// At most this many items are packed into one value, and at most [`PACK_BYTES`]: a batch takes whole values.
const PACK_ITEMS: usize = 64;
const PACK_BYTES: usize = 32 << 10;

/// What the worker finds in the queue.
pub(super) enum Waiting {
    /// Nothing, and nothing will come.
    Ended,
    /// Nothing.
    Empty,
    /// Something, but not yet a batch.
    Some,
    /// A batch.
    Batch,
}

/// A batch that the worker took out.
pub(super) struct Batch<T> {
    pub(super) values: Vec<T>,
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// What waits for a queue without knowing its items.
pub(super) trait Drain: Send + Sync {
    fn urge(&self) -> u64;
    fn wait(&self, target: u64, deadline: Instant) -> bool;
    fn close(&self);
    fn abandon(&self, reason: Reason);
    /// Whether items were dropped because a shutdown's deadline was over.
    fn is_cut_short(&self) -> bool;
}

impl<T> Shared<T> {
    pub(super) fn new(account: Account, options: QueueOptions) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            waiting_items: 0,
            waiting_bytes: 0,
            held_bytes: 0,
            accepted: 0,
            settled: 0,
            urged: 0,
            closed: false,
        };
        Self { account, options, state: Mutex::new(state), wake: Notify::new(), settled: Condvar::new() }
    }

    /// Takes an item in. It is offered the value that came last, to be packed into it; a value that it gives back waits
    /// by itself.
    fn push(&self, bytes: usize, pack: impl FnOnce(Option<&mut T>) -> Option<T>) -> Result<(), Reason> {
        let wake = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Reason::Closed);
            }
            if bytes > self.options.max_bytes {
                return Err(Reason::TooLarge);
            }
            let held_items = state.accepted - state.settled;
            if state.held_bytes + bytes > self.options.max_bytes || held_items >= self.options.max_items as u64 {
                return Err(Reason::QueueFull);
            }
            let was_full = self.holds_batch(&state);
            let most = PACK_ITEMS.min(self.options.batch_items);
            let mut last =
                state.waiting.back_mut().filter(|last| last.items < most && last.bytes + bytes <= PACK_BYTES);
            match pack(last.as_deref_mut().map(|last| &mut last.value)) {
                Some(value) => state.waiting.push_back(Entry { value, items: 1, bytes }),
                None => {
                    if let Some(last) = last {
                        last.items += 1;
                        last.bytes += bytes;
                    }
                }
            }
            state.waiting_items += 1;
            state.waiting_bytes += bytes;
            state.held_bytes += bytes;
            state.accepted += 1;
            // A wake-up costs a system call: once when the first item comes, once when a batch is full.
            state.waiting_items == 1 || (!was_full && self.holds_batch(&state))
        };
        self.account.queue(bytes as i64);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    fn holds_batch(&self, state: &State<T>) -> bool {
        state.waiting_items >= self.options.batch_items || state.waiting_bytes >= self.options.batch_bytes
    }

    pub(super) fn look(&self) -> Waiting {
        let state = self.state.lock();
        match state.waiting.len() {
            0 if state.closed => Waiting::Ended,
            0 => Waiting::Empty,
            _ if state.closed || state.urged > state.settled || self.holds_batch(&state) => Waiting::Batch,
            _ => Waiting::Some,
        }
    }

    /// Takes a batch out: at least one item if there is any, then as many as the limits allow.
    pub(super) fn take(&self) -> Batch<T> {
        let mut state = self.state.lock();
        let mut batch = Batch { values: Vec::new(), items: 0, bytes: 0 };
        while let Some(next) = state.waiting.front()
            && (batch.items == 0
                || (batch.items + next.items <= self.options.batch_items
                    && batch.bytes + next.bytes <= self.options.batch_bytes))
            && let Some(entry) = state.waiting.pop_front()
        {
            batch.values.push(entry.value);
            batch.items += entry.items;
            batch.bytes += entry.bytes;
        }
        state.waiting_items -= batch.items;
        state.waiting_bytes -= batch.bytes;
        batch
    }

    /// Books a batch as over. Nothing happens if it was given up meanwhile: no item is booked twice.
    pub(super) fn settle(&self, items: u64, bytes: usize, book: impl FnOnce(&Account)) {
        let mut state = self.state.lock();
        if state.accepted - state.settled >= items && state.held_bytes >= bytes {
            state.settled += items;
            state.held_bytes -= bytes;
            self.account.queue(-(bytes as i64));
            book(&self.account);
        }
        drop(state);
        self.settled.notify_all();
    }
}

impl<T: Send> Drain for Shared<T> {
    fn urge(&self) -> u64 {
        let mut state = self.state.lock();
        let target = state.accepted;
        state.urged = target;
        drop(state);
        self.wake.notify_one();
        target
    }

    fn wait(&self, target: u64, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.settled < target {
            if self.settled.wait_until(&mut state, deadline).timed_out() {
                return state.settled >= target;
            }
        }
        true
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    fn abandon(&self, reason: Reason) {
        let mut state = self.state.lock();
        state.closed = true;
        let left = state.accepted - state.settled;
        if left > 0 {
            self.account.drop(reason, left);
            self.account.queue(-(state.held_bytes as i64));
        }
        state.settled = state.accepted;
        (state.held_bytes, state.waiting_bytes, state.waiting_items) = (0, 0, 0);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.settled.notify_all();
        self.wake.notify_one();
    }

    fn is_cut_short(&self) -> bool {
        let is_late = |(reason, count): &(Reason, u64)| *reason == Reason::Shutdown && *count > 0;
        self.account.balance().dropped.iter().any(is_late)
    }
}

impl<T: Send + 'static> Queue<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self(shared)
    }

    /// Hands over an item that weighs so many bytes. Never blocks. Counts the item as emitted, and as dropped when it is
    /// refused.
    ///
    /// # Errors
    /// The reason why the item was dropped.
    pub fn try_send(&self, item: T, bytes: usize) -> Result<(), Reason> {
        self.pack(bytes, |_| Some(item))
    }

    /// As [`try_send`](Self::try_send), for an item that may share a value with those before it: it is offered the value
    /// that waits last, if there is room, and either adds itself to it or becomes a value of its own. Runs under the
    /// queue's lock.
    pub(crate) fn pack(&self, bytes: usize, pack: impl FnOnce(Option<&mut T>) -> Option<T>) -> Result<(), Reason> {
        self.0.account.emit(1);
        self.0.push(bytes, pack).inspect_err(|reason| self.0.account.drop(*reason, 1))
    }

    /// Waits until everything that was handed over before is delivered or dropped, or until the deadline. True when it
    /// is.
    pub fn flush(&self, deadline: Instant) -> bool {
        let target = self.0.urge();
        self.0.wait(target, deadline)
    }
}
