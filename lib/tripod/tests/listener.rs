//! The metrics' own port, and what the routes answer, on a service that is set up as any other.
#![cfg(feature = "http")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tripod::http::HttpMetrics;
use tripod::metrics::Registry;
use tripod::settings::Variables;
use tripod::{Builder, InitError, Tripod};

fn builder(pairs: &[(&str, &str)]) -> Builder {
    let quiet = [("LOG_STDOUT", "false"), ("ENVIRONMENT", "production")];
    tripod::builder("listening").variables(Variables::from_pairs(quiet.into_iter().chain(pairs.iter().copied())))
}

fn listening(change: impl FnOnce(Builder) -> Builder) -> (Tripod, SocketAddr) {
    // The system chooses the port.
    let any = |settings: &mut tripod::settings::Settings| {
        settings.metrics.listen = Some(([127, 0, 0, 1], 0).into());
    };
    let tripod = change(builder(&[]).settings(any)).build().unwrap();
    let address = tripod.metrics_address().unwrap();
    (tripod, address)
}

/// Head and body of the answer.
fn get(address: SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

#[test]
fn metrics_and_health_are_answered_on_a_port_of_their_own() {
    let (tripod, address) = listening(|builder| builder.metrics_namespace("sixseven"));
    tripod.metrics().counter("commands_total", "Commands").register().unwrap().add(3);
    let (head, body) = get(address, "/metrics", "");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("\nsixseven_commands_total 3.0\n"), "{text}");
    let build = r#"sixseven_build_info{service="listening",version="unknown",environment="production""#;
    assert!(text.contains(build), "{text}");
    assert!(!text.contains("service_build_info"));

    let (head, body) = get(address, "/health", "");
    let health: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!((&health["status"], &health["version"]), (&"healthy".into(), &"unknown".into()));
    assert!(get(address, "/health/ready", "").0.starts_with("http/1.1 200"));
    assert!(get(address, "/other", "").0.starts_with("http/1.1 404"));
    // Somebody who connects and says nothing keeps nobody else away.
    let silent: Vec<_> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(get(address, "/health/live", "").0.starts_with("http/1.1 200"));
    drop(silent);
    assert!(tripod.shutdown(Duration::from_secs(60)).complete);
    // The port is free again once the service is gone.
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    TcpListener::bind(address).unwrap();
}

#[test]
fn answers_are_packed_for_those_who_take_it() {
    let (_tripod, address) = listening(|builder| builder);
    let packed = |accept: &str| {
        let (head, body) = get(address, "/metrics", &format!("Accept-Encoding: {accept}\r\n"));
        let is_packed = head.contains("content-encoding: gzip");
        let mut text = String::new();
        if is_packed {
            flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())) && body.len() * 2 < text.len());
        } else {
            text = String::from_utf8(body).unwrap();
        }
        assert!(text.contains("# TYPE process_cpu_seconds_total counter"), "{text}");
        is_packed
    };
    assert!(packed("gzip") && packed("deflate, gzip;q=0.5") && packed("*") && packed("x-gzip"));
    assert!(!packed("identity") && !packed("gzip;q=0, *") && !packed("br") && !packed("gzip;q=none"));
    assert!(!get(address, "/metrics", "").0.contains("content-encoding"));
}

#[test]
fn a_port_that_is_taken_is_said_at_start() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = builder(&[("PROMETHEUS_PORT", &port)]).build().unwrap_err();
    assert!(matches!(error, InitError::Listen { .. }));
    let message = error.to_string();
    assert!(message.contains(&format!("0.0.0.0:{port}")) && message.contains("PROMETHEUS_PORT"), "{message}");
}

#[test]
fn metrics_of_requests_have_the_configured_names_alone() {
    let names = |registry: &Registry| {
        let families = registry.snapshot().families;
        families
            .iter()
            .map(|family| family.exposed_name())
            .filter(|name| name.contains("_requests") || name.contains("latency"))
            .collect::<Vec<_>>()
    };
    let service = builder(&[]).metrics_namespace("sixseven").http(|http| http.metrics(HttpMetrics::api_latency()));
    let tripod = service.build().unwrap();
    let _layer = tripod.http_layer();
    assert_eq!(names(tripod.metrics()), ["sixseven_api_latency_seconds", "sixseven_api_requests_in_flight"]);
    let tripod = builder(&[]).build().unwrap();
    assert_eq!(names(tripod.metrics()), ["http_requests_total", "http_requests_in_flight"]);
}

#[test]
fn the_version_is_what_the_code_or_the_environment_says() {
    let version = |builder: Builder| {
        let tripod = builder.build().unwrap();
        let text = tripod.metrics().prometheus_text();
        let version = text.split("version=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (version, tripod.settings().service.version.clone())
    };
    assert_eq!(version(builder(&[])), ("unknown".to_owned(), None));
    assert_eq!(version(builder(&[]).version("1.2.3")).0, "1.2.3");
    assert_eq!(version(builder(&[("SERVICE_VERSION", "2")]).version("1.2.3")).0, "2");
}
