//! The server layer over real sockets: ids, metrics, lines, bodies, clients that go away, panics, upgrades.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tower::ServiceExt;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tripod::context;
use tripod::http::{HttpLayer, HttpMetrics};
use tripod::metrics::Registry;

type Fields = BTreeMap<String, String>;

/// What was logged, with the fields of the line and of the task's context.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Fields>>>, Arc<Notify>);

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::from([("level".to_owned(), event.metadata().level().to_string())]);
        event.record(&mut Collect(&mut fields));
        for (name, value) in context::bound().fields() {
            fields.insert(name.to_string(), value.as_str().unwrap_or_default().to_owned());
        }
        self.0.lock().push(fields);
        self.1.notify_one();
    }

    fn on_new_span(&self, span: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
        let mut fields = Fields::from([("level".to_owned(), "SPAN".to_owned())]);
        span.record(&mut Collect(&mut fields));
        self.0.lock().push(fields);
    }
}

impl Lines {
    fn find(&self, message: &str) -> Option<Fields> {
        self.0.lock().iter().find(|line| line.get("message").is_some_and(|text| text == message)).cloned()
    }

    async fn wait(&self, message: &str) -> Fields {
        loop {
            let logged = self.1.notified();
            if let Some(line) = self.find(message) {
                return line;
            }
            logged.await;
        }
    }

    fn count(&self, message: &str) -> usize {
        self.0.lock().iter().filter(|line| line.get("message").is_some_and(|text| text == message)).count()
    }

    fn span(&self) -> Fields {
        self.0.lock().iter().find(|line| line["level"] == "SPAN").cloned().unwrap()
    }
}

struct Server {
    address: SocketAddr,
    registry: Registry,
    lines: Lines,
    _subscriber: DefaultGuard,
}

impl Server {
    async fn start(make: impl FnOnce(HttpLayer) -> Router) -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        let subscriber = tracing::subscriber::set_default(subscriber);
        let registry = Registry::new();
        let router = make(HttpLayer::builder().build(&registry).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, registry, lines, _subscriber: subscriber }
    }

    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, path: &str, headers: &str) -> (String, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: example.com:8080\r\nConnection: close\r\n{headers}\r\n");
        let mut response = String::new();
        self.send(&request).await.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn requests(&self, endpoint: &str, method: &str, status: &str) -> Option<f64> {
        let labels = [("endpoint", endpoint), ("method", method), ("status_code", status)];
        let snapshot = self.registry.snapshot();
        let counted = snapshot.value("http_requests_total", &labels);
        assert_eq!(counted, snapshot.value("http_request_duration_seconds", &labels));
        counted
    }

    fn in_flight(&self) -> f64 {
        self.registry.snapshot().value("http_requests_in_flight", &[("method", "GET")]).unwrap()
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let is = |line: &&str| line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
    head.lines().find(is).unwrap_or_else(|| panic!("{name} is missing in {head}")).split_once(": ").unwrap().1
}

#[tokio::test]
async fn ids_are_taken_kept_and_answered() {
    let handler = || async {
        let inner = tokio::spawn(context::carry(async { context::bound() })).await.unwrap();
        context::bind("user_id", "u-7");
        format!("{} {}", inner.request_id().unwrap(), inner.correlation_id().unwrap())
    };
    let server = Server::start(|layer| Router::new().route("/ids", get(handler)).layer(layer)).await;
    let (head, body) = server.get("/ids", "X-Request-ID: r-1\r\nX-Correlation-ID: c-2\r\n").await;
    assert_eq!(body, "r-1 c-2");
    assert_eq!((header(&head, "x-request-id"), header(&head, "x-correlation-id")), ("r-1", "c-2"));
    let line = server.lines.wait("request_completed").await;
    assert_eq!((&*line["request_id"], &*line["correlation_id"], &*line["user_id"]), ("r-1", "c-2", "u-7"));

    let (head, body) = server.get("/ids", "X-Request-ID: <script>\r\n").await;
    let made = header(&head, "x-request-id");
    assert_eq!(made.len(), 36);
    assert_eq!(body, format!("{made} {made}"));
}

#[tokio::test]
async fn a_layer_around_a_whole_router_learns_the_route_from_the_one_inside() {
    let app = |layer: HttpLayer| {
        let users = Router::new().route("/users/{id}", get(|| async { "user" }));
        let inside = Router::new().nest("/api", users).layer(layer.clone());
        Router::new().fallback_service(tower::Layer::layer(&layer, inside))
    };
    let server = Server::start(app).await;
    server.get("/api/users/1", "").await;
    server.get("/no/such/place", "").await;
    assert_eq!(server.requests("/api/users/{id}", "GET", "200"), Some(1.0));
    assert_eq!(server.requests("unmatched", "GET", "404"), Some(1.0));
    assert_eq!(server.requests("unmatched", "GET", "200"), None);
    let line = server.lines.wait("request_completed").await;
    assert_eq!(&*line["endpoint"], "/api/users/{id}");
}

#[tokio::test]
async fn a_span_has_the_route_that_is_matched_late_and_the_ids_that_are_bound() {
    let capture = tripod::testing::Capture::new();
    let _captured = capture.enter();
    let layer = HttpLayer::builder().build(&Registry::new()).unwrap();
    let handler = || async {
        tracing::info_span!("handle").in_scope(|| context::bind("job_id", "j-1"));
        context::bind("user_id", "u-7");
    };
    let inside = Router::new().route("/jobs/{id}", get(handler)).layer(layer.clone());
    let request = Request::get("/jobs/7").header("x-request-id", "r-1").body(Body::empty()).unwrap();
    let response = tower::Layer::layer(&layer, inside).oneshot(request).await.unwrap();
    drop(response);
    let span = capture.span("GET /jobs/{id}");
    for (name, value) in [
        ("http.route", "/jobs/{id}"),
        ("request_id", "r-1"),
        ("correlation_id", "r-1"),
        ("user_id", "u-7"),
        ("job_id", "j-1"),
    ] {
        assert_eq!(span.get(name).and_then(|value| value.as_str()), Some(value), "{name}");
    }
    assert_eq!(capture.span("handle").get("user_id"), None);
    assert_eq!(capture.spans().len(), 2);
}

#[tokio::test]
async fn requests_count_under_their_route() {
    let app = |layer| {
        let users = Router::new().route("/users/{id}", get(|Path(id): Path<u32>| async move { id.to_string() }));
        Router::new().nest("/api", users).route("/any", any(|| async { StatusCode::IM_A_TEAPOT })).layer(layer)
    };
    let server = Server::start(app).await;
    server.get("/api/users/1?token=x", "User-Agent: test/1\r\n").await;
    server.get("/api/users/2", "").await;
    server.get("/no/such/place", "").await;
    let mut rest = String::new();
    let strange = "MAKEUP /any HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    server.send(strange).await.read_to_string(&mut rest).await.unwrap();
    assert_eq!(server.requests("/api/users/{id}", "GET", "200"), Some(2.0));
    assert_eq!(server.requests("unmatched", "GET", "404"), Some(1.0));
    assert_eq!(server.requests("/any", "_OTHER", "418"), Some(1.0));
    let span = server.lines.span();
    for (name, value) in [
        ("otel.name", "GET /api/users/{id}"),
        ("otel.kind", "server"),
        ("http.request.method", "GET"),
        ("http.route", "/api/users/{id}"),
        ("url.path", "/api/users/1"),
        ("url.query", "token=x"),
        ("url.scheme", "http"),
        ("server.address", "example.com"),
        ("server.port", "8080"),
        ("user_agent.original", "test/1"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(span.get(name).map(String::as_str), Some(value), "{name}");
    }
    let line = server.lines.wait("request_completed").await;
    assert_eq!((&*line["level"], &*line["path"], &*line["status_code"]), ("INFO", "/api/users/1", "200"));
    assert_eq!((&*line["endpoint"], &*line["response_bytes"]), ("/api/users/{id}", "1"));
    assert!(line["duration_ms"].parse::<f64>().unwrap() >= 0.0);
}

#[tokio::test]
async fn a_request_lasts_until_its_body_ends() {
    let (send, receive) = mpsc::channel::<&'static str>(1);
    let receive = Arc::new(Mutex::new(Some(receive)));
    let handler = move || {
        let mut receive = receive.lock().take().unwrap();
        let stream = futures_stream(move |task| receive.poll_recv(task).map(|text| text.map(Bytes::from)));
        async { Body::new(stream).into_response() }
    };
    let server = Server::start(|layer| Router::new().route("/slow", get(handler)).layer(layer)).await;
    let mut stream = server.send("GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    send.send("first").await.unwrap();
    let mut head = [0; 1024];
    let read = stream.read(&mut head).await.unwrap();
    assert!(head[..read].starts_with(b"HTTP/1.1 200"));
    assert_eq!(server.in_flight(), 1.0);
    assert_eq!(server.requests("/slow", "GET", "200"), None);
    send.send("second").await.unwrap();
    drop(send);
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let line = server.lines.wait("request_completed").await;
    assert_eq!(line["response_bytes"], "11");
    assert_eq!(server.requests("/slow", "GET", "200"), Some(1.0));
    assert_eq!(server.in_flight(), 0.0);
}

/// A body from a closure, with the trailing poll that ends it.
fn futures_stream(
    mut next: impl FnMut(&mut std::task::Context<'_>) -> Poll<Option<Bytes>> + Send + Unpin + 'static,
) -> impl axum::body::HttpBody<Data = Bytes, Error = std::convert::Infallible> + Send {
    struct Frames<F>(F);
    impl<F: FnMut(&mut std::task::Context<'_>) -> Poll<Option<Bytes>> + Unpin> axum::body::HttpBody for Frames<F> {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            task: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            (self.0)(task).map(|bytes| bytes.map(|bytes| Ok(hyper::body::Frame::data(bytes))))
        }
    }
    Frames(move |task: &mut std::task::Context<'_>| next(task))
}

#[tokio::test]
async fn a_client_that_goes_away_is_recorded() {
    let entered = Arc::new(Notify::new());
    let handler = {
        let entered = entered.clone();
        move || async move {
            entered.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let server = Server::start(|layer| Router::new().route("/long", get(handler)).layer(layer)).await;
    let stream = server.send("GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    entered.notified().await;
    assert_eq!(server.in_flight(), 1.0);
    drop(stream);
    let line = server.lines.wait("request_completed").await;
    assert_eq!((&*line["level"], &*line["outcome"], &*line["status_code"]), ("WARN", "cancelled", "499"));
    assert_eq!(server.requests("/long", "GET", "499"), Some(1.0));
    assert_eq!(server.in_flight(), 0.0);
}

#[tokio::test]
async fn a_handler_that_panics_is_recorded() {
    async fn handler() -> StatusCode {
        tokio::task::yield_now().await;
        panic!("on purpose")
    }
    let server = Server::start(|layer| Router::new().route("/panic", get(handler)).layer(layer)).await;
    let mut response = String::new();
    server.send("GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n").await.read_to_string(&mut response).await.ok();
    let line = server.lines.wait("request_completed").await;
    assert_eq!((&*line["level"], &*line["outcome"], &*line["status_code"]), ("ERROR", "panic", "500"));
    assert_eq!(server.requests("/panic", "GET", "500"), Some(1.0));
    assert_eq!(server.in_flight(), 0.0);
}

#[tokio::test]
async fn event_streams_are_counted_when_they_begin() {
    let handler = || async {
        let silent = futures_stream(|_| Poll::Pending);
        ([("content-type", "text/event-stream")], Body::new(silent)).into_response()
    };
    let server = Server::start(|layer| Router::new().route("/events", get(handler)).layer(layer)).await;
    let mut stream = server.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    assert_eq!(server.requests("/events", "GET", "200"), Some(1.0));
    assert_eq!(server.in_flight(), 1.0);
    drop(stream);
    server.lines.wait("request_completed").await;
    assert_eq!(server.requests("/events", "GET", "200"), Some(1.0));
    assert_eq!(server.in_flight(), 0.0);
}

#[tokio::test]
async fn an_upgraded_connection_works_and_is_counted_at_its_handshake() {
    async fn handler(mut request: Request<Body>) -> Response {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")]).into_response()
    }
    let server = Server::start(|layer| Router::new().route("/ws", get(handler)).layer(layer)).await;
    let request = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut stream = server.send(request).await;
    let mut head = vec![0; 1024];
    let read = stream.read(&mut head).await.unwrap();
    assert!(head[..read].starts_with(b"HTTP/1.1 101"));
    let line = server.lines.wait("request_completed").await;
    assert_eq!((&*line["status_code"], line.get("outcome")), ("101", None));
    assert_eq!(server.requests("/ws", "GET", "101"), Some(1.0));
    assert_eq!(server.in_flight(), 0.0);
    stream.write_all(b"ping").await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ping");
}

#[tokio::test]
async fn among_other_layers_the_order_does_not_matter() {
    use axum::middleware::from_fn;
    let other = || from_fn(async |request: Request<Body>, next: axum::middleware::Next| next.run(request).await);
    let app = |first: Option<HttpLayer>, second: Option<HttpLayer>| {
        let mut app = Router::new()
            .route("/place/{id}", get(|| async { context::bound().request_id().unwrap_or_default().to_owned() }));
        if let Some(layer) = first {
            app = app.layer(layer);
        }
        app = app.layer(other());
        if let Some(layer) = second {
            app = app.layer(layer);
        }
        app
    };
    for (inside, outside) in [(true, false), (false, true), (true, true)] {
        let server = Server::start(|layer| app(inside.then(|| layer.clone()), outside.then(|| layer.clone()))).await;
        let (head, body) = server.get("/place/1", "X-Request-ID: r-1\r\n").await;
        assert_eq!((header(&head, "x-request-id"), &*body), ("r-1", "r-1"));
        server.lines.wait("request_completed").await;
        assert_eq!(server.requests("/place/{id}", "GET", "200"), Some(1.0), "{inside} {outside}");
        assert_eq!(server.lines.count("request_completed"), 1);
    }
}

#[tokio::test]
async fn a_place_in_a_trace_is_read_and_whoever_asks_for_no_headers_gets_none() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let registry = Registry::builder().namespace("sixseven").build().unwrap();
    let layer = HttpLayer::builder()
        .metrics(HttpMetrics::api_latency())
        .trust_ids(false)
        .response_headers(false)
        .build(&registry)
        .unwrap();
    let handler = |headers: HeaderMap| async move {
        assert!(headers.contains_key("traceparent"));
        context::bound().parent().unwrap().span.trace_id.to_string()
    };
    let app = Router::new().route("/", get(handler)).layer(layer);
    let request = Request::get("/").header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    let response = app.oneshot(request.header("x-request-id", "mine").body(Body::empty()).unwrap()).await.unwrap();
    assert!(!response.headers().contains_key("x-request-id"));
    let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
    assert_eq!(body, trace);
    let labels = [("endpoint", "/"), ("method", "GET"), ("status_code", "200")];
    assert_eq!(registry.snapshot().value("sixseven_api_latency_seconds", &labels), Some(1.0));
    assert!(registry.snapshot().family("http_requests_total").is_none());
}

#[tokio::test]
async fn a_response_to_head_ends_with_its_head() {
    let server = Server::start(|layer| Router::new().route("/", get(|| async { "body" })).layer(layer)).await;
    let mut response = String::new();
    let request = "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    server.send(request).await.read_to_string(&mut response).await.unwrap();
    assert!(response.ends_with("\r\n\r\n"));
    let line = server.lines.wait("request_completed").await;
    assert_eq!((line.get("outcome"), &*line["status_code"]), (None, "200"));
}

#[tokio::test]
async fn the_latency_leads_to_the_trace_of_a_slow_request() {
    let capture = tripod::testing::Capture::new();
    let _captured = capture.enter();
    let registry = Registry::builder().exemplars(tripod::metrics::sampled_span).build().unwrap();
    let layer = HttpLayer::builder().build(&registry).unwrap();
    let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
    let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    let answered = response.headers()["x-trace-id"].to_str().unwrap().to_owned();
    axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
    let span = capture.span("GET /");
    assert_eq!(answered, span.context.trace_id.to_string());
    assert_eq!(span.get("http.response.status_code"), Some(&200_u64.into()));
    assert_eq!(span.kind, tripod::traces::SpanKind::Server);
    let exemplar = format!(" # {{trace_id=\"{}\",span_id=\"{}\"}} ", answered, span.context.span_id);
    let text = registry.openmetrics_text();
    assert!(text.contains(&exemplar), "{exemplar} is missing in\n{text}");
    assert_eq!(capture.log("request_completed").span.unwrap(), span.context);
}

#[tokio::test]
async fn a_server_error_is_the_spans_and_a_client_error_is_not() {
    use tripod::traces::Status;
    let capture = tripod::testing::Capture::new();
    let _captured = capture.enter();
    let layer = HttpLayer::builder().build(&Registry::new()).unwrap();
    let app = Router::new()
        .route("/down", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/wrong", get(|| async { StatusCode::BAD_REQUEST }))
        .layer(layer);
    for path in ["/down", "/wrong"] {
        drop(app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap());
    }
    let down = capture.span("GET /down");
    assert!(matches!(down.status, Status::Error(_)), "{down:?}");
    assert_eq!(down.get("error.type"), Some(&"503".into()));
    let wrong = capture.span("GET /wrong");
    assert_eq!((&wrong.status, wrong.get("error.type")), (&Status::Unset, None));
}
