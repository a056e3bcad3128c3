//! What a log line costs: `cargo bench -p tripod --bench logs`. Budget: a JSON line of ten fields in 500 ns.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tripod::field::Value;
use tripod::logs::{ConsoleFormat, Format, JsonFormat, Level, LogEvent};
use tripod::redaction::Redactor;

/// A line as a request writes it, with ten fields.
fn line() -> LogEvent {
    let mut event = LogEvent::new(Level::Info, "app::api", "command_handled");
    event.set("command", "research quantum computing".to_owned());
    event.set("has_image", false);
    event.set("intent", "research");
    event.set("job_id", "7d9f2d3c-3f5c-4f0e-9c3a-0f1f6c7b2a11".to_owned());
    event.set("duration_seconds", 0.012_345);
    event.set("status_code", 200);
    event.set("method", "POST");
    event.set("path", "/command");
    event.set("request_id", "550e8400-e29b-41d4-a716-446655440000".to_owned());
    event.set("session_id", "abc-123".to_owned());
    event
}

fn formats(criterion: &mut Criterion) {
    let event = line();
    let mut out = Vec::with_capacity(4096);
    let json = JsonFormat::default();
    criterion.bench_function("json line, 10 fields", |bencher| {
        bencher.iter(|| {
            out.clear();
            json.write(black_box(&event), &mut out);
            black_box(out.len())
        });
    });
    let console = ConsoleFormat::colored();
    criterion.bench_function("console line, 10 fields", |bencher| {
        bencher.iter(|| {
            out.clear();
            console.write(black_box(&event), &mut out);
            black_box(out.len())
        });
    });
}

fn redaction(criterion: &mut Criterion) {
    let redactor = Redactor::default();
    let mut event = line();
    criterion.bench_function("redact a clean line, 10 fields", |bencher| {
        bencher.iter(|| redactor.event(black_box(&mut event)));
    });
    criterion.bench_function("redact clean text of 200 bytes", |bencher| {
        let text = "the job was started by the orchestrator and waits for the provider to answer ".repeat(3);
        bencher.iter(|| black_box(redactor.text(black_box(&text[..200]))));
    });
    criterion.bench_function("redact an e-mail address in text", |bencher| {
        bencher.iter(|| black_box(redactor.text(black_box("mail sent to someone@example.com"))));
    });
    criterion.bench_function("redact a password field", |bencher| {
        bencher.iter(|| {
            let mut value = Value::from("hunter2");
            redactor.field(black_box("db_password"), &mut value);
            black_box(value)
        });
    });
}

criterion_group!(benches, formats, redaction);
criterion_main!(benches);
