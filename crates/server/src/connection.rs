//! One connection: HTTP/1.1 or HTTP/2, with limits that keep a slow or silent client from holding its slot for ever.
//!
//! hyper's own timeout for request heads also runs while a kept-alive connection is idle, and there is none for the
//! first bytes, for bodies, or for clients that do not read their answer. So the connection watches itself: it knows
//! when something last moved and whether the server owes the client anything.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures::FutureExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::settings;

/// How long a client has to take notice that its idle connection is being closed.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the connections of a listener share.
pub(crate) struct Connections {
    pub(crate) listener: &'static str,
    pub(crate) limits: Arc<settings::Server>,
    /// Who answers; empty while the server starts.
    pub(crate) router: Arc<OnceLock<Router>>,
    /// Who answers until then.
    pub(crate) starting: Router,
    /// Asks connections to finish what they do and to close.
    pub(crate) draining: CancellationToken,
}

impl Connections {
    /// Speaks HTTP on a connection until either side closes it.
    pub(crate) async fn serve<S>(self: Arc<Self>, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.limits;
        let activity = Arc::new(Activity::new());
        let service = {
            let (connections, activity) = (Arc::clone(&self), Arc::clone(&activity));
            service_fn(move |request| answer(Arc::clone(&connections), Arc::clone(&activity), peer, request))
        };
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(limits.max_header_bytes as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(limits.max_header_bytes)
            .max_concurrent_streams(limits.http2_max_concurrent_streams)
            .keep_alive_interval(Duration::from_secs(limits.http2_keep_alive_seconds))
            .keep_alive_timeout(Duration::from_secs(limits.header_timeout_seconds));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut told = false;
        let mut watch = pin!(activity.watch(limits));
        loop {
            tokio::select! {
                outcome = connection.as_mut() => {
                    if let Err(error) = outcome {
                        self.failed("protocol", peer, &error);
                    }
                    return;
                }
                () = self.draining.cancelled(), if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                reason = watch.as_mut() => match reason {
                    Silence::NoRequest => return self.failed("header_timeout", peer, &"no request in time"),
                    Silence::Stalled => return self.failed("stalled", peer, &"the client does not read its answer"),
                    Silence::Idle => {
                        connection.as_mut().graceful_shutdown();
                        let _ = tokio::time::timeout(FAREWELL, connection.as_mut()).await;
                        return;
                    }
                },
            }
        }
    }

    /// Counts a connection that ended before its time. Not a warning: it is the client's doing, and there are many.
    pub(crate) fn failed(&self, reason: &'static str, peer: SocketAddr, error: &dyn Display) {
        metrics::counter!("tripod_connections_failed_total", "listener" => self.listener, "reason" => reason)
            .increment(1);
        tracing::debug!(listener = self.listener, %peer, reason, %error, "a connection ended before its time");
    }
}

async fn answer(
    connections: Arc<Connections>,
    activity: Arc<Activity>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Watched>, Infallible> {
    let open = Open::new(&activity);
    let busy = Busy::new(&activity);
    let patience = Duration::from_secs(connections.limits.body_timeout_seconds);
    let mut request = request.map(|body| Body::new(Timely { body, patience, deadline: None }));
    request.extensions_mut().insert(ConnectInfo(peer));
    let router = connections.router.get().unwrap_or(&connections.starting).clone();
    // A bug in one handler must not end the other requests of its connection; the panic hook has logged it.
    let response = match AssertUnwindSafe(router.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            let body = r#"{"error":"the server failed at this request; its log says why"}"#;
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    };
    drop(busy);
    Ok(response.map(|body| Watched { body, busy: None, open }))
}

/// When something last moved on a connection, and whether the server has work to do for it.
struct Activity {
    opened: Instant,
    /// Requests so far.
    requests: AtomicUsize,
    /// Requests whose answer is not yet given to the connection as a whole.
    open: AtomicUsize,
    /// Requests that wait for this server rather than for the client.
    busy: AtomicUsize,
    /// Milliseconds from `opened` to the last movement.
    moved: AtomicU64,
}

/// Why a connection should be closed.
#[derive(Debug, PartialEq, Eq)]
enum Silence {
    /// The first request is not there in time.
    NoRequest,
    /// Every answer is given and no further request comes.
    Idle,
    /// An answer is ready and the client does not take it.
    Stalled,
}

impl Activity {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            requests: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
        }
    }

    fn touch(&self) {
        self.moved.store(self.opened.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Returns when the connection should be closed.
    async fn watch(&self, limits: &settings::Server) -> Silence {
        let header = Duration::from_secs(limits.header_timeout_seconds);
        let idle = Duration::from_secs(limits.idle_timeout_seconds);
        sleep_until(self.opened + header).await;
        if self.requests.load(Ordering::Relaxed) == 0 {
            return Silence::NoRequest;
        }
        loop {
            let limit = self.opened + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + idle;
            if self.busy.load(Ordering::Relaxed) > 0 {
                sleep(idle).await;
            } else if limit > Instant::now() {
                sleep_until(limit).await;
            } else if self.open.load(Ordering::Relaxed) == 0 {
                return Silence::Idle;
            } else {
                return Silence::Stalled;
            }
        }
    }
}

/// Held from a request's head until its answer is given to the connection as a whole.
struct Open(Arc<Activity>);

impl Open {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.touch();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Held while the server works on a request.
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.busy.fetch_add(1, Ordering::Relaxed);
        activity.touch();
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response's body that tells who waits for whom: between "not yet" and the next frame the client waits for the
/// server, after a frame the server for the client.
struct Watched {
    body: Body,
    busy: Option<Busy>,
    open: Open,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending() {
            if self.busy.is_none() {
                self.busy = Some(Busy::new(&self.open.0));
            }
        } else {
            self.busy = None;
            self.open.0.touch();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body that must be there in time, however the client spreads it.
struct Timely {
    body: Incoming,
    patience: Duration,
    /// Made when the client lets us wait for the first time: most bodies come with their heads.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if polled.is_pending() {
            let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(this.patience)));
            if deadline.as_mut().poll(context).is_ready() {
                let message = format!("the request's body was not there after {}s", this.patience.as_secs());
                return Poll::Ready(Some(Err(message.into())));
            }
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn connect(router: Router, limits: settings::Server) -> (DuplexStream, CancellationToken) {
        let (client, server) = tokio::io::duplex(1 << 16);
        let draining = CancellationToken::new();
        let connections = Arc::new(Connections {
            listener: "test",
            limits: Arc::new(limits),
            router: Arc::new(OnceLock::from(router)),
            starting: Router::new(),
            draining: draining.clone(),
        });
        tokio::spawn(connections.serve(server, ([127, 0, 0, 1], 1).into()));
        (client, draining)
    }

    /// Reads until the text is there, or to the end of the connection.
    async fn read_until(client: &mut DuplexStream, text: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(text) && client.read_buf(&mut read).await.unwrap() > 0 {}
        String::from_utf8(read).unwrap()
    }

    #[tokio::test]
    async fn a_panic_ends_its_request_only() {
        async fn fail() -> &'static str {
            panic!("a bug")
        }
        let router = Router::new().route("/fail", get(fail)).route("/work", get(|| async { "worked" }));
        let (mut client, _draining) = connect(router, settings::Server::default());
        client.write_all(b"GET /fail HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let answer = read_until(&mut client, "}").await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        client.write_all(b"GET /work HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let answer = read_until(&mut client, "worked").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("worked"), "{answer}");
    }

    #[tokio::test]
    async fn draining_finishes_what_runs_and_closes() {
        let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
        let (finish, may_finish) = tokio::sync::watch::channel(false);
        let handler = move || async move {
            begun.send(()).await.unwrap();
            may_finish.clone().wait_for(|may| *may).await.unwrap();
            "finished"
        };
        let (mut client, draining) = connect(Router::new().route("/", get(handler)), settings::Server::default());
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        has_begun.recv().await.unwrap();
        draining.cancel();
        tokio::task::yield_now().await;
        finish.send(true).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("connection: close") && answer.ends_with("finished"), "{answer}");
    }

    #[tokio::test]
    async fn heads_are_limited() {
        let limits = settings::Server { max_header_bytes: 8192, ..settings::Server::default() };
        let (mut client, _draining) = connect(Router::new(), limits);
        let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "y".repeat(10_000));
        client.write_all(head.as_bytes()).await.unwrap();
        let answer = read_until(&mut client, "\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}
