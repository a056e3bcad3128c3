//! Collectors that refuse, hang, break off or dawdle: what is emitted is delivered or counted as dropped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};
use tripod::accounts::{Balance, Reason};
use tripod::network::QueueOptions;

use super::collector::{Collector, Trouble, settings};
use super::{BOTH, quick, send};
use tripod::sinks::otlp::Protocol;

fn dropped(books: &Balance, reason: Reason) -> u64 {
    books.dropped.iter().find(|(other, _)| *other == reason).unwrap().1
}

/// Sends ten spans in one batch to a collector with these troubles.
fn against(protocol: Protocol, troubles: Vec<Trouble>) -> (Balance, usize) {
    let (collector, address) = Collector::start(None, troubles);
    let options = QueueOptions { linger: Duration::from_secs(60), ..quick() };
    let books = send(settings(protocol, "http", address, "/v1/traces"), options, 10, Duration::from_secs(60));
    let received = collector.span_count();
    (books, received)
}

#[test]
fn what_may_work_later_is_tried_again() {
    for status in [429, 502, 503, 504] {
        let (books, received) = against(Protocol::HttpProtobuf, vec![Trouble::Http(status); 2]);
        assert_eq!((books.delivered, books.retried, received), (10, 20, 10), "{status}");
    }
    let exhausted = Status::with_error_details(
        tonic::Code::ResourceExhausted,
        "later",
        ErrorDetails::with_retry_info(Some(Duration::from_millis(3))),
    );
    for status in [Status::unavailable(""), Status::aborted(""), Status::deadline_exceeded(""), exhausted] {
        let (books, received) = against(Protocol::Grpc, vec![Trouble::Grpc(status.clone())]);
        assert_eq!((books.delivered, books.retried, received), (10, 10, 10), "{status}");
    }
}

#[test]
fn what_never_works_is_dropped_at_once() {
    for status in [400, 401, 404, 413, 500] {
        let (books, received) = against(Protocol::HttpProtobuf, vec![Trouble::Http(status)]);
        assert_eq!((dropped(&books, Reason::Refused), books.retried, received), (10, 0, 0), "{status}");
    }
    for status in [Status::invalid_argument(""), Status::unauthenticated(""), Status::resource_exhausted("")] {
        let (books, received) = against(Protocol::Grpc, vec![Trouble::Grpc(status.clone())]);
        assert_eq!((dropped(&books, Reason::Refused), books.retried, received), (10, 0, 0), "{status}");
    }
}

#[test]
fn a_partial_success_counts_what_was_rejected() {
    for protocol in BOTH {
        let (books, _) = against(protocol, vec![Trouble::Partial(3)]);
        assert_eq!((books.delivered, dropped(&books, Reason::Refused), books.retried), (7, 3, 0), "{protocol:?}");
    }
}

#[test]
fn retries_end() {
    let (books, received) = against(Protocol::HttpProtobuf, vec![Trouble::Http(503); 100]);
    assert_eq!((dropped(&books, Reason::Retries), books.retried, received), (10, 30, 0));
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
    for protocol in BOTH {
        let settings = settings(protocol, "http", address, "/v1/traces");
        let options = QueueOptions { max_bytes: 20_000, ..quick() };
        let books = send(settings, options, 1000, Duration::from_millis(100));
        assert_eq!(books.delivered, 0);
        assert!(dropped(&books, Reason::QueueFull) > 0 && dropped(&books, Reason::Shutdown) > 0, "{books:?}");
    }
}

#[test]
fn attempts_that_hang_time_out() {
    let address = raw(|mut stream| while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {});
    for protocol in BOTH {
        let mut settings = settings(protocol, "http", address, "/v1/traces");
        settings.timeout = Duration::from_millis(20);
        let books = send(settings, quick(), 10, Duration::from_secs(60));
        assert_eq!(dropped(&books, Reason::Retries), 10, "{protocol:?}");
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
        for protocol in BOTH {
            let settings = settings(protocol, "http", address, "/v1/traces");
            let books = send(settings, quick(), 10, Duration::from_secs(60));
            assert_eq!(dropped(&books, Reason::Retries), 10, "{protocol:?}");
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
    let mut settings = settings(Protocol::HttpProtobuf, "http", address, "/v1/traces");
    settings.timeout = Duration::from_millis(20);
    let books = send(settings, quick(), 10, Duration::from_secs(60));
    assert_eq!(dropped(&books, Reason::Retries), 10);
}

#[test]
fn a_collector_that_comes_back_gets_the_rest() {
    for protocol in BOTH {
        let (collector, address) = Collector::start(None, vec![]);
        let settings = settings(protocol, "http", address, "/v1/traces");
        let options = QueueOptions { batch_items: 16, ..quick() };
        let books = send(settings, options, 1000, Duration::from_secs(60));
        assert_eq!((books.delivered, collector.span_count()), (1000, 1000), "{protocol:?}");
        assert!(collector.spans().len() >= 1000 / 16);
    }
}
