use std::time::Duration;

use tracing::{Instrument, debug, error, info, info_span};

use super::*;
use crate::accounts::Accounts;
use crate::context::{Context as Task, SpanContext, SpanId, TraceFlags, TraceId, TraceState, carry_fn};
use crate::span::SpanExt;
use crate::testing::Capture;
use crate::traces::sampler::{AlwaysOff, ParentBased, Rules, Sampler, TraceIdRatio};
use crate::traces::{Keep, SpanKind, SpanLimits, Status};

fn remote(flags: u8) -> SpanContext {
    let state = TraceState::new("vendor=1");
    SpanContext { trace_id: TraceId::random(), span_id: SpanId::random(), flags: TraceFlags(flags), state }
}

fn pipelines(change: impl FnOnce(SpanPipeline) -> SpanPipeline) -> (SpanPipeline, Pipeline) {
    let (redactor, accounts) = (Redactor::default(), Accounts::new());
    (change(SpanPipeline::new(redactor.clone(), &accounts)), Pipeline::new(redactor, &accounts))
}

fn sampled_by(sampler: impl Sampler, keep: Keep) -> Capture {
    let (spans, logs) = pipelines(|spans| spans.with_sampler(Arc::new(sampler)).with_keep(keep));
    Capture::with(spans, logs)
}

#[test]
fn spans_and_lines_belong_together() {
    let capture = Capture::new();
    capture.run(|| {
        let _context = Task::new().with("request_id", "r1").enter();
        let outer = info_span!("outer", command.text = "hi", n = 3, late = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("late", true);
        outer.set_attribute("response.job_id", "j1");
        let _inner = info_span!("inner", otel.name = "renamed", otel.kind = "client").entered();
        info!(answer = 42, "worked");
    });
    assert_eq!(capture.tree(), "outer\n  renamed\n");
    let (outer, inner, line) = (capture.span("outer"), capture.span("renamed"), capture.log("worked"));
    assert_eq!(inner.kind, SpanKind::Client);
    assert_eq!(outer.parent, None);
    assert_eq!((outer.get("late"), outer.get("n")), (Some(&true.into()), Some(&3i64.into())));
    assert_eq!(outer.get("response.job_id"), Some(&"j1".into()));
    assert_eq!(inner.context.trace_id, outer.context.trace_id);
    assert!(outer.context.flags.is_random() && outer.context.is_sampled());
    assert_eq!(line.span.as_ref(), Some(&inner.context));
    assert_eq!(line.context.request_id(), Some("r1"));
    assert_eq!(inner.events[0].name, "worked");
    assert_eq!(inner.events[0].attributes[0], ("answer".into(), 42i64.into()));
    assert!(inner.end >= inner.start && outer.end >= inner.end);
}

#[tokio::test]
async fn a_remote_parent_counts_until_a_span_is_entered() {
    let capture = Capture::new();
    let parent = remote(3);
    let work = async {
        info!("before");
        assert_eq!(context::current_span().unwrap().trace_id, parent.trace_id);
        let span = info_span!("server");
        async { async { tokio::task::yield_now().await }.instrument(info_span!("child")).await }.instrument(span).await;
        info_span!("second").in_scope(|| ());
    };
    // A consumer's own span is open around it: the message's parent counts all the same.
    let work = Task::new().with_remote_parent(parent.clone()).scope(work);
    capture.attach(async { work.instrument(info_span!("consumer")).await }).await;
    let (server, child, second) = (capture.span("server"), capture.span("child"), capture.span("second"));
    assert_eq!((server.parent, server.parent_is_remote), (Some(parent.span_id), true));
    assert_eq!((child.parent, child.parent_is_remote), (Some(server.context.span_id), false));
    assert_eq!(second.parent, Some(parent.span_id));
    assert_eq!(server.context.state.as_str(), "vendor=1");
    assert_eq!(server.context.flags.0, 3);
    assert_ne!(capture.span("consumer").context.trace_id, parent.trace_id);
    assert_eq!(capture.log("before").span.unwrap(), parent);
}

#[tokio::test]
async fn work_in_a_queue_is_a_child_of_the_request() {
    let capture = Capture::new();
    let _entered = capture.enter();
    let headers = info_span!("request").in_scope(|| crate::context::current().with("job_id", "j").to_headers());
    Task::from_headers(&headers).scope(async { info_span!("job").in_scope(|| info!("started")) }).await;
    let (request, job) = (capture.span("request"), capture.span("job"));
    assert_eq!(job.parent, Some(request.context.span_id));
    assert_eq!(job.context.trace_id, request.context.trace_id);
    assert_eq!(capture.log("started").context.job_id(), Some("j"));
}

#[test]
fn errors_are_events_and_the_status() {
    let capture = Capture::new();
    capture.run(|| {
        info_span!("failing").in_scope(|| crate::span::record_error(&"x".parse::<i32>().unwrap_err()));
        let cause = std::io::Error::other("disk");
        error!(error = &cause as &(dyn std::error::Error + 'static), "not_saved");
    });
    let span = capture.span("failing");
    assert_eq!(span.status, Status::Error("invalid digit found in string".into()));
    assert_eq!(span.get("error.type"), Some(&"core::num::error::ParseIntError".into()));
    assert_eq!(span.events[0].name, "exception");
    assert_eq!(capture.log("not_saved").error.unwrap().message, "disk");
}

#[test]
fn unsampled_spans_have_ids_and_go_nowhere() {
    let capture = sampled_by(AlwaysOff, Keep { errors: true, slower_than: Some(Duration::ZERO) });
    capture.run(|| {
        let span = info_span!("unsampled");
        span.in_scope(|| info!("line"));
        span.record_error(&std::fmt::Error);
        assert!(!span.span_context().unwrap().is_sampled());
    });
    assert_eq!(capture.spans().len(), 0);
    assert!(capture.log("line").span.unwrap().is_valid());
}

#[test]
fn the_parent_decides_unless_a_rule_does() {
    let rules: Rules = "/never=never,/always=always".parse().unwrap();
    let (spans, logs) = pipelines(|spans| spans.with_sampler(Arc::new(ParentBased::new(AlwaysOff))).with_rules(rules));
    let capture = Capture::with(spans, logs);
    let request = |flags: u8, path: &str| {
        Task::new().with_remote_parent(remote(flags)).run(|| {
            info_span!("GET", url.path = path).in_scope(|| info_span!("child").in_scope(|| ()));
        });
        capture.spans().len()
    };
    capture.run(|| {
        assert_eq!(request(1, "/x"), 2);
        assert_eq!(request(0, "/x"), 2);
        assert_eq!(request(1, "/never"), 2);
        assert_eq!(request(0, "/always"), 4);
    });
}

#[test]
fn failed_and_slow_requests_are_kept_with_all_their_spans() {
    let keep = Keep { errors: true, slower_than: Some(Duration::from_secs(60)) };
    let capture = sampled_by(TraceIdRatio::new(0.0), keep);
    capture.run(|| {
        let request = |fails: bool| {
            info_span!("request").in_scope(|| {
                info_span!("first").in_scope(|| ());
                let late = carry_fn(|| info_span!("late").in_scope(|| ()));
                info_span!("second").in_scope(|| {
                    if fails {
                        crate::span::record_error(&std::fmt::Error);
                    }
                });
                late
            })
        };
        request(false)();
        assert_eq!(capture.spans().len(), 0);
        let late = request(true);
        assert_eq!(capture.tree(), "request\n  first\n  second\n");
        late();
    });
    assert_eq!(capture.tree(), "request\n  first\n  second\n  late\n", "what ends after its root follows it");
    assert!(capture.spans().iter().all(|span| !span.context.is_sampled()));

    let capture = sampled_by(TraceIdRatio::new(0.0), Keep { errors: false, slower_than: Some(Duration::ZERO) });
    capture.run(|| info_span!("slow").in_scope(|| ()));
    capture.span("slow");
}

#[test]
fn what_a_span_holds_is_bounded_and_redacted() {
    let limits = SpanLimits { attributes: 2, events: 1, links: 1, event_attributes: 1, ..SpanLimits::default() };
    let (spans, logs) = pipelines(|spans| spans.with_limits(limits));
    let capture = Capture::with(spans, logs);
    capture.run(|| {
        let span = info_span!("full", password = "hunter2", a = 1, b = 2);
        span.in_scope(|| info!(token = "hunter2", x = 1, "first"));
        span.in_scope(|| info!("second"));
        span.add_link(remote(1), vec![]);
        span.add_link(remote(1), vec![]);
    });
    let span = capture.span("full");
    assert_eq!((span.attributes.len(), span.dropped_attributes), (2, 1));
    assert_eq!((span.events.len(), span.dropped_events), (1, 1));
    assert_eq!((span.links.len(), span.dropped_links), (1, 1));
    assert!(span.events[0].dropped_attributes >= 1);
    assert!(!format!("{span:?}{:?}", capture.logs()).contains("hunter2"));
}

#[test]
fn levels_of_lines_change_while_running_and_leave_spans_alone() {
    let (spans, logs) = pipelines(|spans| spans);
    let levels = Levels::new("warning".parse().unwrap());
    let capture = Capture::with_layer(Redactor::default(), spans, logs, |layer| {
        layer.levels(levels.clone()).span_level(tracing::Level::INFO)
    });
    let work = || {
        info_span!("info_span").in_scope(|| ());
        tracing::debug_span!("debug_span").in_scope(|| ());
        debug!("detail");
    };
    capture.run(work);
    assert_eq!((capture.spans().len(), capture.logs().len()), (1, 0));
    // Within: `tracing` asks the subscriber of the thread that changes the levels.
    capture.run(|| levels.set_text("debug").unwrap());
    capture.run(work);
    assert_eq!((capture.spans().len(), capture.logs().len()), (3, 1));
}

#[test]
fn a_debug_that_logs_does_not_wait_for_itself() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            info!("chatting");
            f.write_str("chatty")
        }
    }
    let capture = Capture::new();
    capture.run(|| {
        let span = info_span!("span", value = ?Chatty, late = tracing::field::Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Chatty));
        info!(value = ?Chatty, "outer");
    });
    assert_eq!(capture.span("span").get("late"), Some(&"chatty".into()));
    // `tracing` itself keeps a subscriber of a test from what happens inside of it; a global one sees all four.
    capture.log("outer");
}

#[test]
fn the_network_thread_makes_no_telemetry() {
    let capture = Capture::new();
    let inner = capture.clone();
    let work = move || {
        context::silence();
        inner.run(|| info_span!("own").in_scope(|| info!("own")));
    };
    std::thread::spawn(work).join().unwrap();
    assert_eq!((capture.spans().len(), capture.logs().len()), (0, 0));
}

#[test]
fn a_span_ends_once_when_told_to_and_what_comes_below_it_stays_its_child() {
    let capture = Capture::new();
    capture.run(|| {
        let request = info_span!("request");
        let child = request.in_scope(|| info_span!("child"));
        request.end();
        assert_eq!(capture.tree(), "request\n");
        request.in_scope(|| info_span!("late").in_scope(|| info!("line")));
        drop((request, child));
    });
    assert_eq!(capture.tree(), "request\n  child\n  late\n");
    assert_eq!(capture.log("line").span.unwrap(), capture.span("late").context);
}

/// Notes the names of spans that close: needs a registry.
struct Closed(Arc<parking_lot::Mutex<Vec<&'static str>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Closed {
    fn on_close(&self, id: Id, registry: Context<'_, S>) {
        self.0.lock().extend(registry.span(&id).map(|span| span.name()));
    }
}

#[test]
fn a_registry_with_other_layers_and_our_own_subscriber_make_the_same() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let closed = Arc::new(parking_lot::Mutex::default());
    let (spans, logs) = pipelines(|spans| spans);
    let other = Closed(closed.clone());
    let beside = Capture::under(Redactor::default(), spans, logs, |layer| {
        Dispatch::new(Registry::default().with(other).with(layer.build()))
    });
    let alone = Capture::new();
    for capture in [&beside, &alone] {
        capture.run(|| {
            let request = info_span!("request", n = 1);
            let root = request.in_scope(|| {
                info!("in_request");
                info_span!(parent: None, "root")
            });
            let below = info_span!(parent: &request, "below", late = tracing::field::Empty);
            below.follows_from(&root);
            below.record("late", "value");
            below.set_attribute("own", true);
            info!(parent: &below, "said");
            drop(request);
            assert!(capture.spans().is_empty(), "a span lasts as long as those below it");
            let current = below.in_scope(context::current_span).unwrap();
            assert_eq!(Some(current), below.span_context());
            drop(below);
        });
        assert_eq!(capture.tree(), "request\n  below\nroot\n");
        let (request, below, root) = (capture.span("request"), capture.span("below"), capture.span("root"));
        assert_eq!(
            capture.spans().iter().map(|span| span.name.clone()).collect::<Vec<_>>(),
            ["below", "request", "root"]
        );
        assert_eq!(request.events[0].name, "in_request");
        assert_eq!((root.parent, below.links[0].context.span_id), (None, root.context.span_id));
        assert_eq!((below.get("late"), below.get("own")), (Some(&"value".into()), Some(&true.into())));
        assert_eq!(below.events[0].name, "said");
        assert_eq!(capture.log("said").span.as_ref(), Some(&below.context));
        assert_eq!(capture.log("in_request").span.as_ref(), Some(&request.context));
    }
    assert_eq!(*closed.lock(), ["below", "request", "root"]);
}

#[test]
fn guards_may_be_dropped_in_any_order_and_on_any_thread() {
    let capture = Capture::new();
    capture.run(|| {
        let (first, second) = (info_span!("first").entered(), info_span!("second").entered());
        drop(first);
        info_span!("below_second").in_scope(|| ());
        drop(second);
        info_span!("alone").in_scope(|| ());
        let span = info_span!("moved");
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let moved = std::thread::spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || span.in_scope(|| info!("elsewhere")));
        });
        moved.join().unwrap();
    });
    assert_eq!(capture.span("below_second").parent, Some(capture.span("second").context.span_id));
    assert_eq!(capture.span("alone").parent, None);
    assert_eq!(capture.span("moved").events.len(), 1);
}
