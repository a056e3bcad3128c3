//! `scrape_configs` and `global` of a `prometheus.yml`.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/>. What is not supported is refused by name;
//! sections of the file that belong to other parts of Prometheus (rules, alerting, remote write) are stepped over, and
//! named in [`ScrapeConfiguration::unused`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::http_client::HttpClientConfig;
use crate::prometheus::discovery::{DiscoveryConfig, FileDiscovery, HttpDiscovery, TargetGroup};
use crate::prometheus::relabel::RelabelRule;
use crate::prometheus::units::{duration, size};
use crate::prometheus::yaml;

/// A configuration that was read and checked.
#[derive(Clone, Debug, Default)]
pub struct ScrapeConfiguration {
    /// The jobs, in the order of the file; names are unique.
    pub jobs: Vec<JobConfig>,
    /// Labels for everything that leaves to other systems; kept for the API.
    pub external_labels: BTreeMap<String, String>,
    /// Sections of the file that scraping does not use.
    pub unused: Vec<String>,
}

/// One entry of `scrape_configs`, with the defaults of `global` filled in.
#[derive(Clone, Debug)]
pub struct JobConfig {
    /// `job_name`, the default of the label `job`.
    pub name: String,
    /// Time between two scrapes of a target.
    pub interval: Duration,
    /// How long a scrape may take; at most the interval.
    pub timeout: Duration,
    /// `/metrics` by default.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Query parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the target's samples win over the target's own.
    pub honor_labels: bool,
    /// Whether times in the exposition count.
    pub honor_timestamps: bool,
    /// Whether series with times of their own are marked stale when they disappear.
    pub track_timestamps_staleness: bool,
    /// The forms that are asked for, the preferred one first.
    pub protocols: Vec<ScrapeProtocol>,
    /// The form that is assumed when the target does not name a known one.
    pub fallback_protocol: Option<ScrapeProtocol>,
    /// Whether native histograms are taken.
    pub native_histograms: bool,
    /// Whether classic buckets are kept beside a native histogram.
    pub always_classic_histograms: bool,
    /// Whether classic histograms become native ones with custom bounds.
    pub convert_classic_histograms: bool,
    /// Whether a compressed answer is asked for.
    pub compression: bool,
    /// Whether there are `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes` too.
    pub extra_metrics: bool,
    /// What a scrape may give.
    pub limits: ScrapeLimits,
    /// How a target is spoken to.
    pub http: HttpClientConfig,
    /// Where targets come from.
    pub discovery: Vec<DiscoveryConfig>,
    /// Rules for targets.
    pub relabel: Vec<RelabelRule>,
    /// Rules for samples.
    pub metric_relabel: Vec<RelabelRule>,
    /// The text that this was read from, with that of `global`: equal for equal jobs.
    pub(super) source: String,
}

/// What a scrape may give at most; 0 is no limit. One that is exceeded fails the whole scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Bytes of the body, decompressed.
    pub body_size: u64,
    /// Samples after relabelling.
    pub samples: u64,
    /// Labels of a sample.
    pub labels: u64,
    /// Bytes of a label's name.
    pub label_name_length: u64,
    /// Bytes of a label's value.
    pub label_value_length: u64,
    /// Targets of the job after relabelling.
    pub targets: u64,
    /// Buckets of a native histogram; one with more is made coarser.
    pub native_histogram_buckets: u64,
}

/// A form that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[allow(missing_docs)] // named as in the configuration
pub enum ScrapeProtocol {
    PrometheusProto,
    #[serde(rename = "PrometheusText0.0.4")]
    PrometheusText0_0_4,
    #[serde(rename = "PrometheusText1.0.0")]
    PrometheusText1_0_0,
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetricsText0_0_1,
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetricsText1_0_0,
}

/// Keys of a `prometheus.yml` that scraping does not need.
const OTHER_SECTIONS: [&str; 9] = [
    "rule_files",
    "alerting",
    "remote_write",
    "remote_read",
    "storage",
    "tracing",
    "otlp",
    "runtime",
    "scrape_config_files",
];

impl ScrapeConfiguration {
    /// Reads a whole `prometheus.yml`. Relative paths in it are relative to `folder`.
    ///
    /// # Errors
    /// All mistakes, each with where it is.
    pub fn from_yaml(text: &str, folder: &Path) -> Result<Self, Vec<String>> {
        let document = yaml::read(text).map_err(|error| vec![error])?;
        let sections = match document {
            Value::Null => Map::new(),
            Value::Object(sections) => sections,
            _ => return Err(vec!["the file is no mapping of keys to values".to_owned()]),
        };
        let mut mistakes = Vec::new();
        let mut unused = Vec::new();
        for key in sections.keys() {
            if OTHER_SECTIONS.contains(&key.as_str()) {
                unused.push(key.clone());
            } else if !matches!(key.as_str(), "global" | "scrape_configs") {
                let known = OTHER_SECTIONS.into_iter().chain(["global", "scrape_configs"]);
                mistakes.push(unknown_key("", key, known));
            }
        }
        // Files of further jobs must not be lost without a word.
        if sections.contains_key("scrape_config_files") {
            mistakes.push("scrape_config_files: not supported yet; put the jobs into scrape_configs".to_owned());
        }
        let global = sections.get("global").cloned().unwrap_or(Value::Null);
        let jobs = match sections.get("scrape_configs") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(jobs)) => jobs.clone(),
            Some(_) => return Err(vec!["scrape_configs: expected a list of jobs".to_owned()]),
        };
        match Self::from_values(global, jobs, folder) {
            Ok(configuration) if mistakes.is_empty() => Ok(Self { unused, ..configuration }),
            Ok(_) => Err(mistakes),
            Err(more) => {
                mistakes.extend(more);
                Err(mistakes)
            }
        }
    }

    /// Reads a `global` section and the jobs, for example those pasted into another configuration.
    ///
    /// # Errors
    /// All mistakes, each with where it is.
    pub fn from_values(global: Value, jobs: Vec<Value>, folder: &Path) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let global: Global = read("global", global, &mut mistakes).unwrap_or_default();
        let mut configuration = Self { external_labels: global.external_labels.clone(), ..Self::default() };
        for (index, job) in jobs.into_iter().enumerate() {
            let place = match job.get("job_name").and_then(Value::as_str) {
                Some(name) => format!("scrape_configs[{index}] ({name})"),
                None => format!("scrape_configs[{index}]"),
            };
            let Some(job) = read_job(&place, job, &global, folder, &mut mistakes) else { continue };
            if configuration.jobs.iter().any(|other| other.name == job.name) {
                mistakes.push(format!("{place}: found multiple scrape configs with job name {:?}", job.name));
            }
            configuration.jobs.push(job);
        }
        if mistakes.is_empty() { Ok(configuration) } else { Err(mistakes) }
    }
}

/// The section `global`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Global {
    #[serde(deserialize_with = "duration")]
    scrape_interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    scrape_timeout: Option<Duration>,
    external_labels: BTreeMap<String, String>,
    scrape_protocols: Option<Vec<ScrapeProtocol>>,
    scrape_native_histograms: Option<bool>,
    always_scrape_classic_histograms: Option<bool>,
    convert_classic_histograms_to_nhcb: Option<bool>,
    extra_scrape_metrics: Option<bool>,
    #[serde(deserialize_with = "size")]
    body_size_limit: Option<u64>,
    sample_limit: u64,
    target_limit: u64,
    label_limit: u64,
    label_name_length_limit: u64,
    label_value_length_limit: u64,
    metric_name_validation_scheme: Option<String>,
    #[allow(dead_code)] // accepted without effect: belongs to rules
    #[serde(deserialize_with = "duration")]
    evaluation_interval: Option<Duration>,
    #[allow(dead_code)] // as above
    #[serde(deserialize_with = "duration")]
    rule_query_offset: Option<Duration>,
    #[allow(dead_code)] // accepted without effect: belongs to the log of queries
    query_log_file: Option<String>,
    #[allow(dead_code)] // accepted without effect: failures are in the server's log
    scrape_failure_log_file: Option<String>,
    #[allow(dead_code)] // accepted without effect: dropped targets are all shown
    keep_dropped_targets: Option<u64>,
    #[allow(dead_code)] // accepted without effect: names are asked for as they are
    metric_name_escaping_scheme: Option<String>,
    #[allow(dead_code)] // accepted without effect: belongs to a Go runtime
    runtime: Option<Value>,
}

/// A job as it stands in the file, without the keys of its HTTP client.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Job {
    job_name: String,
    #[serde(deserialize_with = "duration")]
    scrape_interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    scrape_timeout: Option<Duration>,
    metrics_path: Option<String>,
    scheme: Option<String>,
    params: BTreeMap<String, Vec<String>>,
    honor_labels: bool,
    honor_timestamps: Option<bool>,
    track_timestamps_staleness: bool,
    scrape_protocols: Option<Vec<ScrapeProtocol>>,
    fallback_scrape_protocol: Option<ScrapeProtocol>,
    scrape_native_histograms: Option<bool>,
    always_scrape_classic_histograms: Option<bool>,
    scrape_classic_histograms: Option<bool>,
    convert_classic_histograms_to_nhcb: Option<bool>,
    enable_compression: Option<bool>,
    extra_scrape_metrics: Option<bool>,
    #[serde(deserialize_with = "size")]
    body_size_limit: Option<u64>,
    sample_limit: Option<u64>,
    target_limit: Option<u64>,
    label_limit: Option<u64>,
    label_name_length_limit: Option<u64>,
    label_value_length_limit: Option<u64>,
    native_histogram_bucket_limit: u64,
    metric_name_validation_scheme: Option<String>,
    static_configs: Vec<TargetGroup>,
    file_sd_configs: Vec<FileDiscovery>,
    http_sd_configs: Vec<Value>,
    relabel_configs: Vec<RelabelRule>,
    metric_relabel_configs: Vec<RelabelRule>,
    #[allow(dead_code)] // accepted without effect: dropped targets are all shown
    keep_dropped_targets: Option<u64>,
    #[allow(dead_code)] // accepted without effect: names are asked for as they are
    metric_name_escaping_scheme: Option<String>,
    #[allow(dead_code)] // accepted without effect: failures are in the server's log
    scrape_failure_log_file: Option<String>,
}

fn read_job(place: &str, job: Value, global: &Global, folder: &Path, mistakes: &mut Vec<String>) -> Option<JobConfig> {
    let before = mistakes.len();
    let source = format!("{job}\n{global:?}");
    let (http, mut own) = split_http(job);
    own.retain(|key, _| {
        let is_other_discovery =
            key.ends_with("_sd_configs") && !matches!(key.as_str(), "file_sd_configs" | "http_sd_configs");
        if is_other_discovery {
            mistakes.push(format!(
                "{place}: {key}: not supported; supported are static_configs, file_sd_configs and http_sd_configs"
            ));
        }
        !is_other_discovery
    });
    let http = HttpClientConfig::read(place, http, folder, mistakes);
    let job: Option<Job> = read(place, Value::Object(own), mistakes);
    let (http, job) = (http?, job?);
    let mut discovery = Vec::new();
    for group in job.static_configs {
        discovery.push(DiscoveryConfig::Static(group));
    }
    for mut files in job.file_sd_configs {
        files.resolve(folder);
        discovery.push(DiscoveryConfig::File(files));
    }
    for (index, value) in job.http_sd_configs.into_iter().enumerate() {
        let place = format!("{place}: http_sd_configs[{index}]");
        let (http, own) = split_http(value);
        let http = HttpClientConfig::read(&place, http, folder, mistakes);
        let own: Option<HttpSource> = read(&place, Value::Object(own), mistakes);
        if let (Some(http), Some(own)) = (http, own) {
            let refresh = own.refresh_interval.unwrap_or(Duration::from_secs(60));
            match url::Url::parse(&own.url) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                    discovery.push(DiscoveryConfig::Http(HttpDiscovery { url, refresh, http }));
                }
                Ok(_) => mistakes.push(format!("{place}: url: must begin with http:// or https:// and name a host")),
                Err(error) => mistakes.push(format!("{place}: url: {:?} is no URL: {error}", own.url)),
            }
        }
    }
    let mut wrong = |message: String| mistakes.push(format!("{place}: {message}"));
    if job.job_name.is_empty() {
        wrong("job_name is empty".to_owned());
    }
    let interval = job.scrape_interval.or(global.scrape_interval).unwrap_or(Duration::from_secs(60));
    let global_timeout = global.scrape_timeout.unwrap_or(Duration::from_secs(10));
    let timeout = job.scrape_timeout.unwrap_or(global_timeout.min(interval));
    if interval.is_zero() {
        wrong("scrape_interval must be more than 0".to_owned());
    }
    if timeout > interval {
        wrong("scrape timeout greater than scrape interval".to_owned());
    }
    let scheme = job.scheme.unwrap_or_else(|| "http".to_owned());
    if !matches!(scheme.as_str(), "http" | "https") {
        wrong(format!("scheme: {scheme:?} is neither http nor https"));
    }
    for scheme in [&job.metric_name_validation_scheme, &global.metric_name_validation_scheme].into_iter().flatten() {
        if !matches!(scheme.as_str(), "" | "utf8") {
            wrong(format!("metric_name_validation_scheme: {scheme:?} is not supported; names are utf8"));
        }
    }
    let native_histograms = job.scrape_native_histograms.or(global.scrape_native_histograms).unwrap_or(false);
    let protocols = job.scrape_protocols.or_else(|| global.scrape_protocols.clone());
    if protocols.as_ref().is_some_and(Vec::is_empty) {
        wrong("scrape_protocols cannot be empty".to_owned());
    }
    if mistakes.len() > before {
        return None;
    }
    Some(JobConfig {
        name: job.job_name,
        interval,
        timeout,
        metrics_path: job.metrics_path.unwrap_or_else(|| "/metrics".to_owned()),
        scheme,
        params: job.params,
        honor_labels: job.honor_labels,
        honor_timestamps: job.honor_timestamps.unwrap_or(true),
        track_timestamps_staleness: job.track_timestamps_staleness,
        protocols: protocols.unwrap_or_else(|| default_protocols(native_histograms)),
        fallback_protocol: job.fallback_scrape_protocol,
        native_histograms,
        always_classic_histograms: job
            .always_scrape_classic_histograms
            .or(job.scrape_classic_histograms)
            .or(global.always_scrape_classic_histograms)
            .unwrap_or(false),
        convert_classic_histograms: job
            .convert_classic_histograms_to_nhcb
            .or(global.convert_classic_histograms_to_nhcb)
            .unwrap_or(false),
        compression: job.enable_compression.unwrap_or(true),
        extra_metrics: job.extra_scrape_metrics.or(global.extra_scrape_metrics).unwrap_or(false),
        limits: ScrapeLimits {
            body_size: job.body_size_limit.or(global.body_size_limit).unwrap_or(0),
            samples: job.sample_limit.unwrap_or(global.sample_limit),
            labels: job.label_limit.unwrap_or(global.label_limit),
            label_name_length: job.label_name_length_limit.unwrap_or(global.label_name_length_limit),
            label_value_length: job.label_value_length_limit.unwrap_or(global.label_value_length_limit),
            targets: job.target_limit.unwrap_or(global.target_limit),
            native_histogram_buckets: job.native_histogram_bucket_limit,
        },
        http,
        discovery,
        relabel: job.relabel_configs,
        metric_relabel: job.metric_relabel_configs,
        source,
    })
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpSource {
    url: String,
    #[serde(deserialize_with = "duration")]
    refresh_interval: Option<Duration>,
}

/// Text first, as Prometheus; with native histograms protobuf first, the only form that has them.
fn default_protocols(native_histograms: bool) -> Vec<ScrapeProtocol> {
    let text = [
        ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::PrometheusText1_0_0,
        ScrapeProtocol::PrometheusText0_0_4,
    ];
    native_histograms.then_some(ScrapeProtocol::PrometheusProto).into_iter().chain(text).collect()
}

/// The keys of an HTTP client, and the others: both stand side by side in the file.
fn split_http(value: Value) -> (Map<String, Value>, Map<String, Value>) {
    let Value::Object(map) = value else { return Default::default() };
    map.into_iter().partition(|(key, _)| HttpClientConfig::KEYS.contains(&key.as_str()))
}

/// Reads a part of the configuration. A mistake gets the place, and for an unknown key the nearest known one.
pub(super) fn read<T: DeserializeOwned + Default>(place: &str, value: Value, mistakes: &mut Vec<String>) -> Option<T> {
    if value.is_null() {
        return Some(T::default());
    }
    match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(value) => Some(value),
        Err(error) => {
            let path = error.path().to_string();
            let inner = error.into_inner().to_string();
            let place = if path == "." || inner.starts_with("unknown field") {
                place.to_owned()
            } else {
                format!("{place}: {path}")
            };
            mistakes.push(match unknown_field(&inner) {
                Some((key, known)) => unknown_key(&place, key, known.into_iter().chain(HttpClientConfig::KEYS)),
                None => format!("{place}: {inner}"),
            });
            None
        }
    }
}

/// The key and the known ones of serde's "unknown field `a`, expected one of `b`, `c`".
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn unknown_key<'a>(place: &str, key: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known
        .map(|each| (strsim::jaro_winkler(key, each), each))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let separator = if place.is_empty() { "" } else { ": " };
    match nearest {
        Some((_, nearest)) => format!("{place}{separator}there is no key {key:?}; did you mean {nearest:?}?"),
        None => format!("{place}{separator}there is no key {key:?}"),
    }
}

/// A path in the configuration, relative to the configuration's folder.
pub(in crate::prometheus) fn resolve(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ScrapeConfiguration, Vec<String>> {
        ScrapeConfiguration::from_yaml(text, Path::new("/etc/prometheus"))
    }

    #[test]
    fn the_files_of_the_field_load() {
        let configuration = read(
            "global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\n  external_labels: {monitor: codelab}\n\
             rule_files:\n  - first.rules\nalerting:\n  alertmanagers: []\n\
             scrape_configs:\n  - job_name: 'sixseven'\n    scrape_interval: 5s\n    static_configs:\n      - targets: \
             ['localhost:8000']\n        labels: {zone: a}\n    metrics_path: '/metrics'\n\
             \x20 - job_name: node\n    basic_auth: {username: me, password_file: secret}\n    file_sd_configs:\n      - \
             files: [targets/*.json]\n    relabel_configs:\n      - {source_labels: [__address__], regex: '(.*):.*', \
             target_label: host}\n",
        )
        .unwrap();
        assert_eq!(configuration.unused, ["alerting", "rule_files"]);
        let [first, second] = &configuration.jobs[..] else { panic!() };
        assert_eq!(
            (first.name.as_str(), first.interval, first.timeout),
            ("sixseven", Duration::from_secs(5), Duration::from_secs(5))
        );
        assert_eq!((second.interval, second.timeout), (Duration::from_secs(15), Duration::from_secs(10)));
        assert_eq!(second.relabel.len(), 1);
        let DiscoveryConfig::File(files) = &second.discovery[0] else { panic!() };
        assert_eq!(files.files, [PathBuf::from("/etc/prometheus/targets/*.json")]);
        assert_eq!(read("").unwrap().jobs.len(), 0);
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        for (text, message) in [
            ("scrap_configs: []", "did you mean \"scrape_configs\"?"),
            (
                "scrape_configs: [{job_name: a, scrape_intervall: 5s}]",
                "scrape_configs[0] (a): there is no key \"scrape_intervall\"; did you mean \"scrape_interval\"?",
            ),
            ("scrape_configs: [{job_name: a, basic_aut: {}}]", "did you mean \"basic_auth\"?"),
            ("scrape_configs: [{job_name: a, basic_auth: {user: b}}]", "user"),
            ("scrape_configs: [{job_name: a, scrape_interval: 5}]", "scrape_interval: \"5\" is no duration"),
            ("scrape_configs: [{job_name: a, scrape_interval: 5s, scrape_timeout: 6s}]", "timeout greater"),
            ("scrape_configs: [{job_name: a}, {job_name: a}]", "multiple scrape configs"),
            ("scrape_configs: [{}]", "job_name is empty"),
            ("scrape_configs: [{job_name: a, kubernetes_sd_configs: []}]", "kubernetes_sd_configs: not supported"),
            ("scrape_configs: [{job_name: a, scheme: ftp}]", "neither http nor https"),
            ("scrape_configs: [{job_name: a, http_sd_configs: [{url: 'ftp://x'}]}]", "http://"),
            (
                "scrape_configs: [{job_name: a, relabel_configs: [{action: foo}]}]",
                "relabel_configs[0]: unknown relabel action",
            ),
            ("scrape_configs: [{job_name: a, authorization: {type: Basic, credentials: x}}]", "basic_auth"),
            ("scrape_configs: [{job_name: a, bearer_token: x, basic_auth: {username: a}}]", "at most one of"),
            ("scrape_configs: [{job_name: a, oauth2: {}}]", "oauth2: not supported"),
            ("[1]", "no mapping"),
            ("a: [", "line"),
        ] {
            let mistakes = read(text).unwrap_err();
            assert!(mistakes.iter().any(|mistake| mistake.contains(message)), "{text}: {mistakes:?}");
        }
    }
}
