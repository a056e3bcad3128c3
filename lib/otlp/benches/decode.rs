//! Decoding a request of 512 spans: against `prost` for protobuf, against `serde_json::Value` for JSON.
//!
//! `cargo bench -p tripod-otlp` prints both of each pair with their throughput in spans.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource as ProstResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as ProstSpan, Status, span};
use prost::Message;
use serde_json::{Value as Json, json};
use tripod_model::sink::{Sink, SpanSink};
use tripod_model::{Attribute, Resource, Scope, Span, Value};
use tripod_otlp::{Limits, json, protobuf};

const SPANS: usize = 512;

/// Touches every field of what it is given and keeps a number.
#[derive(Default)]
struct Counter(u64);

impl Counter {
    fn add(&mut self, amount: usize) {
        self.0 = self.0.wrapping_add(amount as u64);
    }

    fn attributes(&mut self, attributes: &[Attribute<'_>]) {
        for attribute in attributes {
            self.add(attribute.key.len());
            match &attribute.value {
                Value::Str(text) => self.add(text.len()),
                Value::Int(value) => self.add(*value as usize),
                Value::Double(value) => self.add(value.to_bits() as usize),
                Value::Bool(value) => self.add(usize::from(*value)),
                _ => self.add(1),
            }
        }
    }

    fn pairs(&mut self, pairs: &[KeyValue]) {
        for pair in pairs {
            self.add(pair.key.len());
            match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(any_value::Value::StringValue(text)) => self.add(text.len()),
                Some(any_value::Value::IntValue(value)) => self.add(*value as usize),
                Some(any_value::Value::DoubleValue(value)) => self.add(value.to_bits() as usize),
                Some(any_value::Value::BoolValue(value)) => self.add(usize::from(*value)),
                _ => self.add(1),
            }
        }
    }

    fn tree(&mut self, value: &Json) {
        match value {
            Json::Object(members) => members.iter().for_each(|(name, value)| {
                self.add(name.len());
                self.tree(value);
            }),
            Json::Array(values) => values.iter().for_each(|value| self.tree(value)),
            Json::String(text) => self.add(text.len()),
            Json::Number(number) => self.add(number.as_u64().unwrap_or(1) as usize),
            Json::Bool(value) => self.add(usize::from(*value)),
            Json::Null => {}
        }
    }

    fn request(&mut self, request: &ExportTraceServiceRequest) {
        for group in &request.resource_spans {
            self.add(group.schema_url.len());
            self.pairs(group.resource.as_ref().map_or(&[], |resource| &resource.attributes));
            for group in &group.scope_spans {
                self.add(group.schema_url.len());
                self.add(group.scope.as_ref().map_or(0, |scope| scope.name.len() + scope.version.len()));
                group.spans.iter().for_each(|span| self.prost_span(span));
            }
        }
    }

    fn prost_span(&mut self, span: &ProstSpan) {
        self.add(span.trace_id.len() + span.span_id.len() + span.parent_span_id.len());
        self.add(span.trace_state.len() + span.name.len() + span.flags as usize + span.kind as usize);
        self.add((span.end_time_unix_nano - span.start_time_unix_nano) as usize);
        self.add(span.dropped_attributes_count as usize + span.dropped_events_count as usize);
        self.add(span.dropped_links_count as usize + span.links.len());
        self.add(span.status.as_ref().map_or(0, |status| status.message.len() + status.code as usize));
        self.pairs(&span.attributes);
        for event in &span.events {
            self.add(event.name.len() + event.time_unix_nano as usize);
            self.pairs(&event.attributes);
        }
    }
}

impl Sink for Counter {
    fn resource(&mut self, resource: &Resource<'_>) {
        self.add(resource.schema_url.len());
        self.attributes(&resource.attributes);
    }

    fn scope(&mut self, scope: &Scope<'_>) {
        self.add(scope.schema_url.len() + scope.name.len() + scope.version.len());
    }
}

impl SpanSink for Counter {
    fn span(&mut self, span: &Span<'_>) {
        self.add(usize::from(span.trace_id.0[0]) + usize::from(span.span_id.0[0]));
        self.add(usize::from(span.parent_span_id.0[0]) + span.trace_state.len() + span.name.len());
        self.add(span.flags as usize + span.kind.0 as usize);
        self.add((span.end_time_unix_nano - span.start_time_unix_nano) as usize);
        self.add(span.dropped_attributes_count as usize + span.dropped_events_count as usize);
        self.add(span.dropped_links_count as usize + span.links.len());
        self.add(span.status.message.len() + span.status.code.0 as usize);
        self.attributes(&span.attributes);
        for event in &span.events {
            self.add(event.name.len() + event.time_unix_nano as usize);
            self.attributes(&event.attributes);
        }
    }
}

fn text(key: &str, text: impl Into<String>) -> KeyValue {
    pair(key, any_value::Value::StringValue(text.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    pair(key, any_value::Value::IntValue(value))
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// A mixed bag of an HTTP API's spans: the request, a call to another service, two queries.
fn request() -> ExportTraceServiceRequest {
    let spans = (0..SPANS).map(|index| {
        let trace = (index as u64 / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let id = (index as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let start = 1_790_000_000_000_000_000 + index as u64 * 1_234_567;
        let (name, kind, attributes) = match index % 4 {
            0 => ("POST /api/v1/orders/{id}/items", 2, server_attributes(index)),
            1 => ("POST", 3, client_attributes(index)),
            _ => ("SELECT shop.orders", 3, database_attributes(index)),
        };
        let event = span::Event {
            time_unix_nano: start + 1_000,
            name: "exception".into(),
            attributes: vec![
                text("exception.type", "std::io::Error"),
                text("exception.message", "connection reset by peer"),
            ],
            ..Default::default()
        };
        let failed = index % 20 == 0;
        ProstSpan {
            trace_id: [trace.to_be_bytes(), (!trace).to_be_bytes()].concat(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: if index % 4 == 0 { Vec::new() } else { (!id).to_be_bytes().to_vec() },
            flags: 0x101,
            name: name.into(),
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start + 25_000_000,
            attributes,
            events: if failed { vec![event] } else { Vec::new() },
            status: Some(Status { code: if failed { 2 } else { 0 }, ..Default::default() }),
            ..Default::default()
        }
    });
    let scope = InstrumentationScope { name: "shop::http".into(), version: "1.4.2".into(), ..Default::default() };
    let resource = ProstResource {
        attributes: vec![
            text("service.name", "shop-api"),
            text("service.version", "2026.11.3"),
            text("host.name", "ip-10-1-44-7.eu-central-1.compute.internal"),
            text("telemetry.sdk.language", "rust"),
        ],
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans: spans.collect(), ..Default::default() }],
            schema_url: "https://opentelemetry.io/schemas/1.30.0".into(),
        }],
    }
}

fn server_attributes(index: usize) -> Vec<KeyValue> {
    vec![
        text("http.request.method", "POST"),
        text("http.route", "/api/v1/orders/{id}/items"),
        text("url.path", format!("/api/v1/orders/{}/items", 10_000 + index)),
        text("url.scheme", "https"),
        text("url.query", "expand=customer&currency=EUR"),
        int("http.response.status_code", if index.is_multiple_of(20) { 500 } else { 201 }),
        text("network.protocol.version", "1.1"),
        text("server.address", "shop.example.com"),
        int("server.port", 443),
        text("client.address", format!("203.0.113.{}", index % 250)),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        text("request_id", format!("0198f3c2-7a1e-7c3b-9d2f-{index:012x}")),
        pair("shop.cart.total", any_value::Value::DoubleValue(12.5 + index as f64)),
    ]
}

fn client_attributes(index: usize) -> Vec<KeyValue> {
    vec![
        text("http.request.method", "POST"),
        text("url.full", format!("https://payments.internal:8443/v2/charges?order={}", 10_000 + index)),
        int("http.response.status_code", 200),
        text("server.address", "payments.internal"),
        int("server.port", 8443),
        text("network.protocol.version", "2"),
        text("network.peer.address", "10.1.44.19"),
        int("http.request.resend_count", 0),
        pair("http.request.cached", any_value::Value::BoolValue(false)),
        text("request_id", format!("0198f3c2-7a1e-7c3b-9d2f-{index:012x}")),
    ]
}

fn database_attributes(index: usize) -> Vec<KeyValue> {
    vec![
        text("db.system.name", "postgresql"),
        text("db.namespace", "shop"),
        text("db.operation.name", "SELECT"),
        text("db.collection.name", "orders"),
        text("db.query.text", "SELECT id, customer_id, total FROM orders WHERE id = $1 AND deleted_at IS NULL"),
        text("db.query.summary", "SELECT orders"),
        int("db.response.returned_rows", index as i64 % 50),
        text("server.address", "db-1.internal"),
        int("server.port", 5432),
        text("network.peer.address", "10.1.44.30"),
        text("request_id", format!("0198f3c2-7a1e-7c3b-9d2f-{index:012x}")),
    ]
}

/// The request as an exporter writes it in JSON.
fn render(request: &ExportTraceServiceRequest) -> Vec<u8> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let attributes = |pairs: &[KeyValue]| -> Json {
        let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => json!({"stringValue": text}),
            Some(any_value::Value::IntValue(value)) => json!({"intValue": value.to_string()}),
            Some(any_value::Value::DoubleValue(value)) => json!({"doubleValue": value}),
            Some(any_value::Value::BoolValue(value)) => json!({"boolValue": value}),
            _ => json!({}),
        };
        pairs.iter().map(|pair| json!({"key": pair.key, "value": value(pair)})).collect()
    };
    let group = &request.resource_spans[0];
    let scope_group = &group.scope_spans[0];
    let spans = scope_group.spans.iter().map(|span| {
        let events = span.events.iter().map(|event| {
            json!({"timeUnixNano": event.time_unix_nano.to_string(), "name": event.name,
                "attributes": attributes(&event.attributes)})
        });
        json!({"traceId": hex(&span.trace_id), "spanId": hex(&span.span_id),
            "parentSpanId": hex(&span.parent_span_id), "flags": span.flags, "name": span.name, "kind": span.kind,
            "startTimeUnixNano": span.start_time_unix_nano.to_string(),
            "endTimeUnixNano": span.end_time_unix_nano.to_string(), "attributes": attributes(&span.attributes),
            "events": events.collect::<Vec<_>>(), "status": {"code": span.status.as_ref().map(|status| status.code)}})
    });
    let scope = scope_group.scope.as_ref().map(|scope| json!({"name": scope.name, "version": scope.version}));
    let resource = group.resource.as_ref().map(|resource| json!({"attributes": attributes(&resource.attributes)}));
    let scope_spans = json!([{"scope": scope, "spans": spans.collect::<Vec<_>>()}]);
    let request = json!({"resourceSpans": [
        {"resource": resource, "scopeSpans": scope_spans, "schemaUrl": group.schema_url}
    ]});
    request.to_string().into_bytes()
}

fn decode(criterion: &mut Criterion) {
    let request = request();
    let limits = Limits::default();

    let body = request.encode_to_vec();
    let mut group = criterion.benchmark_group("protobuf");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("tripod", |bencher| {
        bencher.iter(|| {
            let mut counter = Counter::default();
            protobuf::traces(black_box(&body), &limits, &mut counter).map(|()| counter.0)
        });
    });
    group.bench_function("prost", |bencher| {
        bencher.iter(|| {
            let mut counter = Counter::default();
            ExportTraceServiceRequest::decode(black_box(&body[..])).map(|request| {
                counter.request(&request);
                counter.0
            })
        });
    });
    group.finish();

    let body = render(&request);
    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("tripod", |bencher| {
        bencher.iter(|| {
            let mut counter = Counter::default();
            json::traces(black_box(&body), &limits, &mut counter).map(|()| counter.0)
        });
    });
    group.bench_function("serde_json::Value", |bencher| {
        bencher.iter(|| {
            let mut counter = Counter::default();
            serde_json::from_slice::<Json>(black_box(&body)).map(|tree| {
                counter.tree(&tree);
                counter.0
            })
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
