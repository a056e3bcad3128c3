//! What the server says on a terminal when it is ready: where it listens, and what to do first.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::status::ListenerStatus;

/// What a listener is called, and what it serves.
const NAMES: &[(&str, &str, &str)] = &[
    ("front_door", "Front door", "health, metrics, SQL; /jaeger, /otlp, /prometheus"),
    ("otlp_grpc", "OTLP/gRPC", ""),
    ("otlp_http", "OTLP/HTTP", ""),
    ("jaeger", "Jaeger API", ""),
    ("prometheus", "Prometheus", ""),
];

/// The text, with a line break at its end.
pub(crate) fn banner(listeners: &[ListenerStatus], data_dir: &Path, took: Duration, token_needed: bool) -> String {
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(text, "\n  Tripod {version} is ready ({} ms)\n", took.as_millis());
    for (name, title, serves) in NAMES {
        if let Some(listener) = listeners.iter().find(|listener| listener.name == *name) {
            let _ = writeln!(text, "{}", format!("  {title:<12}{:<28}{serves}", listener.url()).trim_end());
        }
    }
    let _ = writeln!(text, "  {:<12}{}", "Data", data_dir.display());
    let lines = exporter_lines(listeners);
    if !lines.is_empty() {
        let _ = writeln!(text, "\n  Point an OpenTelemetry SDK at it:");
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
        if token_needed {
            let _ = writeln!(text, "    export OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Bearer%20<token>\"");
        }
    }
    if let Some(door) = listeners.iter().find(|listener| listener.name == "front_door") {
        let server = match door.url().as_str() {
            "http://localhost:6767" => String::new(),
            url => format!(" --server {url}"),
        };
        let query = "select service_name, count(*) from spans group by 1";
        let _ = writeln!(text, "\n  Ask it:\n    tripod query{server} \"{query}\"");
    }
    text.push('\n');
    text
}

/// What to set for an SDK: a line for HTTP and one for gRPC, as far as they are served.
pub(crate) fn exporter_lines(listeners: &[ListenerStatus]) -> Vec<String> {
    let find = |name: &str| listeners.iter().find(|listener| listener.name == name).map(ListenerStatus::url);
    let http = find("otlp_http").or_else(|| find("front_door").map(|url| format!("{url}/otlp")));
    let line = |url: String, protocol| {
        format!("export OTEL_EXPORTER_OTLP_ENDPOINT={url} OTEL_EXPORTER_OTLP_PROTOCOL={protocol}")
    };
    let http = http.map(|url| line(url, "http/protobuf"));
    http.into_iter().chain(find("otlp_grpc").map(|url| line(url, "grpc"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(name: &str, address: &str) -> ListenerStatus {
        ListenerStatus { name: name.to_owned(), address: address.parse().unwrap(), tls: false }
    }

    #[test]
    fn the_defaults_give_the_lines_of_the_documentation() {
        let listeners = [
            listener("front_door", "127.0.0.1:6767"),
            listener("otlp_grpc", "127.0.0.1:4317"),
            listener("otlp_http", "127.0.0.1:4318"),
        ];
        let text = banner(&listeners, Path::new("/data"), Duration::from_millis(7), false);
        for part in [
            "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            "tripod query \"select",
            "http://localhost:6767",
            "/data",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("Bearer") && !text.contains("Jaeger API"), "{text}");
    }

    #[test]
    fn other_addresses_are_spelled_out() {
        let listeners = [listener("front_door", "10.0.0.5:80")];
        let text = banner(&listeners, Path::new("/data"), Duration::ZERO, true);
        assert!(text.contains("tripod query --server http://10.0.0.5:80 "), "{text}");
        assert!(text.contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://10.0.0.5:80/otlp "), "{text}");
        assert!(text.contains("Bearer%20<token>"), "{text}");
    }
}
