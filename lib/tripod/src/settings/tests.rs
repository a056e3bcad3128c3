use std::time::Duration;

use super::*;
use crate::sinks::otlp::Protocol;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, Mistakes> {
    let mut variables = Variables::from_pairs(pairs.iter().copied());
    let settings = Settings::read(&mut variables, "svc");
    variables.finish().map(|()| settings)
}

fn addresses(pairs: &[(&str, &str)]) -> Vec<(String, Protocol)> {
    let settings = read(pairs).unwrap();
    let all = settings.traces.otlp.iter().chain(&settings.logs.otlp).chain(&settings.metrics.otlp);
    all.map(|otlp| (otlp.endpoint.to_string(), otlp.protocol)).collect()
}

#[test]
fn nothing_set_is_a_production_service_without_exporters() {
    let settings = read(&[("ENVIRONMENT", "production")]).unwrap();
    assert_eq!(settings.service.name, "svc");
    assert_eq!(settings.logs.format, LineFormat::Json);
    assert!(settings.traces.otlp.is_empty() && !settings.traces.console && settings.traces.keep.errors);
    let settings = read(&[("ENVIRONMENT", "development")]).unwrap();
    assert!(settings.traces.console && settings.logs.format == LineFormat::Console);
}

#[test]
fn endpoints_follow_the_specification() {
    let (http, grpc) = (Protocol::HttpProtobuf, Protocol::Grpc);
    let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
    assert_eq!(
        addresses(&[(base, "http://c:4318/base/")]),
        ["traces", "logs", "metrics"].map(|signal| (format!("http://c:4318/base/v1/{signal}"), http))
    );
    let own = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/as/is"), (base, "http://d:4317")];
    assert_eq!(addresses(&own)[..2], [("https://c/as/is".into(), http), ("http://d:4317/".into(), grpc)]);
    let secure = [(base, "c:4317"), ("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "none")];
    assert_eq!(addresses(&secure)[0], ("https://c:4317/".into(), grpc));
    let insecure = [(base, "c:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    assert_eq!(addresses(&insecure)[0], ("http://c:4317/".into(), grpc));
    assert_eq!(addresses(&[("OTEL_TRACES_EXPORTER", "otlp")]), [("http://localhost:4318/v1/traces".into(), http)]);
}

#[test]
fn the_variables_of_the_guides_work() {
    let guide = [
        ("OTEL_ENABLED", "true"),
        ("OTEL_SERVICE_NAME", "ai-voice-agent-platform"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://otel-collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://otel-collector:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://otel-collector:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
    ];
    let expected = [
        ("http://otel-collector:4317/", Protocol::Grpc),
        ("http://otel-collector:4318/v1/logs", Protocol::HttpProtobuf),
        ("http://otel-collector:4318/v1/metrics", Protocol::HttpProtobuf),
    ];
    assert_eq!(addresses(&guide), expected.map(|(address, protocol)| (address.to_owned(), protocol)));

    let settings = read(&[
        ("SERVICE_NAME", "prethrift-backend"),
        ("SERVICE_VERSION", "1.0.0"),
        ("ENVIRONMENT", "staging"),
        ("DEBUG", "true"),
        ("DB_POOL_SIZE", "20"),
        ("OTLP_ENDPOINT", "https://api.honeycomb.io/v1/traces"),
        ("OTLP_API_KEY", "your-api-key"),
        ("JAEGER_ENDPOINT", "http://localhost:14268"),
        ("TRACE_SAMPLE_RATE", "0.1"),
    ])
    .unwrap();
    assert_eq!(settings.resource.get("service.version"), Some(&"1.0.0".into()));
    assert_eq!(settings.resource.get("deployment.environment"), Some(&"staging".into()));
    assert_eq!(settings.database_pool_size, Some(20));
    assert!(settings.logs.levels.enabled(crate::logs::Level::Debug, "app"));
    let traces = &settings.traces.otlp;
    assert_eq!(traces[0].endpoint, "https://api.honeycomb.io/v1/traces");
    assert_eq!(traces[0].headers[0].0, "x-honeycomb-team");
    assert_eq!(traces[1].endpoint, "http://localhost:4318/v1/traces");
    assert_eq!(settings.logs.otlp[0].endpoint, "https://api.honeycomb.io/v1/logs");
    assert!(!format!("{settings:?}").contains("your-api-key"));
    assert_eq!(addresses(&[("OTLP_ENDPOINT", "localhost:4317")])[0], ("http://localhost:4317/".into(), Protocol::Grpc));
}

#[test]
fn a_prefix_goes_first() {
    let pairs =
        [("OPTIMIZER_LOG_LEVEL", "ERROR"), ("LOG_LEVEL", "DEBUG"), ("OPTIMIZER_TEMPO_ENDPOINT", "http://t:4317")];
    let mut variables = Variables::from_pairs(pairs).with_prefix("OPTIMIZER_");
    let settings = Settings::read(&mut variables, "svc");
    assert!(!settings.logs.levels.enabled(crate::logs::Level::Warning, "app"));
    assert_eq!(settings.traces.otlp[0].endpoint, "http://t:4317/");
    assert_eq!(variables.finish(), Ok(()));
}

#[test]
fn limits_queues_and_times_are_read() {
    let settings = read(&[
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "30"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "4"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "6"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "7"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "8"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "9"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=x%20y"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_PROPAGATORS", "b3,tracecontext"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=n,k=v%2C"),
        ("TRIPOD_KEEP_SLOW", "250"),
    ])
    .unwrap();
    let limits = &settings.traces.limits;
    assert_eq!((limits.attributes, limits.event_attributes, limits.events), (20, 10, 4));
    assert_eq!((limits.value_length, settings.logs.max_fields), (30, 10));
    let queue = &settings.traces.queue;
    assert_eq!((queue.linger, queue.max_items, queue.batch_items), (Duration::from_millis(5), 6, 3));
    assert_eq!(settings.logs.otlp[0].timeout, Duration::from_millis(7));
    let otlp = &settings.traces.otlp[0];
    assert_eq!((otlp.timeout, otlp.gzip, otlp.headers.len()), (Duration::from_millis(9), true, 2));
    assert_eq!(otlp.headers[1].1, "x y");
    assert_eq!(settings.metrics.interval, Duration::from_millis(8));
    assert_eq!(settings.propagator.formats(), [Format::B3, Format::TraceContext]);
    assert_eq!(settings.resource.get("k"), Some(&"v,".into()));
    assert_eq!(settings.traces.keep.slower_than, Some(Duration::from_millis(250)));
}

#[cfg(feature = "http")]
#[test]
fn metrics_get_a_port_of_their_own_and_may_be_printed() {
    let listen = |pairs: &[(&str, &str)]| read(pairs).unwrap().metrics.listen.map(|address| address.to_string());
    assert_eq!(listen(&[]), None);
    assert_eq!(listen(&[("PROMETHEUS_PORT", "9090")]).unwrap(), "0.0.0.0:9090");
    assert_eq!(listen(&[("OTEL_EXPORTER_PROMETHEUS_PORT", "9091")]).unwrap(), "127.0.0.1:9091");
    assert_eq!(listen(&[("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost")]).unwrap(), "127.0.0.1:9464");
    assert_eq!(listen(&[("PROMETHEUS_PORT", "1"), ("OTEL_EXPORTER_PROMETHEUS_HOST", "::1")]).unwrap(), "[::1]:1");
    let metrics =
        read(&[("OTEL_METRICS_EXPORTER", "console,prometheus"), ("TRIPOD_METRICS_CREATED", "1")]).unwrap().metrics;
    assert!(metrics.console && metrics.created_lines && metrics.otlp.is_empty());
}

#[test]
fn all_that_is_wrong_or_compiled_out_is_said_at_once() {
    let wrong = [
        ("OTEL_PROPAGATORS", "tracecontext,xray"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_METRICS_EXPORTER", "stackdriver"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "not an address"),
        ("PROMETHEUS_PORT", "70000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/does/not/exist"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"),
        ("OTEL_CONFIG_FILE", "otel.yaml"),
        ("OTEL_SDK_DISABLED", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("LOG_TO_LOKI", "true"),
        ("TRIPOD_TRACE_RULES", "/x=maybe"),
        ("DB_POOL_SIZE", "many"),
    ];
    let mistakes = read(&wrong).unwrap_err();
    for (name, _) in wrong.iter().filter(|(name, _)| !name.contains("CERTIFICATE") && !name.contains("KEY")) {
        assert!(mistakes.0.iter().any(|mistake| mistake.name == *name), "{name} in {mistakes}");
    }
    let zipkin = mistakes.0.iter().find(|mistake| mistake.name == "OTEL_TRACES_EXPORTER").unwrap();
    assert!(zipkin.message.contains("use otlp, to a Collector"), "{zipkin:?}");
    #[cfg(not(feature = "sentry"))]
    assert!(read(&[("SENTRY_DSN", "https://k@s/1")]).is_err());
    let certificate = [("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist")];
    assert!(read(&certificate).is_err());
}
