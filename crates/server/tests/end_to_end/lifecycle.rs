//! Start, stop, crash and start again.

use std::net::TcpListener;

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
    for flag in ["--listen", "--otlp-grpc-listen", "--otlp-http-listen", "--jaeger-listen"] {
        command.args([flag, "off"]);
    }
    let (code, _, error) = run(&mut command);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("every listener is switched off"), "{error}");
}
