//! The configuration: one tree of settings, filled from defaults, one YAML file, the environment and flags.
//!
//! What a setting means and whether its value can work is known by the crate that uses it; this module only knows
//! where the sections hang, what listeners are, and how to say what is wrong with a value and where it stands.

mod assemble;
mod document;
mod environment;
mod expand;
mod mistake;
mod print;
mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use assemble::{Overrides, load};
pub(crate) use mistake::{Mistake, Mistakes, Origin};
pub(crate) use print::print;
pub(crate) use units::Unit;

/// Every key with its default and what it means; a test says when it is stale.
pub(crate) const DEFAULTS: &str = include_str!("../defaults.yaml");

/// Everything that can be set.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where all data lies.
    pub(crate) data_dir: PathBuf,
    /// Where the server listens.
    pub(crate) listeners: Listeners,
    /// Connections, and how the server stops.
    pub(crate) server: Server,
    /// The receivers.
    pub(crate) ingest: tripod_ingest::Settings,
    /// What is scraped, and how series come in.
    pub(crate) prometheus: tripod_ingest::prometheus::Settings,
    /// The query APIs.
    pub(crate) api: Api,
    /// The lake.
    pub(crate) store: tripod_lake::Settings,
    /// The server's own log.
    pub(crate) logging: Logging,
}

/// The ports of the server.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listeners {
    /// Health, metrics, SQL, and every other API under its prefix.
    pub(crate) front_door: Listener,
    /// OTLP over gRPC.
    pub(crate) otlp_grpc: Listener,
    /// OTLP over HTTP.
    pub(crate) otlp_http: Listener,
    /// The Jaeger query API.
    pub(crate) jaeger: Listener,
    /// Prometheus' HTTP API.
    pub(crate) prometheus: Listener,
}

/// One port.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// Whether to listen at all.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// Host and port; port 0 takes any free one.
    pub(crate) address: String,
    /// Certificate and key; plain text without them.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
}

/// What a listener needs for TLS.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file with the server's certificate, followed by those that lead to the authority's.
    pub(crate) certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub(crate) key: PathBuf,
}

/// Limits of connections, the same for every listener, and how the server stops.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// How long running requests may go on once the server was told to stop.
    pub(crate) shutdown_deadline_seconds: u64,
    /// Connections per listener; further clients wait to be accepted.
    pub(crate) max_connections: usize,
    /// TLS handshake and head of the first request must be there by then.
    pub(crate) header_timeout_seconds: u64,
    /// A request's body must be there by then.
    pub(crate) body_timeout_seconds: u64,
    /// A connection on which nothing moves for so long is closed.
    pub(crate) idle_timeout_seconds: u64,
    /// Size of a request's head.
    pub(crate) max_header_bytes: u32,
    /// Requests at the same time on one HTTP/2 connection.
    pub(crate) http2_max_concurrent_streams: u32,
    /// How often a quiet HTTP/2 connection is asked whether it is still there.
    pub(crate) http2_keep_alive_seconds: u64,
}

/// The query APIs.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    /// What every query must carry as `Authorization: Bearer …`.
    pub(crate) bearer_token: Option<String>,
    /// `/api/v1/sql`.
    pub(crate) sql: tripod_api::SqlSettings,
    /// The Jaeger query API.
    pub(crate) jaeger: tripod_api::JaegerSettings,
    /// PromQL and Prometheus' HTTP API.
    pub(crate) prometheus: tripod_api::PrometheusSettings,
}

/// The server's own log.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Logging {
    /// The least severity that is logged, or filter directives.
    pub(crate) level: String,
    /// How a line looks.
    pub(crate) format: LogFormat,
}

/// How a line of the server's log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// For people.
    Pretty,
    /// For machines, one object a line.
    Json,
}

fn yes() -> bool {
    true
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("tripod-data"),
            listeners: Listeners::default(),
            server: Server::default(),
            ingest: tripod_ingest::Settings::default(),
            prometheus: tripod_ingest::prometheus::Settings::default(),
            api: Api::default(),
            store: tripod_lake::Settings::default(),
            logging: Logging::default(),
        }
    }
}

impl Default for Listeners {
    fn default() -> Self {
        let on = |port: u16| Listener { enabled: true, address: format!("127.0.0.1:{port}"), tls: None };
        Self { front_door: on(6767), otlp_grpc: on(4317), otlp_http: on(4318), jaeger: on(16686), prometheus: on(9090) }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            shutdown_deadline_seconds: 10,
            max_connections: 1024,
            header_timeout_seconds: 10,
            body_timeout_seconds: 60,
            idle_timeout_seconds: 180,
            max_header_bytes: 64 << 10,
            http2_max_concurrent_streams: 256,
            http2_keep_alive_seconds: 30,
        }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Listeners {
    /// All listeners with their names, in the order in which they are opened.
    pub(crate) fn iter(&self) -> [(&'static str, &Listener); 5] {
        [
            ("front_door", &self.front_door),
            ("otlp_grpc", &self.otlp_grpc),
            ("otlp_http", &self.otlp_http),
            ("jaeger", &self.jaeger),
            ("prometheus", &self.prometheus),
        ]
    }
}

impl Server {
    /// How long running requests may go on once the server was told to stop.
    pub(crate) fn shutdown_deadline(&self) -> Duration {
        Duration::from_secs(self.shutdown_deadline_seconds)
    }
}

impl Settings {
    /// Settings in which every optional section is there, to know which keys exist and what they hold.
    fn shape() -> Self {
        let mut shape = Self::default();
        let listeners = &mut shape.listeners;
        for listener in [
            &mut listeners.front_door,
            &mut listeners.otlp_grpc,
            &mut listeners.otlp_http,
            &mut listeners.jaeger,
            &mut listeners.prometheus,
        ] {
            listener.tls = Some(Tls { certificate: PathBuf::new(), key: PathBuf::new() });
        }
        shape.ingest.bearer_token = Some(String::new());
        shape.prometheus.config_file = Some(PathBuf::new());
        shape.api.bearer_token = Some(String::new());
        shape
    }

    /// Looks for values that cannot work, as pairs of a key and what is wrong with it.
    fn check(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut mistake = |key: &str, message: String| mistakes.push((key.to_owned(), message));
        for (name, listener) in self.listeners.iter() {
            if !listener.enabled {
                continue;
            }
            if let Err(message) = check_address(&listener.address) {
                mistake(&format!("listeners.{name}.address"), message);
            }
            if let Some(tls) = &listener.tls {
                for (key, path) in [("certificate", &tls.certificate), ("key", &tls.key)] {
                    if let Err(error) = std::fs::File::open(path) {
                        let message = format!("cannot open \"{}\": {error}", path.display());
                        mistake(&format!("listeners.{name}.tls.{key}"), message);
                    }
                }
            }
        }
        if self.listeners.iter().iter().all(|(_, listener)| !listener.enabled) {
            mistake("listeners", "every listener is switched off, so nothing could reach the server".to_owned());
        }
        for (key, value) in [
            ("server.max_connections", self.server.max_connections as u64),
            ("server.header_timeout_seconds", self.server.header_timeout_seconds),
            ("server.body_timeout_seconds", self.server.body_timeout_seconds),
            ("server.idle_timeout_seconds", self.server.idle_timeout_seconds),
            ("server.http2_max_concurrent_streams", u64::from(self.server.http2_max_concurrent_streams)),
            ("server.http2_keep_alive_seconds", self.server.http2_keep_alive_seconds),
        ] {
            if value == 0 {
                mistake(key, "must be at least 1".to_owned());
            }
        }
        // hyper refuses smaller buffers.
        if self.server.max_header_bytes < 8192 {
            mistake("server.max_header_bytes", "must be at least 8KiB".to_owned());
        }
        if self.data_dir.as_os_str().is_empty() {
            mistake("data_dir", "is empty; name a directory".to_owned());
        }
        if self
            .api
            .bearer_token
            .as_deref()
            .is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            let message = "must be visible ASCII characters; leave it out to let everyone query";
            mistake("api.bearer_token", message.to_owned());
        }
        if let Err(message) = crate::logging::check(&self.logging.level) {
            mistake("logging.level", message);
        }
        for (section, outcome) in [
            ("ingest", self.ingest.check()),
            ("prometheus", self.prometheus.check()),
            ("api.prometheus", self.api.prometheus.check()),
            ("store", self.store.check()),
        ] {
            for text in outcome.err().unwrap_or_default() {
                mistakes.push(assemble::split_key(section, &text));
            }
        }
        mistakes
    }
}

fn check_address(address: &str) -> Result<(), String> {
    let example = "write host and port, for example 127.0.0.1:4317, [::]:4317 or localhost:0";
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(format!("\"{address}\" has no port; {example}"));
    };
    if host.is_empty() || (host.contains(':') && !(host.starts_with('[') && host.ends_with(']'))) {
        return Err(format!("\"{address}\" has no host; {example}"));
    }
    if port.parse::<u16>().is_err() {
        return Err(format!("\"{port}\" is no port, a number up to 65535; {example}"));
    }
    Ok(())
}

/// Settings, and where each value that is not a default came from.
pub(crate) struct Loaded {
    /// The values.
    pub(crate) settings: Settings,
    /// By full key.
    pub(crate) origins: BTreeMap<String, Origin>,
    /// What is odd but not wrong, for example an environment variable that no setting has.
    pub(crate) warnings: Vec<String>,
}

impl Loaded {
    /// Whether the user named this listener's address, rather than taking the default.
    pub(crate) fn names_address(&self, listener: &str) -> bool {
        self.origins.contains_key(&format!("listeners.{listener}.address"))
    }
}

/// Reads a configuration file.
///
/// # Errors
/// One mistake that names the file.
pub(crate) fn read(path: &Path) -> Result<String, Mistakes> {
    std::fs::read_to_string(path).map_err(|error| {
        Mistakes(vec![Mistake {
            place: Some(path.display().to_string()),
            key: None,
            message: format!("the configuration file cannot be read: {error}"),
        }])
    })
}

#[cfg(test)]
mod tests;
