//! Request and correlation ids: taken from the request when they are fit to be logged, else made.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::context::{decode_percent, random};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Longer ids are not taken.
const MAX_BYTES: usize = 128;

/// The ids of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestIds {
    pub(super) request: String,
    pub(super) correlation: String,
}

impl RequestIds {
    /// From the headers, when they are to be trusted. Without a correlation id the request id is it, and before that
    /// `X-Trace-Id`, with which clients that know no traces mark their requests.
    pub(super) fn of(headers: &HeaderMap, trusted: bool) -> Self {
        let given = |name: &HeaderName| trusted.then(|| accepted(headers.get(name)?)).flatten();
        let request = given(&REQUEST_ID);
        let correlation = given(&CORRELATION_ID).or_else(|| request.clone()).or_else(|| given(&TRACE_ID));
        let request = request.unwrap_or_else(uuid);
        Self { correlation: correlation.unwrap_or_else(|| request.clone()), request }
    }
}

/// An id that can stand in a log line, a header and a URL: letters, digits and a few marks, at most 128 of them.
fn accepted(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let id = if text.contains('%') { decode_percent(text) } else { text.to_owned() };
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(&byte);
    (!id.is_empty() && id.len() <= MAX_BYTES && id.bytes().all(fit)).then_some(id)
}

/// A random UUID (version 4, RFC 9562).
pub(crate) fn uuid() -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let high = (random::next() & !0xf000) | 0x4000;
    let low = (random::next() & !(0b11 << 62)) | 0b10 << 62;
    let mut number = u128::from(high) << 64 | u128::from(low);
    let mut text = String::with_capacity(36);
    for at in 0..36 {
        if matches!(at, 8 | 13 | 18 | 23) {
            text.push('-');
            continue;
        }
        number = number.rotate_left(4);
        text.push(char::from(DIGITS[(number & 15) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn ids_are_taken_made_and_lent() {
        let given = headers(&[(REQUEST_ID, "r-1"), (CORRELATION_ID, "c/2")]);
        assert_eq!(RequestIds::of(&given, true), RequestIds { request: "r-1".into(), correlation: "c/2".into() });
        let ids = RequestIds::of(&headers(&[(REQUEST_ID, "r-1")]), true);
        assert_eq!(ids.correlation, "r-1");
        let ids = RequestIds::of(&headers(&[(TRACE_ID, "test-trace-123")]), true);
        assert_eq!(ids.correlation, "test-trace-123");
        assert_eq!(ids.request.len(), 36);
        assert_ne!(RequestIds::of(&given, false).request, "r-1");
    }

    #[test]
    fn made_ids_are_uuids_of_version_4() {
        let id = uuid();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(uuid(), id);
    }

    proptest! {
        #[test]
        fn no_id_can_break_a_line(text in "[ -~]{0,200}") {
            let ids = RequestIds::of(&headers(&[(REQUEST_ID, &text)]), true);
            prop_assert!(ids.request.len() <= MAX_BYTES && !ids.request.is_empty());
            prop_assert!(!ids.request.contains(['\n', '\r', ' ', '"', '\\', '<']));
        }
    }
}
