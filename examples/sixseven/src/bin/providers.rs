//! Stands in for Yutori and Freepik: `providers --listen 127.0.0.1:8001 --latency-ms 200 --error-rate 0.05`.

use std::net::SocketAddr;

use clap::Parser;
use sixseven::providers::{Behaviour, router};

/// Stands in for the providers of sixseven.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "PROVIDERS_LISTEN", default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    #[command(flatten)]
    behaviour: Behaviour,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    println!("providers listen on http://{}", listener.local_addr()?);
    axum::serve(listener, router(arguments.behaviour)).await?;
    Ok(())
}
