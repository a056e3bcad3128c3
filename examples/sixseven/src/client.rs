//! Calls to the providers.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde::Deserialize;
use serde_json::Value;
use tripod::http::client::HttpClientMiddleware;
use tripod::jobs::JobObserver;
use tripod::metrics::{MetricError, Registry};

/// Where the providers are.
#[derive(Clone, Debug, clap::Args)]
pub struct ProviderUrls {
    /// The base URL of Yutori.
    #[arg(long, env = "SIXSEVEN_YUTORI_URL", default_value = "http://127.0.0.1:8001")]
    pub yutori_url: String,
    /// The base URL of Freepik.
    #[arg(long, env = "SIXSEVEN_FREEPIK_URL", default_value = "http://127.0.0.1:8001")]
    pub freepik_url: String,
    /// Milliseconds between two polls of a task.
    #[arg(long, env = "SIXSEVEN_POLL_MS", default_value_t = 200)]
    pub poll_ms: u64,
}

/// A call that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// There was no answer that could be read.
    #[error("{provider} could not be asked: {source}")]
    Transport {
        /// Who was asked.
        provider: &'static str,
        /// Why not.
        source: reqwest_middleware::Error,
    },
    /// It refused.
    #[error("{provider} answered {status}")]
    Refused {
        /// Who was asked.
        provider: &'static str,
        /// Its status code.
        status: u16,
    },
}

/// What a provider says about a task.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// The task, when there is more to come.
    pub task_id: Option<String>,
    /// `queued`, `running`, `succeeded`.
    pub status: String,
    /// What came out.
    pub result: Option<String>,
}

/// Asks the providers. Cloning is cheap and shares.
#[derive(Clone, Debug)]
pub struct Providers {
    client: ClientWithMiddleware,
    observer: JobObserver,
    urls: ProviderUrls,
}

impl Providers {
    /// The observer counts the calls, so the middleware does not.
    ///
    /// # Errors
    /// When a metric's name is in use.
    pub fn new(registry: &Registry, observer: JobObserver, urls: ProviderUrls) -> Result<Self, MetricError> {
        let name = |request: &reqwest::Request| format!("http_{}", request.method().as_str().to_ascii_lowercase());
        let observe = HttpClientMiddleware::builder().metrics(false).span_name(name).build(registry)?;
        let client = ClientBuilder::new(reqwest::Client::new()).with(observe).build();
        Ok(Self { client, observer, urls })
    }

    /// The pause between two polls.
    pub fn poll_pause(&self) -> Duration {
        Duration::from_millis(self.urls.poll_ms)
    }

    /// Has Yutori begin a research task.
    ///
    /// # Errors
    /// When it cannot be asked or refuses.
    pub async fn create_research(&self, query: &str) -> Result<Answer, ProviderError> {
        let body = serde_json::json!({ "query": query });
        self.call("yutori", "create_task", Method::POST, format!("{}/research/tasks", self.urls.yutori_url), body).await
    }

    /// Asks Yutori how a task stands.
    ///
    /// # Errors
    /// When it cannot be asked or refuses.
    pub async fn poll_research(&self, task_id: &str) -> Result<Answer, ProviderError> {
        let url = format!("{}/research/tasks/{task_id}", self.urls.yutori_url);
        self.call("yutori", "poll_task", Method::GET, url, Value::Null).await
    }

    /// Has Freepik make an image. It delivers at once, or promises.
    ///
    /// # Errors
    /// When it cannot be asked or refuses.
    pub async fn create_image(&self, prompt: &str) -> Result<Answer, ProviderError> {
        let body = serde_json::json!({ "prompt": prompt });
        let url = format!("{}/images", self.urls.freepik_url);
        self.call("freepik", "generate_image", Method::POST, url, body).await
    }

    /// Asks Freepik for an image that it has promised.
    ///
    /// # Errors
    /// When it cannot be asked or refuses.
    pub async fn poll_image(&self, task_id: &str) -> Result<Answer, ProviderError> {
        let url = format!("{}/images/{task_id}", self.urls.freepik_url);
        self.call("freepik", "poll_image", Method::GET, url, Value::Null).await
    }

    async fn call(
        &self,
        provider: &'static str,
        operation: &str,
        method: Method,
        url: String,
        body: Value,
    ) -> Result<Answer, ProviderError> {
        let started = Instant::now();
        let mut request = self.client.request(method, url).timeout(Duration::from_secs(30));
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = async {
            let response = request.send().await.map_err(|source| ProviderError::Transport { provider, source })?;
            let status = response.status();
            if !status.is_success() {
                return Err(ProviderError::Refused { provider, status: status.as_u16() });
            }
            let broken = |error: reqwest::Error| ProviderError::Transport { provider, source: error.into() };
            response.json().await.map_err(broken)
        }
        .await;
        self.observer.external_api_call(provider, operation, started.elapsed(), answer.is_ok());
        answer
    }
}
