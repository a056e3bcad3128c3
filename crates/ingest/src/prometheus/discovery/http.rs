use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use reqwest::Client;
use tokio::sync::watch;
use url::Url;

use super::{TargetGroup, parse, publish};
use crate::prometheus::scrape::{HttpClientConfig, chain};

/// How large a list of targets may be.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// `http_sd_configs`: an endpoint that answers with target groups in JSON.
#[derive(Clone, Debug)]
pub struct HttpDiscovery {
    /// The endpoint.
    pub url: Url,
    /// How often it is asked; 1 minute by default.
    pub refresh: Duration,
    /// How it is spoken to.
    pub http: HttpClientConfig,
}

impl HttpDiscovery {
    pub(super) async fn run(&self, job: &str, groups: watch::Sender<Option<Vec<TargetGroup>>>) {
        let mut client = None;
        loop {
            let asked = match &client {
                Some(client) => self.ask(client).await,
                None => match self.http.client(None) {
                    Ok(new) => self.ask(client.insert(new)).await,
                    Err(error) => Err(error),
                },
            };
            match asked {
                Ok(new) => publish(&groups, new),
                Err(error) => {
                    tracing::warn!(job, url = %self.url, error, "no targets from HTTP; those that it gave before stay");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.refresh) => {}
                () = groups.closed() => return,
            }
        }
    }

    async fn ask(&self, client: &Client) -> Result<Vec<TargetGroup>, String> {
        let request = client
            .get(self.url.clone())
            .headers(self.http.headers()?)
            .header(ACCEPT, "application/json")
            .header("x-prometheus-refresh-interval-seconds", self.refresh.as_secs_f64().to_string())
            .timeout(self.refresh.max(Duration::from_secs(1)));
        let mut response = request.send().await.map_err(|error| chain(&error))?;
        if response.status() != 200 {
            return Err(format!("server returned HTTP status {}", response.status()));
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        if !content_type.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
            return Err(format!("unsupported content type {content_type:?}; it must be application/json"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(format!("the answer is larger than {MAX_BODY} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(body).map_err(|error| error.to_string())?;
        let mut groups = parse(&text)?;
        for group in &mut groups {
            group.labels.insert("__meta_url".to_owned(), self.url.to_string());
        }
        Ok(groups)
    }
}
