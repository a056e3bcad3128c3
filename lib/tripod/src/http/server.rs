//! The layer for servers: ids, span, log line and metrics of each request.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, OriginalUri};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};

use super::body::ObservedBody;
use super::exchange::{End, Exchange, Unwinding};
use super::ids::{self, RequestIds};
use super::method;
use super::metrics::{HttpMetrics, Instruments};
use crate::context::{self, Context, Scope, SpanContext, propagation};
use crate::field::Name;
use crate::metrics::{MetricError, Registry};

/// Makes a service's requests visible. One is enough, and where it stands among other layers does not matter: a second one
/// further inside steps aside.
///
/// The matched route is known to layers that are added by `Router::layer`; wrapped around a whole router from outside, all
/// requests count as `unmatched`.
#[derive(Clone, Debug)]
pub struct HttpLayer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    instruments: Arc<Instruments>,
    trust_ids: bool,
    response_headers: bool,
    quiet: HashSet<String>,
}

/// How an [`HttpLayer`] is made.
#[derive(Clone, Debug)]
pub struct HttpLayerBuilder {
    metrics: HttpMetrics,
    trust_ids: bool,
    response_headers: bool,
    quiet: HashSet<String>,
}

impl HttpLayer {
    /// A layer with standard names that takes the ids of its callers.
    pub fn builder() -> HttpLayerBuilder {
        HttpLayerBuilder {
            metrics: HttpMetrics::standard(),
            trust_ids: true,
            response_headers: true,
            quiet: ["/metrics", "/health", "/health/ready", "/health/live"].map(str::to_owned).into(),
        }
    }
}

impl HttpLayerBuilder {
    /// The names of the metrics.
    pub fn metrics(mut self, metrics: HttpMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Whether callers may set request and correlation ids. If not, all are made here.
    pub fn trust_ids(mut self, trust: bool) -> Self {
        self.trust_ids = trust;
        self
    }

    /// Whether responses carry `X-Request-ID`, `X-Correlation-ID` and `X-Trace-Id`.
    pub fn response_headers(mut self, send: bool) -> Self {
        self.response_headers = send;
        self
    }

    /// Paths whose requests are logged at `debug` when all is well. `/metrics` and `/health*` unless set.
    pub fn quiet(mut self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.quiet = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Registers the metrics and makes the layer.
    ///
    /// # Errors
    /// When a name is not valid or in use.
    pub fn build(self, registry: &Registry) -> Result<HttpLayer, MetricError> {
        Ok(HttpLayer(Arc::new(Shared {
            instruments: Arc::new(self.metrics.register(registry)?),
            trust_ids: self.trust_ids,
            response_headers: self.response_headers,
            quiet: self.quiet,
        })))
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> HttpService<S> {
        HttpService { inner, shared: self.0.clone() }
    }
}

/// The service that [`HttpLayer`] makes.
#[derive(Clone, Debug)]
pub struct HttpService<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// Marks a request that a layer further outside already follows.
#[derive(Clone, Copy)]
struct Followed;

impl<S, A, B> Service<Request<A>> for HttpService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Error: fmt::Display,
    B: Body,
{
    type Response = Response<ObservedBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        if request.extensions_mut().insert(Followed).is_some() {
            return ResponseFuture { state: State::Passed { future: self.inner.call(request) } };
        }
        let exchange = self.shared.begin(&request);
        let head_only = request.method() == Method::HEAD;
        let (context, span) = (exchange.context.clone(), exchange.span.clone());
        // The inner service may do its work here already, and panic: the exchange is then dropped, which ends it.
        let (inner, headers) = {
            let _context = context.clone().enter();
            let _span = span.enter();
            let headers = self.shared.response_headers.then(context::current_span);
            (self.inner.call(request), headers)
        };
        let follow = Follow { exchange: Some(exchange), head_only, headers };
        ResponseFuture { state: State::Followed { future: context.scope(inner.instrument(span)), follow } }
    }
}

impl Shared {
    fn begin<A>(&self, request: &Request<A>) -> Exchange {
        let headers = request.headers();
        let method = method::known(request.method());
        let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0);
        let path = uri.path().to_owned();
        let route = request.extensions().get::<MatchedPath>().map(|route| Name::from(route.as_str().to_owned()));
        let ids = RequestIds::of(headers, self.trust_ids);
        let mut context = propagation::current().extract(headers);
        for (name, value) in context::bound().fields() {
            context = context.with(name.clone(), value.clone());
        }
        let context = context.with(context::REQUEST_ID, ids.request).with(context::CORRELATION_ID, ids.correlation);
        let span = context.clone().run(|| span(request, method, uri, route.as_deref()));
        Exchange {
            instruments: self.instruments.clone(),
            context,
            span,
            method,
            quiet: self.quiet.contains(&path),
            path,
            route,
            started: Instant::now(),
            status: None,
            body_bytes: 0,
            recorded: false,
            in_flight: self.instruments.track(method),
            ended: false,
        }
    }
}

/// The span of a request, by the semantic conventions for HTTP servers
/// (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server>).
fn span<A>(request: &Request<A>, method: &'static str, uri: &Uri, route: Option<&str>) -> Span {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let name = match (route, method) {
        (Some(route), method) => format!("{method} {route}"),
        // Clients make up methods; a name made of them would have no end.
        (None, method::OTHER) => "HTTP".to_owned(),
        (None, method) => method.to_owned(),
    };
    let authority = header(HOST).or(uri.authority().map(http::uri::Authority::as_str));
    let authority = authority.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let version = match request.version() {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    tracing::info_span!(
        target: "tripod::http",
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.request.method_original = (method == method::OTHER).then(|| request.method().as_str()),
        http.route = route,
        http.response.status_code = Empty,
        http.response.body.size = Empty,
        url.scheme = uri.scheme_str().unwrap_or("http"),
        url.path = uri.path(),
        url.query = uri.query(),
        server.address = authority.as_ref().map(|authority| authority.host()),
        server.port = authority.as_ref().and_then(|authority| authority.port_u16()),
        client.address = peer.map(|peer| tracing::field::display(peer.ip())),
        client.port = peer.map(|peer| peer.port()),
        user_agent.original = header(USER_AGENT),
        network.protocol.version = version,
        error.type = Empty,
    )
}

/// What is to be done with the response.
struct Follow {
    exchange: Option<Exchange>,
    head_only: bool,
    /// Whether the response says the ids, and the span whose trace it names.
    headers: Option<Option<SpanContext>>,
}

impl Follow {
    fn respond<B: Body>(&mut self, mut response: Response<B>, context: &Context) -> Response<ObservedBody<B>> {
        let Some(mut exchange) = self.exchange.take() else { return response.map(ObservedBody::unobserved) };
        if let Some(span) = &self.headers {
            let ids = [
                (ids::REQUEST_ID, exchange.context.request_id()),
                (ids::CORRELATION_ID, exchange.context.correlation_id()),
            ];
            for (name, id) in ids {
                set_header(&mut response, name, id.unwrap_or_default().as_bytes());
            }
            if let Some(span) = span {
                set_header(&mut response, ids::TRACE_ID, &span.trace_id.digits());
            }
        }
        // What the handler has bound belongs to the request: its log line has it too.
        exchange.context = context.clone();
        let status = response.status();
        exchange.status = Some(status.as_u16());
        exchange.span.record("http.response.status_code", status.as_u16());
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        if header(CONTENT_TYPE).is_some_and(|content| content.starts_with("text/event-stream")) {
            exchange.record_head();
        }
        // The stream of an upgraded connection is not the response's body.
        let sent = !self.head_only
            && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::SWITCHING_PROTOCOLS);
        let announced = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        response.map(|body| ObservedBody::new(body, exchange, announced, sent))
    }
}

fn set_header<B>(response: &mut Response<B>, name: HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        response.headers_mut().insert(name, value);
    }
}

pin_project! {
    /// The response of [`HttpService`], in the future.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Followed {
            #[pin]
            future: Scope<Instrumented<F>>,
            follow: Follow,
        },
        Passed {
            #[pin]
            future: F,
        },
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: fmt::Display,
{
    type Output = Result<Response<ObservedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let (mut future, follow) = match self.project().state.project() {
            StateProjection::Passed { future } => {
                return future.poll(task).map_ok(|response| response.map(ObservedBody::unobserved));
            }
            StateProjection::Followed { future, follow } => (future, follow),
        };
        let result = {
            let _unwinding = Unwinding(&mut follow.exchange);
            ready!(future.as_mut().poll(task))
        };
        Poll::Ready(match result {
            Ok(response) => Ok(follow.respond(response, future.context())),
            Err(error) => {
                if let Some(exchange) = follow.exchange.take() {
                    exchange.end(End::Failed(error.to_string()));
                }
                Err(error)
            }
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
