//! Where builders take their randomness, times and ids from.

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// In a template's text, `SHIFTING + d` stands for the hexadecimal digit `d`, which every send shifts to another one: equal
/// ids in one request stay equal, as those that the spans of a request share must, and differ from all other requests'.
pub(crate) const SHIFTING: u8 = 0x10;

/// Hexadecimal digits.
pub(crate) const HEX: &[u8; 16] = b"0123456789abcdef";

/// Randomness for builders, repeatable from its seed.
pub(crate) struct Source {
    rng: StdRng,
    template: bool,
}

impl Source {
    /// A source of finished messages: every id is drawn.
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), template: false }
    }

    /// A source of templates: ids in text are [`SHIFTING`].
    pub(crate) fn of_templates(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), template: true }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.rng.random_range(low..=high)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.rng.random_range(0..from.len())]
    }

    /// A duration in nanoseconds with a long tail, as response times have: the median lies near `typical`.
    pub(crate) fn duration(&mut self, typical: u64) -> u64 {
        let spread = self.rng.random_range(-1.2f64..1.2) + self.rng.random_range(-0.8f64..1.4).max(0.0);
        (typical as f64 * spread.exp()) as u64 + self.rng.random_range(0..1_000)
    }

    pub(crate) fn trace_id(&mut self) -> Vec<u8> {
        self.bytes(16)
    }

    pub(crate) fn span_id(&mut self) -> Vec<u8> {
        self.bytes(8)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Text of hexadecimal digits that differs in every message.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| self.rng.random_range(0..16u8))
            .map(|digit| char::from(if self.template { SHIFTING + digit } else { HEX[usize::from(digit)] }))
            .collect()
    }

    /// A random UUID as text.
    pub(crate) fn uuid(&mut self) -> String {
        format!("{}-{}-4{}-a{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }
}

/// An attribute of text.
pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

/// An attribute that is an integer.
pub(crate) fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

/// An attribute that is a float.
pub(crate) fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, any_value::Value::DoubleValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The services of the imagined system.
pub(crate) const SERVICES: [&str; 10] = [
    "web-frontend",
    "api-gateway",
    "agent-orchestrator",
    "tool-runner",
    "retrieval-service",
    "user-service",
    "billing-service",
    "search-service",
    "notification-worker",
    "scheduler",
];

/// The resource of a service: every process sends the same one with each request.
pub(crate) fn resource(service: &str) -> Resource {
    let attributes = vec![
        text("service.name", service),
        text("service.namespace", "shop"),
        text("service.version", "2.14.1"),
        text("service.instance.id", format!("{service}-7d9f8b6c5-x2x4z")),
        text("deployment.environment.name", "production"),
        text("host.name", format!("node-{}", service.len() % 4)),
        text("telemetry.sdk.language", "python"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "1.38.0"),
    ];
    Resource { attributes, ..Resource::default() }
}

/// The scope of an instrumentation library.
pub(crate) fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.to_owned(), version: "0.59b0".to_owned(), ..InstrumentationScope::default() }
}
