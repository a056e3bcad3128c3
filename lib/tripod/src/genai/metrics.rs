use std::time::Duration;

use super::Usage;
use crate::metrics::{Counter, Family, Histogram, MetricError, Registry};

/// The conventions' metrics, under the names that Prometheus gives them.
#[derive(Clone, Debug)]
pub(super) struct GenAiMetrics {
    tokens: Family<Histogram, 4>,
    duration: Family<Histogram, 4>,
    first_chunk: Family<Histogram, 3>,
    cost: Family<Counter, 2>,
}

/// Bounds that the conventions ask for, in tokens.
const TOKENS: &[f64] =
    &[1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

/// Bounds that the conventions ask for, in seconds.
const SECONDS: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

const OPERATION: &str = "gen_ai_operation_name";
const PROVIDER: &str = "gen_ai_provider_name";
const MODEL: &str = "gen_ai_request_model";

impl GenAiMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, MetricError> {
        let tokens = registry.histogram("gen_ai_client_token_usage", "Tokens of calls of language models");
        let duration = registry.histogram("gen_ai_client_operation_duration_seconds", "Calls of language models");
        let first = registry.histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Time until the first part of an answer that comes in parts",
        );
        let cost = registry.counter("gen_ai_client_cost_usd_total", "Cost of calls of language models by list price");
        Ok(Self {
            tokens: tokens.buckets(TOKENS).labels([OPERATION, PROVIDER, MODEL, "gen_ai_token_type"]).register()?,
            duration: duration.buckets(SECONDS).labels([OPERATION, PROVIDER, MODEL, "error_type"]).register()?,
            first_chunk: first.buckets(SECONDS).labels([OPERATION, PROVIDER, MODEL]).register()?,
            cost: cost.labels([PROVIDER, MODEL]).register()?,
        })
    }

    pub(super) fn usage(&self, operation: &str, provider: &str, model: &str, usage: &Usage, cost: Option<f64>) {
        for (kind, tokens) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
            if tokens > 0 {
                self.tokens.with([operation, provider, model, kind]).observe(tokens as f64);
            }
        }
        if let Some(cost) = cost {
            self.cost.with([provider, model]).add_f64(cost);
        }
    }

    /// `error` is empty when the call went well.
    pub(super) fn duration(&self, operation: &str, provider: &str, model: &str, error: &str, took: Duration) {
        self.duration.with([operation, provider, model, error]).observe_duration(took);
    }

    pub(super) fn first_chunk(&self, operation: &str, provider: &str, model: &str, after: Duration) {
        self.first_chunk.with([operation, provider, model]).observe_duration(after);
    }
}
