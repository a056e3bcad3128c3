//! Series: scraping, remote write by `tripod import`, pushes, OTLP, and the check of expositions.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::program::{Server, run, tripod};

/// A target that tells of each request.
fn target() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let body = "requests_total 1\n";
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
            if sender.send(String::from_utf8_lossy(&head).into_owned()).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

#[test]
fn series_come_in_by_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = target();
    let config = folder.path().join("tripod.yaml");
    let text = format!(
        "prometheus:\n  global: {{scrape_interval: 100ms}}\n  scrape_configs:\n    - job_name: a\n      static_configs: [{{targets: ['{address}']}}]\n      \
         relabel_configs: [{{source_labels: [__address__], target_label: x, replacement: '${{1}}'}}]\n"
    );
    fs::write(&config, text).unwrap();
    let server = Server::start(&folder.path().join("data"), &["--config", config.to_str().unwrap()]);
    for _ in 0..2 {
        let head = asked.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(
            head.starts_with("GET /metrics ") && head.to_lowercase().contains("application/openmetrics-text"),
            "{head}"
        );
    }

    let dump = folder.path().join("dump.om");
    let lines: String =
        (0..25_000).map(|step| format!("a{{x=\"{}\"}} {step} {}\n", step % 10, 1_700_000_000 + step)).collect();
    fs::write(&dump, format!("# TYPE a gauge\n{lines}# EOF\n")).unwrap();
    let front_door = &server.urls["front_door"];
    for _ in 0..2 {
        let (code, _, error) = run(tripod().args(["import", dump.to_str().unwrap(), "--server", front_door]));
        assert_eq!((code, error.trim()), (0, "25000 samples were kept"), "a dump can be sent twice");
    }

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let push = format!("{front_door}/metrics/job/backup/zone/eu");
        let put = http.put(&push).body("last_success 1\n").send().await.unwrap();
        assert_eq!(put.status(), 200);
        assert_eq!(http.put(&push).body("last_success 1 5\n").send().await.unwrap().status(), 400);
        assert_eq!(http.delete(&push).send().await.unwrap().status(), 202);
        let metrics = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [{
            "name": "http.requests",
            "sum": { "aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [{ "asInt": "3", "timeUnixNano": "1700000000000000000" }] },
        }] }] }] });
        let url = format!("{front_door}/prometheus/api/v1/otlp/v1/metrics");
        let answer = http.post(&url).json(&metrics).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "{}"));
        let url = format!("{front_door}/prometheus/api/v1/write");
        assert_eq!(http.post(&url).body("no snappy").send().await.unwrap().status(), 400);
    });
}

#[test]
fn expositions_are_checked() {
    for (text, code, said) in [
        ("# HELP a_total A.\n# TYPE a_total counter\na_total 1\n", 0, "standard input: ok\n"),
        ("a 1\n", 3, "standard input: a no help text\n"),
        ("a{ 1\n", 1, "standard input:1:4: expected a label name or }, found '1'\n"),
    ] {
        let mut child =
            tripod().args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
    }
}
