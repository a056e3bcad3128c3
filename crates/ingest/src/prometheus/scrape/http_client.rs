//! How a target, or a source of targets, is spoken to: the keys of Prometheus' HTTP clients.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::tls::Version;
use reqwest::{Certificate, Client, Identity, Proxy, redirect};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::{read, resolve};
use super::shown::{SECRET, Shown, redacted};

/// What a request carries and how its connection is made.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpClientConfig {
    basic_auth: Option<BasicAuth>,
    authorization: Option<Authorization>,
    bearer_token: Option<String>,
    bearer_token_file: Option<PathBuf>,
    tls_config: TlsConfig,
    proxy_url: Option<String>,
    no_proxy: Option<String>,
    proxy_from_environment: bool,
    proxy_connect_header: Option<Value>,
    oauth2: Option<Value>,
    follow_redirects: Option<bool>,
    enable_http2: Option<bool>,
    http_headers: BTreeMap<String, HeaderValues>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BasicAuth {
    username: String,
    username_file: Option<PathBuf>,
    password: String,
    password_file: Option<PathBuf>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Authorization {
    #[serde(rename = "type")]
    kind: Option<String>,
    credentials: String,
    credentials_file: Option<PathBuf>,
}

#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsConfig {
    ca: Option<String>,
    ca_file: Option<PathBuf>,
    cert: Option<String>,
    cert_file: Option<PathBuf>,
    key: Option<String>,
    key_file: Option<PathBuf>,
    server_name: Option<String>,
    insecure_skip_verify: bool,
    min_version: Option<String>,
    max_version: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HeaderValues {
    values: Vec<String>,
    secrets: Vec<String>,
    files: Vec<PathBuf>,
}

impl TlsConfig {
    /// Nothing when there is no key of it.
    fn shown(&self) -> Value {
        if *self == Self::default() {
            return Value::Null;
        }
        let mut keys = Shown::default();
        keys.add_set("ca", json!(self.ca));
        keys.add_set("ca_file", json!(self.ca_file));
        keys.add_set("cert", json!(self.cert));
        keys.add_set("cert_file", json!(self.cert_file));
        keys.add_set("key", self.key.as_ref().map(|_| SECRET));
        keys.add_set("key_file", json!(self.key_file));
        keys.add_set("server_name", json!(self.server_name));
        keys.add("insecure_skip_verify", self.insecure_skip_verify);
        keys.add_set("min_version", json!(self.min_version));
        keys.add_set("max_version", json!(self.max_version));
        keys.into()
    }
}

// Secrets stay out of logs and printed configurations.
impl fmt::Debug for HttpClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientConfig").field("proxy_url", &self.proxy_url.is_some()).finish_non_exhaustive()
    }
}

impl HttpClientConfig {
    /// The keys, which stand among those of a job or of a source of targets.
    pub(super) const KEYS: [&'static str; 13] = [
        "basic_auth",
        "authorization",
        "bearer_token",
        "bearer_token_file",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "proxy_connect_header",
        "oauth2",
        "follow_redirects",
        "enable_http2",
        "http_headers",
    ];

    /// Reads and checks the keys; files are not opened, because they may come and change later.
    pub(super) fn read(
        place: &str,
        keys: Map<String, Value>,
        folder: &Path,
        mistakes: &mut Vec<String>,
    ) -> Option<Self> {
        let mut config: Self = read(place, Value::Object(keys), mistakes)?;
        let before = mistakes.len();
        let mut wrong = |message: &str| mistakes.push(format!("{place}: {message}"));
        if config.oauth2.is_some() {
            wrong("oauth2: not supported; use authorization or basic_auth");
        }
        if config.proxy_connect_header.is_some() {
            wrong("proxy_connect_header: not supported");
        }
        let bearer = config.bearer_token.is_some() || config.bearer_token_file.is_some();
        let ways = [config.basic_auth.is_some(), config.authorization.is_some(), bearer];
        if ways.into_iter().filter(|is| *is).count() > 1 {
            wrong("at most one of basic_auth, authorization, bearer_token and bearer_token_file must be configured");
        }
        if config.bearer_token.is_some() && config.bearer_token_file.is_some() {
            wrong("at most one of bearer_token & bearer_token_file must be configured");
        }
        if let Some(authorization) = &config.authorization {
            if authorization.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("basic")) {
                wrong("authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
            }
            if !authorization.credentials.is_empty() && authorization.credentials_file.is_some() {
                wrong("at most one of authorization credentials & credentials_file must be configured");
            }
        }
        if let Some(basic) = &config.basic_auth
            && !basic.password.is_empty()
            && basic.password_file.is_some()
        {
            wrong("at most one of basic_auth password & password_file must be configured");
        }
        let tls = &config.tls_config;
        for (value, file, name) in
            [(&tls.ca, &tls.ca_file, "ca"), (&tls.cert, &tls.cert_file, "cert"), (&tls.key, &tls.key_file, "key")]
        {
            if value.is_some() && file.is_some() {
                wrong(&format!("tls_config: at most one of {name} and {name}_file must be configured"));
            }
        }
        if (tls.cert.is_some() || tls.cert_file.is_some()) != (tls.key.is_some() || tls.key_file.is_some()) {
            wrong("tls_config: a client certificate needs both cert and key");
        }
        for version in [&tls.min_version, &tls.max_version].into_iter().flatten() {
            if tls_version(version).is_none() {
                wrong(&format!("tls_config: {version:?} is no TLS version that is spoken; they are TLS12 and TLS13"));
            }
        }
        if let Some(url) = &config.proxy_url
            && Proxy::all(url).is_err()
        {
            wrong(&format!("proxy_url: {url:?} is no URL of a proxy"));
        }
        config.resolve(folder);
        (mistakes.len() == before).then_some(config)
    }

    /// Adds the keys that are in force; instead of secrets there is a word.
    pub(super) fn show(&self, shown: &mut Shown) {
        let secret = |value: &str| if value.is_empty() { "" } else { SECRET };
        if let Some(basic) = &self.basic_auth {
            let mut keys = Shown::default();
            keys.add_set("username", basic.username.as_str());
            keys.add_set("username_file", json!(basic.username_file));
            keys.add_set("password", secret(&basic.password));
            keys.add_set("password_file", json!(basic.password_file));
            shown.add("basic_auth", keys);
        }
        let authorization = self.authorization.clone().or_else(|| {
            // The older way to say the same.
            let is_bearer = self.bearer_token.is_some() || self.bearer_token_file.is_some();
            is_bearer.then(|| Authorization {
                kind: None,
                credentials: self.bearer_token.clone().unwrap_or_default(),
                credentials_file: self.bearer_token_file.clone(),
            })
        });
        if let Some(authorization) = &authorization {
            let mut keys = Shown::default();
            keys.add("type", authorization.kind.as_deref().unwrap_or("Bearer"));
            keys.add_set("credentials", secret(&authorization.credentials));
            keys.add_set("credentials_file", json!(authorization.credentials_file));
            shown.add("authorization", keys);
        }
        shown.add_set("tls_config", self.tls_config.shown());
        shown.add("follow_redirects", self.follow_redirects.unwrap_or(true));
        shown.add("enable_http2", self.enable_http2.unwrap_or(true));
        let headers = self.http_headers.iter().map(|(name, header)| {
            let mut keys = Shown::default();
            keys.add_set("values", header.values.clone());
            keys.add_set("secrets", header.secrets.iter().map(|value| secret(value)).collect::<Vec<_>>());
            keys.add_set("files", json!(header.files));
            (name.clone(), keys.into())
        });
        shown.add_set("http_headers", Value::Object(headers.collect()));
        shown.add_set("proxy_url", self.proxy_url.as_deref().map(redacted));
        shown.add_set("no_proxy", json!(self.no_proxy));
        shown.add_set("proxy_from_environment", self.proxy_from_environment);
    }

    fn resolve(&mut self, folder: &Path) {
        let tls = &mut self.tls_config;
        let mut files = vec![&mut self.bearer_token_file, &mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file];
        if let Some(basic) = &mut self.basic_auth {
            files.extend([&mut basic.username_file, &mut basic.password_file]);
        }
        if let Some(authorization) = &mut self.authorization {
            files.push(&mut authorization.credentials_file);
        }
        let headers = self.http_headers.values_mut().flat_map(|header| &mut header.files);
        for path in files.into_iter().flatten().chain(headers) {
            *path = resolve(folder, path);
        }
    }

    /// A client. `host` is where its requests go, for a certificate that is valid for another name only.
    ///
    /// # Errors
    /// What is wrong with the certificates, in words.
    pub(in crate::prometheus) fn client(&self, host: Option<&str>) -> Result<Client, String> {
        let mut builder = Client::builder().user_agent(concat!("Tripod/", env!("CARGO_PKG_VERSION")));
        if !self.proxy_from_environment {
            builder = builder.no_proxy();
        }
        if let Some(url) = &self.proxy_url {
            let exceptions = self.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
            builder = builder.proxy(Proxy::all(url).map_err(|error| error.to_string())?.no_proxy(exceptions));
        }
        let redirects = if self.follow_redirects.unwrap_or(true) {
            redirect::Policy::limited(10)
        } else {
            redirect::Policy::none()
        };
        builder = builder.redirect(redirects);
        if self.enable_http2 == Some(false) {
            builder = builder.http1_only();
        }
        let tls = &self.tls_config;
        if let Some(pem) = text(tls.ca.as_deref(), tls.ca_file.as_deref())? {
            let certificates =
                Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| format!("tls_config: ca: {error}"))?;
            builder = builder.tls_certs_only(certificates);
        }
        let certificate = text(tls.cert.as_deref(), tls.cert_file.as_deref())?;
        let key = text(tls.key.as_deref(), tls.key_file.as_deref())?;
        if let (Some(certificate), Some(key)) = (certificate, key) {
            let pem = format!("{certificate}\n{key}");
            builder = builder.identity(
                Identity::from_pem(pem.as_bytes()).map_err(|error| format!("tls_config: cert and key: {error}"))?,
            );
        }
        if tls.insecure_skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(version) = tls.min_version.as_deref().and_then(tls_version) {
            builder = builder.tls_version_min(version);
        }
        if let Some(version) = tls.max_version.as_deref().and_then(tls_version) {
            builder = builder.tls_version_max(version);
        }
        if let Some(host) = host.filter(|_| tls.server_name.is_some()) {
            builder = builder.dns_resolver(Arc::new(Elsewhere(host.to_owned())));
        }
        builder.build().map_err(|error| format!("the HTTP client cannot be made: {}", chain(&error)))
    }

    /// The name that the server's certificate is checked for, when it is not the one in the address.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.tls_config.server_name.as_deref().filter(|name| !name.is_empty())
    }

    /// The headers of a request. Files are read each time, so that a changed secret is used at once.
    ///
    /// # Errors
    /// When a file cannot be read or a text does not fit into a header.
    pub(in crate::prometheus) fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, header) in &self.http_headers {
            let name =
                HeaderName::try_from(name).map_err(|_| format!("http_headers: {name:?} is no name of a header"))?;
            let mut values: Vec<String> = header.values.iter().chain(&header.secrets).cloned().collect();
            for file in &header.files {
                values.push(read_secret(file)?);
            }
            for value in values {
                headers.append(name.clone(), header_value(&value)?);
            }
        }
        if let Some(basic) = &self.basic_auth {
            let username = secret(&basic.username, basic.username_file.as_deref())?;
            let password = secret(&basic.password, basic.password_file.as_deref())?;
            headers.insert(
                AUTHORIZATION,
                header_value(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))?,
            );
        }
        if let Some(authorization) = &self.authorization {
            let credentials = secret(&authorization.credentials, authorization.credentials_file.as_deref())?;
            let kind = authorization.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("Bearer");
            headers.insert(AUTHORIZATION, header_value(&format!("{kind} {credentials}"))?);
        }
        if self.bearer_token.is_some() || self.bearer_token_file.is_some() {
            let token = secret(self.bearer_token.as_deref().unwrap_or(""), self.bearer_token_file.as_deref())?;
            headers.insert(AUTHORIZATION, header_value(&format!("Bearer {token}"))?);
        }
        Ok(headers)
    }
}

/// An error with its causes: reqwest says "error sending request" and hides why.
pub(in crate::prometheus) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

fn tls_version(name: &str) -> Option<Version> {
    match name {
        "TLS12" => Some(Version::TLS_1_2),
        "TLS13" => Some(Version::TLS_1_3),
        // Older ones are not spoken; as the oldest that is allowed they exclude nothing.
        "TLS10" | "TLS11" => Some(Version::TLS_1_2),
        _ => None,
    }
}

fn text(value: Option<&str>, file: Option<&Path>) -> Result<Option<String>, String> {
    match (value, file) {
        (Some(value), _) => Ok(Some(value.to_owned())),
        (None, Some(file)) => read_file(file).map(Some),
        (None, None) => Ok(None),
    }
}

fn secret(value: &str, file: Option<&Path>) -> Result<String, String> {
    file.map_or_else(|| Ok(value.to_owned()), read_secret)
}

fn read_secret(file: &Path) -> Result<String, String> {
    Ok(read_file(file)?.trim().to_owned())
}

fn read_file(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}

fn header_value(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "a secret or header holds characters that no header may".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Resolves every name to the addresses of one host: the URL then can carry the name that the certificate is for.
struct Elsewhere(String);

impl Resolve for Elsewhere {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
