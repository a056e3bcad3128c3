use std::error::Error;
use std::time::Instant;

use tracing::Span;

use super::GenAi;
use super::content::{Message, messages, text};
use crate::field::{Name, Value};
use crate::span::SpanExt as _;
use crate::traces::Status;

/// Tokens of a call. Those of caches are part of the input, those of reasoning part of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens that went in, cached ones included.
    pub input_tokens: u64,
    /// All tokens that came out, reasoning included.
    pub output_tokens: u64,
    /// Input tokens that the provider had in its cache.
    pub cache_read_tokens: u64,
    /// Input tokens that the provider put into its cache.
    pub cache_creation_tokens: u64,
    /// Output tokens that were spent on reasoning.
    pub reasoning_tokens: u64,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// The model that answered, when the provider says so: mostly a version of the one that was asked.
    pub model: Option<String>,
    /// The id of the answer.
    pub id: Option<String>,
    /// Why the model stopped: `stop`, `length`, `tool_calls`, … one for each choice.
    pub finish_reasons: Vec<String>,
    /// Tokens.
    pub usage: Usage,
    /// How many tools the model asks for.
    pub tool_calls: usize,
    /// What it said; recorded only when content is captured.
    pub messages: Vec<Message>,
}

/// The parts that all calls share: a span that ends once.
#[derive(Debug)]
struct Open {
    genai: GenAi,
    span: Span,
    operation: &'static str,
    provider: String,
    /// The model, or what stands for it in metrics.
    model: String,
    started: Instant,
    ended: bool,
}

impl Open {
    fn new(genai: GenAi, span: Span, operation: &'static str, provider: &str, model: &str) -> Self {
        let (provider, model) = (provider.to_owned(), model.to_owned());
        Self { genai, span, operation, provider, model, started: Instant::now(), ended: false }
    }

    fn set(&self, name: impl Into<Name>, value: impl Into<Value>) {
        self.span.set_attribute(name, value);
    }

    fn set_content(&self, name: &'static str, content: impl FnOnce() -> String) {
        if self.genai.0.capture && self.span.is_recording() {
            self.span.set_attribute(name, content());
        }
    }

    /// Counts the end; `error` is empty when all went well.
    fn end(&mut self, error: &str) {
        self.ended = true;
        if let Some(metrics) = &self.genai.0.metrics {
            metrics.duration(self.operation, &self.provider, &self.model, error, self.started.elapsed());
        }
    }

    fn fail(&mut self, error: &(impl Error + ?Sized), kind: &str) {
        self.span.record_error(error);
        self.set("error.type", kind.to_owned());
        self.end(kind);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.ended {
            self.set("error.type", "cancelled");
            self.span.set_status(Status::Error("cancelled".into()));
            self.end("cancelled");
        }
    }
}

/// A call of a model. Ends with [`finish`](Self::finish) or [`fail`](Self::fail); dropped before, it counts as cancelled.
#[derive(Debug)]
pub struct ModelCall {
    open: Open,
    first_chunk: bool,
}

impl ModelCall {
    pub(super) fn begin(genai: GenAi, operation: &'static str, provider: &str, model: &str) -> Self {
        let span = tracing::info_span!(
            target: "tripod::genai",
            "gen_ai",
            otel.name = format!("{operation} {model}"),
            otel.kind = "client",
            gen_ai.operation.name = operation,
            gen_ai.provider.name = provider,
            gen_ai.request.model = model,
        );
        Self { open: Open::new(genai, span, operation, provider, model), first_chunk: false }
    }

    /// The span; what happens within it lies below the call.
    pub fn span(&self) -> &Span {
        &self.open.span
    }

    /// Sets an attribute, one of the conventions (`gen_ai.request.temperature`, `gen_ai.conversation.id`,
    /// `server.address`) or any other.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> &mut Self {
        self.open.set(name, value);
        self
    }

    /// What is said to the model: how many messages, and the messages themselves if content is captured. Messages of the
    /// role `system` are recorded as instructions.
    pub fn input(&mut self, input: &[Message]) -> &mut Self {
        self.open.set("messages_count", input.len());
        let (system, others): (Vec<Message>, Vec<Message>) = if self.open.genai.0.capture {
            input.iter().cloned().partition(|message| message.role == "system")
        } else {
            Default::default()
        };
        if !system.is_empty() {
            self.open.set_content("gen_ai.system_instructions", || messages(&system));
        }
        self.open.set_content("gen_ai.input.messages", || messages(&others));
        self
    }

    /// The first part of the answer has come. Only the first time counts.
    pub fn first_chunk(&mut self) {
        if std::mem::replace(&mut self.first_chunk, true) {
            return;
        }
        let after = self.open.started.elapsed();
        self.open.set("gen_ai.request.stream", true);
        self.open.set("gen_ai.response.time_to_first_chunk", after.as_secs_f64());
        if let Some(metrics) = &self.open.genai.0.metrics {
            metrics.first_chunk(self.open.operation, &self.open.provider, &self.open.model, after);
        }
    }

    /// The model has answered. Gives the cost in US dollars, if the model has a price.
    pub fn finish(mut self, response: Response) -> Option<f64> {
        let Response { model, id, finish_reasons, usage, tool_calls, messages: output } = response;
        let open = &mut self.open;
        let priced = model.as_deref().filter(|model| open.genai.cost(model, &usage).is_some());
        let cost = open.genai.cost(priced.unwrap_or(&open.model), &usage);
        if let Some(model) = model {
            open.set("gen_ai.response.model", model);
        }
        if let Some(id) = id {
            open.set("gen_ai.response.id", id);
        }
        if !finish_reasons.is_empty() {
            open.set("gen_ai.response.finish_reasons", finish_reasons);
        }
        for (name, tokens, always) in [
            ("gen_ai.usage.input_tokens", usage.input_tokens, true),
            ("gen_ai.usage.output_tokens", usage.output_tokens, open.operation != "embeddings"),
            ("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens, false),
            ("gen_ai.usage.cache_creation.input_tokens", usage.cache_creation_tokens, false),
            ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens, false),
        ] {
            if always || tokens > 0 {
                open.set(name, i64::try_from(tokens).unwrap_or(i64::MAX));
            }
        }
        if open.operation != "embeddings" {
            open.set("has_tool_calls", tool_calls > 0);
            open.set("tool_calls_count", tool_calls);
        }
        if let Some(cost) = cost {
            open.set("gen_ai.usage.cost", cost);
        }
        if !output.is_empty() {
            open.set_content("gen_ai.output.messages", || messages(&output));
        }
        if let Some(metrics) = &open.genai.0.metrics {
            metrics.usage(open.operation, &open.provider, &open.model, &usage, cost);
        }
        open.end("");
        cost
    }

    /// The call failed. Metrics have the kind of failure as a label, so it must be one of few: `timeout`, `429`.
    pub fn fail(mut self, error: &(impl Error + ?Sized), kind: &str) {
        self.open.fail(error, kind);
    }
}

/// Work of an agent. Ends with [`finish`](Self::finish) or [`fail`](Self::fail); dropped before, it counts as cancelled.
#[derive(Debug)]
pub struct AgentCall(Open);

impl AgentCall {
    pub(super) fn begin(genai: GenAi, name: &str) -> Self {
        let span = tracing::info_span!(
            target: "tripod::genai",
            "gen_ai",
            otel.name = format!("invoke_agent {name}"),
            otel.kind = "internal",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = name,
        );
        Self(Open::new(genai, span, "invoke_agent", "", name))
    }

    /// The span; the calls of models and tools within it lie below the agent's work.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Sets an attribute: `gen_ai.agent.id`, `gen_ai.conversation.id` or any other.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> &mut Self {
        self.0.set(name, value);
        self
    }

    /// What the agent was asked, if content is captured.
    pub fn input(&mut self, input: &[Message]) -> &mut Self {
        self.0.set_content("gen_ai.input.messages", || messages(input));
        self
    }

    /// The agent is done. The usage is that of all its calls together; zero when it is not known.
    pub fn finish(mut self, usage: Usage, output: &[Message]) {
        if usage != Usage::default() {
            self.0.set("gen_ai.usage.input_tokens", i64::try_from(usage.input_tokens).unwrap_or(i64::MAX));
            self.0.set("gen_ai.usage.output_tokens", i64::try_from(usage.output_tokens).unwrap_or(i64::MAX));
        }
        if !output.is_empty() {
            self.0.set_content("gen_ai.output.messages", || messages(output));
        }
        self.0.end("");
    }

    /// The agent failed; see [`ModelCall::fail`].
    pub fn fail(mut self, error: &(impl Error + ?Sized), kind: &str) {
        self.0.fail(error, kind);
    }
}

/// A tool at work. Ends with [`finish`](Self::finish) or [`fail`](Self::fail); dropped before, it counts as cancelled.
#[derive(Debug)]
pub struct ToolCall(Open);

impl ToolCall {
    pub(super) fn begin(genai: GenAi, name: &str, call_id: Option<&str>) -> Self {
        let span = tracing::info_span!(
            target: "tripod::genai",
            "gen_ai",
            otel.name = format!("execute_tool {name}"),
            otel.kind = "internal",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = name,
            gen_ai.tool.type = "function",
            gen_ai.tool.call.id = call_id,
        );
        Self(Open::new(genai, span, "execute_tool", "", name))
    }

    /// The span; what the tool does within it lies below.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Sets an attribute: `gen_ai.tool.description` or any other.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> &mut Self {
        self.0.set(name, value);
        self
    }

    /// The arguments, as a value or as the JSON text that the model gave; recorded if content is captured.
    pub fn arguments(&mut self, arguments: impl Into<Value>) -> &mut Self {
        let arguments = arguments.into();
        self.0.set_content("gen_ai.tool.call.arguments", || text(&arguments));
        self
    }

    /// The tool is done; its result is recorded if content is captured.
    pub fn finish(mut self, result: impl Into<Value>) {
        let result = result.into();
        self.0.set_content("gen_ai.tool.call.result", || text(&result));
        self.0.end("");
    }

    /// The tool failed; see [`ModelCall::fail`].
    pub fn fail(mut self, error: &(impl Error + ?Sized), kind: &str) {
        self.0.fail(error, kind);
    }
}
