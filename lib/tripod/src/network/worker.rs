//! The loop that empties a queue on the network thread.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

use super::queue::{Batch, Shared, Waiting};
use super::{Delivery, Transport};
use crate::accounts::Reason;

pub(super) async fn run<T: Send + 'static, X: Transport<T>>(
    shared: Arc<Shared<T>>,
    mut transport: X,
    mut stop: watch::Receiver<Option<Instant>>,
) {
    while wait(&shared).await {
        let batch = shared.take();
        if batch.items > 0 {
            deliver(&shared, &mut transport, batch, &mut stop).await;
        }
    }
}

/// Waits for a batch: a full one, or what came within the linger time. False when nothing will come any more.
async fn wait<T>(shared: &Shared<T>) -> bool {
    let mut first = None;
    loop {
        match shared.look() {
            Waiting::Ended => return false,
            Waiting::Batch => return true,
            Waiting::Empty => {
                first = None;
                shared.wake.notified().await;
            }
            Waiting::Some => {
                let until = *first.get_or_insert_with(Instant::now) + shared.options.linger;
                tokio::select! {
                    () = shared.wake.notified() => {}
                    () = sleep_until(until.into()) => return true,
                }
            }
        }
    }
}

async fn deliver<T, X: Transport<T>>(
    shared: &Shared<T>,
    transport: &mut X,
    batch: Batch<T>,
    stop: &mut watch::Receiver<Option<Instant>>,
) {
    let (items, bytes) = (batch.items as u64, batch.bytes);
    let Some(request) = transport.encode(batch.values) else {
        return shared.settle(items, bytes, |account| account.drop(Reason::Encoding, items));
    };
    let mut failures = 0;
    let reason = loop {
        let begun = Instant::now();
        let outcome = tokio::select! {
            biased;
            outcome = timeout(shared.options.timeout, transport.send(&request)) => outcome.ok(),
            () = stopped(stop) => break Reason::Shutdown,
        };
        shared.account.export(begun.elapsed());
        let after = match outcome {
            Some(Delivery::Delivered) => return shared.settle(items, bytes, |account| account.deliver(items)),
            Some(Delivery::Partial { refused }) => {
                let refused = refused.min(items);
                return shared.settle(items, bytes, |account| {
                    account.deliver(items - refused);
                    account.drop(Reason::Refused, refused);
                });
            }
            Some(Delivery::Refused) => break Reason::Refused,
            Some(Delivery::Retry { after }) => after,
            // The attempt took too long.
            None => None,
        };
        failures += 1;
        if failures >= shared.options.retry.attempts {
            break Reason::Retries;
        }
        shared.account.retry(items);
        // A collector may ask for patience, but not for more than the queue's own longest pause.
        let pause =
            after.map_or_else(|| shared.options.retry.pause(failures), |after| after.min(shared.options.retry.max));
        tokio::select! {
            biased;
            () = stopped(stop) => break Reason::Shutdown,
            () = sleep(pause) => {}
        }
    };
    shared.settle(items, bytes, |account| account.drop(reason, items));
    transport.given_up(request, reason);
}

/// Ready when a shutdown's deadline is over.
async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) {
    let deadline = match stop.wait_for(Option::is_some).await {
        Ok(deadline) => *deadline,
        // The handles are gone without a shutdown: the runtime ends, and with it this task.
        Err(_) => None,
    };
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
