//! Browsers of other origins.

use std::sync::Arc;

use tripod_ingest::Settings;
use tripod_storage::Signal;
use tripod_storage::memory::MemoryStore;

use crate::client::{Call, JSON, http_server};
use crate::samples::{TRACES_JSON, assert_kept};

const ORIGIN: &str = "https://app.example.com";

fn settings(origins: &[&str]) -> Settings {
    Settings {
        cors_allowed_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        bearer_token: Some("secret".to_owned()),
        ..Settings::default()
    }
}

fn preflight(origin: &str) -> Call {
    Call::new("OPTIONS", "/v1/traces")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,authorization,x-team")
}

#[tokio::test]
async fn a_preflight_needs_no_token_and_allows_any_header() {
    let server = http_server(Arc::new(MemoryStore::default()), settings(&["http://localhost:3000", ORIGIN])).await;
    let answer = preflight(ORIGIN).send(server).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(ORIGIN)));
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST,OPTIONS"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type,authorization,x-team"));
    let stranger = preflight("https://evil.example.com").send(server).await;
    assert_eq!(stranger.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn answers_and_refusals_can_be_read_by_the_page() {
    let store = Arc::new(MemoryStore::default());
    let server = http_server(store.clone(), settings(&[ORIGIN])).await;
    let call = || Call::post("/v1/traces", JSON, TRACES_JSON).header("origin", ORIGIN);
    let answer = call().header("authorization", "Bearer secret").send(server).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(ORIGIN)));
    let answer = call().send(server).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, Some(ORIGIN)));
    assert_eq!(answer.header("access-control-expose-headers"), Some("retry-after"));
    assert_kept(store.as_ref(), Signal::Spans, 1).await;
}

#[tokio::test]
async fn a_star_allows_every_origin_and_the_default_none() {
    let server = http_server(Arc::new(MemoryStore::default()), settings(&["*"])).await;
    assert_eq!(preflight("https://any.example").send(server).await.header("access-control-allow-origin"), Some("*"));
    let server = http_server(Arc::new(MemoryStore::default()), settings(&[])).await;
    let answer = preflight(ORIGIN).send(server).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None));
}
