//! Zipkin's B3 headers: one header `b3`, or several.

use super::{Headers, HeadersMut};
use crate::context::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

pub(super) fn inject_single(span: &SpanContext, headers: &mut impl HeadersMut) {
    let sampled = if span.is_sampled() { '1' } else { '0' };
    headers.set("b3".into(), format!("{}-{}-{sampled}", span.trace_id, span.span_id));
}

pub(super) fn inject_multi(span: &SpanContext, headers: &mut impl HeadersMut) {
    headers.set("x-b3-traceid".into(), span.trace_id.to_string());
    headers.set("x-b3-spanid".into(), span.span_id.to_string());
    headers.set("x-b3-sampled".into(), if span.is_sampled() { "1" } else { "0" }.to_owned());
}

/// The single header first: the specification of OpenTelemetry prefers it where both are present.
pub(super) fn extract(headers: &(impl Headers + ?Sized)) -> Option<SpanContext> {
    single(headers).or_else(|| multi(headers))
}

fn single(headers: &(impl Headers + ?Sized)) -> Option<SpanContext> {
    let mut parts = headers.only("b3")?.trim().split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let sampled = parts.next().unwrap_or_default();
    context(trace, span, matches!(sampled, "1" | "d"))
}

fn multi(headers: &(impl Headers + ?Sized)) -> Option<SpanContext> {
    // `d` and `true` are sent by old clients; the debug flag implies sampling.
    let sampled = headers.only("x-b3-sampled").is_some_and(|value| matches!(value, "1" | "true" | "d"))
        || headers.only("x-b3-flags") == Some("1");
    context(headers.only("x-b3-traceid")?, headers.only("x-b3-spanid")?, sampled)
}

fn context(trace: &str, span: &str, sampled: bool) -> Option<SpanContext> {
    let (trace, span) = (trace.to_ascii_lowercase(), span.to_ascii_lowercase());
    // Trace ids of 64 bits are filled up on the left.
    let trace_id = match trace.len() {
        16 => TraceId::parse(&format!("{:0>32}", trace))?,
        _ => TraceId::parse(&trace)?,
    };
    Some(SpanContext {
        trace_id,
        span_id: SpanId::parse(&span)?,
        flags: TraceFlags::default().with_sampled(sampled),
        state: TraceState::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_the_b3_specification() {
        let read =
            |headers: &[(&str, &str)]| extract(headers).map(|span| (span.trace_id.to_string(), span.is_sampled()));
        let long = "80f198ee56343ba864fe8b2a57d3eff7";
        let id = Some((long.to_owned(), true));
        assert_eq!(read(&[("b3", &format!("{long}-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90"))]), id);
        assert_eq!(read(&[("b3", &format!("{long}-e457b5a2e4d86bd1-d"))]), id);
        assert_eq!(read(&[("b3", &format!("{long}-e457b5a2e4d86bd1"))]), Some((long.to_owned(), false)));
        assert_eq!(read(&[("b3", "0")]), None);
        let multi = [("X-B3-TraceId", "64fe8b2a57d3eff7"), ("X-B3-SpanId", "E457B5A2E4D86BD1"), ("X-B3-Flags", "1")];
        assert_eq!(read(&multi), Some(("000000000000000064fe8b2a57d3eff7".to_owned(), true)));
    }
}
