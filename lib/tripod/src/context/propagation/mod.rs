//! Context in headers: W3C Trace Context and Baggage, B3, Jaeger (`OTEL_PROPAGATORS`).

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::baggage::{decode_percent, encode_percent};
use super::{Baggage, Context, Parent, SpanContext};
use crate::redaction::Redactor;

mod b3;
mod jaeger;
pub mod w3c;

/// A form of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `traceparent` and `tracestate`.
    TraceContext,
    /// `baggage`.
    Baggage,
    /// The single header `b3`.
    B3,
    /// `X-B3-TraceId` and its like.
    B3Multi,
    /// `uber-trace-id` and `uberctx-*`.
    Jaeger,
}

impl Format {
    /// All formats with their names in `OTEL_PROPAGATORS`.
    pub const ALL: [(&'static str, Self); 5] = [
        ("tracecontext", Self::TraceContext),
        ("baggage", Self::Baggage),
        ("b3", Self::B3),
        ("b3multi", Self::B3Multi),
        ("jaeger", Self::Jaeger),
    ];
}

/// Headers to read. Names are given in lower case; how they are written does not matter.
pub trait Headers {
    /// Calls back with every value of a header, in their order. One that is no visible text is given as [`UNREADABLE`]: a
    /// list with such a part is broken, not shorter.
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a str));

    /// Calls back with every header whose name begins so, and the rest of its name in lower case.
    fn each_prefixed<'a>(&'a self, prefix: &str, found: &mut dyn FnMut(&str, &'a str));

    /// The only value of a header; `None` when there is none, or several, or it is no visible text.
    fn only(&self, name: &str) -> Option<&str> {
        let (mut value, mut count) = (None, 0);
        self.each(name, &mut |text| {
            value = Some(text);
            count += 1;
        });
        value.filter(|value| count == 1 && *value != UNREADABLE)
    }
}

/// Stands for a value that is no visible text. No format allows it.
pub const UNREADABLE: &str = "\u{fffd}";

/// Headers to write.
pub trait HeadersMut {
    /// Sets a header. Names are lower-case tokens and values visible ASCII.
    fn set(&mut self, name: Cow<'static, str>, value: String);
}

impl Headers for http::HeaderMap {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a str)) {
        self.get_all(name).iter().map(|value| value.to_str().unwrap_or(UNREADABLE)).for_each(found);
    }

    fn each_prefixed<'a>(&'a self, prefix: &str, found: &mut dyn FnMut(&str, &'a str)) {
        for (name, value) in self {
            if let (Some(rest), Ok(value)) = (name.as_str().strip_prefix(prefix), value.to_str()) {
                found(rest, value);
            }
        }
    }
}

impl HeadersMut for http::HeaderMap {
    fn set(&mut self, name: Cow<'static, str>, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name.as_ref()), http::HeaderValue::try_from(value)) {
            self.insert(name, value);
        }
    }
}

fn each_pair<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    prefix: &str,
    exact: bool,
    found: &mut dyn FnMut(&str, &'a str),
) {
    for (name, value) in pairs {
        let begins = name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        if begins && (!exact || name.len() == prefix.len()) {
            found(&name[prefix.len()..].to_ascii_lowercase(), value);
        }
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Headers for [(N, V)] {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a str)) {
        let pairs = self.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        each_pair(pairs, name, true, &mut |_, value| found(value));
    }

    fn each_prefixed<'a>(&'a self, prefix: &str, found: &mut dyn FnMut(&str, &'a str)) {
        each_pair(self.iter().map(|(name, value)| (name.as_ref(), value.as_ref())), prefix, false, found);
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Headers for Vec<(N, V)> {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a str)) {
        self.as_slice().each(name, found);
    }

    fn each_prefixed<'a>(&'a self, prefix: &str, found: &mut dyn FnMut(&str, &'a str)) {
        self.as_slice().each_prefixed(prefix, found);
    }
}

impl<S: std::hash::BuildHasher> Headers for std::collections::HashMap<String, String, S> {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a str)) {
        each_pair(self.iter().map(|(n, v)| (n.as_str(), v.as_str())), name, true, &mut |_, value| found(value));
    }

    fn each_prefixed<'a>(&'a self, prefix: &str, found: &mut dyn FnMut(&str, &'a str)) {
        each_pair(self.iter().map(|(n, v)| (n.as_str(), v.as_str())), prefix, false, found);
    }
}

impl HeadersMut for Vec<(Cow<'static, str>, String)> {
    fn set(&mut self, name: Cow<'static, str>, value: String) {
        match self.iter_mut().find(|(present, _)| *present == name) {
            Some(header) => header.1 = value,
            None => self.push((name, value)),
        }
    }
}

impl<S: std::hash::BuildHasher> HeadersMut for std::collections::HashMap<String, String, S> {
    fn set(&mut self, name: Cow<'static, str>, value: String) {
        self.insert(name.into_owned(), value);
    }
}

/// Headers that carry the ids of a context, in the order in which they are written.
pub const ID_HEADERS: [(&str, &str); 5] = [
    (super::REQUEST_ID, "x-request-id"),
    (super::CORRELATION_ID, "x-correlation-id"),
    (super::SESSION_ID, "x-session-id"),
    (super::JOB_ID, "x-job-id"),
    (super::USER_ID, "x-user-id"),
];

/// Writes contexts into headers and reads them back.
#[derive(Clone, Debug)]
pub struct Propagator {
    formats: Vec<Format>,
    baggage_allowed: Vec<String>,
    redactor: Redactor,
}

impl Default for Propagator {
    /// W3C Trace Context and Baggage; no baggage leaves for others.
    fn default() -> Self {
        Self::new(vec![Format::TraceContext, Format::Baggage], Vec::new())
    }
}

impl Propagator {
    /// A propagator of these formats. `baggage_allowed` names the members of the baggage that may leave for others, `*`
    /// all of them.
    pub fn new(formats: Vec<Format>, baggage_allowed: Vec<String>) -> Self {
        Self { formats, baggage_allowed, redactor: Redactor::default() }
    }

    /// Redacts with this instead of the default what leaves for others.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// The formats.
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// Writes a context for a call to another service: its place in the trace, the allowed baggage, redacted,
    /// request and correlation id. The place in the trace is the context's parent: take the context by [`super::current`].
    pub fn inject(&self, context: &Context, headers: &mut impl HeadersMut) {
        let allowed = |name: &str| self.baggage_allowed.iter().any(|allowed| allowed == "*" || allowed == name);
        self.inject_as(context, &context.baggage().leaving(allowed, &self.redactor), &ID_HEADERS[..2], headers);
    }

    /// Writes a context for a queue of our own: its place in the trace, all baggage, all ids.
    pub fn inject_trusted(&self, context: &Context, headers: &mut impl HeadersMut) {
        self.inject_as(context, context.baggage(), &ID_HEADERS, headers);
    }

    fn inject_as(
        &self,
        context: &Context,
        baggage: &Baggage,
        ids: &[(&'static str, &'static str)],
        headers: &mut impl HeadersMut,
    ) {
        if let Some(parent) = context.parent() {
            self.inject_span(&parent.span, headers);
        }
        for format in &self.formats {
            match format {
                Format::Baggage => {
                    if let Some(header) = baggage.header() {
                        headers.set("baggage".into(), header);
                    }
                }
                Format::Jaeger => jaeger::inject_baggage(baggage, headers),
                _ => {}
            }
        }
        for (name, header) in ids {
            if let Some(id) = context.get(name).and_then(|value| value.as_str()) {
                let mut text = String::with_capacity(id.len());
                encode_percent(id, &mut text);
                headers.set((*header).into(), text);
            }
        }
    }

    /// Writes the ids of a span alone.
    pub fn inject_span(&self, span: &SpanContext, headers: &mut impl HeadersMut) {
        if !span.is_valid() {
            return;
        }
        for format in &self.formats {
            match format {
                Format::TraceContext => w3c::inject(span, headers),
                Format::B3 => b3::inject_single(span, headers),
                Format::B3Multi => b3::inject_multi(span, headers),
                Format::Jaeger => jaeger::inject(span, headers),
                Format::Baggage => {}
            }
        }
    }

    /// Reads place in the trace and baggage from the headers of a request. Ids of requests are not read here: who may
    /// set them is for the server to decide.
    pub fn extract(&self, headers: &(impl Headers + ?Sized)) -> Context {
        let mut context = Context::new();
        for format in &self.formats {
            let span = match format {
                Format::TraceContext => w3c::extract(headers),
                Format::B3 | Format::B3Multi => b3::extract(headers),
                Format::Jaeger => {
                    jaeger::extract_baggage(headers, &mut context);
                    jaeger::extract(headers)
                }
                Format::Baggage => {
                    headers.each("baggage", &mut |header| context.bound_mut().baggage.parse(header));
                    None
                }
            };
            // As the specification has it, a later propagator in the list overrides an earlier one.
            if let Some(span) = span {
                context = context.with_parent(Some(Parent::remote(span)));
            }
        }
        context
    }

    /// Reads what [`Propagator::inject_trusted`] wrote, ids included.
    pub fn extract_trusted(&self, headers: &(impl Headers + ?Sized)) -> Context {
        let mut context = self.extract(headers);
        for (name, header) in ID_HEADERS {
            if let Some(id) = headers.only(header).filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES) {
                context = context.with(name, decode_percent(id));
            }
        }
        context
    }
}

/// Bytes of an id in a header at most; longer ones are left out.
pub const MAX_ID_BYTES: usize = 256;

fn slot() -> &'static RwLock<Arc<Propagator>> {
    static CURRENT: OnceLock<RwLock<Arc<Propagator>>> = OnceLock::new();
    CURRENT.get_or_init(Default::default)
}

/// The propagator of the process: W3C unless [`set`] said otherwise.
pub fn current() -> Arc<Propagator> {
    slot().read().clone()
}

/// Sets the propagator of the process; `tripod::init` does.
pub fn set(propagator: Propagator) {
    *slot().write() = Arc::new(propagator);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::{SpanId, TraceFlags, TraceId, TraceState};

    fn span(flags: u8) -> SpanContext {
        SpanContext {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            flags: TraceFlags(flags),
            state: TraceState::default(),
        }
    }

    #[test]
    fn every_format_reads_back_what_it_wrote() {
        for (name, format) in Format::ALL.into_iter().filter(|(name, _)| *name != "baggage") {
            for flags in [0, 1] {
                let propagator = Propagator::new(vec![format], vec![]);
                let span = span(flags);
                let mut headers = http::HeaderMap::new();
                propagator.inject_span(&span, &mut headers);
                let back = propagator.extract(&headers);
                assert_eq!(back.parent(), Some(&Parent::remote(span)), "{name}: {headers:?}");
            }
        }
    }

    #[test]
    fn queues_carry_ids_baggage_and_trace_while_others_get_what_is_allowed() {
        let span = span(3);
        let context = Context::new()
            .with("request_id", "req 1")
            .with("job_id", "j")
            .with("user_id", "ü")
            .with_baggage("tenant", "t")
            .with_baggage("secret", "s")
            .with_parent(Some(Parent::remote(span.clone())));
        let back = Context::from_headers(&context.to_headers());
        assert_eq!(back.fields().len(), 3);
        assert_eq!((back.request_id(), back.job_id(), back.user_id()), (Some("req 1"), Some("j"), Some("ü")));
        assert_eq!(back.parent().unwrap().span, span);
        assert_eq!(back.baggage().len(), 2);

        let propagator = Propagator::new(vec![Format::TraceContext, Format::Baggage], vec!["tenant".into()]);
        let mut headers = http::HeaderMap::new();
        propagator.inject(&context, &mut headers);
        assert_eq!(headers["baggage"], "tenant=t");
        assert_eq!(headers["x-request-id"], "req%201");
        assert!(headers["traceparent"].to_str().unwrap().ends_with("-03"));
        assert!(!headers.contains_key("x-user-id"));
    }

    #[test]
    fn values_that_are_no_text_break_lists_and_make_parents_ambiguous() {
        let value = |bytes: &[u8]| http::HeaderValue::from_bytes(bytes).unwrap();
        let parent = w3c::traceparent(&span(1));
        let read = |headers: &[(&'static str, &[u8])]| {
            let headers = headers.iter().map(|(name, bytes)| (http::HeaderName::from_static(name), value(bytes)));
            Propagator::default().extract(&headers.collect::<http::HeaderMap>())
        };
        let parent = ("traceparent", parent.as_bytes());
        assert_eq!(read(&[parent, ("traceparent", b"\xff")]).parent(), None);
        assert_eq!(read(&[("traceparent", b"\xff")]).parent(), None);
        let state = |broken: &[u8]| {
            let context = read(&[parent, ("tracestate", b"a=1"), ("tracestate", broken)]);
            context.parent().map(|parent| parent.span.state.as_str().to_owned())
        };
        assert_eq!(state(b"b=2").as_deref(), Some("a=1,b=2"));
        assert_eq!(state(b"b=\xff").as_deref(), Some(""), "the trace goes on without its state");
        let baggage = read(&[("baggage", b"b=\xff"), ("baggage", b"a=1")]);
        assert_eq!(baggage.baggage().iter().collect::<Vec<_>>(), [("a", "1")]);
        let mut headers = http::HeaderMap::new();
        headers.insert("x-request-id", value(b"\xff"));
        assert_eq!(Propagator::default().extract_trusted(&headers).request_id(), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(values in proptest::collection::vec("\\PC{0,80}", 9)) {
            let names = ["traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled",
                "uber-trace-id", "uberctx-x"];
            let headers: Vec<_> = names.into_iter().zip(values).collect();
            let propagator = Propagator::new(Format::ALL.map(|(_, format)| format).to_vec(), vec!["*".into()]);
            let context = propagator.extract(&headers);
            if let Some(parent) = context.parent() {
                prop_assert!(parent.span.is_valid());
            }
        }
    }
}
