//! Calls of language models, agents and their tools, by OpenTelemetry's conventions for generative AI (schema 1.42, status
//! "development").
//!
//! ```
//! use tripod::genai::{GenAi, Response, Usage};
//!
//! let genai = GenAi::default();
//! let mut call = genai.chat("openai", "gpt-4o");
//! call.set("gen_ai.request.temperature", 0.2);
//! // … call the model within `call.span()` …
//! call.finish(Response {
//!     model: Some("gpt-4o-2024-08-06".to_owned()),
//!     finish_reasons: vec!["stop".to_owned()],
//!     usage: Usage { input_tokens: 1_200, cache_read_tokens: 1_000, output_tokens: 80, ..Usage::default() },
//!     ..Response::default()
//! });
//! ```
//!
//! A call that is dropped without an end counts as cancelled. What is said to a model and what it answers is not recorded
//! unless [`GenAi::capture_content`] asks for it, and is then redacted as every attribute is.

mod call;
mod content;
mod metrics;
mod prices;

pub use call::{AgentCall, ModelCall, Response, ToolCall, Usage};
pub use content::{Message, Part};
pub use prices::{Price, PriceTable};

use std::sync::Arc;

use crate::metrics::{MetricError, Registry};
use metrics::GenAiMetrics;

/// The longest content of one attribute, in bytes; what is longer is cut.
const MAX_CONTENT: usize = 32 * 1024;

/// Begins calls. Cloning is cheap and shares.
#[derive(Clone, Debug, Default)]
pub struct GenAi(Arc<Shared>);

#[derive(Clone, Debug, Default)]
struct Shared {
    prices: PriceTable,
    capture: bool,
    metrics: Option<GenAiMetrics>,
}

impl GenAi {
    /// With the prices that come along, without metrics, without content.
    pub fn new() -> Self {
        Self::default()
    }

    fn change(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Replaces the prices.
    #[must_use]
    pub fn prices(self, prices: PriceTable) -> Self {
        self.change(|shared| shared.prices = prices)
    }

    /// Records what is said to models and tools, and what they answer. Off by default: it is the most personal data that a
    /// service has.
    #[must_use]
    pub fn capture_content(self, capture: bool) -> Self {
        self.change(|shared| shared.capture = capture)
    }

    /// Measures calls in this registry: `gen_ai_client_token_usage`, `gen_ai_client_operation_duration_seconds`,
    /// `gen_ai_client_operation_time_to_first_chunk_seconds` and `gen_ai_client_cost_usd_total`.
    ///
    /// # Errors
    /// When one of the names is in use for something else.
    pub fn metrics(self, registry: &Registry) -> Result<Self, MetricError> {
        let metrics = GenAiMetrics::register(registry)?;
        Ok(self.change(|shared| shared.metrics = Some(metrics)))
    }

    /// A conversation with a model: `chat gpt-4o`. The provider is one of the conventions' names where there is one:
    /// `openai`, `anthropic`, `aws.bedrock`, `gcp.gemini`, `gcp.vertex_ai`, `azure.ai.openai`, `mistral_ai`, …
    pub fn chat(&self, provider: &str, model: &str) -> ModelCall {
        ModelCall::begin(self.clone(), "chat", provider, model)
    }

    /// Embeddings of texts or images: `embeddings text-embedding-3-small`.
    pub fn embeddings(&self, provider: &str, model: &str) -> ModelCall {
        ModelCall::begin(self.clone(), "embeddings", provider, model)
    }

    /// Any other operation of a model: `text_completion`, `generate_content`.
    pub fn operation(&self, operation: &'static str, provider: &str, model: &str) -> ModelCall {
        ModelCall::begin(self.clone(), operation, provider, model)
    }

    /// Work of an agent: `invoke_agent researcher`. The calls of models and tools within [`AgentCall::span`] lie below it.
    pub fn invoke_agent(&self, name: &str) -> AgentCall {
        AgentCall::begin(self.clone(), name)
    }

    /// A tool that a model asked for: `execute_tool search`. The id is the one that the model gave its request.
    pub fn execute_tool(&self, name: &str, call_id: Option<&str>) -> ToolCall {
        ToolCall::begin(self.clone(), name, call_id)
    }

    /// What so much of a model costs, in US dollars; nothing for models without a price.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<f64> {
        self.0.prices.get(model).map(|price| price.of(usage))
    }
}

#[cfg(test)]
mod tests;
