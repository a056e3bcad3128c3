//! What arrives is what was sent: every field, both protocols, compressed and encrypted.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tripod::accounts::{Accounts, Reason};
use tripod::context::{Context, SpanContext, SpanId, TraceFlags, TraceId};
use tripod::field::Value;
use tripod::logs::{ErrorReport, Level, LogEvent};
use tripod::metrics::{Registry, Temporality};
use tripod::network::{Network, QueueOptions};
use tripod::sinks::Sink;
use tripod::sinks::otlp::{MetricExport, OtlpLogs, OtlpMetrics, OtlpSpans, Protocol};
use tripod::traces::{Link, SpanData, SpanEvent, SpanSink, Status};

use super::collector::{Collector, settings};
use super::{PROTOCOLS, quick, resource, send, soon, span};

fn any(value: &Value) -> Option<Any> {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => Any::BoolValue(*value),
        Value::Integer(value) => Any::IntValue(*value),
        Value::Unsigned(value) => {
            i64::try_from(*value).map_or_else(|_| Any::StringValue(value.to_string()), Any::IntValue)
        }
        Value::Float(value) => Any::DoubleValue(*value),
        Value::Text(text) => Any::StringValue(text.to_string()),
        Value::List(values) => {
            Any::ArrayValue(ArrayValue { values: values.iter().map(|value| AnyValue { value: any(value) }).collect() })
        }
        Value::Map(fields) => Any::KvlistValue(KeyValueList { values: key_values(fields) }),
    })
}

fn key_values(fields: &[(std::borrow::Cow<'static, str>, Value)]) -> Vec<KeyValue> {
    let pair = |(name, value): &(std::borrow::Cow<'static, str>, Value)| KeyValue {
        key: name.to_string(),
        value: Some(AnyValue { value: any(value) }),
        ..KeyValue::default()
    };
    fields.iter().map(pair).collect()
}

fn full_span() -> SpanData {
    let attributes = vec![
        ("text".into(), "ä".repeat(200).into()),
        ("empty".into(), "".into()),
        ("yes".into(), true.into()),
        ("negative".into(), (-5).into()),
        ("zero".into(), 0.into()),
        ("large".into(), u64::MAX.into()),
        ("half".into(), 0.5.into()),
        ("none".into(), Value::Null),
        ("list".into(), vec!["a", "b"].into()),
        ("map".into(), Value::Map(vec![("inner".into(), vec![1, 2].into())])),
    ];
    SpanData {
        parent: Some(SpanId::random()),
        parent_is_remote: true,
        attributes: attributes.clone(),
        // The first is the span's own already.
        bound: Context::new().with("text", "hidden").with("request_id", "r1"),
        dropped_attributes: 300,
        events: vec![SpanEvent {
            time: 5,
            name: "event".into(),
            attributes: attributes.clone(),
            dropped_attributes: 1,
        }],
        dropped_events: 2,
        links: vec![Link { context: span("x").context.clone(), attributes }],
        dropped_links: 3,
        status: Status::Error("broken".into()),
        ..(*span("full")).clone()
    }
}

#[test]
fn spans_arrive_with_every_field() {
    for protocol in PROTOCOLS {
        let (collector, address) = Collector::start(None, vec![]);
        let (network, accounts) = (Network::start().unwrap(), Accounts::new());
        let mut settings = settings(protocol, "http", address, "/v1/traces");
        settings.headers = vec![("x-api-key".parse().unwrap(), "k".parse().unwrap())];
        let exporter = OtlpSpans::open(settings, quick(), &resource(), &network, &accounts).unwrap();
        let sent = full_span();
        exporter.emit(&Arc::new(sent.clone()));
        assert!(network.shutdown(soon()));

        let request = collector.spans().remove(0);
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        assert_eq!(resource.attributes[0].key, "service.name");
        let scope = &request.resource_spans[0].scope_spans[0];
        assert_eq!(scope.scope.as_ref().unwrap().name, "app");
        let span = &scope.spans[0];
        assert_eq!(span.trace_id, sent.context.trace_id.0);
        assert_eq!(span.span_id, sent.context.span_id.0);
        assert_eq!(span.parent_span_id, sent.parent.unwrap().0);
        assert_eq!(span.flags, 0x303, "sampled, random, and the parent is known to be remote");
        assert_eq!((span.name.as_str(), span.kind()), ("full", Kind::Server));
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (sent.start, sent.end));
        let all = [&sent.attributes[..], &[("request_id".into(), "r1".into())]].concat();
        assert_eq!(span.attributes, key_values(&all));
        assert_eq!(span.events[0].attributes, key_values(&sent.attributes));
        assert_eq!((span.events[0].time_unix_nano, span.events[0].name.as_str()), (5, "event"));
        assert_eq!(span.links[0].trace_id, sent.links[0].context.trace_id.0);
        assert_eq!(span.links[0].attributes, key_values(&sent.attributes));
        let dropped = (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count);
        assert_eq!(dropped, (300, 2, 3));
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "broken"));
        assert_eq!(collector.headers()[0]["x-api-key"], "k");
    }
}

#[test]
fn log_events_arrive_with_context_trace_and_error() {
    for protocol in PROTOCOLS {
        let (collector, address) = Collector::start(None, vec![]);
        let (network, accounts) = (Network::start().unwrap(), Accounts::new());
        let settings = settings(protocol, "http", address, "/v1/logs");
        let exporter = OtlpLogs::open(settings, quick(), &resource(), &network, &accounts).unwrap();
        let mut event = LogEvent::new(Level::Warning, "app::jobs", "job_completed");
        event.set("job_type", "research");
        event.context = Context::new().with("request_id", "r").with("job_type", "hidden by the event's own");
        let context = SpanContext { trace_id: TraceId([1; 16]), span_id: SpanId([2; 8]), ..SpanContext::default() };
        event.span = Some(SpanContext { flags: TraceFlags(1), ..context });
        event.error = Some(Box::new(ErrorReport::of(&std::fmt::Error)));
        exporter.emit(&event);
        assert!(network.shutdown(soon()));

        let request = collector.logs().remove(0);
        let scope = &request.resource_logs[0].scope_logs[0];
        assert_eq!(scope.scope.as_ref().unwrap().name, "app::jobs");
        let record = &scope.log_records[0];
        assert_eq!(record.body.as_ref().unwrap().value, Some(Any::StringValue("job_completed".into())));
        assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
        assert_eq!((record.time_unix_nano, record.flags), (event.time, 1));
        assert_eq!((record.trace_id.as_slice(), record.span_id.as_slice()), (&[1; 16][..], &[2; 8][..]));
        assert_eq!(record.event_name, "job_completed");
        let keys: Vec<_> = record.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert_eq!(keys, ["job_type", "request_id", "exception.type", "exception.message"]);
    }
}

#[test]
fn metrics_arrive_with_exemplars() {
    for protocol in PROTOCOLS {
        let exemplar = || {
            let context = SpanContext { trace_id: TraceId([1; 16]), span_id: SpanId([2; 8]), ..SpanContext::default() };
            Some(SpanContext { flags: TraceFlags(1), ..context })
        };
        let registry = Registry::builder().exemplars(exemplar).build().unwrap();
        let commands = registry.counter("commands_total", "Commands").labels(["intent"]).register().unwrap();
        commands.with(["chat"]).add(2);
        registry.gauge("active_jobs", "Jobs").register().unwrap().set(-3.0);
        let latency = registry.histogram("latency_seconds", "Latency").buckets(&[0.5, 1.0]).register().unwrap();
        latency.observe(0.75);

        let (collector, address) = Collector::start(None, vec![]);
        let (network, accounts) = (Network::start().unwrap(), Accounts::new());
        let settings = settings(protocol, "http", address, "/v1/metrics");
        let export = MetricExport::new(Duration::from_secs(3600), Temporality::Cumulative);
        let exporter = OtlpMetrics::open(settings, export, registry, &resource(), &network, &accounts).unwrap();
        exporter.push();
        assert!(network.shutdown(soon()));

        let request = collector.metrics().remove(0);
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let data = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap();
        let Data::Sum(sum) = data("commands_total") else { panic!("a counter is a sum") };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        assert_eq!(sum.data_points[0].value, Some(Number::AsDouble(2.0)));
        assert_eq!(sum.data_points[0].attributes[0].key, "intent");
        assert!(sum.data_points[0].start_time_unix_nano > 0);
        let Data::Gauge(gauge) = data("active_jobs") else { panic!("a gauge is a gauge") };
        assert_eq!(gauge.data_points[0].value, Some(Number::AsDouble(-3.0)));
        let Data::Histogram(histogram) = data("latency_seconds") else { panic!("a histogram is a histogram") };
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum), (1, Some(0.75)));
        assert_eq!(
            (point.bucket_counts.as_slice(), point.explicit_bounds.as_slice()),
            (&[0, 1, 0][..], &[0.5, 1.0][..])
        );
        assert_eq!(point.exemplars[0].trace_id, [1; 16]);
        assert_eq!(sum.data_points[0].exemplars[0].trace_id, [1; 16]);
        assert_eq!(metrics.iter().find(|metric| metric.name == "latency_seconds").unwrap().unit, "s");
    }
}

#[test]
fn gzip_is_decoded_by_the_other_side() {
    for protocol in PROTOCOLS {
        let (collector, address) = Collector::start(None, vec![]);
        let mut settings = settings(protocol, "http", address, "/v1/traces");
        settings.gzip = true;
        let books = send(settings, quick(), 100, Duration::from_secs(60));
        assert_eq!((books.delivered, collector.span_count()), (100, 100), "{protocol:?}");
    }
}

#[test]
fn tls_with_a_private_authority_and_a_client_certificate() {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let issue = || {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &authority).unwrap(), key)
    };
    let server = || {
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let (certificate, key) = issue();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    };
    for protocol in PROTOCOLS {
        let (collector, address) = Collector::start(Some(server()), vec![]);
        let mut settings = settings(protocol, "https", address, "/v1/traces");
        settings.tls.ca = Some(authority.pem().into_bytes());
        // Without a certificate of its own, and with an authority that the system does not know, nothing arrives.
        let stranger = send(settings.clone(), quick(), 10, Duration::from_secs(60));
        assert_eq!(stranger.dropped.iter().find(|(reason, _)| *reason == Reason::Retries).unwrap().1, 10);
        let (certificate, key) = issue();
        settings.tls.identity = Some((certificate.pem().into_bytes(), key.serialize_pem().into_bytes()));
        let books = send(settings, quick(), 10, Duration::from_secs(60));
        assert_eq!((books.delivered, collector.span_count()), (10, 10), "{protocol:?}");
    }
}

#[test]
fn one_span_goes_to_several_collectors_with_books_of_their_own() {
    let (network, accounts) = (Network::start().unwrap(), Accounts::new());
    let collectors: Vec<_> = PROTOCOLS.into_iter().map(|protocol| (protocol, Collector::start(None, vec![]))).collect();
    let exporters: Vec<_> = collectors
        .iter()
        .map(|(protocol, (_, address))| {
            let settings = settings(*protocol, "http", *address, "/v1/traces");
            OtlpSpans::open(settings, QueueOptions::default(), &resource(), &network, &accounts).unwrap()
        })
        .collect();
    let span = span("shared");
    exporters.iter().for_each(|exporter| exporter.emit(&span));
    assert!(network.shutdown(soon()));
    assert!(collectors.iter().all(|(_, (collector, _))| collector.span_count() == 1));
    let sinks: Vec<_> = accounts.balances().into_iter().map(|books| (books.sink, books.delivered)).collect();
    assert_eq!(sinks, [("otlp".to_owned(), 1), ("otlp-2".to_owned(), 1), ("otlp-3".to_owned(), 1)]);
}

#[test]
fn an_address_that_cannot_be_used_is_refused_at_the_start() {
    let (network, accounts) = (Network::start().unwrap(), Accounts::new());
    for address in ["ftp://localhost/", "/v1/traces"] {
        let settings = tripod::sinks::otlp::OtlpSettings::new(address.parse().unwrap(), Protocol::HttpProtobuf);
        assert!(OtlpSpans::open(settings, quick(), &resource(), &network, &accounts).is_err());
    }
}
