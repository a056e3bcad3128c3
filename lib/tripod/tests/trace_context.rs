//! The rules of W3C Trace Context as one service sees them: what comes in over a socket, and what then goes out to others.
//!
//! The rules are those that the specification's own harness checks (`interop/sdk/trace_context` runs it; CI cannot get it),
//! in our own words and somewhat stricter. The service is the one that the harness tests.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::subscriber::DefaultGuard;
use tripod::Tripod;
use tripod::settings::Variables;

// Its `main` is for the command line.
#[expect(dead_code)]
#[path = "../examples/trace_context.rs"]
mod example;

const TRACE: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
const SPAN: &str = "0fedcba987654321";

/// The service, and another one that keeps the headers of the calls which it gets.
struct Services {
    address: String,
    other: String,
    calls: Arc<Mutex<Vec<HeaderMap>>>,
    _tripod: Tripod,
    _subscriber: DefaultGuard,
}

/// The trace headers of a call.
#[derive(Clone, Debug)]
struct Call {
    trace: String,
    span: String,
    flags: String,
    /// Members in their order, of all headers.
    state: Vec<String>,
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

impl Services {
    async fn start() -> Self {
        let tripod =
            tripod::builder("test").variables(Variables::from_pairs([("LOG_STDOUT", "false")])).build().unwrap();
        let subscriber = tracing::dispatcher::set_default(tripod.dispatch());
        let calls = Arc::<Mutex<Vec<HeaderMap>>>::default();
        let kept = calls.clone();
        let keep = move |headers: HeaderMap| async move { kept.lock().push(headers) };
        let other = serve(Router::new().route("/", post(keep))).await;
        let address = serve(example::router(&tripod)).await;
        Self { address, other, calls, _tripod: tripod, _subscriber: subscriber }
    }

    /// Sends lines of headers as they are, and gives the calls that the service then made.
    async fn calls(&self, headers: &[&[u8]], count: usize) -> Vec<Call> {
        let call = serde_json::json!({"url": format!("http://{}/", self.other), "arguments": []});
        let body = serde_json::Value::from(vec![call; count]).to_string();
        let length = body.len();
        let mut request =
            format!("POST /test HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n")
                .into_bytes();
        for header in headers {
            request.extend_from_slice(header);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(format!("\r\n{body}").as_bytes());
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        let calls: Vec<_> = self.calls.lock().drain(..).map(|headers| Call::read(&headers)).collect();
        assert_eq!(calls.len(), count);
        calls
    }

    async fn call(&self, headers: &[&str]) -> Call {
        let headers: Vec<_> = headers.iter().map(|header| header.as_bytes()).collect();
        self.calls(&headers, 1).await.remove(0)
    }

    /// The trace goes on.
    async fn continues(&self, headers: &[&str]) -> Call {
        let call = self.call(headers).await;
        assert_eq!(call.trace, TRACE, "the trace of {headers:?}");
        assert_ne!(call.span, SPAN, "the caller's span is passed on: {headers:?}");
        call
    }

    /// A trace begins; nothing of what came is passed on.
    async fn begins(&self, headers: &[&str]) {
        let mut headers = headers.to_vec();
        headers.push("tracestate: left=behind");
        let call = self.call(&headers).await;
        assert_ne!(call.trace, TRACE, "{headers:?}");
        assert_ne!(call.span, SPAN, "{headers:?}");
        assert_eq!(call.flags, "03", "a trace of our own is sampled, and its id is random");
        assert!(call.state.is_empty(), "the state of a trace that was not continued: {call:?}");
    }

    /// The state that is passed on when it comes in these values of `tracestate`.
    async fn state(&self, values: &[&str]) -> Vec<String> {
        let mut headers = vec![parent("00", "00")];
        headers.extend(values.iter().map(|value| format!("tracestate:{value}")));
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        self.continues(&headers).await.state
    }
}

impl Call {
    #[track_caller]
    fn read(headers: &HeaderMap) -> Self {
        let parents: Vec<_> = headers.get_all("traceparent").iter().map(|value| value.to_str().unwrap()).collect();
        let [parent] = parents[..] else { panic!("one traceparent is expected: {parents:?}") };
        let fields: Vec<_> = parent.split('-').collect();
        let ["00", trace, span, flags] = fields[..] else { panic!("not of version 00: {parent}") };
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        assert!(is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2), "{parent}");
        assert!(trace.contains(|digit| digit != '0') && span.contains(|digit| digit != '0'), "{parent}");
        let state = headers.get_all("tracestate").iter().flat_map(|value| value.to_str().unwrap().split(','));
        Self {
            trace: trace.to_owned(),
            span: span.to_owned(),
            flags: flags.to_owned(),
            state: state.map(str::to_owned).collect(),
        }
    }
}

fn parent(version: &str, flags: &str) -> String {
    format!("traceparent: {version}-{TRACE}-{SPAN}-{flags}")
}

#[tokio::test]
async fn without_a_parent_a_trace_begins() {
    let services = Services::start().await;
    services.begins(&[]).await;
    for name in ["trace-parent", "trace.parent", "trace_parent", "x-traceparent"] {
        services.begins(&[&format!("{name}: 00-{TRACE}-{SPAN}-01")]).await;
    }
    // Two are none, be they equal.
    let (one, other) = (parent("00", "01"), parent("00", "01").replace(SPAN, "1111111111111111"));
    services.begins(&[&one, &other]).await;
    services.begins(&[&one, &one]).await;
}

#[tokio::test]
async fn a_parent_is_found_however_its_header_is_written() {
    let services = Services::start().await;
    for name in ["traceparent", "Traceparent", "TraceParent", "tRaCePaReNt", "TRACEPARENT"] {
        services.continues(&[&format!("{name}: 00-{TRACE}-{SPAN}-01")]).await;
    }
    for (before, after) in [("", ""), (" ", ""), ("\t", ""), ("", " "), ("", "\t"), (" \t ", "\t  ")] {
        services.continues(&[&format!("traceparent:{before}00-{TRACE}-{SPAN}-01{after}")]).await;
    }
}

#[tokio::test]
async fn a_broken_parent_is_none() {
    let services = Services::start().await;
    let (zero_trace, zero_span) = ("0".repeat(32), "0".repeat(16));
    let (upper_trace, upper_span) = (TRACE.to_uppercase(), SPAN.to_uppercase());
    for value in [
        // Versions: ff is forbidden; two digits, no more, no less.
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("FF-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("000-{TRACE}-{SPAN}-01"),
        format!("0000-{TRACE}-{SPAN}-01"),
        format!(".0-{TRACE}-{SPAN}-01"),
        format!("0.-{TRACE}-{SPAN}-01"),
        // Version 00 ends after the flags.
        format!("00-{TRACE}-{SPAN}-01."),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        // Trace ids.
        format!("00-{zero_trace}-{SPAN}-01"),
        format!("00-{upper_trace}-{SPAN}-01"),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
        format!("00-.{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{}.-{SPAN}-01", &TRACE[1..]),
        // Span ids.
        format!("00-{TRACE}-{zero_span}-01"),
        format!("00-{TRACE}-{upper_span}-01"),
        format!("00-{TRACE}-{SPAN}0-01"),
        format!("00-{TRACE}-{}-01", &SPAN[1..]),
        format!("00-{TRACE}-.{}-01", &SPAN[1..]),
        format!("00-{TRACE}-{}.-01", &SPAN[1..]),
        // Flags.
        format!("00-{TRACE}-{SPAN}-001"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-.0"),
        format!("00-{TRACE}-{SPAN}-0."),
        format!("00-{TRACE}-{SPAN}-0A"),
        format!("00-{TRACE}-{SPAN}-"),
        // Neither separators nor order may change.
        format!("00_{TRACE}_{SPAN}_01"),
        format!("00-{SPAN}-{TRACE}-01"),
        String::new(),
    ] {
        services.begins(&[&format!("traceparent: {value}")]).await;
    }
}

#[tokio::test]
async fn later_versions_are_read_as_far_as_they_are_known() {
    let services = Services::start().await;
    for version in ["01", "cc", "fe"] {
        let header = parent(version, "01");
        for more in ["", "-", "-what-comes-later"] {
            let call = services.continues(&[&format!("{header}{more}")]).await;
            assert_eq!(call.flags, "01");
        }
        for broken in [".what", "0"] {
            services.begins(&[&format!("{header}{broken}")]).await;
        }
    }
}

#[tokio::test]
async fn sampled_and_random_are_passed_on_and_unknown_flags_are_cleared() {
    let services = Services::start().await;
    for (came, goes) in [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("fc", "00"), ("ff", "03")] {
        assert_eq!(services.continues(&[&parent("00", came)]).await.flags, goes, "{came}");
    }
}

#[tokio::test]
async fn each_call_has_a_span_of_its_own() {
    let services = Services::start().await;
    let (good, bad) = (parent("00", "01"), parent("00", "01").replace(TRACE, &"0".repeat(32)));
    for headers in [vec![good.as_bytes()], vec![], vec![bad.as_bytes()]] {
        let calls = services.calls(&headers, 3).await;
        let spans: std::collections::HashSet<_> = calls.iter().map(|call| &call.span).collect();
        assert_eq!(spans.len(), 3, "{calls:?}");
        assert!(calls.iter().all(|call| call.trace == calls[0].trace), "one request is one trace: {calls:?}");
        assert_eq!(calls[0].trace == TRACE, headers == [good.as_bytes()]);
    }
}

#[tokio::test]
async fn the_state_is_passed_on_with_its_trace() {
    let services = Services::start().await;
    let parent = parent("00", "00");
    for name in ["tracestate", "TraceState", "tRaCeStAtE", "TRACESTATE"] {
        let call = services.continues(&[&parent, &format!("{name}: one=1,two=2")]).await;
        assert_eq!(call.state, ["one=1", "two=2"], "{name}");
    }
    for name in ["trace-state", "trace.state", "trace_state"] {
        assert!(services.continues(&[&parent, &format!("{name}: one=1")]).await.state.is_empty(), "{name}");
    }
    assert!(services.continues(&[&parent]).await.state.is_empty());
}

#[tokio::test]
async fn several_states_are_one_in_their_order() {
    let services = Services::start().await;
    assert_eq!(services.state(&["b=1,a=2", "d=3", "c=4"]).await, ["b=1", "a=2", "d=3", "c=4"]);
    assert!(services.state(&[""]).await.is_empty());
    assert_eq!(services.state(&["a=1", ""]).await, ["a=1"]);
    assert_eq!(services.state(&["", "a=1"]).await, ["a=1"]);
    assert_eq!(services.state(&["a=1,,b=2,"]).await, ["a=1", "b=2"], "members may be empty");
    for value in [" a=1,b=2", "\ta=1,b=2", "a=1,b=2 ", "a=1,b=2\t", "\t a=1 \t , \t b=2 \t", "a=1\t,\tb=2"] {
        assert_eq!(services.state(&[value]).await, ["a=1", "b=2"], "{value:?}");
    }
    // The same key twice: the specification leaves it open, and what came goes on.
    assert_eq!(services.state(&["a=1,a=2"]).await, ["a=1", "a=2"]);
    assert_eq!(services.state(&["a=1", "a=1"]).await, ["a=1", "a=1"]);
}

#[tokio::test]
async fn every_allowed_character_is_kept() {
    let services = Services::start().await;
    let value: String = (' '..='~').filter(|character| !",=".contains(*character)).collect();
    for key in ["abcdefghijklmnopqrstuvwxyz0123456789_-*/", "tenant_-*/9@system_-*/9", "0a", "a@", "a@@b", "a@b@c"] {
        let member = format!("{key}={value}");
        assert_eq!(services.state(&[&member]).await, [member]);
    }
}

#[tokio::test]
async fn one_broken_member_and_the_state_is_gone_but_not_the_trace() {
    let services = Services::start().await;
    for member in ["A=1", "KEY=1", "a =1", "a.b=1", "@a=1", "_a=1", "é=1", "=1", "a", "a=", "a=b=c", "a=é"] {
        assert!(services.state(&[&format!("good=1,{member}")]).await.is_empty(), "{member}");
        assert!(services.state(&["good=1", member]).await.is_empty(), "{member} in a header of its own");
    }
}

#[tokio::test]
async fn limits_of_the_state() {
    let services = Services::start().await;
    let members: Vec<_> = (1..=33).map(|number| format!("m{number}={number}")).collect();
    let (first, second) = (members[..20].join(","), members[20..32].join(","));
    assert_eq!(services.state(&[&first, &second]).await, members[..32]);
    assert!(services.state(&[&first, &second, &members[32]]).await.is_empty(), "33 members are one too many");

    let long = |key: usize, value: usize| format!("{}={}", "k".repeat(key), "v".repeat(value));
    for member in [long(256, 1), long(1, 256), format!("{}@{}=1", "t".repeat(241), "s".repeat(14))] {
        assert_eq!(services.state(&["a=1", &member]).await, ["a=1", &member]);
    }
    for member in [long(257, 1), long(1, 257)] {
        assert!(services.state(&["a=1", &member]).await.is_empty(), "{} bytes", member.len());
    }
}

#[tokio::test]
async fn headers_that_are_no_text_count() {
    let services = Services::start().await;
    let good = parent("00", "01");
    for headers in [vec![good.as_bytes(), b"traceparent: \xff"], vec![b"traceparent: \xff", good.as_bytes()]] {
        assert_ne!(services.calls(&headers, 1).await[0].trace, TRACE, "two parents are none");
    }
    let call = services.calls(&[good.as_bytes(), b"tracestate: a=1", b"tracestate: b=\xff"], 1).await.remove(0);
    assert_eq!(call.trace, TRACE);
    assert!(call.state.is_empty(), "a list with a broken member is dropped: {call:?}");
}
