//! Spans of an imagined shop with an agent: traces of 5 to 15 spans over ten services, 10 to 13 attributes a span.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::source::{SERVICES, Source, double, int, resource, scope, text};

const ROUTES: [(&str, &str); 8] = [
    ("POST", "/api/v1/command"),
    ("GET", "/api/v1/conversations/{id}"),
    ("GET", "/api/v1/products"),
    ("GET", "/api/v1/products/{id}"),
    ("POST", "/api/v1/orders"),
    ("GET", "/api/v1/users/{id}"),
    ("PUT", "/api/v1/cart/{id}"),
    ("GET", "/api/v1/search"),
];

const STATEMENTS: [(&str, &str, &str); 6] = [
    ("SELECT", "users", "SELECT id, email, plan FROM users WHERE id = $1"),
    ("SELECT", "orders", "SELECT * FROM orders WHERE user_id = $1 ORDER BY created_at DESC LIMIT 20"),
    ("INSERT", "messages", "INSERT INTO messages (conversation_id, role, content) VALUES ($1, $2, $3)"),
    ("UPDATE", "carts", "UPDATE carts SET items = $2, updated_at = now() WHERE id = $1"),
    ("SELECT", "products", "SELECT id, name, price FROM products WHERE category = $1 AND price < $2"),
    ("DELETE", "sessions", "DELETE FROM sessions WHERE expires_at < now()"),
];

const MODELS: [(&str, &str); 4] = [
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4.1"),
    ("anthropic", "claude-sonnet-4"),
    ("aws.bedrock", "amazon.nova-pro-v1"),
];

const TOOLS: [&str; 4] = ["search_products", "get_order_status", "create_ticket", "calculate_refund"];

/// A request of `count` spans that began before `now`, nanoseconds since the epoch.
pub(crate) fn request(source: &mut Source, count: usize, now: u64) -> ExportTraceServiceRequest {
    let mut by_service: [Vec<Span>; SERVICES.len()] = Default::default();
    let mut left = count;
    while left > 0 {
        let size = (source.between(5, 15) as usize).min(left);
        left -= size;
        for (service, span) in trace(source, size, now) {
            by_service[service].push(span);
        }
    }
    let resource_spans = SERVICES
        .iter()
        .zip(by_service)
        .filter(|(_, spans)| !spans.is_empty())
        .map(|(service, spans)| ResourceSpans {
            resource: Some(resource(service)),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope("opentelemetry.instrumentation.asgi")),
                spans,
                schema_url: String::new(),
            }],
            schema_url: "https://opentelemetry.io/schemas/1.38.0".to_owned(),
        })
        .collect();
    ExportTraceServiceRequest { resource_spans }
}

/// What the spans of one request to the imagined system share.
struct Context {
    trace_id: Vec<u8>,
    ids: Vec<KeyValue>,
}

/// One trace that ended at least 2 ms before `now`.
fn trace(source: &mut Source, size: usize, now: u64) -> Vec<(usize, Span)> {
    let mut ids = vec![text("request_id", source.uuid()), text("session_id", source.hex(16))];
    if source.chance(0.7) {
        ids.push(text("user_id", format!("user-{}", source.between(1, 50_000))));
    }
    let context = Context { trace_id: source.trace_id(), ids };
    let length = source.duration(80_000_000);
    let start = now - length - source.between(2_000_000, 1_000_000_000);
    let mut spans: Vec<(usize, Span)> = Vec::with_capacity(size);
    // Pages and API calls.
    let entry = source.below(2);
    let root = http_server(source, &context, entry);
    spans.push((entry, place(source, root, &[], start, length)));
    while spans.len() < size {
        let (service, parent) = spans[source.below(spans.len())].clone();
        let room = parent.end_time_unix_nano.saturating_sub(parent.start_time_unix_nano).max(2);
        let offset = source.between(0, room / 2);
        let duration = source.between(1, room - offset);
        let begin = parent.start_time_unix_nano + offset;
        match source.below(10) {
            0..=2 => {
                let call = http_client(source, &context);
                let call = place(source, call, &parent.span_id, begin, duration);
                let parent_id = call.span_id.clone();
                spans.push((service, call));
                if spans.len() < size {
                    let callee = 2 + source.below(SERVICES.len() - 2);
                    let served = http_server(source, &context, callee);
                    spans.push((callee, place(source, served, &parent_id, begin, duration)));
                }
            }
            3..=6 => {
                let query = database(source, &context);
                spans.push((service, place(source, query, &parent.span_id, begin, duration)));
            }
            7..=8 => {
                let chat = chat(source, &context);
                spans.push((2, place(source, chat, &parent.span_id, begin, duration)));
            }
            _ => {
                let tool = tool(source, &context);
                spans.push((3, place(source, tool, &parent.span_id, begin, duration)));
            }
        }
    }
    spans
}

fn place(source: &mut Source, mut span: Span, parent: &[u8], start: u64, duration: u64) -> Span {
    span.span_id = source.span_id();
    span.parent_span_id = parent.to_vec();
    span.start_time_unix_nano = start;
    span.end_time_unix_nano = start + duration;
    for event in &mut span.events {
        event.time_unix_nano = start + duration / 2;
    }
    span
}

fn span(context: &Context, name: String, kind: SpanKind, mut attributes: Vec<KeyValue>) -> Span {
    attributes.extend_from_slice(&context.ids);
    Span {
        trace_id: context.trace_id.clone(),
        name,
        kind: kind as i32,
        attributes,
        status: Some(Status::default()),
        flags: 1,
        ..Span::default()
    }
}

fn fail(span: &mut Span, class: &str, message: &str) {
    span.attributes.push(text("error.type", class));
    span.status = Some(Status { code: StatusCode::Error as i32, message: message.to_owned() });
    span.events.push(Event {
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", class),
            text("exception.message", message),
            text(
                "exception.stacktrace",
                format!(
                    "Traceback (most recent call last):\n  File \"app/main.py\", line 88, in handle\n{class}: {message}"
                ),
            ),
        ],
        ..Event::default()
    });
}

fn http_server(source: &mut Source, context: &Context, service: usize) -> Span {
    let (method, route) = *source.pick(&ROUTES);
    let status = *source.pick(&[200, 200, 200, 200, 200, 200, 201, 204, 304, 404, 500]);
    let mut span = span(
        context,
        format!("{method} {route}"),
        SpanKind::Server,
        vec![
            text("http.request.method", method),
            text("http.route", route),
            text("url.path", route.replace("{id}", &source.hex(8))),
            text("url.scheme", "https"),
            int("http.response.status_code", status),
            text("server.address", format!("{}.shop.svc", SERVICES[service])),
            int("server.port", 8080),
            text("client.address", format!("10.4.{}.{}", source.below(8), source.below(250))),
            text(
                "user_agent.original",
                *source.pick(&["Mozilla/5.0 (X11; Linux x86_64)", "shop-ios/5.2", "curl/8.5.0"]),
            ),
            text("network.protocol.version", "1.1"),
        ],
    );
    if status == 500 {
        fail(&mut span, "ValueError", "cart is empty");
    }
    span
}

fn http_client(source: &mut Source, context: &Context) -> Span {
    let (method, route) = *source.pick(&ROUTES);
    let host = format!("{}.shop.svc", source.pick(&SERVICES));
    span(
        context,
        method.to_owned(),
        SpanKind::Client,
        vec![
            text("http.request.method", method),
            text("url.full", format!("http://{host}:8080{}", route.replace("{id}", &source.hex(8)))),
            text("server.address", host),
            int("server.port", 8080),
            int("http.response.status_code", 200),
            int("http.response.body.size", source.between(120, 90_000) as i64),
            int("http.request.resend_count", 0),
            text("network.peer.address", format!("10.8.{}.{}", source.below(4), source.below(250))),
            text("network.protocol.version", "1.1"),
        ],
    )
}

fn database(source: &mut Source, context: &Context) -> Span {
    let (operation, table, statement) = *source.pick(&STATEMENTS);
    let mut span = span(
        context,
        format!("{operation} {table}"),
        SpanKind::Client,
        vec![
            text("db.system.name", "postgresql"),
            text("db.namespace", "shop"),
            text("db.operation.name", operation),
            text("db.collection.name", table),
            text("db.query.text", statement),
            int("db.response.returned_rows", source.between(0, 20) as i64),
            text("server.address", "pg-primary.shop.svc"),
            int("server.port", 5432),
            text("thread.name", format!("worker-{}", source.below(8))),
        ],
    );
    if source.chance(0.01) {
        fail(&mut span, "OperationalError", "deadlock detected");
    }
    span
}

fn chat(source: &mut Source, context: &Context) -> Span {
    let (provider, model) = *source.pick(&MODELS);
    span(
        context,
        format!("chat {model}"),
        SpanKind::Client,
        vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", provider),
            text("gen_ai.request.model", model),
            text("gen_ai.response.model", format!("{model}-2025-04-14")),
            text("gen_ai.response.id", format!("chatcmpl-{}", source.hex(24))),
            int("gen_ai.usage.input_tokens", source.between(80, 12_000) as i64),
            int("gen_ai.usage.output_tokens", source.between(5, 1_500) as i64),
            double("gen_ai.request.temperature", 0.2),
            int("gen_ai.request.max_tokens", 2_048),
            text("gen_ai.conversation.id", source.hex(16)),
        ],
    )
}

fn tool(source: &mut Source, context: &Context) -> Span {
    let name = *source.pick(&TOOLS);
    span(
        context,
        format!("execute_tool {name}"),
        SpanKind::Internal,
        vec![
            text("gen_ai.operation.name", "execute_tool"),
            text("gen_ai.tool.name", name),
            text("gen_ai.tool.type", "function"),
            text("gen_ai.tool.call.id", format!("call_{}", source.hex(20))),
            text("gen_ai.agent.name", "shop-assistant"),
            text("job.type", "agent_tool"),
            text("job.status", "completed"),
            text("job_id", source.uuid()),
            int("job.attempt", 1),
        ],
    )
}
