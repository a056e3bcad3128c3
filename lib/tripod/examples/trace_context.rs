//! The service that the W3C trace-context harness tests: it is told by a request which requests to make, and makes them
//! within the trace of the request: `cargo run --package tripod --example trace_context -- 127.0.0.1:5000`.
//!
//! `interop/sdk/trace_context` runs the harness against it; `tests/trace_context` says the same rules in CI.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::routing::post;
use tripod::Tripod;
use tripod::context::{self, propagation};
use tripod::network::http::{HttpClient, Tls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let tripod = tripod::init("trace-context")?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    tracing::info!(%address, "listening");
    axum::serve(listener, router(&tripod)).with_graceful_shutdown(async { _ = tokio::signal::ctrl_c().await }).await?;
    tripod.shutdown(Duration::from_secs(5));
    Ok(())
}

/// The service. The layer reads the trace of a request.
pub(crate) fn router(tripod: &Tripod) -> Router {
    Router::new().route("/test", post(test)).layer(tripod.http_layer())
}

/// `[{"url": …, "arguments": […]}, …]`: posts the arguments to each address.
async fn test(body: Bytes) -> Result<&'static str, (StatusCode, String)> {
    let calls: Vec<serde_json::Value> =
        serde_json::from_slice(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    for call in &calls {
        forward(call).await.map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))?;
    }
    Ok("done")
}

#[tripod::traced(kind = "client")]
async fn forward(call: &serde_json::Value) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let uri: Uri = call["url"].as_str().ok_or("a call needs a url")?.parse()?;
    let mut request = Request::new(Bytes::from(call["arguments"].to_string()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    propagation::current().inject(&context::current(), request.headers_mut());
    let length = request.body().len();
    request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let answer = HttpClient::new(&uri, &Tls::default())?.send(request).await?;
    if answer.status.is_success() { Ok(()) } else { Err(format!("{uri} answered {}", answer.status).into()) }
}
