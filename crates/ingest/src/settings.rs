use std::fmt;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};
use tripod_otlp::Limits;

/// See [`Settings::check`].
const LARGEST_BODY: usize = 512 * MIB;
const MIB: usize = 1024 * 1024;

/// What receivers accept, from whom, and how much of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How large a request's body may be as it comes over the network, in bytes.
    pub max_request_bytes: usize,
    /// How large a request's body may become when it is decompressed, in bytes.
    pub max_decompressed_bytes: usize,
    /// How many bytes all requests that are being worked on may hold together, as received and decompressed. A request
    /// that would go beyond is told to try again.
    pub max_in_flight_bytes: usize,
    /// How many requests may be worked on at once. One more is told to try again.
    pub max_concurrent_requests: usize,
    /// How long a sender may pause within a request's body, in seconds.
    pub read_timeout_seconds: u64,
    /// What every request must carry as `Authorization: Bearer …`. Without it anyone who reaches the port may send.
    pub bearer_token: Option<String>,
    /// Web origins, for example `https://app.example.com`, whose pages may send over HTTP; `*` for all of them. Empty
    /// switches CORS off.
    pub cors_allowed_origins: Vec<String>,
    /// How many spans, log records or metric points a request may carry.
    pub max_records_per_request: usize,
    /// How deep attribute values and log bodies may nest; the value itself is level 1.
    pub max_attribute_depth: usize,
}

impl Default for Settings {
    /// 16 MiB received, 64 MiB decompressed, 256 MiB in flight, 1024 requests at once, 30 s of pause, no token, no CORS,
    /// and the decoder's own limits of records and depth.
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_request_bytes: 16 * MIB,
            max_decompressed_bytes: 64 * MIB,
            max_in_flight_bytes: 256 * MIB,
            max_concurrent_requests: 1024,
            read_timeout_seconds: 30,
            bearer_token: None,
            cors_allowed_origins: Vec::new(),
            max_records_per_request: limits.max_records,
            max_attribute_depth: limits.max_depth,
        }
    }
}

// By hand, so that a printed configuration does not give the token away.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_decompressed_bytes", &self.max_decompressed_bytes)
            .field("max_in_flight_bytes", &self.max_in_flight_bytes)
            .field("max_concurrent_requests", &self.max_concurrent_requests)
            .field("read_timeout_seconds", &self.read_timeout_seconds)
            .field("bearer_token", &self.bearer_token.as_ref().map(|_| "…"))
            .field("cors_allowed_origins", &self.cors_allowed_origins)
            .field("max_records_per_request", &self.max_records_per_request)
            .field("max_attribute_depth", &self.max_attribute_depth)
            .finish()
    }
}

impl Settings {
    /// Looks for values that cannot work.
    ///
    /// # Errors
    /// All mistakes, each beginning with the key that it is about.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut mistakes = Vec::new();
        for (key, value) in [
            ("max_request_bytes", self.max_request_bytes),
            ("max_decompressed_bytes", self.max_decompressed_bytes),
            ("max_concurrent_requests", self.max_concurrent_requests),
            ("max_records_per_request", self.max_records_per_request),
            ("max_attribute_depth", self.max_attribute_depth),
        ] {
            if value == 0 {
                mistakes.push(format!("{key}: must be at least 1, or every request is refused"));
            }
        }
        if self.read_timeout_seconds == 0 {
            mistakes.push("read_timeout_seconds: must be at least 1, or every request is refused".to_owned());
        }
        if self.max_decompressed_bytes > LARGEST_BODY {
            mistakes.push(format!(
                "max_decompressed_bytes: must be at most {LARGEST_BODY}: the text of one request grows up to six times \
                 when it is stored, and must stay below 4 GiB"
            ));
        }
        let largest = self.max_request_bytes.saturating_add(self.max_decompressed_bytes);
        if self.max_in_flight_bytes < largest {
            mistakes.push(format!(
                "max_in_flight_bytes: must be at least {largest}, the sum of max_request_bytes and \
                 max_decompressed_bytes, or the largest request can never be accepted"
            ));
        }
        match self.bearer_token.as_deref() {
            Some("") => mistakes.push("bearer_token: is empty; leave it out to accept everyone".to_owned()),
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                mistakes.push("bearer_token: must consist of visible ASCII characters, to fit into a header".to_owned())
            }
            _ => {}
        }
        for origin in &self.cors_allowed_origins {
            if origin == "*" {
                if self.cors_allowed_origins.len() > 1 {
                    mistakes.push("cors_allowed_origins: \"*\" allows every origin; list nothing beside it".to_owned());
                }
            } else if !is_origin(origin) {
                mistakes.push(format!(
                    "cors_allowed_origins: \"{origin}\" is no origin; write it as browsers do, scheme, host and port \
                     in lower case without a path, for example https://app.example.com or http://localhost:3000"
                ));
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        Duration::from_secs(self.read_timeout_seconds)
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { max_records: self.max_records_per_request, max_depth: self.max_attribute_depth, ..Limits::default() }
    }
}

/// Browsers send an origin in one form only and it is compared as text, so another spelling would never match.
fn is_origin(text: &str) -> bool {
    let Some((_, authority)) = text.split_once("://") else { return false };
    let Some(host) = text.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)) else { return false };
    let port = authority.strip_prefix(host.as_str());
    !host.is_empty()
        && !text.contains(|letter: char| letter.is_ascii_uppercase() || letter == '*')
        && port.is_some_and(|port| {
            port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(Settings::default().check(), Ok(()));
        let read: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(read.max_request_bytes, 16 * MIB);
        assert_eq!(read.limits(), Limits::default());
    }

    #[test]
    fn every_mistake_is_listed_with_its_key() {
        let settings = Settings {
            max_request_bytes: 0,
            max_in_flight_bytes: 1,
            read_timeout_seconds: 0,
            bearer_token: Some("two words".to_owned()),
            cors_allowed_origins: vec!["app.example.com".to_owned(), "*".to_owned()],
            ..Settings::default()
        };
        let mistakes = settings.check().unwrap_err();
        let keys: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.split_once(": ")).map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "max_request_bytes",
                "read_timeout_seconds",
                "max_in_flight_bytes",
                "bearer_token",
                "cors_allowed_origins",
                "cors_allowed_origins"
            ]
        );
    }

    #[test]
    fn origins_are_told_from_other_urls() {
        for text in ["https://app.example.com", "http://localhost:3000", "http://[::1]:8080", "capacitor://localhost"] {
            assert!(is_origin(text), "{text}");
        }
        for text in [
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "https://",
            "https://user@host",
            "https://host:",
            "https://host:port",
            "https://*.example.com",
            "https://a b",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        let settings = Settings { bearer_token: Some("hunter2".to_owned()), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<Settings>(r#"{"max_request_byte": 1}"#).unwrap_err();
        assert!(error.to_string().contains("max_request_byte"), "{error}");
    }
}
