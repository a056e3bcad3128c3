use std::io;

use super::*;
use crate::field::Value;
use crate::metrics::Registry;
use crate::testing::Capture;
use crate::traces::SpanKind;

fn usage() -> Usage {
    Usage {
        input_tokens: 1_200,
        output_tokens: 80,
        cache_read_tokens: 1_000,
        cache_creation_tokens: 100,
        reasoning_tokens: 30,
    }
}

#[test]
fn a_chat_has_the_attributes_of_the_conventions() {
    let capture = Capture::new();
    capture.run(|| {
        let mut call = GenAi::new().chat("openai", "gpt-4o");
        call.set("gen_ai.request.temperature", 0.2).set("gen_ai.conversation.id", "c-1");
        call.input(&[Message::text("system", "be brief"), Message::text("user", "hello")]);
        call.span().in_scope(|| drop(tracing::info_span!("http").entered()));
        call.first_chunk();
        call.first_chunk();
        let cost = call.finish(Response {
            model: Some("gpt-4o-2024-08-06".to_owned()),
            id: Some("r-1".to_owned()),
            finish_reasons: vec!["tool_calls".to_owned()],
            usage: usage(),
            tool_calls: 2,
            messages: vec![Message::text("assistant", "hi")],
        });
        assert_eq!(cost, Some((100.0 * 2.5 + 1_000.0 * 1.25 + 100.0 * 2.5 + 80.0 * 10.0) / 1e6));
    });
    let span = capture.span("chat gpt-4o");
    assert_eq!(span.kind, SpanKind::Client);
    for (name, value) in [
        ("gen_ai.operation.name", Value::from("chat")),
        ("gen_ai.provider.name", Value::from("openai")),
        ("gen_ai.request.model", Value::from("gpt-4o")),
        ("gen_ai.request.temperature", Value::Float(0.2)),
        ("gen_ai.request.stream", Value::Bool(true)),
        ("gen_ai.conversation.id", Value::from("c-1")),
        ("gen_ai.response.model", Value::from("gpt-4o-2024-08-06")),
        ("gen_ai.response.id", Value::from("r-1")),
        ("gen_ai.response.finish_reasons", Value::from(vec!["tool_calls"])),
        ("gen_ai.usage.input_tokens", Value::Integer(1_200)),
        ("gen_ai.usage.output_tokens", Value::Integer(80)),
        ("gen_ai.usage.cache_read.input_tokens", Value::Integer(1_000)),
        ("gen_ai.usage.cache_creation.input_tokens", Value::Integer(100)),
        ("gen_ai.usage.reasoning.output_tokens", Value::Integer(30)),
        ("has_tool_calls", Value::Bool(true)),
        ("tool_calls_count", Value::Unsigned(2)),
        ("messages_count", Value::Unsigned(2)),
    ] {
        assert_eq!(span.get(name), Some(&value), "{name}");
    }
    assert!(span.get("gen_ai.response.time_to_first_chunk").is_some());
    for name in ["gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "error.type"] {
        assert_eq!(span.get(name), None, "{name}");
    }
    assert_eq!(capture.tree(), "chat gpt-4o\n  http\n");
}

#[test]
fn content_is_recorded_when_asked_for_and_redacted() {
    let capture = Capture::new();
    capture.run(|| {
        let genai = GenAi::new().capture_content(true);
        let mut call = genai.chat("anthropic", "claude-sonnet-4");
        call.input(&[Message::text("system", "be brief"), Message::text("user", "I am jane@example.com")]);
        let asks = Part::ToolCall {
            id: "t-1".to_owned(),
            name: "search".to_owned(),
            arguments: Value::Map(vec![("query".into(), "rust".into())]),
        };
        let answer =
            Message { role: "assistant".to_owned(), parts: vec![asks], finish_reason: Some("tool_calls".to_owned()) };
        call.finish(Response { messages: vec![answer], ..Response::default() });
        let mut tool = genai.execute_tool("search", Some("t-1"));
        tool.arguments(r#"{"query":"rust","api_key":"canary"}"#);
        tool.finish(Value::Map(vec![("hits".into(), Value::Integer(3))]));
    });
    let span = capture.span("chat claude-sonnet-4");
    let text = |name: &str| span.get(name).and_then(Value::as_str).unwrap().to_owned();
    assert_eq!(
        text("gen_ai.system_instructions"),
        r#"[{"role":"system","parts":[{"type":"text","content":"be brief"}]}]"#
    );
    assert_eq!(
        text("gen_ai.input.messages"),
        r#"[{"role":"user","parts":[{"type":"text","content":"I am [REDACTED:email]"}]}]"#
    );
    assert_eq!(
        text("gen_ai.output.messages"),
        r#"[{"role":"assistant","parts":[{"type":"tool_call","id":"t-1","name":"search","arguments":{"query":"rust"}}],"finish_reason":"tool_calls"}]"#
    );
    let tool = capture.span("execute_tool search");
    assert_eq!(tool.get("gen_ai.tool.call.id"), Some(&Value::from("t-1")));
    assert_eq!(
        tool.get("gen_ai.tool.call.arguments"),
        Some(&Value::from(r#"{"query":"rust","api_key":"[REDACTED]"}"#))
    );
    assert_eq!(tool.get("gen_ai.tool.call.result"), Some(&Value::from(r#"{"hits":3}"#)));
}

#[test]
fn calls_of_an_agent_lie_below_it() {
    let capture = Capture::new();
    capture.run(|| {
        let genai = GenAi::new();
        let mut agent = genai.invoke_agent("researcher");
        agent.set("gen_ai.agent.id", "a-1");
        agent.span().in_scope(|| {
            genai
                .embeddings("openai", "text-embedding-3-small")
                .finish(Response { usage: Usage { input_tokens: 50, ..Usage::default() }, ..Response::default() });
            genai.execute_tool("search", None).finish("ok");
        });
        agent.finish(usage(), &[]);
    });
    assert_eq!(capture.tree(), "invoke_agent researcher\n  embeddings text-embedding-3-small\n  execute_tool search\n");
    let embeddings = capture.span("embeddings text-embedding-3-small");
    assert_eq!(embeddings.get("gen_ai.usage.cost"), Some(&Value::Float(50.0 * 0.02 / 1e6)));
    assert_eq!(embeddings.get("gen_ai.usage.output_tokens"), None);
    assert_eq!(capture.span("invoke_agent researcher").get("gen_ai.usage.input_tokens"), Some(&Value::Integer(1_200)));
}

#[test]
fn calls_that_fail_or_are_dropped_say_so() {
    let capture = Capture::new();
    let registry = Registry::new();
    capture.run(|| {
        let genai = GenAi::new().metrics(&registry).unwrap();
        genai.chat("openai", "failing").fail(&io::Error::other("no answer"), "timeout");
        drop(genai.chat("openai", "dropped"));
        genai.chat("openai", "gpt-4o").finish(Response { usage: usage(), ..Response::default() });
    });
    let failed = capture.span("chat failing");
    assert!(failed.is_error());
    assert_eq!(failed.get("error.type"), Some(&Value::from("timeout")));
    assert_eq!(capture.span("chat dropped").get("error.type"), Some(&Value::from("cancelled")));
    let text = registry.prometheus_text();
    for line in [
        r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="failing",error_type="timeout"} 1"#,
        r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="dropped",error_type="cancelled"} 1"#,
        r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",gen_ai_token_type="input"} 1200"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        text.contains(
            r#"gen_ai_client_cost_usd_total{gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"} 0.00"#
        ),
        "{text}"
    );
}

#[test]
fn prices_of_versions_and_of_ones_own() {
    let table = PriceTable::default();
    assert_eq!(table.get("gpt-4o-2024-08-06"), table.get("gpt-4o"));
    assert_eq!(table.get("openai/gpt-4o-mini-2024-07-18"), table.get("gpt-4o-mini"));
    assert_eq!(table.get("claude-sonnet-4-5-20250929"), table.get("claude-sonnet-4"));
    assert_eq!(table.get("claude-opus-4-5-20251101"), table.get("claude-opus-4-5"));
    assert_ne!(table.get("gpt-4o"), table.get("gpt-4o-mini"));
    assert_eq!(table.get("gpt-4o-audio"), None);
    assert_eq!(table.get("my-model"), None);
    let own = PriceTable::empty().with("my-model", Price::new(1.0, 2.0));
    let genai = GenAi::new().prices(own);
    assert_eq!(
        genai.cost("my-model", &Usage { input_tokens: 1_000_000, output_tokens: 500_000, ..Usage::default() }),
        Some(2.0)
    );
    assert_eq!(genai.cost("gpt-4o", &usage()), None);
}
