//! How commands speak to a running server.

use anyhow::{Context, anyhow};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode, Url};
use std::time::Duration;

use crate::cli::ServerArgs;

/// A server that listens answers its SYN at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Speaks to one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

impl Client {
    /// A client for the server that the arguments name.
    ///
    /// # Errors
    /// When the URL or the certificate cannot be used.
    pub(crate) fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let address = args.server.trim();
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let base =
            Url::parse(&address)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or_else(|| anyhow!("\"{}\" is no server; write for example http://127.0.0.1:6767", args.server))?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("tripod/", env!("CARGO_PKG_VERSION")));
        if is_local(&base) {
            // A proxy that the environment names for the outside cannot reach this machine's loopback.
            builder = builder.no_proxy();
        }
        if let Some(path) = &args.ca_certificate {
            let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} is no certificate in PEM form", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().context("cannot set up HTTP")?;
        Ok(Self { http, base, token: args.token.clone() })
    }

    /// The same, with another token and another server.
    pub(crate) fn with(&self, base: Option<Url>, token: Option<String>) -> Self {
        Self { http: self.http.clone(), base: base.unwrap_or_else(|| self.base.clone()), token }
    }

    /// The server's URL.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The token that requests carry.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether the server is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        is_local(&self.base)
    }

    /// A GET of a path that begins with a slash.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.authorize(self.http.get(self.url(path)))
    }

    /// A POST to a path that begins with a slash.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.authorize(self.http.post(self.url(path)))
    }

    /// Sends a request and gives the answer, whatever its status.
    ///
    /// # Errors
    /// When no server answers.
    pub(crate) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        request.send().await.map_err(|error| self.explain(error))
    }

    /// Sends a request and gives the answer of a success.
    ///
    /// # Errors
    /// When no server answers, or it refuses; then in its own words.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// What an answer that is no success says, and what to do.
    pub(crate) async fn refusal(&self, response: Response) -> anyhow::Error {
        let status = response.status();
        let text = error_text(&response.text().await.unwrap_or_default());
        match status {
            StatusCode::UNAUTHORIZED => {
                anyhow!("the server asks for a token; give it with --token or TRIPOD_TOKEN ({text})")
            }
            StatusCode::NOT_FOUND => {
                anyhow!("{} answers {status}; is it the front door of a tripod server?", self.base)
            }
            _ if text.is_empty() => anyhow!("the server answered {status}"),
            _ => anyhow!("{text}"),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn explain(&self, error: reqwest::Error) -> anyhow::Error {
        let base = self.base.as_str().trim_end_matches('/');
        if error.is_connect() {
            let cause = anyhow::Error::new(error.without_url());
            let cause = cause.root_cause().to_string();
            return anyhow!(
                "no server answers at {base} ({cause}); start one with: tripod serve, or name another with --server \
                 or TRIPOD_SERVER"
            );
        }
        if error.is_timeout() {
            return anyhow!("{base} did not answer in time");
        }
        anyhow::Error::new(error.without_url()).context(format!("speaking to {base} failed"))
    }
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The message in an error's body: the member `error` or `message` of a JSON object, else the text as it is.
pub(crate) fn error_text(body: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(alias = "message")]
        error: String,
    }
    serde_json::from_str::<Body>(body).map_or_else(|_| body.trim().to_owned(), |body| body.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(server: &str) -> anyhow::Result<Client> {
        Client::new(&ServerArgs { server: server.to_owned(), token: None, ca_certificate: None })
    }

    #[test]
    fn servers_are_named_by_url_or_by_host_and_port() {
        for (text, url) in [
            ("http://127.0.0.1:6767", "http://127.0.0.1:6767/health"),
            ("localhost:6767/", "http://localhost:6767/health"),
            ("https://example.com/tripod/", "https://example.com/tripod/health"),
        ] {
            assert_eq!(client(text).unwrap().url("/health"), url);
        }
        assert!(client("ftp://example.com").is_err());
        assert!(client("http://").is_err());
    }

    #[test]
    fn errors_are_shown_in_the_servers_words() {
        assert_eq!(error_text(r#"{"error":"no column \"nme\""}"#), "no column \"nme\"");
        assert_eq!(error_text(r#"{"code":3,"message":"bad field"}"#), "bad field");
        assert_eq!(error_text("plain\n"), "plain");
        assert_eq!(error_text(""), "");
    }
}
