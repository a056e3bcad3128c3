//! A whole service, from variables to what a collector gets, and its end on runtimes that a careless one deadlocks.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use tripod::Tripod;
use tripod::context::Context;
use tripod::settings::Variables;
use tripod::traces::sampler::{Action, Rule};

use super::collector::Collector;

fn service(address: std::net::SocketAddr, protocol: &str) -> Tripod {
    let variables = Variables::from_pairs([
        ("ENVIRONMENT", "production"),
        ("LOG_STDOUT", "false"),
        ("SIXSEVEN_OTLP_ENDPOINT", &format!("http://127.0.0.1:{}", address.port())),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]);
    tripod::builder("sixseven")
        .variables(variables)
        .prefix("SIXSEVEN_")
        .version("1.2.3")
        .metrics_namespace("sixseven")
        .trace_rule(Rule::new("secret*", Action::Never))
        .build()
        .unwrap()
}

fn work(tripod: &Tripod) {
    let commands = tripod.metrics().counter("commands_total", "Commands").labels(["intent"]).register().unwrap();
    tracing::dispatcher::with_default(tripod.dispatch(), || {
        let _context = Context::new().with("request_id", "r1").enter();
        let span = tracing::info_span!("handle_command", command.text = "draw", password = "hunter2").entered();
        tracing::info!(intent = "creative", "command_received");
        drop(span);
        tracing::info_span!("secret_work").in_scope(|| ());
        commands.with(["creative"]).add(1);
    });
}

#[test]
fn spans_lines_and_metrics_arrive_from_one_service() {
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let (collector, address) = Collector::start(None, vec![]);
        let tripod = service(address, protocol);
        work(&tripod);
        let down = tripod.shutdown(Duration::from_secs(60));
        assert!(down.complete);
        for books in &down.balances {
            assert_eq!(books.emitted, books.delivered + books.dropped_total(), "{books:?}");
        }
        let spans = collector.spans();
        let resource = spans[0].resource_spans[0].resource.as_ref().unwrap();
        let attribute = |name: &str| {
            let found = resource.attributes.iter().find(|attribute| attribute.key == name);
            found.and_then(|attribute| attribute.value.clone()?.value)
        };
        assert_eq!(attribute("service.name"), Some(Any::StringValue("sixseven".into())));
        assert_eq!(attribute("service.version"), Some(Any::StringValue("1.2.3".into())));
        assert!(attribute("host.name").is_some() && attribute("process.pid").is_some());
        assert_eq!(collector.span_count(), 1, "the rule keeps the other one out");
        let span = &spans[0].resource_spans[0].scope_spans[0].spans[0];
        assert_eq!((span.name.as_str(), span.events[0].name.as_str()), ("handle_command", "command_received"));
        let log = collector.logs()[0].resource_logs[0].scope_logs[0].log_records[0].clone();
        assert_eq!(log.span_id, span.span_id);
        assert!(log.attributes.iter().any(|attribute| attribute.key == "request_id"));
        let metrics = &collector.metrics()[0].resource_metrics[0].scope_metrics[0].metrics;
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert!(names.contains(&"sixseven_commands_total"), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("tripod_self_")), "{names:?}");
        let all = format!("{spans:?}{:?}{:?}", collector.logs(), collector.metrics());
        assert!(!all.contains("hunter2"));
    }
}

#[test]
fn the_end_comes_on_any_runtime_also_when_the_collector_hangs() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let runtimes = [
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
    ];
    for runtime in runtimes {
        // Nobody accepts: connections wait in the listener's backlog for ever.
        let down = runtime.block_on(async {
            let task = tokio::spawn(async move {
                let tripod = service(address, "grpc");
                work(&tripod);
                tripod.shutdown(Duration::from_millis(50))
            });
            task.await.unwrap()
        });
        assert!(!down.complete);
        for books in &down.balances {
            assert_eq!(books.emitted, books.delivered + books.dropped_total(), "{books:?}");
            assert_eq!(books.queued_bytes, 0);
        }
        assert!(down.balances.iter().any(|books| books.signal == "spans" && books.dropped_total() == 1));
    }
}

#[test]
fn a_collector_on_the_same_single_thread_can_answer_a_flush() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tripod = service(listener.local_addr().unwrap(), "http/protobuf");
        let answer = axum::Router::new().fallback(|| async { axum::http::StatusCode::OK });
        tokio::spawn(async move { axum::serve(listener, answer).await });
        work(&tripod);
        assert!(tripod.flush_async(Duration::from_secs(60)).await);
        let down = tripod.shutdown(Duration::ZERO);
        let spans = down.balances.iter().find(|books| books.sink == "otlp" && books.signal == "spans").unwrap();
        assert_eq!(spans.delivered, 1);
    });
}

#[test]
fn a_disabled_service_runs_and_sends_nothing() {
    let (collector, address) = Collector::start(None, vec![]);
    let endpoint = format!("http://127.0.0.1:{}", address.port());
    let pairs = [("OTEL_SDK_DISABLED", "true"), ("OTLP_ENDPOINT", &endpoint), ("ENVIRONMENT", "production")];
    let tripod = tripod::builder("off").variables(Variables::from_pairs(pairs)).build().unwrap();
    work(&tripod);
    assert!(tripod.shutdown(Duration::from_secs(60)).complete);
    assert!(collector.spans().is_empty() && collector.logs().is_empty() && collector.metrics().is_empty());
}
