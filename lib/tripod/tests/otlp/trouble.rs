//! Collectors that refuse, hang, break off or dawdle: what is emitted is delivered or counted as dropped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};
use tripod::accounts::{Balance, Reason};
use tripod::network::QueueOptions;

use super::collector::{Collector, Trouble, settings};
use super::{PROTOCOLS, Signal, quick, send_signal};
use tripod::sinks::otlp::Protocol;

fn dropped(books: &Balance, reason: Reason) -> u64 {
    books.dropped.iter().find(|(other, _)| *other == reason).unwrap().1
}

/// Sends ten items to a collector with these troubles: spans and log events in one batch, snapshots one by one.
fn against(signal: Signal, protocol: Protocol, troubles: Vec<Trouble>) -> (Balance, usize) {
    let (collector, address) = Collector::start(None, troubles);
    let options = QueueOptions { linger: Duration::from_secs(60), ..quick() };
    let settings = settings(protocol, "http", address, signal.path());
    let books = send_signal(signal, settings, options, 10, Duration::from_secs(60));
    (books, collector.count(signal))
}

/// Items in the first request.
fn first(signal: Signal) -> u64 {
    if signal == Signal::Metrics { 1 } else { 10 }
}

const HTTP: [Protocol; 2] = [Protocol::HttpProtobuf, Protocol::HttpJson];

#[test]
fn what_may_work_later_is_tried_again() {
    for signal in Signal::ALL {
        for (status, protocol) in [429, 502, 503, 504].into_iter().zip(HTTP.into_iter().cycle()) {
            let (books, received) = against(signal, protocol, vec![Trouble::Http(status); 2]);
            assert_eq!((books.delivered, books.retried, received), (10, 2 * first(signal), 10), "{status} {signal:?}");
        }
        let exhausted = Status::with_error_details(
            tonic::Code::ResourceExhausted,
            "later",
            ErrorDetails::with_retry_info(Some(Duration::from_millis(3))),
        );
        for status in [Status::unavailable(""), Status::aborted(""), Status::deadline_exceeded(""), exhausted] {
            let (books, received) = against(signal, Protocol::Grpc, vec![Trouble::Grpc(status.clone())]);
            assert_eq!((books.delivered, books.retried, received), (10, first(signal), 10), "{status} {signal:?}");
        }
    }
}

#[test]
fn what_never_works_is_dropped_at_once() {
    for signal in Signal::ALL {
        let lost = first(signal);
        let arrive = 10 - lost as usize;
        for (status, protocol) in [400, 401, 404, 413, 500].into_iter().zip(HTTP.into_iter().cycle()) {
            let (books, received) = against(signal, protocol, vec![Trouble::Http(status)]);
            let found = (dropped(&books, Reason::Refused), books.retried, received);
            assert_eq!(found, (lost, 0, arrive), "{status} {signal:?}");
        }
        for status in [Status::invalid_argument(""), Status::unauthenticated(""), Status::resource_exhausted("")] {
            let (books, received) = against(signal, Protocol::Grpc, vec![Trouble::Grpc(status.clone())]);
            let found = (dropped(&books, Reason::Refused), books.retried, received);
            assert_eq!(found, (lost, 0, arrive), "{status} {signal:?}");
        }
    }
}

#[test]
fn a_partial_success_counts_what_was_rejected() {
    for protocol in PROTOCOLS {
        for signal in [Signal::Spans, Signal::Logs] {
            let (books, _) = against(signal, protocol, vec![Trouble::Partial(3)]);
            let found = (books.delivered, dropped(&books, Reason::Refused), books.retried);
            assert_eq!(found, (7, 3, 0), "{protocol:?} {signal:?}");
        }
        // A snapshot of which some points were rejected did not arrive as a whole.
        let (books, _) = against(Signal::Metrics, protocol, vec![Trouble::Partial(3)]);
        assert_eq!((books.delivered, dropped(&books, Reason::Refused), books.retried), (9, 1, 0), "{protocol:?}");
    }
}

#[test]
fn retries_end() {
    for signal in Signal::ALL {
        for protocol in HTTP {
            let (books, received) = against(signal, protocol, vec![Trouble::Http(503); 100]);
            assert_eq!((dropped(&books, Reason::Retries), books.retried, received), (10, 30, 0), "{signal:?}");
        }
    }
}

/// Each signal over each protocol.
fn everything() -> impl Iterator<Item = (Signal, Protocol)> {
    Signal::ALL.into_iter().flat_map(|signal| PROTOCOLS.map(|protocol| (signal, protocol)))
}

/// A server that does this with each connection.
fn raw(handle: impl Fn(std::net::TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = handle.clone();
            std::thread::spawn(move || handle(stream));
        }
    });
    address
}

#[test]
fn a_hanging_collector_costs_its_own_data_and_no_more_than_the_deadline() {
    // Reads everything and never answers.
    let address = raw(|mut stream| while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {});
    for (signal, protocol) in everything() {
        let settings = settings(protocol, "http", address, signal.path());
        let options = QueueOptions { max_bytes: 20_000, ..quick() };
        let books = send_signal(signal, settings, options, 1000, Duration::from_millis(100));
        assert_eq!(books.delivered, 0);
        assert!(dropped(&books, Reason::QueueFull) > 0 && dropped(&books, Reason::Shutdown) > 0, "{books:?}");
    }
}

#[test]
fn attempts_that_hang_time_out() {
    let address = raw(|mut stream| while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {});
    for (signal, protocol) in everything() {
        let mut settings = settings(protocol, "http", address, signal.path());
        settings.timeout = Duration::from_millis(20);
        let books = send_signal(signal, settings, quick(), 10, Duration::from_secs(60));
        assert_eq!(dropped(&books, Reason::Retries), 10, "{protocol:?} {signal:?}");
    }
}

#[test]
fn resets_and_nonsense_are_retried_and_then_counted() {
    let resets = raw(drop);
    let nonsense = raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n\r\n");
    });
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [resets, nonsense, closed] {
        for (signal, protocol) in everything() {
            let settings = settings(protocol, "http", address, signal.path());
            let books = send_signal(signal, settings, quick(), 10, Duration::from_secs(60));
            assert_eq!(dropped(&books, Reason::Retries), 10, "{protocol:?} {signal:?}");
        }
    }
}

#[test]
fn a_collector_that_answers_byte_by_byte_times_out() {
    let address = raw(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".iter().chain(std::iter::repeat(&b'x')) {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    for signal in Signal::ALL {
        for protocol in HTTP {
            let mut settings = settings(protocol, "http", address, signal.path());
            settings.timeout = Duration::from_millis(20);
            let books = send_signal(signal, settings, quick(), 3, Duration::from_secs(60));
            assert_eq!(dropped(&books, Reason::Retries), 3, "{protocol:?} {signal:?}");
        }
    }
}

#[test]
fn a_collector_that_comes_back_gets_the_rest() {
    for (signal, protocol) in everything() {
        let (collector, address) = Collector::start(None, vec![Trouble::Http(503), Trouble::Http(503)]);
        let settings = settings(protocol, "http", address, signal.path());
        let options = QueueOptions { batch_items: 16, ..quick() };
        let books = send_signal(signal, settings, options, 1000, Duration::from_secs(60));
        assert_eq!((books.delivered, collector.count(signal)), (1000, 1000), "{protocol:?} {signal:?}");
        assert!(collector.headers().len() >= 1000 / 16);
    }
}
