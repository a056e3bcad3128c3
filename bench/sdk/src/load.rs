//! The load: a few connections, each with one request at a time, at a steady rate.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const COMMAND: &[u8] = br#"{"text":"research quantum computing"}"#;

/// How much, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections, kept alive.
    pub(crate) connections: usize,
    /// Requests of all connections together.
    pub(crate) requests: usize,
    /// Requests a second of all connections together; 0 for as many as they can.
    pub(crate) rate: usize,
}

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its end is seen by the sender.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Asks for a path, and gives the body.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.send(Request::get(path).header(HOST, "localhost").body(Full::default())?).await
    }

    async fn command(&mut self) -> Result<()> {
        let request = Request::builder().method(Method::POST).uri("/command").header(HOST, "localhost");
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::from(COMMAND))?;
        self.send(request).await.map(drop)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        ensure!(response.status().is_success(), "the service answered {}", response.status());
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    /// Of the requests that were answered, in order of size.
    pub(crate) latencies: Vec<Duration>,
    /// Requests during which the connection was lost; a new one was made for the next.
    pub(crate) lost: usize,
}

impl Load {
    /// Sends everything.
    pub(crate) async fn drive(self, port: u16) -> Result<Driven> {
        let each = self.requests / self.connections;
        let pause = match self.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(self.connections as f64 / rate as f64),
        };
        let mut tasks = Vec::new();
        for number in 0..self.connections {
            // Connections take turns within a pause.
            let offset = pause.mul_f64(number as f64 / self.connections as f64);
            tasks.push(tokio::spawn(drive_one(port, each, pause, offset)));
        }
        let mut all = Driven { latencies: Vec::with_capacity(self.requests), lost: 0 };
        for task in tasks {
            let driven = task.await??;
            all.latencies.extend(driven.latencies);
            all.lost += driven.lost;
        }
        all.latencies.sort_unstable();
        Ok(all)
    }
}

/// Answers are waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

async fn drive_one(port: u16, requests: usize, pause: Duration, offset: Duration) -> Result<Driven> {
    let mut connection = Connection::open(port).await?;
    let mut driven = Driven { latencies: Vec::with_capacity(requests), lost: 0 };
    let mut next = Instant::now() + offset;
    for _ in 0..requests {
        if !pause.is_zero() {
            tokio::time::sleep_until(next.into()).await;
            // Who falls behind does not catch up: that would be another load.
            next = (next + pause).max(Instant::now());
        }
        let started = Instant::now();
        match tokio::time::timeout(PATIENCE, connection.command()).await {
            Ok(Ok(())) => driven.latencies.push(started.elapsed()),
            failed => {
                driven.lost += 1;
                let cause = failed.map_or_else(|_| "no answer".to_owned(), |failed| format!("{failed:?}"));
                eprintln!("a connection is made anew: {cause}");
                // One in a hundred says nothing of the others; more make the figures worthless.
                ensure!(driven.lost <= requests.div_ceil(100), "{} requests were lost, the last: {cause}", driven.lost);
                connection = Connection::open(port).await?;
            }
        }
    }
    Ok(driven)
}
