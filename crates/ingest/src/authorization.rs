use std::hint::black_box;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::refusal::{Reason, Refusal};

/// Who may send: everyone, or who holds the token.
pub(crate) struct Authorization {
    token: Option<Box<[u8]>>,
}

impl Authorization {
    pub(crate) fn new(token: Option<&str>) -> Self {
        Self { token: token.map(|token| token.as_bytes().into()) }
    }

    /// Looks at the request's `Authorization` header; gRPC metadata is the same header.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(expected) = &self.token else { return Ok(()) };
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Err(unauthorized("a token is needed: send the header \"Authorization: Bearer <token>\""));
        };
        match bearer(header.as_bytes()) {
            Some(given) if equal(given, expected) => Ok(()),
            Some(_) => Err(unauthorized("the bearer token is not the one that is set on this server")),
            None => Err(unauthorized("the Authorization header must have the form \"Bearer <token>\"")),
        }
    }
}

fn unauthorized(message: &'static str) -> Refusal {
    Refusal::new(Reason::Unauthorized, message)
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked("bearer".len())?;
    (scheme.eq_ignore_ascii_case(b"bearer") && rest.first() == Some(&b' ')).then(|| rest.trim_ascii())
}

/// Compares in a time that depends on the given text's length only, so that a token cannot be guessed byte by byte.
fn equal(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (index, byte) in given.iter().enumerate() {
        difference |= black_box(byte ^ expected.get(index).copied().unwrap_or(!*byte));
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(token: Option<&str>, header: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(header));
        }
        Authorization::new(token).check(&headers).is_ok()
    }

    #[test]
    fn without_a_token_everyone_may_send() {
        assert!(check(None, None));
        assert!(check(None, Some("Basic eA==")));
    }

    #[test]
    fn with_a_token_only_its_holder_may_send() {
        for header in ["Bearer secret", "bearer secret", "BEARER  secret "] {
            assert!(check(Some("secret"), Some(header)), "{header}");
        }
        for header in
            ["", "secret", "Bearer", "Bearer ", "Bearersecret", "Bearer secre", "Bearer secrets", "Basic secret"]
        {
            assert!(!check(Some("secret"), Some(header)), "{header}");
        }
        assert!(!check(Some("secret"), None));
    }
}
