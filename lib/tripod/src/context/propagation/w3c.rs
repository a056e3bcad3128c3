//! W3C Trace Context, levels 1 and 2: `traceparent` and `tracestate`.

use super::{Headers, HeadersMut};
use crate::context::ids::lower_hex;
use crate::context::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Flags that are known and passed on: sampled (level 1) and random (level 2).
const KNOWN_FLAGS: u8 = 0b11;
const MAX_MEMBERS: usize = 32;
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 256;

/// The `traceparent` of a span: 55 characters.
pub fn traceparent(span: &SpanContext) -> String {
    let mut text = String::with_capacity(55);
    text.push_str("00-");
    push_ascii(&mut text, &span.trace_id.digits());
    text.push('-');
    push_ascii(&mut text, &span.span_id.digits());
    text.push_str(match span.flags.0 & KNOWN_FLAGS {
        0 => "-00",
        1 => "-01",
        2 => "-02",
        _ => "-03",
    });
    text
}

fn push_ascii(text: &mut String, digits: &[u8]) {
    text.extend(digits.iter().map(|digit| char::from(*digit)));
}

/// Reads a `traceparent`; `None` when the specification says to ignore it.
pub fn parse(header: &str) -> Option<SpanContext> {
    let header = header.trim_matches([' ', '\t']).as_bytes();
    // Later versions may be longer, after a further dash.
    if header.len() < 55 || header[2] != b'-' || header[35] != b'-' || header[52] != b'-' {
        return None;
    }
    let [version] = lower_hex::<1>(&header[..2])?;
    match version {
        0xff => return None,
        0 if header.len() > 55 => return None,
        _ if header.len() > 55 && header[55] != b'-' => return None,
        _ => {}
    }
    let span = SpanContext {
        trace_id: TraceId(lower_hex(&header[3..35])?),
        span_id: SpanId(lower_hex(&header[36..52])?),
        flags: TraceFlags(lower_hex::<1>(&header[53..55])?[0] & KNOWN_FLAGS),
        state: TraceState::default(),
    };
    span.is_valid().then_some(span)
}

pub(super) fn inject(span: &SpanContext, headers: &mut impl HeadersMut) {
    headers.set("traceparent".into(), traceparent(span));
    if !span.state.as_str().is_empty() {
        headers.set("tracestate".into(), span.state.as_str().to_owned());
    }
}

pub(super) fn extract(headers: &(impl Headers + ?Sized)) -> Option<SpanContext> {
    let mut span = parse(headers.only("traceparent")?)?;
    span.state = state(headers);
    Some(span)
}

/// Joins all `tracestate` headers. One broken member, and the whole list is dropped, as the specification asks.
fn state(headers: &(impl Headers + ?Sized)) -> TraceState {
    let (mut text, mut members, mut valid) = (String::new(), 0, true);
    headers.each("tracestate", &mut |header| {
        for member in header.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if !valid || member.is_empty() {
                continue;
            }
            members += 1;
            valid = members <= MAX_MEMBERS && is_member(member);
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(member);
        }
    });
    if valid { TraceState::new(&text) } else { TraceState::default() }
}

/// `key=value`, by the grammar of level 2.
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let key_start = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    key_start
        && key.len() <= MAX_KEY
        && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte))
        && !value.is_empty()
        && value.len() <= MAX_VALUE
        && value.bytes().all(|byte| matches!(byte, 0x20..=0x2B | 0x2D..=0x3C | 0x3E..=0x7E))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-";

    #[test]
    fn reads_by_the_rules_of_the_specification() {
        let read = |text: String| parse(&text).map(|span| span.flags.0);
        assert_eq!(read(format!("{VALID}00")), Some(0));
        assert_eq!(read(format!("{VALID}01")), Some(1));
        assert_eq!(read(format!("{VALID}02")), Some(2), "the random flag is kept");
        assert_eq!(read(format!("{VALID}ff")), Some(3), "unknown flags are cleared");
        assert_eq!(read(format!("\t {VALID}01 \t")), Some(1));
        assert_eq!(read(format!("{VALID}01-what")), None, "version 00 has no further fields");
        assert_eq!(read(format!("{VALID}.0")), None);
        assert_eq!(read(format!("cc{}01-what", &VALID[2..])), Some(1));
        assert_eq!(read(format!("cc{}01.what", &VALID[2..])), None);
        assert_eq!(read(format!("ff{}01", &VALID[2..])), None);
        assert_eq!(read(format!("0A{}01", &VALID[2..])), None);
        assert_eq!(read("00-00000000000000000000000000000000-1234567890123456-01".into()), None);
        assert_eq!(read("00-12345678901234567890123456789012-0000000000000000-01".into()), None);
    }

    fn state_of(headers: &[&str]) -> String {
        let headers: Vec<_> = headers.iter().map(|value| ("tracestate", *value)).collect();
        state(&headers).as_str().to_owned()
    }

    #[test]
    fn joins_and_checks_the_state() {
        assert_eq!(state_of(&["foo=1 \t , \t bar=2", "", "baz=3"]), "foo=1,bar=2,baz=3");
        assert_eq!(state_of(&["foo@=1,bar=2"]), "foo@=1,bar=2");
        for broken in ["foo =1", "FOO=1", "foo.bar=1", "@foo=1,bar=2", "foo=bar=baz", "foo=,bar=3", "foo"] {
            assert_eq!(state_of(&[broken]), "", "{broken}");
        }
        let key = "z".repeat(256);
        assert_eq!(state_of(&[&format!("{key}=1")]).len(), 258);
        assert_eq!(state_of(&["foo=1", &format!("{key}z=1")]), "");
        let many = (0..32).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(state_of(&[&many]), many);
        assert_eq!(state_of(&[&many, "one=more"]), "");
    }

    #[test]
    fn two_parents_are_none() {
        let header = format!("{VALID}01");
        let headers = [("traceparent", header.as_str()), ("Traceparent", header.as_str())];
        assert_eq!(extract(&headers[..]), None);
        assert!(extract(&headers[..1]).is_some());
    }

    proptest! {
        #[test]
        fn members_are_kept_however_they_are_spread(
            members in proptest::collection::vec("[a-z0-9][a-z0-9_*/@-]{0,20}=[ -+--<>-~]{0,20}[!-+--<>-~]", 1..=40),
            breaks in proptest::collection::vec(0..4usize, 40),
        ) {
            let mut headers = vec![String::new()];
            for (member, space) in members.iter().zip(breaks) {
                match headers.last_mut() {
                    Some(last) if space != 0 => last.push_str(&format!("{}{member}\t,", " ".repeat(space - 1))),
                    _ => headers.push(format!("{member},")),
                }
            }
            let headers: Vec<_> = headers.iter().map(String::as_str).collect();
            let expected = if members.len() <= MAX_MEMBERS { members.join(",") } else { String::new() };
            prop_assert_eq!(state_of(&headers), expected);
        }

        #[test]
        fn print_and_parse_give_the_same(trace in 1u128.., span in 1u64.., flags in 0u8..4) {
            let span = SpanContext {
                trace_id: TraceId(trace.to_be_bytes()),
                span_id: SpanId(span.to_be_bytes()),
                flags: TraceFlags(flags),
                state: TraceState::default(),
            };
            prop_assert_eq!(parse(&traceparent(&span)), Some(span));
        }
    }
}
