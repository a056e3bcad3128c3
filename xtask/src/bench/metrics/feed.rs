//! Sending the fleet's scrapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::system::Running;
use crate::load::exporter::Part;
use crate::process::Usage;
use crate::table;

/// Scrapes after which connections wait for each other, so that none is ahead of the others by minutes.
const TOGETHER: usize = 10;

/// How often a request is sent again that was refused for now.
const ATTEMPTS: u32 = 600;

/// What came of it.
pub(super) struct Fed {
    pub(super) samples: u64,
    pub(super) elapsed: Duration,
    pub(super) refusals: u64,
    /// Bytes of all bodies before compression.
    pub(super) bytes: u64,
    pub(super) compressed_bytes: u64,
    pub(super) generator_cpu: f64,
    /// Resident memory of the server, once a second, bytes: all of it, and without pages of files.
    pub(super) resident: Vec<(u64, u64)>,
}

#[derive(Default)]
struct Counters {
    samples: AtomicU64,
    refusals: AtomicU64,
    bytes: AtomicU64,
    compressed_bytes: AtomicU64,
}

/// Sends `steps` scrapes of all parts over some connections; a part stays with its connection, so that its samples come in
/// order.
///
/// # Errors
/// When a request is refused for good.
pub(super) async fn feed(parts: Vec<Part>, connections: usize, steps: usize, running: &Running) -> Result<Fed> {
    let total = parts.iter().map(Part::len).sum::<usize>() as u64 * steps as u64;
    let counters = Arc::new(Counters::default());
    let size = parts.len().div_ceil(connections.max(1));
    let mut shares: Vec<Vec<Part>> = Vec::new();
    for part in parts {
        match shares.last_mut().filter(|share| share.len() < size) {
            Some(share) => share.push(part),
            None => shares.push(vec![part]),
        }
    }
    let barrier = Arc::new(Barrier::new(shares.len()));
    let url = format!("{}/api/v1/write", running.url);
    let cpu = Usage::own()?.cpu_seconds;
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for share in shares {
        senders.spawn(send(share, steps, url.clone(), Arc::clone(&barrier), Arc::clone(&counters)));
    }
    let mut resident = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            done = senders.join_next() => match done {
                None => break,
                // The others wait for this one at the barrier, and end with the set.
                Some(done) => done.context("a sender broke")??,
            },
            _ = ticks.tick() => {
                let usage = running.usage()?;
                resident.push((usage.resident_bytes, usage.anonymous_bytes));
                if resident.len().is_multiple_of(10) {
                    let sent = counters.samples.load(Ordering::Relaxed);
                    eprintln!(
                        "  {} of {} samples, {} a second",
                        table::count(sent),
                        table::count(total),
                        table::count((sent as f64 / begun.elapsed().as_secs_f64()) as u64)
                    );
                }
            }
        }
    }
    Ok(Fed {
        samples: counters.samples.load(Ordering::Relaxed),
        elapsed: begun.elapsed(),
        refusals: counters.refusals.load(Ordering::Relaxed),
        bytes: counters.bytes.load(Ordering::Relaxed),
        compressed_bytes: counters.compressed_bytes.load(Ordering::Relaxed),
        generator_cpu: Usage::own()?.cpu_seconds - cpu,
        resident,
    })
}

async fn send(
    mut parts: Vec<Part>,
    steps: usize,
    url: String,
    barrier: Arc<Barrier>,
    counters: Arc<Counters>,
) -> Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(120)).build()?;
    let mut encoder = snap::raw::Encoder::new();
    for step in 0..steps {
        if step % TOGETHER == 0 {
            barrier.wait().await;
        }
        for part in &mut parts {
            let request = part.next();
            let body = bytes::Bytes::from(encoder.compress_vec(request)?);
            counters.bytes.fetch_add(request.len() as u64, Ordering::Relaxed);
            counters.compressed_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            post(&client, &url, body, &counters).await?;
            counters.samples.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}

async fn post(client: &reqwest::Client, url: &str, body: bytes::Bytes, counters: &Counters) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let request = client
            .post(url)
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .header("User-Agent", "tripod-xtask");
        let response = request.body(body.clone()).send().await?;
        let status = response.status();
        let answer = response.text().await?;
        if status.is_success() {
            return Ok(());
        }
        ensure!(status.is_server_error(), "a request was refused with {status}: {answer}");
        counters.refusals.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("a request was refused {ATTEMPTS} times")
}
