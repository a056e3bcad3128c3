//! Start, stop, crash and start again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;
use tempfile::tempdir;

use crate::program::{Server, run, tripod};
use crate::telemetry::{send_grpc, span};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_stop_and_after_a_crash() {
    let directory = tempdir().unwrap();
    for (trace, signal, code) in [(1, "INT", Some(0)), (2, "KILL", None), (3, "TERM", Some(0)), (4, "KILL", None)] {
        let server = Server::start(directory.path(), &[]);
        send_grpc(&server.urls["otlp_grpc"], None, span("shop", "GET /", trace)).await.unwrap();
        server.signal(signal);
        let (status, log) = server.wait();
        assert_eq!(status.code(), code, "{signal}: {log:#?}");
        if code.is_some() {
            assert!(log.iter().any(|line| line.contains("\"message\":\"stopped\"")), "{log:#?}");
        }
    }
    let server = Server::start(directory.path(), &[]);
    let expected: Vec<_> = (1..=4_u8).map(|trace| json!([format!("{trace:02x}").repeat(16)])).collect();
    assert_eq!(server.query("select trace_id from spans order by 1"), json!(expected));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_is_replayed_the_server_says_how_far_it_is() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let client = reqwest::Client::new();
    let pushed = client.post(server.url("front_door", "/metrics/job/batch")).body("last_run 5\n").send().await.unwrap();
    assert!(pushed.status().is_success(), "{pushed:?}");
    server.signal("KILL");
    server.wait();

    // In the place of the log's only segment stands a pipe, so that the replay waits for this test.
    let mut segments = std::fs::read_dir(directory.path().join("wal-series")).unwrap();
    let segment = segments.next().unwrap().unwrap().path();
    assert!(segments.next().is_none());
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::remove_file(&segment).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&segment).status().unwrap().success());
    let mut server = Server::spawn(directory.path(), &[], &[]);
    for listener in ["prometheus", "front_door"] {
        while !server.urls.contains_key(listener) {
            server.wait_for("listening");
        }
    }
    // Opened by the reader, too, from here on.
    let mut pipe = tokio::task::spawn_blocking({
        let segment = segment.clone();
        move || std::fs::OpenOptions::new().write(true).open(segment).unwrap()
    })
    .await
    .unwrap();
    let ask = async |url: String| {
        let response = client.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let replay = (200, r#"{"status":"success","data":{"min":0,"max":0,"current":0}}"#.to_owned());
    let not_ready = (503, "Service Unavailable".to_owned());
    for (listener, base) in [("prometheus", ""), ("front_door", "/prometheus")] {
        assert_eq!(ask(server.url(listener, &format!("{base}/api/v1/status/walreplay"))).await, replay);
        assert_eq!(ask(server.url(listener, &format!("{base}/-/ready"))).await, not_ready);
        assert_eq!(ask(server.url(listener, &format!("{base}/api/v1/query?query=last_run"))).await, not_ready);
        assert_eq!(ask(server.url(listener, &format!("{base}/-/healthy"))).await.0, 200);
    }
    pipe.write_all(&bytes).unwrap();
    drop(pipe);
    server.wait_for("\"ready\"");
    assert_eq!(ask(server.url("prometheus", "/-/ready")).await, (200, "Prometheus Server is Ready.\n".to_owned()));
    assert_eq!(ask(server.url("prometheus", "/api/v1/status/walreplay")).await, replay);
    let (status, answer) = ask(server.url("prometheus", "/api/v1/query?query=last_run")).await;
    assert!(status == 200 && answer.contains(r#""job":"batch""#), "{answer}");
}

/// A client in the middle of a request, which a server that stops waits for.
fn unfinished_request(server: &Server) -> TcpStream {
    let address = server.urls["otlp_http"].replace("http://localhost", "127.0.0.1");
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // That the server asks for the body shows that it is at work on the request.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[test]
fn requests_that_do_not_end_are_cut_at_the_deadline() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--set", "server.shutdown_deadline_seconds=1"]);
    let _unfinished = unfinished_request(&server);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("the deadline has passed")), "{log:#?}");
}

#[test]
fn a_second_interrupt_stops_at_once() {
    let directory = tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--set", "server.shutdown_deadline_seconds=1h"]);
    let _unfinished = unfinished_request(&server);
    server.signal("INT");
    server.wait_for("stopping");
    server.signal("INT");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(130), "{log:#?}");
}

#[test]
fn a_default_port_that_is_taken_is_skipped() {
    let directory = tempdir().unwrap();
    // When this fails another program has the port already, which is just as well.
    let _taken = TcpListener::bind("127.0.0.1:16686");
    let server = Server::start(directory.path(), &["--jaeger-listen", "default"]);
    assert!(!server.urls.contains_key("jaeger"));
    let told = server.log.iter().any(|line| line.contains("16686") && line.contains("taken") && line.contains("WARN"));
    assert!(told, "{:#?}", server.log);
}

#[test]
fn a_named_port_that_is_taken_is_an_error_before_anything_starts() {
    let directory = tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = tripod();
    command.args(["serve", "--listen", "127.0.0.1:0", "--jaeger-listen", &address, "--otlp-http-listen", &address]);
    let (code, _, error) = run(command.arg("--data-dir").arg(&data_dir));
    assert_eq!(code, 1, "{error}");
    for expected in ["jaeger", "otlp_http", "is taken by another program", &address] {
        assert!(error.contains(expected), "{error}");
    }
    assert!(!data_dir.exists());
}

#[test]
fn a_directory_belongs_to_one_server() {
    let directory = tempdir().unwrap();
    let _server = Server::start(directory.path(), &[]);
    let mut command = tripod();
    command.args(["serve", "--listen", "127.0.0.1:0", "--otlp-grpc-listen", "off", "--otlp-http-listen", "off"]);
    let (code, _, error) = run(command.args(["--jaeger-listen", "off", "--data-dir"]).arg(directory.path()));
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("in use by another"), "{error}");
}

#[test]
fn nothing_to_listen_on_is_an_error() {
    let mut command = tripod();
    command.arg("serve");
    for flag in ["--listen", "--otlp-grpc-listen", "--otlp-http-listen", "--jaeger-listen", "--prometheus-listen"] {
        command.args([flag, "off"]);
    }
    let (code, _, error) = run(&mut command);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("every listener is switched off"), "{error}");
}
