//! Damaged requests are refused or read; they never panic.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost::Message;
use tripod_model::sink::{LogSink, MetricSink, Sink, SpanSink};
use tripod_model::{LogRecord, Metric, Point, Resource, Scope, Span};
use tripod_otlp::{Limits, json, protobuf};

use crate::collect::{SIGNALS, Signal, read_json, read_protobuf};
use crate::messages;
use crate::render::{Form, form};

/// A request of every signal that exercises most fields, in both formats; the same on every run.
fn golden() -> Vec<(Signal, Vec<u8>, String)> {
    fn pick<M: Message>(strategy: impl Strategy<Value = M>) -> M {
        let mut runner = TestRunner::deterministic();
        let mut picks = (0..1000).map(|_| strategy.new_tree(&mut runner).unwrap().current());
        // Large enough to hold most fields, small enough to be cut at every byte.
        picks.find(|message| (700..1_500).contains(&message.encoded_len())).expect("one of 1000 requests has the size")
    }
    let (traces, logs, metrics) = (pick(messages::traces()), pick(messages::logs()), pick(messages::metrics()));
    let form = Form::default();
    vec![
        (Signal::Traces, traces.encode_to_vec(), form.traces(&traces)),
        (Signal::Logs, logs.encode_to_vec(), form.logs(&logs)),
        (Signal::Metrics, metrics.encode_to_vec(), form.metrics(&metrics)),
    ]
}

#[test]
fn a_request_cut_at_any_byte_is_refused_or_a_prefix() {
    let limits = Limits::default();
    for (signal, protobuf, json) in golden() {
        let whole = read_protobuf(signal, &protobuf, &limits).unwrap();
        assert!(whole.records() > 0);
        for length in 0..protobuf.len() {
            // A cut between two resources leaves a valid request, anything else does not.
            if let Ok(part) = read_protobuf(signal, &protobuf[..length], &limits) {
                assert_eq!(part.0[..], whole.0[..part.0.len()], "{signal:?} cut at {length}");
                assert!(part.0.len() < whole.0.len());
            }
        }
        assert_eq!(read_json(signal, json.as_bytes(), &limits).unwrap(), whole);
        for length in 0..json.len() {
            let error = read_json(signal, &json.as_bytes()[..length], &limits).unwrap_err();
            let message = error.message();
            let known = ["the body ends", "must be UTF-8", "a malformed number", "must be true", "must be false"];
            let known = known.iter().any(|start| message.starts_with(start))
                || message.starts_with("must be null")
                || message.starts_with("an escape");
            assert!(known, "{signal:?} cut at {length}: {error}");
        }
    }
}

#[test]
fn a_cut_json_request_is_located() {
    let body = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"},{"attributes":[{"key":"b","#;
    let error = read_json(Signal::Traces, body, &Limits::default()).unwrap_err();
    assert_eq!(error.path(), "resourceSpans[0].scopeSpans[0].spans[1].attributes[0]");
    assert_eq!(error.message(), "the body ends at byte 82 before the JSON does");
}

/// A sink that would panic or file a record under the wrong context if calls came out of order.
#[derive(Default)]
struct Order(Vec<&'static str>);

impl Order {
    fn after(&mut self, call: &'static str, before: &[&str]) {
        assert!(before.iter().all(|before| self.0.contains(before)), "{call} after {:?}", self.0);
        self.0.push(call);
    }
}

impl Sink for Order {
    fn resource(&mut self, _: &Resource<'_>) {
        self.after("resource", &[]);
    }

    fn scope(&mut self, _: &Scope<'_>) {
        self.after("scope", &["resource"]);
    }
}

impl SpanSink for Order {
    fn span(&mut self, _: &Span<'_>) {
        self.after("span", &["resource", "scope"]);
    }
}

impl LogSink for Order {
    fn log(&mut self, _: &LogRecord<'_>) {
        self.after("log", &["resource", "scope"]);
    }
}

impl MetricSink for Order {
    fn metric(&mut self, _: &Metric<'_>) {
        self.after("metric", &["resource", "scope"]);
    }

    fn point(&mut self, _: &Point<'_>) {
        self.after("point", &["resource", "scope", "metric"]);
    }
}

#[test]
fn a_refused_request_keeps_the_order_of_calls() {
    let limits = Limits::default();
    for (signal, from_protobuf, from_json) in golden() {
        for length in 0..from_protobuf.len() {
            let (body, mut sink) = (&from_protobuf[..length], Order::default());
            let _ = match signal {
                Signal::Traces => protobuf::traces(body, &limits, &mut sink),
                Signal::Logs => protobuf::logs(body, &limits, &mut sink),
                Signal::Metrics => protobuf::metrics(body, &limits, &mut sink),
            };
        }
        for length in 0..from_json.len() {
            let (body, mut sink) = (&from_json.as_bytes()[..length], Order::default());
            let _ = match signal {
                Signal::Traces => json::traces(body, &limits, &mut sink),
                Signal::Logs => json::logs(body, &limits, &mut sink),
                Signal::Metrics => json::metrics(body, &limits, &mut sink),
            };
        }
    }
}

#[test]
fn flipped_bits_are_survived() {
    let limits = Limits::default();
    for (signal, protobuf, json) in golden() {
        for mut body in [protobuf, json.into_bytes()] {
            // Seven shares no factor with eight, so all bit positions are met.
            for bit in (0..body.len() * 8).step_by(7) {
                body[bit / 8] ^= 1 << (bit % 8);
                let _ = read_protobuf(signal, &body, &limits);
                let _ = read_json(signal, &body, &limits);
                body[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_are_survived(body in any::<Vec<u8>>()) {
        for signal in SIGNALS {
            let _ = read_protobuf(signal, &body, &Limits::default());
            let _ = read_json(signal, &body, &Limits::default());
        }
    }

    #[test]
    fn what_prost_refuses_is_refused(request in messages::traces(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut body = request.encode_to_vec();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
        }
        use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
        let reference = ExportTraceServiceRequest::decode(&body[..]);
        let ours = read_protobuf(Signal::Traces, &body, &Limits::default());
        if reference.is_err() {
            prop_assert!(ours.is_err(), "prost: {reference:?}");
        }
    }

    #[test]
    fn json_without_an_end_or_with_too_much_is_refused(request in messages::logs(), form in form(), more in "[^ \n\r\t]") {
        let text = form.logs(&request);
        let trailing = format!("{text}{more}");
        prop_assert!(read_json(Signal::Logs, trailing.as_bytes(), &Limits::default()).is_err());
        let open = text.trim_end().strip_suffix('}').unwrap();
        prop_assert!(read_json(Signal::Logs, open.as_bytes(), &Limits::default()).is_err());
    }
}
