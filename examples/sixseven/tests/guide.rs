//! What the guide lists, found in the running service: log events, span tree, attributes, metrics, the way of a request id.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};
use sixseven::client::ProviderUrls;
use sixseven::providers::{self, Behaviour};
use tokio::net::TcpListener;
use tracing::dispatcher::DefaultGuard;
use tripod::health::{Health, Service};
use tripod::http::{HttpLayer, HttpMetrics};
use tripod::logs::LogEvent;
use tripod::metrics::Registry;
use tripod::testing::Capture;

struct World {
    address: SocketAddr,
    client: reqwest::Client,
    capture: Capture,
    registry: Registry,
    _entered: DefaultGuard,
}

async fn listen(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

impl World {
    async fn start(behaviour: Behaviour) -> Self {
        let base = format!("http://{}", listen(providers::router(behaviour)).await);
        Self::at(base).await
    }

    async fn at(base: String) -> Self {
        let capture = Capture::new();
        let entered = capture.enter();
        let registry = Registry::builder().namespace("sixseven").build().unwrap();
        let health = Health::new(Service::new("1.0.0", "test"));
        let layer = HttpLayer::builder().metrics(HttpMetrics::api_latency()).build(&registry).unwrap();
        let urls = ProviderUrls { yutori_url: base.clone(), freepik_url: base, poll_ms: 1 };
        let address = listen(sixseven::service::router(&registry, &health, layer, urls).unwrap()).await;
        let client = reqwest::Client::new();
        Self { address, client, capture, registry, _entered: entered }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    async fn command(&self, body: Value) -> reqwest::Response {
        let request = self.client.post(format!("http://{}/command", self.address)).json(&body);
        request.header("x-request-id", "r-1").send().await.unwrap()
    }

    /// Sends a command and waits until its job has ended.
    async fn done(&self, text: &str) -> String {
        let reply: Value = self.command(json!({"text": text, "session_id": "abc-123"})).await.json().await.unwrap();
        self.logged("job_completed").await;
        reply["job_id"].as_str().unwrap().to_owned()
    }

    async fn logged(&self, event: &str) -> LogEvent {
        loop {
            if let Some(line) = self.capture.logs().into_iter().find(|line| line.event == event) {
                return line;
            }
            tokio::task::yield_now().await;
        }
    }

    fn events(&self) -> BTreeSet<String> {
        self.capture.logs().into_iter().map(|line| line.event.into_owned()).collect()
    }

    #[track_caller]
    fn assert_events(&self, expected: &[&str]) {
        let events = self.events();
        for event in expected {
            assert!(events.contains(*event), "{event} is missing among {events:?}");
        }
    }
}

fn calm() -> Behaviour {
    Behaviour { latency_ms: 0, error_rate: 0.0, async_share: 0.0, polls: 2 }
}

fn text(line: &LogEvent, name: &str) -> String {
    line.get(name).and_then(|value| value.as_str()).unwrap_or_else(|| panic!("{name} in {line:?}")).to_owned()
}

#[tokio::test]
async fn research_leaves_the_events_and_the_spans_of_the_guide() {
    let world = World::start(calm()).await;
    let job = world.done("research quantum computing").await;
    world.get("/jobs").await;
    let read: Value = world.get(&format!("/jobs/{job}")).await.json().await.unwrap();
    assert_eq!((&read["status"], &read["job_type"]), (&json!("succeeded"), &json!("research")));
    assert_eq!(world.get("/health").await.status(), 200);
    world.assert_events(&[
        "command_received",
        "command_handled",
        "health_check",
        "get_job",
        "jobs_listed",
        "intent_parsed",
        "research_started",
        "research_task_created",
        "research_poll_completed",
        "research_succeeded",
        "job_created",
        "job_started",
        "job_progress",
        "job_completed",
        "external_api_call",
    ]);
    let line = world.capture.log("command_received");
    assert_eq!(text(&line, "command"), "research quantum computing");
    assert_eq!(line.get("has_image"), Some(&false.into()));
    assert_eq!(line.context.session_id(), Some("abc-123"));

    let tree = world.capture.tree();
    let command = "POST /command\n  handle_command\n    parse_intent\n    create_job\n    execute_research\n      \
                   create_yutori_task\n        http_post\n      poll_yutori_task\n        http_get\n        http_get\n";
    assert!(tree.starts_with(command), "{tree}");

    let handled = world.capture.span("handle_command");
    assert_eq!(handled.get("command.text"), Some(&"research quantum computing".into()));
    assert_eq!(handled.get("command.has_image"), Some(&false.into()));
    assert_eq!(handled.get("response.intent"), Some(&"research".into()));
    assert_eq!(handled.get("response.job_id"), Some(&job.clone().into()));
    let executed = world.capture.span("execute_research");
    assert_eq!(executed.get("job.type"), Some(&"research".into()));
    assert_eq!(executed.get("job.status"), Some(&"succeeded".into()));
}

#[tokio::test]
async fn a_request_id_goes_all_the_way() {
    let world = World::start(calm()).await;
    // It arrives, or is made; it is in the answer.
    let response = world.command(json!({"text": "research bees"})).await;
    assert_eq!(response.headers()["x-request-id"], "r-1");
    let made = world.get("/jobs").await;
    assert_eq!(made.headers()["x-request-id"].len(), 36);
    // It is in every line of the request and of its job, which ended after the answer, with the ids of the trace.
    world.logged("job_completed").await;
    let root = world.capture.spans().into_iter().find(|span| span.name == "POST /command").unwrap();
    for event in [
        "command_received",
        "intent_parsed",
        "command_handled",
        "request_completed",
        "job_created",
        "job_started",
        "research_started",
        "research_task_created",
        "research_succeeded",
        "job_completed",
    ] {
        let line = world.capture.logs().into_iter().find(|line| line.event == event).unwrap();
        assert_eq!(line.context.request_id(), Some("r-1"), "{event}");
        assert_eq!(line.span.map(|span| span.trace_id), Some(root.context.trace_id), "{event}");
    }
    // And the lines of the job know the job.
    let job = text(&world.capture.log("command_handled"), "created_job_id");
    for event in ["research_started", "research_succeeded", "job_completed"] {
        assert_eq!(world.capture.log(event).context.job_id(), Some(&*job), "{event}");
    }
}

#[tokio::test]
async fn images_come_at_once_or_later_or_not_at_all() {
    let world = World::start(calm()).await;
    world.done("create an image of a bridge").await;
    world.assert_events(&["creative_started", "creative_succeeded"]);

    let world = World::start(Behaviour { async_share: 1.0, ..calm() }).await;
    world.done("draw a fox").await;
    world.assert_events(&["creative_async", "creative_succeeded"]);

    let world = World::start(calm()).await;
    world.done("edit my picture").await;
    world.assert_events(&["creative_no_image", "creative_execution_error"]);
    assert_eq!(text(&world.capture.log("job_completed"), "status"), "failed");

    let world = World::start(Behaviour { error_rate: 1.0, ..calm() }).await;
    world.done("draw a fox").await;
    world.assert_events(&["creative_failed", "creative_execution_error"]);

    let world = World::at(nobody().await).await;
    world.done("draw a fox").await;
    world.assert_events(&["creative_error", "creative_execution_error"]);
}

/// An address at which nobody listens.
async fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap())
}

#[tokio::test]
async fn research_fails_breaks_and_is_cancelled() {
    let world = World::start(Behaviour { error_rate: 1.0, ..calm() }).await;
    world.done("research bees").await;
    world.assert_events(&["research_failed", "research_execution_error"]);

    let world = World::at(nobody().await).await;
    world.done("research bees").await;
    world.assert_events(&["research_error", "research_execution_error"]);

    let world = World::start(Behaviour { polls: u32::MAX, ..calm() }).await;
    let reply: Value = world.command(json!({"text": "research bees"})).await.json().await.unwrap();
    world.logged("research_task_created").await;
    let job = reply["job_id"].as_str().unwrap();
    let url = format!("http://{}/jobs/{job}", world.address);
    assert_eq!(world.client.delete(url).send().await.unwrap().status(), 200);
    world.logged("job_completed").await;
    world.assert_events(&["job_cancelled", "research_cancelled"]);
    assert!(!world.events().contains("research_execution_error"));
    let read: Value = world.get(&format!("/jobs/{job}")).await.json().await.unwrap();
    assert_eq!(read["status"], "cancelled");
    let labels = [("intent", "research"), ("status", "cancelled")];
    assert_eq!(world.registry.snapshot().value("sixseven_commands_total", &labels), Some(1.0));
}

#[tokio::test]
async fn commands_that_cannot_be_done_are_answered() {
    let world = World::start(calm()).await;
    assert_eq!(world.command(json!({"text": "  "})).await.status(), 400);
    world.assert_events(&["command_error"]);
    let reply: Value = world.command(json!({"text": "hello there"})).await.json().await.unwrap();
    assert_eq!((&reply["intent"], &reply["job_id"]), (&json!("unknown"), &Value::Null));
    assert_eq!(world.get("/jobs/none").await.status(), 404);
}

#[tokio::test]
async fn the_six_metrics_have_the_names_types_and_labels_of_the_guide() {
    let world = World::start(calm()).await;
    world.done("research bees").await;
    let text = world.get("/metrics").await.text().await.unwrap();
    for line in [
        "# TYPE sixseven_commands_total counter\n",
        "# TYPE sixseven_job_duration_seconds histogram\n",
        "# TYPE sixseven_active_jobs gauge\n",
        "# TYPE sixseven_api_latency_seconds histogram\n",
        "# TYPE sixseven_external_api_calls_total counter\n",
        "# TYPE sixseven_external_api_latency_seconds histogram\n",
        "sixseven_commands_total{intent=\"research\",status=\"created\"} 1.0\n",
        "sixseven_commands_total{intent=\"research\",status=\"succeeded\"} 1.0\n",
        "sixseven_job_duration_seconds_count{job_type=\"research\",status=\"succeeded\"} 1.0\n",
        "sixseven_active_jobs{job_type=\"research\"} 0.0\n",
        "sixseven_api_latency_seconds_count{endpoint=\"/command\",method=\"POST\",status_code=\"200\"} 1.0\n",
        "sixseven_external_api_calls_total{provider=\"yutori\",status=\"success\"} 3.0\n",
        "sixseven_external_api_latency_seconds_count{provider=\"yutori\"} 3.0\n",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
