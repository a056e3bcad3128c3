//! Prints every kind of metric that the SDK exposes: `cargo run -p tripod --example exposition -- openmetrics`.
//!
//! `interop/sdk` gives what it prints to readers of other projects.

use tripod::accounts::{Accounts, Reason};
use tripod::context::{SpanContext, SpanId, TraceFlags, TraceId};
use tripod::metrics::{BuildInfo, MetricError, OwnMetrics, ProcessMetrics, Registry, RuntimeMetrics};

fn trace() -> Option<SpanContext> {
    let (trace_id, span_id) = (TraceId([0x4b; 16]), SpanId([0xf0; 8]));
    Some(SpanContext { trace_id, span_id, flags: TraceFlags(1), ..SpanContext::default() })
}

#[tokio::main]
async fn main() -> Result<(), MetricError> {
    let registry = Registry::builder().namespace("sixseven").exemplars(trace).created_lines(true).build()?;
    let commands = registry.counter("commands_total", "Total number of commands received");
    let commands = commands.labels(["intent", "status"]).register()?;
    commands.with(["research", "created"]).add(1_234_567);
    commands.with(["a \"quoted\" \\ value", "two\nlines ü"]).add_f64(0.000_012_5);

    let latency = registry.histogram("api_latency_seconds", "API endpoint response times, \"all\" of them \\ always");
    let latency = latency.labels(["endpoint", "method", "status_code"]).register()?;
    for step in 1..2000 {
        latency.with(["/command", "POST", "200"]).observe(f64::from(step) / 150.0);
    }
    let sizes = registry.histogram("image_size_bytes", "Sizes").buckets(&[1e3, 1e6, 2.5e6, 1e9]).register()?;
    sizes.observe(1_500_000.0);
    registry.gauge("active_jobs", "Running jobs").labels(["job_type"]).register()?.with(["creative"]).set(-1.5);
    registry.gauge("empty", "Has no series").labels(["nothing"]).register()?;
    registry.gauge("infinite", "Is very large").register()?.set(f64::INFINITY);
    let capped =
        registry.counter("capped_total", "Has one series too many").labels(["user"]).max_series(1).register()?;
    ["one", "two"].iter().for_each(|user| capped.with([user]).inc());
    registry.counter("credits.consumed", "Has a dotted name").register()?.inc();

    registry.collect(ProcessMetrics::new());
    RuntimeMetrics::current().into_iter().for_each(|runtime| registry.collect(runtime));
    registry.collect(BuildInfo::new("sixseven", "sixseven", "1.0.0").label("revision", "abc123"));
    let accounts = Accounts::new();
    let account = accounts.open("otlp", "spans");
    account.emit(7);
    account.drop(Reason::QueueFull, 2);
    registry.collect(OwnMetrics::new(accounts));

    match std::env::args().nth(1).as_deref() {
        Some("openmetrics") => print!("{}", registry.openmetrics_text()),
        _ => print!("{}", registry.prometheus_text()),
    }
    Ok(())
}
