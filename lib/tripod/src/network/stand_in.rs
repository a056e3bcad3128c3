//! A server for tests: answers as told and hands over what it was sent.

use std::collections::VecDeque;
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

/// A request as it came in.
#[derive(Debug)]
pub(crate) struct Received {
    /// `POST /path HTTP/1.1`
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The server; lives as long as the test's process.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    received: mpsc::Receiver<Received>,
}

impl StandIn {
    /// Gives these answers in turn, each the rest of a status line with its headers (`503 Busy\r\nretry-after: 0`), and
    /// `204` when they are used up.
    pub(crate) fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Arc<Mutex<VecDeque<String>>> =
            Arc::new(Mutex::new(answers.iter().map(|answer| (*answer).to_owned()).collect()));
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, sender) = (answers.clone(), sender.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut stream = stream;
                    while let Some(request) = read(&mut reader) {
                        let answer = answers.lock().pop_front().unwrap_or_else(|| "204 No Content".to_owned());
                        let closed = answer.starts_with("close");
                        if sender.send(request).is_err() || closed {
                            return;
                        }
                        if write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, received }
    }

    /// The next request; waits for it.
    pub(crate) fn next(&self) -> Received {
        self.received.recv_timeout(Duration::from_secs(60)).expect("a request arrives")
    }

    /// Whether no further request has arrived.
    // Only the tests of Sentry ask.
    #[cfg_attr(not(feature = "sentry"), allow(dead_code))]
    pub(crate) fn is_quiet(&self) -> bool {
        self.received.try_recv().is_err()
    }
}

fn read(reader: &mut impl std::io::BufRead) -> Option<Received> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { line: line.trim_end().to_owned(), headers, body })
}
