//! Jaeger's headers: `uber-trace-id` and, for baggage, `uberctx-*`.

use super::{Headers, HeadersMut};
use crate::context::baggage::{decode_percent, encode_percent};
use crate::context::{Baggage, Context, SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const SAMPLED: u8 = 1;
const DEBUG: u8 = 2;

pub(super) fn inject(span: &SpanContext, headers: &mut impl HeadersMut) {
    let flags = u8::from(span.is_sampled());
    headers.set("uber-trace-id".into(), format!("{}:{}:0:{flags:x}", span.trace_id, span.span_id));
}

pub(super) fn extract(headers: &(impl Headers + ?Sized)) -> Option<SpanContext> {
    let header = headers.only("uber-trace-id")?;
    // Some clients encode the colons.
    let decoded = decode_percent(header.trim()).to_ascii_lowercase();
    let mut parts = decoded.split(':');
    let (trace, span, _parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || trace.len() > 32 || span.len() > 16 || flags.len() > 2 {
        return None;
    }
    // Leading zeros may be missing.
    Some(SpanContext {
        trace_id: TraceId::parse(&format!("{trace:0>32}"))?,
        span_id: SpanId::parse(&format!("{span:0>16}"))?,
        flags: TraceFlags::default().with_sampled(u8::from_str_radix(flags, 16).ok()? & (SAMPLED | DEBUG) != 0),
        state: TraceState::default(),
    })
}

pub(super) fn inject_baggage(baggage: &Baggage, headers: &mut impl HeadersMut) {
    for (name, value) in baggage.iter() {
        let mut text = String::with_capacity(value.len());
        encode_percent(value, &mut text);
        headers.set(format!("uberctx-{}", name.to_ascii_lowercase()).into(), text);
    }
}

pub(super) fn extract_baggage(headers: &(impl Headers + ?Sized), context: &mut Context) {
    headers.each_prefixed("uberctx-", &mut |name, value| {
        context.bound_mut().baggage.set(name, &decode_percent(value));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_short_ids_and_encoded_colons() {
        let read = |header: &str| extract(&[("uber-trace-id", header)][..]).map(|span| span.to_owned());
        let span = read("abcdef:12:0:1").unwrap();
        assert_eq!(span.trace_id.to_string(), "00000000000000000000000000abcdef");
        assert_eq!(span.span_id.to_string(), "0000000000000012");
        assert!(span.is_sampled());
        assert_eq!(read("abcdef%3A12%3A0%3A1"), Some(span));
        assert!(read("a:b:0:2").unwrap().is_sampled(), "debug implies sampled");
        assert!(!read("a:b:0:0").unwrap().is_sampled());
        assert_eq!(read("0:b:0:1"), None);
        assert_eq!(read("a:b:1"), None);
    }

    #[test]
    fn carries_baggage_in_headers_of_its_own() {
        let context = Context::new().with_baggage("user", "a b");
        let mut headers = http::HeaderMap::new();
        inject_baggage(context.baggage(), &mut headers);
        assert_eq!(headers["uberctx-user"], "a%20b");
        let mut back = Context::new();
        extract_baggage(&headers, &mut back);
        assert_eq!(back.baggage().get("user"), Some("a b"));
    }
}
