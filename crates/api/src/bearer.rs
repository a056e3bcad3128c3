//! Authorization by one shared token.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use std::sync::Arc;

/// Lets requests through that carry `Authorization: Bearer <token>`; others get 401. Without a token the router is
/// returned as it was.
pub fn require_bearer(router: Router, token: Option<String>) -> Router {
    let Some(token) = token else { return router };
    let token: Arc<[u8]> = token.into_bytes().into();
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let token = Arc::clone(&token);
        async move {
            match presented(&request).is_some_and(|given| equal(given, &token)) {
                true => next.run(request).await,
                false => refusal(),
            }
        }
    }))
}

fn presented(request: &Request) -> Option<&[u8]> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Compares in a time that depends on the lengths only, so that an attacker cannot guess byte by byte.
fn equal(given: &[u8], token: &[u8]) -> bool {
    let difference = given.iter().zip(token).fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == token.len() && std::hint::black_box(difference) == 0
}

fn refusal() -> Response {
    (
        StatusCode::UNAUTHORIZED,
        [(header::WWW_AUTHENTICATE, "Bearer"), (header::CONTENT_TYPE, "application/json")],
        r#"{"error":"a valid \"Authorization: Bearer <token>\" header is required"}"#,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn status(token: Option<&str>, header: Option<&str>) -> (StatusCode, bool) {
        let router = require_bearer(Router::new().route("/", get(|| async { "in" })), token.map(str::to_owned));
        let mut request = Request::builder().uri("/");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        (response.status(), response.headers().contains_key("www-authenticate"))
    }

    #[tokio::test]
    async fn only_the_right_token_passes() {
        let token = Some("s3cret");
        assert_eq!(status(None, None).await, (StatusCode::OK, false));
        assert_eq!(status(token, Some("Bearer s3cret")).await, (StatusCode::OK, false));
        assert_eq!(status(token, Some("bearer  s3cret")).await, (StatusCode::OK, false));
        for wrong in
            [None, Some("Bearer s3cre"), Some("Bearer s3cret2"), Some("Basic s3cret"), Some("Bearer"), Some("")]
        {
            assert_eq!(status(token, wrong).await, (StatusCode::UNAUTHORIZED, true), "{wrong:?}");
        }
    }
}
