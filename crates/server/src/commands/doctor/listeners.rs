use std::net::IpAddr;

use anyhow::{Context, bail};
use reqwest::Url;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Examination;
use crate::client::Client;
use crate::status::ListenerStatus;

/// What an HTTP/2 client says first: the preface and an empty SETTINGS frame (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Type of a SETTINGS frame, the fourth byte of its head.
const SETTINGS: u8 = 4;

/// Tries one of the ecosystem's ports.
pub(super) async fn examine(
    examination: &mut Examination,
    reader: &Client,
    sender: &Client,
    listener: &ListenerStatus,
) {
    let Some(host) = reachable_host(listener.address.ip(), reader) else { return };
    let port = listener.address.port();
    let scheme = if listener.tls { "https" } else { "http" };
    let Ok(url) = Url::parse(&format!("{scheme}://{host}:{port}")) else { return };
    let remedy = format!(
        "a firewall or proxy may stand between; look at listeners.{} in the server's configuration",
        listener.name
    );
    match listener.name.as_str() {
        "otlp_grpc" if !listener.tls => {
            examination
                .check("OTLP/gRPC", &remedy, async { greet(&format!("{host}:{port}")).await.map(|()| url.to_string()) })
                .await;
        }
        "otlp_grpc" => {
            // Whatever it answers to plain HTTP, it does so over TLS.
            let client = sender.with(Some(url.clone()), None);
            examination
                .check("OTLP/gRPC", &remedy, async { client.send(client.get("/")).await.map(|_| url.to_string()) })
                .await;
        }
        "otlp_http" => {
            let client = sender.with(Some(url.clone()), sender.token().map(str::to_owned));
            examination
                .check("OTLP/HTTP", &remedy, async {
                    client.ask(client.post("/v1/traces").json(&json!({ "resourceSpans": [] }))).await?;
                    Ok(url.to_string())
                })
                .await;
        }
        "jaeger" => {
            let client = reader.with(Some(url.clone()), reader.token().map(str::to_owned));
            examination
                .check("Jaeger API", &remedy, async {
                    client.ask(client.get("/api/services")).await?;
                    Ok(url.to_string())
                })
                .await;
        }
        "prometheus" => {
            let client = reader.with(Some(url.clone()), reader.token().map(str::to_owned));
            examination
                .check("Prometheus API", &remedy, async {
                    client.ask(client.get("/api/v1/status/buildinfo")).await?;
                    Ok(url.to_string())
                })
                .await;
        }
        _ => {}
    }
}

/// The host under which a port can be reached from here; `None` when it is for the server's own machine only.
fn reachable_host(ip: IpAddr, client: &Client) -> Option<String> {
    if ip.is_unspecified() {
        return client.base().host_str().map(str::to_owned);
    }
    if ip.is_loopback() && !client.is_local() {
        return None;
    }
    // A certificate for localhost names no address.
    if ip.is_loopback() && client.base().host_str() == Some("localhost") {
        return Some("localhost".to_owned());
    }
    Some(match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    })
}

/// Says hello in HTTP/2 and waits for the answer that a server owes.
async fn greet(address: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.write_all(PREFACE).await?;
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.with_context(|| format!("{address} hung up at HTTP/2's greeting"))?;
    if head[3] != SETTINGS {
        bail!("{address} does not speak HTTP/2");
    }
    Ok(())
}
