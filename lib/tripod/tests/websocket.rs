//! The server layer under a real WebSocket library on both ends: the handshake is the request, the conversation is not.
#![cfg(feature = "http")]

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use tokio_tungstenite::{WebSocketStream, client_async};
use tripod::context;
use tripod::http::HttpLayer;
use tripod::metrics::Registry;
use tripod::testing::Capture;

/// Answers every text until the client closes, and then says what it had in its context.
async fn echo(ended: mpsc::UnboundedSender<Option<String>>, mut request: Request) -> Response {
    let accept = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tripod::spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                tracing::info!(length = message.len(), "message_received");
                socket.send(message).await.unwrap();
            }
        }
        ended.send(context::bound().request_id().map(str::to_owned)).unwrap();
    });
    let headers = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", accept.as_str())];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

#[tokio::test]
async fn a_conversation_outlives_its_request_and_keeps_its_context() {
    let capture = Capture::new();
    let _captured = capture.enter();
    let registry = Registry::new();
    let layer = HttpLayer::builder().build(&registry).unwrap();
    let (ended, mut end) = mpsc::unbounded_channel();
    let app = Router::new().route("/ws", get(move |request| echo(ended, request))).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    request.headers_mut().insert("x-request-id", "ws-1".parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, response) = client_async(request, stream).await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "ws-1");
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    // While they talk, the request is over and counted.
    let snapshot = registry.snapshot();
    let labels = [("endpoint", "/ws"), ("method", "GET"), ("status_code", "101")];
    assert_eq!(snapshot.value("http_requests_total", &labels), Some(1.0));
    assert_eq!(snapshot.value("http_request_duration_seconds", &labels), Some(1.0));
    assert_eq!(snapshot.value("http_requests_in_flight", &[("method", "GET")]), Some(0.0));
    let span = capture.span("GET /ws");
    assert!(!span.is_error());
    socket.close(None).await.unwrap();
    assert_eq!(end.recv().await.unwrap().as_deref(), Some("ws-1"));

    assert_eq!(capture.log("request_completed").get("status_code").cloned(), Some(101_u64.into()));
    let lines: Vec<_> = capture.logs().into_iter().filter(|line| line.event == "message_received").collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line.context.request_id(), Some("ws-1"));
        assert_eq!(line.span.as_ref(), Some(&span.context));
    }
}
