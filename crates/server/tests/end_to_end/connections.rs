//! TLS, tokens, and clients that misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tempfile::tempdir;

use crate::program::{Server, run, write};
use crate::telemetry::{json_log, json_span, send_grpc, span};

/// A read that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn tls_on_every_listener() {
    let directory = tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = write(directory.path(), "tls.crt", &certified.cert.pem());
    let key = write(directory.path(), "tls.key", &certified.signing_key.serialize_pem());
    let mut config = String::from("listeners:\n");
    for listener in ["front_door", "otlp_grpc", "otlp_http", "jaeger", "prometheus"] {
        config.push_str(&format!(
            "  {listener}:\n    address: 127.0.0.1:0\n    tls:\n      certificate: {certificate}\n      key: ${{KEY}}\n"
        ));
    }
    let config = write(directory.path(), "tripod.yaml", &config);
    let server = Server::with_environment(&directory.path().join("data"), &["--config", &config], &[("KEY", &key)]);
    assert!(server.urls.values().all(|url| url.starts_with("https://")), "{:?}", server.urls);

    let authority = reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
    let sent = http.post(server.url("otlp_http", "/v1/traces")).json(&json_span("shop", "GET /", 7));
    assert_eq!(sent.send().await.unwrap().status(), 200);
    let services: serde_json::Value =
        http.get(server.url("jaeger", "/api/services")).send().await.unwrap().json().await.unwrap();
    assert_eq!(services["data"], json!(["shop"]));
    let plain = server.url("front_door", "/health").replace("https", "http");
    assert!(reqwest::get(plain).await.is_err());

    let (code, out, error) = run(&mut server.command(&["doctor", "--ca-certificate", &certificate]));
    assert_eq!(code, 0, "{out}{error}");
    let (code, _, error) = run(&mut server.command(&["query", "select 1"]));
    assert_eq!(code, 1);
    assert!(error.to_lowercase().contains("certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_asked_for() {
    let directory = tempdir().unwrap();
    let variables = [("TRIPOD_INGEST_BEARER_TOKEN", "in"), ("TRIPOD_API_BEARER_TOKEN", "out")];
    let server = Server::with_environment(directory.path(), &[], &variables);
    let grpc = &server.urls["otlp_grpc"];
    let refused = send_grpc(grpc, Some("out"), span("shop", "GET /", 1)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    send_grpc(grpc, Some("in"), span("shop", "GET /", 1)).await.unwrap();

    let http = reqwest::Client::new();
    for (listener, path) in [("front_door", "/otlp/v1/logs"), ("otlp_http", "/v1/logs")] {
        let send = |token| http.post(server.url(listener, path)).bearer_auth(token).json(&json_log("shop", "x")).send();
        assert_eq!(send("out").await.unwrap().status(), 401, "{path}");
        assert_eq!(send("in").await.unwrap().status(), 200, "{path}");
    }
    for (listener, path) in [
        ("front_door", "/api/v1/sql?query=select%201"),
        ("front_door", "/api/v1/status"),
        ("front_door", "/jaeger/api/services"),
        ("jaeger", "/api/services"),
    ] {
        let ask = |token| http.get(server.url(listener, path)).bearer_auth(token).send();
        assert_eq!(ask("in").await.unwrap().status(), 401, "{path}");
        assert_eq!(ask("out").await.unwrap().status(), 200, "{path}");
    }
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(http.get(server.url("front_door", path)).send().await.unwrap().status(), 200, "{path}");
    }
    let (code, _, error) = run(&mut server.command(&["query", "select 1"]));
    assert_eq!(code, 1);
    assert!(error.contains("--token"), "{error}");
    let (code, out, error) = run(server.command(&["query", "select 1 as one"]).env("TRIPOD_TOKEN", "out"));
    assert_eq!((code, out.as_str()), (0, "{\"one\":1}\n"), "{error}");
}

#[test]
fn silent_and_slow_clients_lose_their_connection() {
    let directory = tempdir().unwrap();
    let limits = [
        "server.max_connections=2",
        "server.header_timeout_seconds=1",
        "server.body_timeout_seconds=1",
        "server.idle_timeout_seconds=1",
    ];
    let more: Vec<&str> = limits.iter().flat_map(|limit| ["--set", limit]).collect();
    let server = Server::start(directory.path(), &more);
    let address = server.urls["front_door"].trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let connect = |first: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(first.as_bytes()).unwrap();
        stream
    };
    // Says nothing; half a head; half a body; a whole request and then nothing.
    let clients = [
        connect(""),
        connect("GET /health HTTP/1.1\r\nHost: x\r\n"),
        connect("POST /api/v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"),
        connect("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    let answers: Vec<String> = clients
        .into_iter()
        .map(|mut stream| {
            let mut answer = Vec::new();
            // The end of the stream, or a reset: either way the server has let go.
            let ended = stream.read_to_end(&mut answer);
            let hung = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
            assert!(!hung, "the connection was kept");
            String::from_utf8(answer).unwrap()
        })
        .collect();
    assert_eq!(answers[0], "");
    assert!(!answers[1].contains("200 OK"), "{}", answers[1]);
    assert!(!answers[2].contains("200 OK"), "{}", answers[2]);
    assert!(answers[3].starts_with("HTTP/1.1 200 OK"), "{}", answers[3]);
    assert_eq!(server.query("select 1"), json!([[1]]));
}
