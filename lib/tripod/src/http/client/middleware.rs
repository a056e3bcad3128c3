//! One attempt of a request: its span, its headers, what it came to.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::context::{self, propagation};
use crate::external::ExternalCalls;
use crate::http::method;
use crate::metrics::{MetricError, Registry};

/// The provider that a request goes to, as an extension of the request: `client.get(url).with_extension(Provider("x"))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider(pub &'static str);

/// Makes the requests of a client visible. Put it after (inside of) what tries again.
#[derive(Clone)]
pub struct HttpClientMiddleware(Arc<Inner>);

type SpanName = dyn Fn(&Request) -> String + Send + Sync;

struct Inner {
    calls: Option<ExternalCalls>,
    providers: HashMap<String, String>,
    span_name: Option<Box<SpanName>>,
}

/// How an [`HttpClientMiddleware`] is made.
pub struct HttpClientMiddlewareBuilder {
    metrics: bool,
    providers: HashMap<String, String>,
    span_name: Option<Box<SpanName>>,
}

impl HttpClientMiddleware {
    /// A middleware that counts under the host's name.
    pub fn builder() -> HttpClientMiddlewareBuilder {
        HttpClientMiddlewareBuilder { metrics: true, providers: HashMap::new(), span_name: None }
    }
}

impl HttpClientMiddlewareBuilder {
    /// The name of the provider behind a host, with or without its port, for the label `provider`. Without one the label
    /// is the host.
    pub fn provider(mut self, host: impl Into<String>, provider: impl Into<String>) -> Self {
        self.providers.insert(host.into(), provider.into());
        self
    }

    /// Whether calls are counted here. Not when a [`JobObserver`](crate::jobs::JobObserver) is told of the same calls.
    pub fn metrics(mut self, count: bool) -> Self {
        self.metrics = count;
        self
    }

    /// How spans are named: by the method (`GET`) unless set. Keep ids out of names.
    pub fn span_name(mut self, name: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        self.span_name = Some(Box::new(name));
        self
    }

    /// Registers `external_api_calls_total` and `external_api_latency_seconds`, and makes the middleware.
    ///
    /// # Errors
    /// When a name is in use for something else.
    pub fn build(self, registry: &Registry) -> std::result::Result<HttpClientMiddleware, MetricError> {
        let calls = self.metrics.then(|| ExternalCalls::register(registry)).transpose()?;
        let Self { providers, span_name, .. } = self;
        Ok(HttpClientMiddleware(Arc::new(Inner { calls, providers, span_name })))
    }
}

/// How often the same request was sent before. Lives in the extensions, which all attempts share.
#[derive(Clone, Copy)]
struct Sent(u32);

#[async_trait::async_trait]
impl Middleware for HttpClientMiddleware {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let resend = extensions.get::<Sent>().map_or(0, |sent| sent.0);
        extensions.insert(Sent(resend.saturating_add(1)));
        let provider = self.0.provider(&request, extensions);
        let span = self.0.span(&request, resend);
        span.in_scope(|| propagation::current().inject(&context::current(), request.headers_mut()));
        let started = Instant::now();
        let mut attempt = Attempt { span: span.clone(), ended: false };
        let result = next.run(request, extensions).instrument(span.clone()).await;
        attempt.ended = true;
        let took = started.elapsed();
        let status = result.as_ref().ok().map(|response| response.status().as_u16());
        let success = status.is_some_and(|status| status < 400);
        let _span = span.enter();
        if let Some(status) = status {
            span.record("http.response.status_code", status);
        }
        if !success {
            span.record("otel.status_code", "ERROR");
            match (&result, status) {
                (Err(error), _) => span.record("error.type", error_type(error)),
                (_, status) => span.record("error.type", itoa::Buffer::new().format(status.unwrap_or_default())),
            };
        }
        if resend > 0 {
            tracing::warn!(
                target: "tripod::http",
                provider = &*provider,
                attempt = resend + 1,
                status_code = status,
                success,
                duration_ms = (took.as_secs_f64() * 1e5).round() / 1e2,
                "external_api_retry"
            );
        }
        if let Some(calls) = &self.0.calls {
            calls.record(&provider, took, success);
        }
        result
    }
}

/// Says so when nobody waited for the answer.
struct Attempt {
    span: Span,
    ended: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.ended {
            self.span.record("error.type", "cancelled");
        }
    }
}

impl Inner {
    fn provider(&self, request: &Request, extensions: &Extensions) -> String {
        if let Some(provider) = extensions.get::<Provider>() {
            return provider.0.to_owned();
        }
        let host = request.url().host_str().unwrap_or("unknown");
        let with_port = request.url().port().and_then(|port| self.providers.get(&format!("{host}:{port}")));
        with_port.or_else(|| self.providers.get(host)).map_or(host, String::as_str).to_owned()
    }

    /// By the semantic conventions for HTTP clients
    /// (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client>).
    fn span(&self, request: &Request, resend: u32) -> Span {
        let method = method::known(request.method());
        let name = match &self.span_name {
            Some(name) => name(request),
            None if method == method::OTHER => "HTTP".to_owned(),
            None => method.to_owned(),
        };
        let url = request.url();
        tracing::info_span!(
            target: "tripod::http",
            "request",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = method,
            http.request.resend_count = (resend > 0).then_some(resend),
            http.response.status_code = Empty,
            server.address = url.host_str(),
            server.port = url.port_or_known_default(),
            url.full = url.as_str(),
            error.type = Empty,
        )
    }
}

fn error_type(error: &Error) -> &'static str {
    match error {
        Error::Reqwest(error) if error.is_timeout() => "timeout",
        Error::Reqwest(error) if error.is_connect() => "connect",
        Error::Reqwest(error) if error.is_redirect() => "redirect",
        Error::Reqwest(error) if error.is_body() || error.is_decode() => "body",
        Error::Reqwest(_) => "request",
        Error::Middleware(_) => "middleware",
    }
}

impl fmt::Debug for HttpClientMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientMiddleware").field("providers", &self.0.providers).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpClientMiddlewareBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientMiddlewareBuilder").field("providers", &self.providers).finish_non_exhaustive()
    }
}
