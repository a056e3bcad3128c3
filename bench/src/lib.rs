//! Telemetry for measurements: what a few services with an API, a database and a model behind them send.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tripod_model::sink::{Sink, SpanSink};
use tripod_model::{Attribute, Resource, Scope, Span, SpanEvent, SpanId, SpanKind, Status, StatusCode, TraceId};
use tripod_storage::Batch;
use tripod_storage::record::SpanRows;

const SERVICES: [&str; 10] = [
    "gateway",
    "command-api",
    "orchestrator",
    "research-agent",
    "creative-agent",
    "billing",
    "users",
    "search",
    "notifier",
    "voice-agent",
];
const ROUTES: [&str; 12] = [
    "/command",
    "/jobs",
    "/jobs/{job_id}",
    "/jobs/{job_id}/cancel",
    "/health",
    "/users/{id}",
    "/search",
    "/sessions/{id}",
    "/upload",
    "/webhooks/{provider}",
    "/invoices/{id}",
    "/models",
];
const TABLES: [&str; 8] = ["jobs", "users", "sessions", "messages", "invoices", "documents", "embeddings", "events"];
const MODELS: [&str; 4] = ["gpt-5", "claude-opus", "gemma-3-27b", "mistral-large"];
const REGIONS: [&str; 3] = ["eu-central-1", "us-east-1", "ap-south-1"];

/// Nanoseconds since the Unix epoch of the first span.
pub const START: u64 = 1_780_000_000_000_000_000;

/// Makes spans in batches as receivers do; the same seed gives the same spans.
pub struct Spans {
    random: StdRng,
    clock: u64,
    trace: TraceId,
    left_in_trace: u32,
    parent: SpanId,
}

impl Spans {
    /// A source of spans.
    pub fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            clock: START,
            trace: TraceId::default(),
            left_in_trace: 0,
            parent: SpanId::default(),
        }
    }

    /// A request's worth of spans of one service, with 10 to 13 attributes each.
    pub fn batch(&mut self, count: usize) -> Batch {
        let mut rows = SpanRows::new(0);
        let service = *SERVICES.choose(&mut self.random).unwrap_or(&SERVICES[0]);
        let host = format!("{service}-{:02}", self.random.random_range(0..4));
        rows.resource(&Resource {
            attributes: vec![
                Attribute::new("service.name", service),
                Attribute::new("service.version", "1.4.2"),
                Attribute::new("deployment.environment", "production"),
                Attribute::new("host.name", host.as_str()),
                Attribute::new("telemetry.sdk.name", "opentelemetry"),
                Attribute::new("telemetry.sdk.language", "python"),
                Attribute::new("telemetry.sdk.version", "1.36.0"),
            ],
            ..Resource::default()
        });
        rows.scope(&Scope { name: "opentelemetry.instrumentation.fastapi".into(), ..Scope::default() });
        for _ in 0..count {
            self.add(&mut rows);
        }
        rows.finish().0
    }

    fn add(&mut self, rows: &mut SpanRows) {
        let random = &mut self.random;
        if self.left_in_trace == 0 {
            self.trace = TraceId(random.random());
            self.left_in_trace = random.random_range(5..=15);
            self.parent = SpanId::default();
        }
        self.left_in_trace -= 1;
        self.clock += random.random_range(1_000..2_000_000);
        let id = SpanId(random.random());
        let failed = random.random_ratio(1, 50);
        let (name, kind, mut attributes) = match random.random_range(0..10) {
            0..4 => server(random, failed),
            4..8 => database(random),
            _ => model(random),
        };
        attributes.extend([
            Attribute::new("thread.id", random.random_range(1..64i64)),
            Attribute::new("cloud.region", *REGIONS.choose(random).unwrap_or(&REGIONS[0])),
            Attribute::new("app.tenant", format!("tenant-{}", random.random_range(0..200))),
            Attribute::new("request_id", format!("{:032x}", random.random::<u128>())),
        ]);
        let events = if random.random_ratio(1, 20) { vec![event(self.clock)] } else { Vec::new() };
        rows.span(&Span {
            trace_id: self.trace,
            span_id: id,
            parent_span_id: self.parent,
            flags: 1,
            name: name.into(),
            kind,
            start_time_unix_nano: self.clock,
            end_time_unix_nano: self.clock + random.random_range(50_000..80_000_000),
            attributes,
            events,
            status: Status {
                code: if failed { StatusCode::ERROR } else { StatusCode::default() },
                message: if failed { "upstream timed out".into() } else { "".into() },
            },
            ..Span::default()
        });
        if self.parent.is_zero() || random.random_ratio(1, 3) {
            self.parent = id;
        }
    }
}

type Shape = (String, SpanKind, Vec<Attribute<'static>>);

fn server(random: &mut StdRng, failed: bool) -> Shape {
    let route = *ROUTES.choose(random).unwrap_or(&ROUTES[0]);
    let attributes = vec![
        Attribute::new("http.request.method", "POST"),
        Attribute::new("http.route", route),
        Attribute::new("url.path", route.replace(['{', '}'], "") + &random.random_range(0..5000).to_string()),
        Attribute::new("http.response.status_code", if failed { 504i64 } else { 200 }),
        Attribute::new("server.address", "api.example.com"),
        Attribute::new("client.address", format!("10.0.{}.{}", random.random::<u8>(), random.random::<u8>())),
        Attribute::new("user_agent.original", "python-httpx/0.28.1"),
        Attribute::new("network.protocol.version", "1.1"),
        Attribute::new("http.request.body.size", random.random_range(20..4000i64)),
    ];
    (format!("POST {route}"), SpanKind::SERVER, attributes)
}

fn database(random: &mut StdRng) -> Shape {
    let table = *TABLES.choose(random).unwrap_or(&TABLES[0]);
    let attributes = vec![
        Attribute::new("db.system.name", "postgresql"),
        Attribute::new("db.namespace", "production"),
        Attribute::new("db.operation.name", "SELECT"),
        Attribute::new("db.collection.name", table),
        Attribute::new("db.query.text", format!("SELECT id, state, payload FROM {table} WHERE id = $1 LIMIT $2")),
        Attribute::new("server.address", "db-1.internal"),
        Attribute::new("server.port", 5432i64),
        Attribute::new("db.response.returned_rows", random.random_range(0..100i64)),
    ];
    (format!("SELECT {table}"), SpanKind::CLIENT, attributes)
}

fn model(random: &mut StdRng) -> Shape {
    let model = *MODELS.choose(random).unwrap_or(&MODELS[0]);
    let attributes = vec![
        Attribute::new("gen_ai.operation.name", "chat"),
        Attribute::new("gen_ai.provider.name", "openai"),
        Attribute::new("gen_ai.request.model", model),
        Attribute::new("gen_ai.usage.input_tokens", random.random_range(100..8000i64)),
        Attribute::new("gen_ai.usage.output_tokens", random.random_range(10..2000i64)),
        Attribute::new("gen_ai.response.id", format!("chatcmpl-{:016x}", random.random::<u64>())),
        Attribute::new("gen_ai.request.temperature", 0.7),
    ];
    (format!("chat {model}"), SpanKind::CLIENT, attributes)
}

fn event(time: u64) -> SpanEvent<'static> {
    SpanEvent {
        time_unix_nano: time,
        name: "exception".into(),
        attributes: vec![
            Attribute::new("exception.type", "TimeoutError"),
            Attribute::new("exception.message", "the provider did not answer within 30 s"),
        ],
        dropped_attributes_count: 0,
    }
}
