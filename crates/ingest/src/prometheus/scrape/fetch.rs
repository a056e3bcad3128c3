use std::io::Read;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use reqwest::Client;

use super::config::{JobConfig, ScrapeProtocol};
use super::http_client::chain;
use super::target::Target;
use crate::prometheus::exposition::Format;

/// How large a body may be when the job sets no limit.
const MAX_BODY: u64 = 512 * 1024 * 1024;

/// An exposition as it came.
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    pub(super) format: Format,
}

/// Asks a target for its metrics.
///
/// # Errors
/// Why it gave none, in words.
pub(super) async fn fetch(client: &Client, job: &JobConfig, target: &Target) -> Result<Fetched, String> {
    let timeout = target.timeout;
    match tokio::time::timeout(timeout, ask(client, job, target)).await {
        Ok(result) => result,
        Err(_) => Err(format!("Get \"{}\": context deadline exceeded: no answer within {timeout:?}", target.url)),
    }
}

async fn ask(client: &Client, job: &JobConfig, target: &Target) -> Result<Fetched, String> {
    let mut url = target.url.clone();
    let mut host = None;
    if let Some(name) = job.http.server_name() {
        host = url.host_str().map(|host| match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        url.set_host(Some(name)).map_err(|error| format!("tls_config: server_name: {error}"))?;
    }
    let mut request = client
        .get(url)
        .headers(job.http.headers()?)
        .header(ACCEPT, accept(&job.protocols))
        .header(ACCEPT_ENCODING, if job.compression { "gzip" } else { "identity" })
        .header("x-prometheus-scrape-timeout-seconds", seconds(target.timeout));
    if let Some(host) = host {
        request = request.header(HOST, host);
    }
    let mut response = request.send().await.map_err(|error| format!("Get \"{}\": {}", target.url, chain(&error)))?;
    if response.status() != 200 {
        return Err(format!("server returned HTTP status {}", response.status()));
    }
    let header =
        |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok()).unwrap_or("");
    let format = format(header(CONTENT_TYPE), job.fallback_protocol)?;
    let is_gzip = header(CONTENT_ENCODING).eq_ignore_ascii_case("gzip");
    let limit = if job.limits.body_size == 0 { MAX_BODY } else { job.limits.body_size };
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        // Compressed bytes are fewer than what they become, so that the limit holds for them too.
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    if is_gzip {
        body = gunzip(&body, limit)?;
    }
    Ok(Fetched { body, format })
}

fn gunzip(body: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(4));
    let read = MultiGzDecoder::new(body).take(limit.saturating_add(1)).read_to_end(&mut out);
    read.map_err(|error| format!("the body is not valid gzip data: {error}"))?;
    if out.len() as u64 > limit { Err(too_large(limit)) } else { Ok(out) }
}

fn too_large(limit: u64) -> String {
    format!("body size limit exceeded: the body has more than {limit} bytes")
}

fn format(content_type: &str, fallback: Option<ScrapeProtocol>) -> Result<Format, String> {
    if let Some(format) = Format::from_content_type(content_type) {
        return Ok(format);
    }
    match fallback {
        Some(ScrapeProtocol::PrometheusProto) => Ok(Format::Protobuf),
        Some(ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::PrometheusText1_0_0) => Ok(Format::Text),
        Some(ScrapeProtocol::OpenMetricsText0_0_1 | ScrapeProtocol::OpenMetricsText1_0_0) => Ok(Format::OpenMetrics),
        None if content_type.is_empty() => Err("non-compliant scrape target sending blank Content-Type and no \
                                                fallback_scrape_protocol specified for target"
            .to_owned()),
        None => Err(format!(
            "received unsupported Content-Type {content_type:?} and no fallback_scrape_protocol specified for target"
        )),
    }
}

/// The protocols with falling weights, and anything at all last.
fn accept(protocols: &[ScrapeProtocol]) -> String {
    let mut text = String::new();
    let mut weight = protocols.len() + 1;
    for protocol in protocols {
        let name = match protocol {
            ScrapeProtocol::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            ScrapeProtocol::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            ScrapeProtocol::PrometheusText1_0_0 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            ScrapeProtocol::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            ScrapeProtocol::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
        };
        text.push_str(&format!("{name};q=0.{weight},"));
        weight -= 1;
    }
    text.push_str(&format!("*/*;q=0.{weight}"));
    text
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_asked_for_in_their_order() {
        assert_eq!(
            accept(&[ScrapeProtocol::OpenMetricsText1_0_0, ScrapeProtocol::PrometheusText0_0_4]),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
    }

    #[test]
    fn an_unknown_form_needs_a_fallback() {
        assert_eq!(format("text/plain; version=0.0.4", None), Ok(Format::Text));
        assert!(format("", None).unwrap_err().contains("blank Content-Type"));
        assert!(format("text/html", None).unwrap_err().contains("text/html"));
        assert_eq!(format("text/html", Some(ScrapeProtocol::PrometheusProto)), Ok(Format::Protobuf));
    }

    #[test]
    fn a_body_is_bounded_when_it_is_decompressed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &[7; 1000]).unwrap();
        let body = encoder.finish().unwrap();
        assert_eq!(gunzip(&body, 1000).unwrap().len(), 1000);
        assert!(gunzip(&body, 999).unwrap_err().contains("limit"));
        assert!(gunzip(&body[..10], 999).is_err());
    }
}
