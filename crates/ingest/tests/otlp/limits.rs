//! Sizes, bytes in flight, concurrency, pauses, and senders that go away.

use std::sync::Arc;

use prost::Message;
use tripod_ingest::{Settings, otlp};
use tripod_storage::Signal;
use tripod_storage::memory::MemoryStore;

use crate::client::{Call, JSON, PROTOBUF, gzip, http_server, ingest, no_series, serve, zstd};
use crate::samples::{TRACES_JSON, assert_kept, span, traces};
use crate::stores::{Blocking, Refusing, count};

const LIMIT: usize = 10_000;

fn settings() -> Settings {
    Settings { max_request_bytes: LIMIT, max_decompressed_bytes: 2 * LIMIT, ..Settings::default() }
}

/// A JSON message of exactly so many bytes.
fn padded(size: usize) -> Vec<u8> {
    let mut body = TRACES_JSON.as_bytes().to_vec();
    body.resize(size, b' ');
    body
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_413_before_the_body_is_read() {
    let server = http_server(Arc::new(MemoryStore::default()), settings()).await;
    // No byte of the body is sent: the server asks for none of it.
    let call = Call::new("POST", "/v1/traces")
        .header("content-type", JSON)
        .header("content-length", "10001")
        .header("expect", "100-continue");
    let answer = call.send(server).await;
    assert_eq!(answer.status, 413);
    assert!(answer.message().contains("10000 bytes, the limit (max_request_bytes)"), "{}", answer.message());
}

#[tokio::test]
async fn a_body_that_grows_above_the_limit_is_413() {
    let store = Arc::new(MemoryStore::default());
    let server = http_server(store.clone(), settings()).await;
    let call = || Call::new("POST", "/v1/traces").header("content-type", JSON);
    let body = padded(LIMIT + 1);
    let (first, second) = body.split_at(LIMIT / 2);
    assert_eq!(call().chunked(&[first, second]).send(server).await.status, 413);
    assert_eq!(call().chunked(&[first, &second[1..]]).send(server).await.status, 200);
    assert_kept(store.as_ref(), Signal::Spans, 1).await;
}

#[tokio::test]
async fn a_body_that_decompresses_above_the_limit_is_413() {
    let store = Arc::new(MemoryStore::default());
    let server = http_server(store.clone(), settings()).await;
    for (encoding, compress) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
        let call = |size| Call::post("/v1/traces", JSON, compress(&padded(size))).header("content-encoding", encoding);
        let answer = call(2 * LIMIT + 1).send(server).await;
        assert_eq!(answer.status, 413);
        assert!(answer.message().contains("20000 bytes when it is decompressed"), "{}", answer.message());
        assert_eq!(call(2 * LIMIT).send(server).await.status, 200);
    }
    assert_kept(store.as_ref(), Signal::Spans, 2).await;
}

/// One frame of 8192 blocks, each of which says "128 KiB of zeros" in four bytes: 1 GiB in 32 KiB.
fn zstd_bomb() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3];
    for block in 0..8192_u32 {
        let header = (128 * 1024) << 3 | 1 << 1 | u32::from(block == 8191);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// One member of 1 GiB of zeros: the same compressed mebibyte 1024 times.
fn gzip_bomb() -> Vec<u8> {
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    let mut mebibyte = Vec::with_capacity(64 * 1024);
    deflate.compress_vec(&vec![0; 1 << 20], &mut mebibyte, flate2::FlushCompress::Full).unwrap();
    assert_eq!(deflate.total_in(), 1 << 20);
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    member.extend(mebibyte.repeat(1024));
    // An empty last block; nobody reads as far as the checksum. The size is what it claims to be.
    member.extend([3, 0, 0, 0, 0, 0]);
    member.extend((1_u32 << 30).to_le_bytes());
    member
}

/// The most memory that this process ever had resident, in bytes.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok().map(|kib| kib * 1024)
}

#[tokio::test]
async fn a_zip_bomb_is_refused_without_unpacking_it() {
    let server = http_server(Arc::new(MemoryStore::default()), Settings::default()).await;
    let before = peak_memory();
    for (encoding, bomb) in [("gzip", gzip_bomb()), ("zstd", zstd_bomb())] {
        assert!(bomb.len() < 2 << 20);
        let answer = Call::post("/v1/traces", JSON, bomb).header("content-encoding", encoding).send(server).await;
        assert_eq!(answer.status, 413, "{encoding}");
        assert!(answer.message().contains("67108864"), "{}", answer.message());
    }
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        assert!(after - before < 512 << 20, "{} MiB", (after - before) >> 20);
    }
}

#[tokio::test]
async fn more_requests_than_allowed_at_once_are_429_until_one_is_done() {
    let store = Blocking::new();
    let settings = Settings { max_concurrent_requests: 1, ..Settings::default() };
    let server = http_server(store.clone(), settings).await;
    let call = || Call::post("/v1/traces", JSON, TRACES_JSON);
    let first = call().begin(server).await;
    store.entered().await;
    let refused = call().send(server).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    store.release();
    assert_eq!(first.answer().await.status, 200);
    store.release();
    assert_eq!(call().send(server).await.status, 200);
    assert_kept(&store.kept, Signal::Spans, 2).await;
}

#[tokio::test]
async fn more_bytes_in_flight_than_allowed_are_429_until_they_are_given_back() {
    let store = Blocking::new();
    let settings = Settings { max_in_flight_bytes: 3 * LIMIT, ..settings() };
    let server = http_server(store.clone(), settings).await;
    // As compressed as received: three of them fill what is allowed.
    let call = || Call::post("/v1/traces", JSON, padded(LIMIT));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(call().begin(server).await);
        store.entered().await;
    }
    let refused = call().send(server).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.message().contains("30000 bytes"), "{}", refused.message());
    for pending in held {
        store.release();
        assert_eq!(pending.answer().await.status, 200);
    }
    store.release();
    assert_eq!(call().send(server).await.status, 200);
    assert_kept(&store.kept, Signal::Spans, 4).await;
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_nothing_behind() {
    let store = Blocking::new();
    let settings = Settings { max_concurrent_requests: 1, ..Settings::default() };
    let server = http_server(store.clone(), settings).await;
    let gone = Call::post("/v1/traces", JSON, TRACES_JSON).begin(server).await;
    store.entered().await;
    drop(gone);
    store.left().await;
    assert_eq!(count(&store.kept, Signal::Spans).await, 0);
    // The only place is free again.
    store.release();
    let answer = Call::post("/v1/traces", JSON, TRACES_JSON).send(server).await;
    assert_eq!(answer.status, 200);
    assert_kept(&store.kept, Signal::Spans, 1).await;
}

#[tokio::test]
async fn a_request_that_was_let_in_is_finished_while_shutting_down() {
    let store = Blocking::new();
    let ingest = ingest(store.clone(), Settings::default());
    let server = serve(otlp::http_router(ingest.clone(), no_series())).await;
    let pending = Call::post("/v1/traces", JSON, TRACES_JSON).begin(server).await;
    store.entered().await;
    ingest.begin_shutdown();
    store.release();
    assert_eq!(pending.answer().await.status, 200);
}

#[tokio::test]
async fn a_sender_that_pauses_too_long_is_408() {
    let settings = Settings { read_timeout_seconds: 1, ..Settings::default() };
    let server = http_server(Refusing::failed(), settings).await;
    let call = Call::new("POST", "/v1/traces").header("content-type", JSON).header("content-length", "100");
    assert_eq!(call.send(server).await.status, 408);
}

#[tokio::test]
async fn too_many_records_are_400() {
    let settings = Settings { max_records_per_request: 2, ..Settings::default() };
    let server = http_server(Arc::new(MemoryStore::default()), settings).await;
    let call = |spans| Call::post("/v1/traces", PROTOBUF, traces(vec![span(); spans]).encode_to_vec());
    assert_eq!(call(2).send(server).await.status, 200);
    assert_eq!(call(3).send(server).await.status, 400);
}
