//! Commands that only print, and what queries print.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;
use tempfile::tempdir;

use crate::program::{Server, run, tripod, write};

#[test]
fn help_version_and_completions() {
    let (code, out, _) = run(tripod().arg("--version"));
    assert_eq!(code, 0);
    assert!(out.starts_with(concat!("tripod ", env!("CARGO_PKG_VERSION"))), "{out}");
    for command in ["serve", "query", "check", "import", "config", "doctor", "completions"] {
        let (code, out, _) = run(tripod().args([command, "--help"]));
        assert_eq!(code, 0);
        assert!(out.contains("Usage: tripod") && (out.contains("Examples:") || command == "check"), "{out}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, _) = run(tripod().args(["completions", shell]));
        assert_eq!(code, 0);
        assert!(out.contains("doctor"), "{shell}: {out}");
    }
}

#[test]
fn the_printed_defaults_are_a_valid_file_and_in_effect() {
    let directory = tempdir().unwrap();
    let (_, defaults, _) = run(tripod().args(["config", "--defaults"]));
    let file = write(directory.path(), "tripod.yaml", &defaults);
    let (code, out, error) = run(tripod().args(["check", "config", &file]));
    assert_eq!((code, out), (0, format!("{file}: ok\n")), "{error}");
    let (code, effective, error) = run(tripod().arg("config").env("TRIPOD_API_BEARER_TOKEN", "hunter2"));
    assert_eq!(code, 0, "{error}");
    assert!(
        effective.contains("  bearer_token: \"********\"  # environment variable TRIPOD_API_BEARER_TOKEN"),
        "{effective}"
    );
    assert!(!effective.contains("hunter2"), "{effective}");
}

#[test]
fn mistakes_in_a_file_are_listed_with_their_lines() {
    let directory = tempdir().unwrap();
    let file = write(directory.path(), "tripod.yaml", "store:\n  flsh:\n    rows: 1\nlogging:\n  format: xml\n");
    for command in [&["check", "config", &file][..], &["serve", "--config", &file], &["config", "--config", &file]] {
        let (code, out, error) = run(tripod().args(command));
        assert_eq!(code, 1);
        let told = out + &error;
        assert!(
            told.contains(&format!("{file}:2:3: store.flsh: there is no such setting; did you mean \"flush\"?")),
            "{told}"
        );
        assert!(told.contains(&format!("{file}:5:11: logging.format: ")), "{told}");
    }
    let (code, out, _) = run(tripod().args(["check", "config", &file, "--format", "json"]));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, report["mistakes"].as_array().map(Vec::len)), (1, Some(2)), "{report}");
    assert_eq!(report["mistakes"][0]["key"], "store.flsh");
    let (code, _, error) = run(tripod().args(["serve", "--config", "/nonexistent.yaml"]));
    assert_eq!(code, 1);
    assert!(error.contains("/nonexistent.yaml") && error.contains("cannot be read"), "{error}");
}

#[test]
fn a_query_without_a_server_says_how_to_start_one() {
    // A port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("http://127.0.0.1:{port}");
    for command in [&["query", "select 1"][..], &["doctor"]] {
        let (code, out, error) = run(tripod().args(command).args(["--server", &server]));
        assert_eq!(code, 1);
        let told = out + &error;
        assert!(told.contains(&format!("no server answers at {server}")) && told.contains("tripod serve"), "{told}");
    }
}

#[test]
fn queries_print_in_every_format() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let sql = "select 'a\"b' as name, 2 as n union all select 'c', 1 order by n";
    let ask = |more: &[&str]| run(server.command(&["query", sql]).args(more));
    let (code, out, error) = ask(&["--format", "table"]);
    assert_eq!((code, out.as_str()), (0, "name │ n\n─────┼──\nc    │ 1\na\"b  │ 2\n"), "{error}");
    assert!(error.starts_with("(2 rows, "), "{error}");
    assert_eq!(ask(&["--format", "csv"]).1, "name,n\nc,1\n\"a\"\"b\",2\n");
    let lines = "{\"name\":\"c\",\"n\":1}\n{\"name\":\"a\\\"b\",\"n\":2}\n";
    assert_eq!(ask(&["--format", "jsonl"]).1, lines);
    assert_eq!(ask(&[]).1, lines, "in a pipe");
    let json: Value = serde_json::from_str(&ask(&["--format", "json"]).1).unwrap();
    assert_eq!(json["rows"], serde_json::json!([["c", 1], ["a\"b", 2]]));
    let (code, out, error) = ask(&["--limit", "1"]);
    assert_eq!((code, out.as_str(), error.as_str()), (0, "{\"name\":\"c\",\"n\":1}\n", ""));

    let mut child = server.command(&["query", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"select 5 as five\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"five\":5}\n");
}

#[test]
fn promql_is_asked_and_drawn() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let dump = "# TYPE a gauge\na{b=\"c\"} 1 0\na{b=\"c\"} 2 60\na{b=\"c\"} 3 120\n# EOF\n";
    let file = directory.path().join("dump.om");
    std::fs::write(&file, dump).unwrap();
    let (code, out, error) = run(server.command(&["import"]).arg(&file));
    assert_eq!(code, 0, "{out}{error}");
    let ask = |query: &str, more: &[&str]| run(server.command(&["query", "--promql", query]).args(more));
    let mut child = server.command(&["import", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(dump.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "3 samples were kept\n");
    let (code, out, error) = ask("a", &["--at", "60", "--format", "table"]);
    assert_eq!((code, out.as_str()), (0, "name │ b │ value\n─────┼───┼──────\na    │ c │   2.0\n"), "{error}");
    let doubled = ask("a * 2", &["--at", "1970-01-01T00:01:00Z"]).1;
    assert_eq!(doubled, "{\"metric\":{\"b\":\"c\"},\"value\":[60.0,\"4\"]}\n");
    let range = ["--at", "120", "--range", "2m", "--step", "1m"];
    let (code, out, _) = ask("a or vector(1)", &[&range[..], &["--format", "table"]].concat());
    assert_eq!((code, out.as_str()), (0, "{}  min 1  max 1  last 1\n▅▅▅\na{b=\"c\"}  min 1  max 3  last 3\n▁▅█\n"));
    assert!(ask("a", &[&range[..], &["--format", "csv"]].concat()).1.ends_with("120,\"a{b=\"\"c\"\"}\",3\n"));
    let json: Value = serde_json::from_str(&ask("a", &[&range[..], &["--format", "json"]].concat()).1).unwrap();
    assert_eq!(json["data"]["result"][0]["values"].as_array().map(Vec::len), Some(3));
    let (code, out, error) = ask("rate(a)", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("expected type range vector"), "{error}");
    let (code, _, error) = ask("rate(a[3m])", &["--at", "120"]);
    assert!(code == 0 && error.contains("metric might not be a counter"), "{error}");
    let (code, _, error) = run(&mut server.command(&["query", "select 1", "--range", "1h"]));
    assert!(code == 2 && error.contains("--promql"), "{error}");
}

#[test]
fn errors_of_queries_are_the_servers_words() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let (code, out, error) = run(&mut server.command(&["query", "select nme from spans"]));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.starts_with("tripod: ") && error.contains("nme") && !error.contains('{'), "{error}");
    let (code, _, error) = run(&mut server.command(&["query", "drop table spans"]));
    assert_eq!(code, 1, "{error}");
    let (code, _, error) = run(&mut server.command(&["query", " "]));
    assert_eq!((code, error.as_str()), (1, "tripod: the query is empty\n"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let sql = "select value as number, repeat('x', 1000) as filler from generate_series(1, 50000)";
    let mut command = server.command(&["query", sql]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(first.starts_with("{\"number\":1,"), "{}", &first[..40.min(first.len())]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn an_import_waits_for_a_busy_server_and_says_what_is_none() {
    let directory = tempdir().unwrap();
    let dump = directory.path().join("dump.txt");
    std::fs::write(&dump, "a 1 60000\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let busy = "429 Too Many Requests\r\nretry-after: 0";
    let kept = "204 No Content\r\nx-prometheus-remote-write-samples-written: 1";
    let server = std::thread::spawn(move || {
        for answer in [busy, busy, kept, "404 Not Found"] {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = BufReader::new(&connection);
            let head = request.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty());
            let length = head.filter_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).last();
            request.read_exact(&mut vec![0; length.unwrap()]).unwrap();
            write!(connection, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
    });
    let import = || run(tripod().arg("import").arg(&dump).args(["--server", &address]));
    assert_eq!(import(), (0, String::new(), "1 samples were kept\n".to_owned()));
    let (code, _, error) = import();
    assert!(code == 1 && error.contains("is it the front door of a tripod server?"), "{error}");
    server.join().unwrap();
}
