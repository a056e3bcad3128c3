use std::collections::HashMap;
use std::sync::mpsc;

use super::*;
use crate::accounts::{Accounts, Reason};

/// What the test says of an attempt; without an answer it hangs.
type Answers = Box<dyn FnMut(&[u32]) -> Option<Delivery> + Send>;

/// Answers each attempt with what the test says.
struct Scripted {
    answers: Answers,
    seen: mpsc::Sender<Vec<u32>>,
}

impl Transport<u32> for Scripted {
    type Request = Vec<u32>;

    fn encode(&mut self, batch: Vec<u32>) -> Option<Vec<u32>> {
        (!batch.contains(&u32::MAX)).then_some(batch)
    }

    async fn send(&mut self, request: &Vec<u32>) -> Delivery {
        let _ = self.seen.send(request.clone());
        match (self.answers)(request) {
            Some(delivery) => delivery,
            None => std::future::pending().await,
        }
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn options() -> QueueOptions {
    let retry = Retry { attempts: 3, initial: Duration::from_millis(1), max: Duration::from_millis(2) };
    QueueOptions { batch_items: 10, linger: Duration::from_secs(60), retry, ..QueueOptions::default() }
}

fn open(
    options: QueueOptions,
    answers: impl FnMut(&[u32]) -> Option<Delivery> + Send + 'static,
) -> (Network, Queue<u32>, Accounts, mpsc::Receiver<Vec<u32>>) {
    let (network, accounts) = (Network::start().unwrap(), Accounts::new());
    let (seen, attempts) = mpsc::channel();
    let queue = network.queue(accounts.open("test", "spans"), options, Scripted { answers: Box::new(answers), seen });
    (network, queue, accounts, attempts)
}

fn books(accounts: &Accounts) -> (u64, u64, HashMap<Reason, u64>, u64) {
    let balance = accounts.open("test", "spans").balance();
    let dropped = balance.dropped.iter().filter(|(_, count)| *count > 0).copied().collect();
    assert_eq!(balance.queued_bytes == 0, balance.emitted == balance.delivered + balance.dropped_total());
    (balance.emitted, balance.delivered, dropped, balance.retried)
}

#[test]
fn full_batches_go_at_once_and_a_flush_sends_the_rest() {
    let (_network, queue, accounts, attempts) = open(options(), |_| Some(Delivery::Delivered));
    (0..25).for_each(|n| queue.try_send(n, 1).unwrap());
    assert_eq!(attempts.recv().unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(attempts.recv().unwrap(), (10..20).collect::<Vec<_>>());
    assert!(queue.flush(soon()));
    assert_eq!(attempts.recv().unwrap(), (20..25).collect::<Vec<_>>());
    assert_eq!(books(&accounts), (25, 25, HashMap::new(), 0));
}

/// Counts the items of each value that it is given.
struct Packs(mpsc::Sender<Vec<u32>>);

impl Transport<Vec<u32>> for Packs {
    type Request = ();

    fn encode(&mut self, batch: Vec<Vec<u32>>) -> Option<()> {
        self.0.send(batch.concat()).ok()
    }

    async fn send(&mut self, (): &()) -> Delivery {
        Delivery::Delivered
    }
}

#[test]
fn items_that_share_a_value_are_batched_and_counted_one_by_one() {
    let (network, accounts) = (Network::start().unwrap(), Accounts::new());
    let (sent, batches) = mpsc::channel();
    let options = QueueOptions { max_items: 25, ..options() };
    let queue = network.queue(accounts.open("test", "spans"), options, Packs(sent));
    let pack = |n: u32| {
        queue.pack(1, |last| match last {
            Some(last) => {
                last.push(n);
                None
            }
            None => Some(vec![n]),
        })
    };
    (0..20).for_each(|n| pack(n).unwrap());
    assert!(queue.flush(soon()));
    (20..25).for_each(|n| pack(n).unwrap());
    assert!(queue.flush(soon()));
    let batches: Vec<_> = batches.try_iter().collect();
    assert!(batches.iter().all(|batch| batch.len() <= 10), "{batches:?}");
    assert_eq!(batches.concat(), (0..25).collect::<Vec<_>>());
    assert_eq!(books(&accounts), (25, 25, HashMap::new(), 0));
}

#[test]
fn bytes_are_bounded_and_every_drop_has_its_reason() {
    let options = QueueOptions { max_bytes: 100, ..options() };
    let (network, queue, accounts, _attempts) = open(options, |_| None);
    assert_eq!(queue.try_send(0, 101), Err(Reason::TooLarge));
    (0..10).for_each(|n| queue.try_send(n, 10).unwrap());
    assert_eq!(queue.try_send(10, 1), Err(Reason::QueueFull), "what is under way counts too");
    assert!(!network.shutdown(Instant::now() + Duration::from_millis(50)));
    assert_eq!(queue.try_send(11, 1), Err(Reason::Closed));
    let dropped = [(Reason::TooLarge, 1), (Reason::QueueFull, 1), (Reason::Shutdown, 10), (Reason::Closed, 1)];
    assert_eq!(books(&accounts), (13, 0, dropped.into(), 0));
}

#[test]
fn failures_are_retried_then_given_up() {
    let mut failures = 0;
    let (network, queue, accounts, _attempts) = open(options(), move |batch| {
        if batch[0] == 0 {
            failures += 1;
            return Some(if failures < 3 { Delivery::Retry { after: None } } else { Delivery::Delivered });
        }
        Some(match batch[0] {
            1 => Delivery::Retry { after: Some(Duration::from_millis(1)) },
            2 => Delivery::Refused,
            _ => Delivery::Partial { refused: 1 },
        })
    });
    for batch in 0..4 {
        queue.try_send(batch, 1).unwrap();
        queue.try_send(100, 1).unwrap();
        assert!(network.flush(soon()));
    }
    queue.try_send(u32::MAX, 1).unwrap();
    assert!(network.flush(soon()));
    let dropped = [(Reason::Retries, 2), (Reason::Refused, 3), (Reason::Encoding, 1)];
    assert_eq!(books(&accounts), (9, 3, dropped.into(), 8));
}

#[test]
fn a_panicking_transport_closes_its_queue_and_no_other() {
    let (network, queue, accounts, _attempts) = open(options(), |_| panic!("on purpose"));
    let (seen, _other_attempts) = mpsc::channel();
    let delivered = Scripted { answers: Box::new(|_| Some(Delivery::Delivered)), seen };
    let other = network.queue(accounts.open("other", "spans"), options(), delivered);
    queue.try_send(1, 1).unwrap();
    assert!(queue.flush(soon()));
    assert_eq!(queue.try_send(2, 1), Err(Reason::Closed));
    assert_eq!(books(&accounts), (2, 0, [(Reason::Closed, 2)].into(), 0));
    other.try_send(1, 1).unwrap();
    assert!(other.flush(soon()));
    assert_eq!(accounts.open("other", "spans").balance().delivered, 1);
}

#[test]
fn a_slow_attempt_times_out_and_is_tried_again() {
    let options = QueueOptions { timeout: Duration::from_millis(5), ..options() };
    let mut first = true;
    let (network, queue, accounts, _attempts) =
        open(options, move |_| if std::mem::take(&mut first) { None } else { Some(Delivery::Delivered) });
    queue.try_send(1, 1).unwrap();
    assert!(network.shutdown(soon()));
    assert_eq!(books(&accounts), (1, 1, HashMap::new(), 1));
}

#[test]
fn many_threads_lose_nothing_uncounted() {
    let options = QueueOptions { max_bytes: 500, linger: Duration::ZERO, ..options() };
    let (network, queue, accounts, _attempts) = open(options, |_| Some(Delivery::Delivered));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let queue = queue.clone();
            scope.spawn(move || (0..5000).for_each(|n| _ = queue.try_send(n, 1)));
        }
    });
    assert!(network.shutdown(soon()));
    let (emitted, delivered, dropped, _) = books(&accounts);
    assert_eq!(emitted, 20_000);
    assert_eq!(delivered + dropped.get(&Reason::QueueFull).copied().unwrap_or_default(), 20_000);
}
