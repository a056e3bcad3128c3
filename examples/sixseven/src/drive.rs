//! Traffic from within, so that one command shows a living system.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

const COMMANDS: &[&str] = &[
    "research quantum computing",
    "find the tallest tree",
    "what is a monad",
    "create an image of a red bridge",
    "draw a fox in the snow",
    "edit my picture",
    "hello there",
];

/// Sends so many commands a second, reads and lists jobs in between, and cancels one in ten. Never ends.
pub async fn drive(address: SocketAddr, per_second: f64) {
    let client = reqwest::Client::new();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second.clamp(0.01, 10_000.0)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let (client, base) = (client.clone(), format!("http://{address}"));
        tokio::spawn(async move {
            // Who is not answered tries no further: the next command comes soon.
            let _ = one(&client, &base).await;
        });
    }
}

async fn one(client: &reqwest::Client, base: &str) -> reqwest::Result<()> {
    let text = COMMANDS[rand::random_range(..COMMANDS.len())];
    let body = json!({"text": text, "session_id": format!("driver-{}", rand::random_range(..8u8))});
    let reply: Value = client.post(format!("{base}/command")).json(&body).send().await?.json().await?;
    let Some(job) = reply["job_id"].as_str() else { return Ok(()) };
    match rand::random_range(..10u8) {
        0 => client.delete(format!("{base}/jobs/{job}")).send().await?,
        1 => client.get(format!("{base}/jobs")).send().await?,
        _ => client.get(format!("{base}/jobs/{job}")).send().await?,
    };
    Ok(())
}
