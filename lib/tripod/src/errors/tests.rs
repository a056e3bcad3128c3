use std::sync::Arc;
use std::time::{Duration, Instant};

use sentry::Envelope;
use sentry::protocol::{Context as SentryContext, Event, Level as SentryLevel};

use super::*;
use crate::accounts::Accounts;
use crate::context::{Context, SpanContext, SpanId, TraceFlags, TraceId};
use crate::logs::{ErrorReport, Level, LogEvent, PANIC_EVENT, Pipeline};
use crate::network::stand_in::{Received, StandIn};
use crate::network::{Network, QueueOptions};
use crate::redaction::Redactor;
use crate::sinks::Sink as _;

struct Fixture {
    server: StandIn,
    sink: Arc<SentrySink>,
    pipeline: Pipeline,
    _network: Network,
}

fn fixture(change: impl FnOnce(SentrySettings) -> SentrySettings) -> Fixture {
    let server = StandIn::start(&[]);
    let network = Network::start().unwrap();
    let accounts = Accounts::new();
    let settings = SentrySettings::new(&format!("http://public@{}/42", server.address))
        .unwrap()
        .release("1.2.3")
        .environment("production")
        .queue(QueueOptions { linger: Duration::from_millis(1), ..QueueOptions::default() });
    let sink = Arc::new(SentrySink::start(change(settings), &Redactor::default(), &network, &accounts).unwrap());
    let pipeline = Pipeline::new(Redactor::default(), &accounts).with_sink(Level::Debug, sink.clone());
    Fixture { server, sink, pipeline, _network: network }
}

fn context() -> Context {
    Context::new().with("request_id", "r-1").with("user_id", "u-7").with("job_id", "j-1")
}

fn line(level: Level, text: &'static str) -> LogEvent {
    let mut event = LogEvent::new(level, "app::jobs", text);
    event.context = context();
    event
}

fn decoded(request: &Received) -> Event<'static> {
    Envelope::from_slice(&request.body).unwrap().event().unwrap().clone()
}

#[test]
fn an_error_is_an_event_with_what_led_to_it() {
    let fixture = fixture(|settings| settings);
    fixture.pipeline.emit(line(Level::Info, "job_started"));
    fixture.pipeline.emit(line(Level::Debug, "too_detailed"));
    fixture.pipeline.emit(LogEvent::new(Level::Info, "app", "of_another_request"));
    let mut failed = line(Level::Error, "job_failed");
    failed.span = Some(SpanContext {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([2; 8]),
        flags: TraceFlags(1),
        ..SpanContext::default()
    });
    failed.set("operation", "create_task");
    failed.set("password", "canary-secret");
    failed.error = Some(Box::new(ErrorReport {
        kind: "app::providers::Timeout".into(),
        message: "no answer from a@example.com".to_owned(),
        causes: vec!["connection reset".to_owned()],
        backtrace: None,
    }));
    fixture.pipeline.emit(failed);
    let request = fixture.server.next();
    assert_eq!(request.line, "POST /api/42/envelope/ HTTP/1.1");
    assert!(request.header("x-sentry-auth").unwrap().contains("sentry_key=public"));
    let body = String::from_utf8_lossy(&request.body).into_owned();
    assert!(!body.contains("canary-secret") && !body.contains("a@example.com"), "{body}");
    let event = decoded(&request);
    assert_eq!(event.level, SentryLevel::Error);
    assert_eq!(event.message.as_deref(), Some("job_failed"));
    assert_eq!(event.logger.as_deref(), Some("app::jobs"));
    assert_eq!((event.release.as_deref(), event.environment.as_deref()), (Some("1.2.3"), Some("production")));
    assert_eq!(event.user.unwrap().id.as_deref(), Some("u-7"));
    for (tag, value) in [("request_id", "r-1"), ("job_id", "j-1"), ("trace_id", "01010101010101010101010101010101")] {
        assert_eq!(event.tags.get(tag).map(String::as_str), Some(value), "{tag}");
    }
    assert!(
        matches!(&event.contexts["trace"], SentryContext::Trace(trace) if trace.trace_id.to_string() == "01".repeat(16))
    );
    assert_eq!(event.extra["operation"], "create_task");
    assert_eq!(event.extra["password"], "[REDACTED]");
    let exceptions: Vec<_> = event.exception.iter().map(|e| (e.ty.as_str(), e.value.as_deref().unwrap())).collect();
    assert_eq!(exceptions, [("cause", "connection reset"), ("Timeout", "no answer from [REDACTED:email]")]);
    let breadcrumbs: Vec<_> = event.breadcrumbs.iter().map(|crumb| crumb.message.as_deref().unwrap()).collect();
    assert_eq!(breadcrumbs, ["job_started"]);
}

#[test]
fn failed_answers_are_events_unless_their_error_was_one() {
    let fixture = fixture(|settings| settings.failed_status_codes([404, 503]));
    let answer = |request_id: &'static str, status: i64| {
        let mut event = LogEvent::new(Level::Info, "http", "request_completed");
        event.context = Context::new().with("request_id", request_id);
        event.set("http.response.status_code", status);
        event
    };
    let mut error = LogEvent::new(Level::Error, "app", "the_error_itself");
    error.context = Context::new().with("request_id", "b");
    fixture.pipeline.emit(answer("a", 500));
    fixture.pipeline.emit(error);
    fixture.pipeline.emit(answer("b", 503));
    fixture.pipeline.emit(answer("c", 404));
    assert!(fixture.sink.flush(Instant::now() + Duration::from_secs(60)));
    let messages = [fixture.server.next(), fixture.server.next()].map(|request| decoded(&request).message.unwrap());
    assert_eq!(messages, ["the_error_itself", "request_completed"]);
    assert!(fixture.server.is_quiet());
}

#[test]
fn a_panic_is_fatal_and_unhandled() {
    let fixture = fixture(|settings| settings);
    let mut panic = line(Level::Error, PANIC_EVENT);
    panic.error =
        Some(Box::new(ErrorReport { kind: "panic".into(), message: "gone".to_owned(), ..ErrorReport::default() }));
    fixture.pipeline.emit(panic);
    let event = decoded(&fixture.server.next());
    assert_eq!(event.level, SentryLevel::Fatal);
    let mechanism = event.exception[0].mechanism.as_ref().unwrap();
    assert_eq!((mechanism.ty.as_str(), mechanism.handled), ("panic", Some(false)));
}

#[test]
fn the_redactor_runs_before_the_application_and_its_panic_stays_there() {
    let fixture = fixture(|settings| {
        settings.before_send(|mut event| {
            match event.message.as_deref() {
                Some("keep at home") => return None,
                // Unwinds without the noise of the panic hook.
                Some("broken") => std::panic::resume_unwind(Box::new(())),
                _ => {}
            }
            let seen = event.extra.get("token").cloned().unwrap_or_default();
            event.tags.insert("seen".to_owned(), seen.as_str().unwrap_or_default().to_owned());
            Some(event)
        })
    });
    for text in ["keep at home", "broken", "sent"] {
        let mut event = line(Level::Error, text);
        event.set("token", "canary-secret");
        fixture.pipeline.emit(event);
    }
    let event = decoded(&fixture.server.next());
    assert_eq!(event.message.as_deref(), Some("sent"));
    assert_eq!(event.tags["seen"], "[REDACTED]");
    assert!(fixture.server.is_quiet());
}

#[test]
fn nothing_is_sent_at_a_rate_of_zero() {
    let fixture = fixture(|settings| settings.sample_rate(0.0).unwrap());
    fixture.pipeline.emit(line(Level::Error, "failed"));
    assert!(fixture.sink.flush(Instant::now() + Duration::from_secs(60)));
    assert!(fixture.server.is_quiet());
}

#[test]
fn what_an_application_sends_itself_is_redacted_too() {
    let fixture = fixture(|settings| settings.traces_sample_rate(1.0).unwrap());
    let hub = sentry::Hub::new(Some(fixture.sink.client()), Arc::new(sentry::Scope::default()));
    let hub = Arc::new(hub);
    hub.configure_scope(|scope| {
        scope.set_user(Some(sentry::User {
            id: Some("u-7".to_owned()),
            email: Some("a@example.com".to_owned()),
            ip_address: Some("10.0.0.1".parse::<std::net::IpAddr>().unwrap().into()),
            ..sentry::User::default()
        }));
    });
    hub.capture_message("password=canary-secret", SentryLevel::Info);
    let request = fixture.server.next();
    let body = String::from_utf8_lossy(&request.body).into_owned();
    for personal in ["canary-secret", "a@example.com", "10.0.0.1"] {
        assert!(!body.contains(personal), "{body}");
    }
    assert!(body.contains("u-7"), "{body}");
    sentry::Hub::run(hub, || {
        let transaction = sentry::start_transaction(sentry::TransactionContext::new("job", "task"));
        transaction.set_data("api_key", "canary-secret".into());
        transaction.finish();
    });
    let body = String::from_utf8_lossy(&fixture.server.next().body).into_owned();
    assert!(body.contains(r#""type":"transaction""#) && !body.contains("canary-secret"), "{body}");
}

#[test]
fn wrong_settings_are_refused_without_repeating_the_key() {
    let error = SentrySettings::new("https://very-secret-key@/").unwrap_err();
    assert!(!error.to_string().contains("very-secret-key"), "{error}");
    let settings = SentrySettings::new("https://key@sentry.example/1").unwrap();
    assert!(settings.clone().sample_rate(1.5).is_err());
    assert!(settings.traces_sample_rate(f32::NAN).is_err());
}

#[test]
fn the_environment_and_the_builder_decide_what_is_sent() {
    let server = StandIn::start(&[]);
    let dsn = format!("http://public@{}/42", server.address);
    let pairs = [
        ("SENTRY_DSN", dsn.as_str()),
        ("GIT_COMMIT_SHA", "abc123"),
        ("ENVIRONMENT", "staging"),
        ("SENTRY_FAILED_STATUS_CODES", "404, 429"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let variables = crate::settings::Variables::from_pairs(pairs);
    let tripod = crate::builder("api")
        .variables(variables)
        .sentry(|sentry| {
            sentry.before_send(|mut event| {
                event.tags.insert("seen".to_owned(), "yes".to_owned());
                Some(event)
            })
        })
        .build()
        .unwrap();
    tracing::dispatcher::with_default(tripod.dispatch(), || tracing::info!(status_code = 429, "request_completed"));
    tripod.shutdown(Duration::from_secs(60));
    let event = decoded(&server.next());
    assert_eq!((event.release.as_deref(), event.environment.as_deref()), (Some("abc123"), Some("staging")));
    assert_eq!(event.tags["seen"], "yes");

    let variables = crate::settings::Variables::from_pairs([
        ("SENTRY_DSN", "https://key@sentry.example/1"),
        ("SENTRY_SAMPLE_RATE", "2"),
        ("SENTRY_FAILED_STATUS_CODES", "many"),
    ]);
    let error = crate::builder("api").variables(variables).build().unwrap_err().to_string();
    assert!(error.contains("SENTRY_SAMPLE_RATE") && error.contains("SENTRY_FAILED_STATUS_CODES"), "{error}");
}

/// A service whose spans and lines go to this server alone.
fn service(server: &StandIn, rate: &str) -> crate::Tripod {
    let dsn = format!("http://public@{}/42", server.address);
    let pairs = [
        ("SENTRY_DSN", dsn.as_str()),
        ("SENTRY_TRACES_SAMPLE_RATE", rate),
        ("SERVICE_VERSION", "1.2.3"),
        ("ENVIRONMENT", "staging"),
        ("LOG_STDOUT", "false"),
    ];
    crate::builder("api").variables(crate::settings::Variables::from_pairs(pairs)).build().unwrap()
}

#[test]
fn a_request_becomes_a_transaction_with_the_spans_below_it() {
    let server = StandIn::start(&[]);
    let tripod = service(&server, "1");
    tracing::dispatcher::with_default(tripod.dispatch(), || {
        let _context = context().enter();
        let request = tracing::info_span!(
            "request",
            otel.name = "GET /jobs/{id}",
            otel.kind = "server",
            http.request.method = "GET",
            http.response.status_code = 404,
            token = "canary-secret",
        )
        .entered();
        tracing::info_span!("select", db.system.name = "postgresql", password = "canary-secret").in_scope(|| {
            tracing::info_span!("inner").in_scope(|| ());
        });
        // Another one below the same request, which is a local root too: it came from outside in between.
        let remote = crate::context::current_span().unwrap();
        Context::new().with_remote_parent(remote).run(|| tracing::info_span!("called back").in_scope(|| ()));
        drop(request);
    });
    let down = tripod.shutdown(Duration::from_secs(60));
    assert!(down.complete);
    for books in &down.balances {
        assert_eq!(books.emitted, books.delivered + books.dropped_total(), "{books:?}");
    }
    let transactions = [server.next(), server.next()].map(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!body.contains("canary-secret"), "{body}");
        let envelope = Envelope::from_slice(&request.body).unwrap();
        let item = envelope.items().next().cloned().unwrap();
        let sentry::protocol::EnvelopeItem::Transaction(transaction) = item else { panic!("{item:?}") };
        transaction
    });
    let [back, request] = transactions;
    assert_eq!((back.name.as_deref(), back.spans.len()), (Some("called back"), 0));
    assert_eq!(request.name.as_deref(), Some("GET /jobs/{id}"));
    assert_eq!((request.release.as_deref(), request.environment.as_deref()), (Some("1.2.3"), Some("staging")));
    assert_eq!(request.user.unwrap().id.as_deref(), Some("u-7"));
    assert_eq!((&*request.tags["request_id"], &*request.tags["job_id"]), ("r-1", "j-1"));
    assert!(request.timestamp.unwrap() >= request.start_timestamp);
    let SentryContext::Trace(trace) = &request.contexts["trace"] else { panic!("{:?}", request.contexts) };
    assert_eq!(
        (trace.op.as_deref(), trace.status),
        (Some("http.server"), Some(sentry::protocol::SpanStatus::NotFound))
    );
    assert_eq!((&trace.data["http.request.method"], &trace.data["token"]), (&"GET".into(), &"[REDACTED]".into()));
    assert_eq!(trace.parent_span_id, None);
    let spans: Vec<_> = request.spans.iter().map(|span| span.description.as_deref().unwrap()).collect();
    assert_eq!(spans, ["inner", "select"]);
    let (inner, select) = (&request.spans[0], &request.spans[1]);
    assert_eq!((select.parent_span_id, inner.parent_span_id), (Some(trace.span_id), Some(select.span_id)));
    assert_eq!((select.op.as_deref(), select.trace_id), (Some("db"), trace.trace_id));
    assert_eq!(select.data["password"], "[REDACTED]");
}

#[test]
fn at_a_rate_of_zero_spans_become_no_transactions() {
    let server = StandIn::start(&[]);
    let tripod = service(&server, "0");
    tracing::dispatcher::with_default(tripod.dispatch(), || tracing::info_span!("request").in_scope(|| ()));
    assert!(tripod.shutdown(Duration::from_secs(60)).complete);
    assert!(server.is_quiet());
}
