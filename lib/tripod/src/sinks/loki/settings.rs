use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::context::decode_percent;
use crate::network::QueueOptions;
use crate::network::http::Tls;

/// How lines travel to Loki.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf, compressed with snappy: what Promtail and Alloy send.
    #[default]
    Snappy,
    /// JSON, compressed with gzip.
    GzipJson,
    /// JSON as it is.
    Json,
}

/// Where Loki is and what it gets.
#[derive(Clone, Debug)]
pub struct LokiSettings {
    pub(super) url: http::Uri,
    pub(super) labels: Vec<(String, String)>,
    pub(super) label_fields: Vec<String>,
    pub(super) metadata: bool,
    pub(super) encoding: Encoding,
    pub(super) tenant: Option<http::HeaderValue>,
    pub(super) authorization: Option<http::HeaderValue>,
    pub(super) tls: Tls,
    pub(super) queue: QueueOptions,
}

/// A setting that Loki would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidLokiSettings {
    /// The endpoint is no URL with `http` or `https` and a host.
    Endpoint(String),
    /// Labels have letters, digits and `_`, and do not begin with a digit.
    Label(String),
    /// A header's value has visible ASCII characters only.
    Header(&'static str),
}

impl fmt::Display for InvalidLokiSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(text) => write!(f, "`{text}` is no address of Loki; an example is http://loki:3100"),
            Self::Label(name) => {
                write!(f, "`{name}` is no name of a label: letters, digits and `_`, no digit at the beginning")
            }
            Self::Header(what) => write!(f, "the {what} for Loki has characters that a header cannot carry"),
        }
    }
}

impl std::error::Error for InvalidLokiSettings {}

const PUSH: &str = "/loki/api/v1/push";

impl LokiSettings {
    /// Loki at this address, for example `http://loki:3100`. The path of the push API is added when it is not there.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(endpoint: &str) -> Result<Self, InvalidLokiSettings> {
        let invalid = || InvalidLokiSettings::Endpoint(endpoint.to_owned());
        let mut url = url::Url::parse(endpoint).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid());
        }
        let authorization = basic(&url);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        if !url.path().ends_with(PUSH) {
            let path = format!("{}{PUSH}", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok(Self {
            url: url.as_str().parse().map_err(|_| invalid())?,
            labels: Vec::new(),
            label_fields: Vec::new(),
            metadata: false,
            encoding: Encoding::default(),
            tenant: None,
            authorization,
            tls: Tls::default(),
            queue: QueueOptions::default(),
        })
    }

    /// Adds a label to every line: `service`, `environment`. The label `level` is always there.
    ///
    /// # Errors
    /// When the name is none of a label.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<Self, InvalidLokiSettings> {
        let name = checked(name.into())?;
        self.labels.retain(|(other, _)| *other != name);
        self.labels.push((name, value.into()));
        Ok(self)
    }

    /// Makes a label of a field, for the lines that have it. Only for fields of few values, such as `job_type`: every
    /// combination of labels is a stream of its own.
    ///
    /// # Errors
    /// When the name is none of a label.
    pub fn label_field(mut self, name: impl Into<String>) -> Result<Self, InvalidLokiSettings> {
        let name = checked(name.into())?;
        if !self.label_fields.contains(&name) {
            self.label_fields.push(name);
        }
        Ok(self)
    }

    /// Sends the ids of the context as structured metadata (Loki 3, or 2.9 with `allow_structured_metadata`).
    pub fn structured_metadata(mut self) -> Self {
        self.metadata = true;
        self
    }

    /// How lines travel.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The tenant: the header `X-Scope-OrgID`.
    ///
    /// # Errors
    /// When a header cannot carry it.
    pub fn tenant(mut self, tenant: &str) -> Result<Self, InvalidLokiSettings> {
        self.tenant = Some(tenant.parse().map_err(|_| InvalidLokiSettings::Header("tenant"))?);
        Ok(self)
    }

    /// Authorises with a bearer token. A user and password are taken from the address.
    ///
    /// # Errors
    /// When a header cannot carry it.
    pub fn bearer_token(mut self, token: &str) -> Result<Self, InvalidLokiSettings> {
        let mut value: http::HeaderValue =
            format!("Bearer {token}").parse().map_err(|_| InvalidLokiSettings::Header("bearer token"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// What Loki is trusted by, if not by the certificates of the system.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Bytes that wait, batches and pauses.
    pub fn queue(mut self, options: QueueOptions) -> Self {
        self.queue = options;
        self
    }
}

fn checked(name: String) -> Result<String, InvalidLokiSettings> {
    let is_label = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if is_label { Ok(name) } else { Err(InvalidLokiSettings::Label(name)) }
}

/// `Basic …` of the user and password in the address.
fn basic(url: &url::Url) -> Option<http::HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let pair = format!("{}:{}", decode_percent(url.username()), decode_percent(url.password().unwrap_or_default()));
    let mut value: http::HeaderValue = format!("Basic {}", STANDARD.encode(pair)).parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_may_have_a_path_and_a_user() {
        let settings = LokiSettings::new("http://user:p%40ss@loki:3100/").unwrap();
        assert_eq!(settings.url, "http://loki:3100/loki/api/v1/push");
        assert_eq!(settings.authorization.unwrap(), "Basic dXNlcjpwQHNz");
        assert_eq!(LokiSettings::new("https://x/loki/api/v1/push").unwrap().url, "https://x/loki/api/v1/push");
        assert_eq!(LokiSettings::new("https://x/prefix").unwrap().url, "https://x/prefix/loki/api/v1/push");
        for endpoint in ["", "loki:3100", "ftp://loki", "http://"] {
            assert!(LokiSettings::new(endpoint).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn wrong_labels_are_refused() {
        let settings = LokiSettings::new("http://loki:3100").unwrap().label("service", "api").unwrap();
        assert_eq!(settings.clone().label("a-b", "x").unwrap_err(), InvalidLokiSettings::Label("a-b".to_owned()));
        assert!(settings.clone().label_field("1st").is_err());
        assert!(settings.tenant("a\nb").is_err());
    }
}
