//! The client middleware against a real server: headers, spans by attempt, metrics by provider.
#![cfg(feature = "reqwest")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use http::Extensions;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::net::TcpListener;
use tripod::context::{Context, SpanContext, SpanId, TraceFlags, TraceId};
use tripod::http::client::{HttpClientMiddleware, Provider};
use tripod::metrics::Registry;

/// Tries a second time, as retry middlewares do.
struct Again;

#[async_trait::async_trait]
impl Middleware for Again {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let first = next.clone().run(request.try_clone().unwrap(), extensions).await?;
        if first.status().is_success() { Ok(first) } else { next.run(request, extensions).await }
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

fn client(registry: &Registry, address: &str) -> ClientWithMiddleware {
    let observe = HttpClientMiddleware::builder().provider(address, "yutori").build(registry).unwrap();
    ClientBuilder::new(reqwest::Client::new()).with(Again).with(observe).build()
}

#[tokio::test]
async fn the_trace_and_the_ids_travel_with_the_call() {
    let echo = |headers: HeaderMap| async move {
        ["traceparent", "x-request-id", "x-correlation-id"]
            .map(|name| headers[name].to_str().unwrap().to_owned())
            .join(" ")
    };
    let address = serve(Router::new().route("/", get(echo))).await;
    let registry = Registry::new();
    let client = client(&registry, &address);
    let span = SpanContext {
        trace_id: TraceId([7; 16]),
        span_id: SpanId([9; 8]),
        flags: TraceFlags(1),
        ..SpanContext::default()
    };
    let context = Context::new().with("request_id", "r-1").with("correlation_id", "c-2").with_remote_parent(span);
    let call = async { client.get(format!("http://{address}/")).send().await.unwrap().text().await.unwrap() };
    let text = context.scope(call).await;
    assert!(text.starts_with(&format!("00-{}-", "07".repeat(16))), "{text}");
    assert!(text.ends_with("-01 r-1 c-2"), "{text}");
    let snapshot = registry.snapshot();
    let labels = [("provider", "yutori"), ("status", "success")];
    assert_eq!(snapshot.value("external_api_calls_total", &labels), Some(1.0));
    assert_eq!(snapshot.value("external_api_latency_seconds", &[("provider", "yutori")]), Some(1.0));
}

#[tokio::test]
async fn every_attempt_is_counted_and_a_refused_connection_is_an_error() {
    let calls = Arc::new(AtomicUsize::new(0));
    let flaky = move || {
        let first = calls.fetch_add(1, Relaxed) == 0;
        async move { if first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK } }
    };
    let address = serve(Router::new().route("/", get(flaky))).await;
    let registry = Registry::new();
    let client = client(&registry, &address);
    assert_eq!(client.get(format!("http://{address}/")).send().await.unwrap().status(), 200);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = client.get(format!("http://{closed}/")).with_extension(Provider("freepik")).send().await;
    assert!(refused.is_err());
    let snapshot = registry.snapshot();
    let value =
        |provider, status| snapshot.value("external_api_calls_total", &[("provider", provider), ("status", status)]);
    assert_eq!(value("yutori", "error"), Some(1.0));
    assert_eq!(value("yutori", "success"), Some(1.0));
    assert_eq!(value("freepik", "error"), Some(1.0));
}
