//! A job as it is in force: the keys of the configuration with all defaults and without secrets, as Prometheus shows it.

use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};

use super::config::JobConfig;
use crate::prometheus::discovery::DiscoveryConfig;
use crate::prometheus::relabel::RelabelRule;
use crate::prometheus::units::{format_duration, format_size};

/// What stands for a secret where a configuration is shown, as in Prometheus.
pub(super) const SECRET: &str = "<secret>";

/// Keys in the order in which they are shown.
#[derive(Default)]
pub(super) struct Shown(Vec<(&'static str, Value)>);

impl Shown {
    pub(super) fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push((key, value.into()));
    }

    /// What is empty, 0 or false is not shown.
    pub(super) fn add_set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        let is_set = match &value {
            Value::Null => false,
            Value::Bool(is) => *is,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(values) => !values.is_empty(),
            Value::Object(members) => !members.is_empty(),
        };
        if is_set {
            self.0.push((key, value));
        }
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl From<Shown> for Value {
    fn from(shown: Shown) -> Self {
        Self::Object(shown.0.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// The job as YAML.
pub(super) fn yaml(job: &JobConfig) -> String {
    // Texts, numbers, lists and maps with texts as keys can be written.
    serde_saphyr::to_string(&shown(job)).unwrap_or_default()
}

fn shown(job: &JobConfig) -> Shown {
    let mut shown = Shown::default();
    shown.add("job_name", job.name.as_str());
    shown.add_set("honor_labels", job.honor_labels);
    shown.add("honor_timestamps", job.honor_timestamps);
    shown.add("track_timestamps_staleness", job.track_timestamps_staleness);
    shown.add_set("params", json!(job.params));
    shown.add("scrape_interval", format_duration(job.interval));
    shown.add("scrape_timeout", format_duration(job.timeout));
    shown.add("scrape_protocols", json!(job.protocols));
    shown.add_set("fallback_scrape_protocol", json!(job.fallback_protocol));
    shown.add("scrape_native_histograms", job.native_histograms);
    shown.add("always_scrape_classic_histograms", job.always_classic_histograms);
    shown.add("convert_classic_histograms_to_nhcb", job.convert_classic_histograms);
    shown.add("metrics_path", job.metrics_path.as_str());
    shown.add("scheme", job.scheme.as_str());
    shown.add("enable_compression", job.compression);
    let limits = &job.limits;
    shown.add_set("body_size_limit", (limits.body_size > 0).then(|| format_size(limits.body_size)));
    for (key, limit) in [
        ("sample_limit", limits.samples),
        ("target_limit", limits.targets),
        ("label_limit", limits.labels),
        ("label_name_length_limit", limits.label_name_length),
        ("label_value_length_limit", limits.label_value_length),
        ("native_histogram_bucket_limit", limits.native_histogram_buckets),
    ] {
        shown.add_set(key, limit);
    }
    // There are no others here.
    shown.add("metric_name_validation_scheme", "utf8");
    shown.add("metric_name_escaping_scheme", "allow-utf-8");
    shown.add("extra_scrape_metrics", job.extra_metrics);
    job.http.show(&mut shown);
    shown.add_set("relabel_configs", rules(&job.relabel));
    shown.add_set("metric_relabel_configs", rules(&job.metric_relabel));
    let (mut groups, mut files, mut endpoints) = (Vec::new(), Vec::new(), Vec::new());
    for source in &job.discovery {
        match source {
            DiscoveryConfig::Static(group) => {
                let mut each = Shown::default();
                each.add("targets", group.targets.clone());
                each.add_set("labels", json!(group.labels));
                groups.push(each.into());
            }
            DiscoveryConfig::File(source) => files.push(json!({
                "files": source.files, "refresh_interval": format_duration(source.refresh()),
            })),
            DiscoveryConfig::Http(source) => {
                let mut each = Shown::default();
                source.http.show(&mut each);
                each.add("refresh_interval", format_duration(source.refresh));
                each.add("url", redacted(source.url.as_str()));
                endpoints.push(each.into());
            }
        }
    }
    shown.add_set("file_sd_configs", files);
    shown.add_set("http_sd_configs", Value::Array(endpoints));
    shown.add_set("static_configs", Value::Array(groups));
    shown
}

/// Rules with their defaults, but for a pattern that takes everything.
fn rules(rules: &[RelabelRule]) -> Vec<Value> {
    let mut shown: Vec<Value> = rules.iter().map(RelabelRule::to_json).collect();
    for rule in &mut shown {
        if rule["regex"] == "(.*)"
            && let Some(members) = rule.as_object_mut()
        {
            members.remove("regex");
        }
    }
    shown
}

/// A URL whose password is not told, as Go writes it.
pub(super) fn redacted(url: &str) -> String {
    // What is no URL with a host may hold a password where none is looked for.
    let Some(mut read) = url::Url::parse(url).ok().filter(url::Url::has_host) else { return SECRET.to_owned() };
    if read.password().is_none() {
        return url.to_owned();
    }
    // It has a host, or it would have no password.
    let _ = read.set_password(Some("xxxxx"));
    let shown = String::from(read);
    if url.ends_with('/') { shown } else { shown.trim_end_matches('/').to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::prometheus::scrape::ScrapeConfiguration;

    #[test]
    fn a_job_is_shown_with_its_defaults_and_without_secrets() {
        let text = "scrape_configs:\n- job_name: a\n  body_size_limit: 1.5MB\n  bearer_token: hidden\n  proxy_url: \
                    http://u:hidden@p:1\n  http_headers: {x: {secrets: [hidden]}}\n  tls_config: {cert: c, key: hidden}\n  \
                    http_sd_configs: [{url: 'http://u:hidden@h/x', basic_auth: {username: u, password: hidden}}]\n";
        let configuration = ScrapeConfiguration::from_yaml(text, Path::new("/etc")).unwrap();
        let shown = yaml(&configuration.jobs[0]);
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.starts_with("job_name: a\nhonor_timestamps: true\n"), "{shown}");
        let read: Value = serde_saphyr::from_str(&shown).unwrap();
        assert_eq!(read["body_size_limit"], "1MiB512KiB");
        assert_eq!(read["authorization"], json!({"type": "Bearer", "credentials": "<secret>"}));
        assert_eq!(read["proxy_url"], "http://u:xxxxx@p:1");
        assert_eq!(read["http_sd_configs"][0]["basic_auth"]["password"], "<secret>");
        assert_eq!(read["http_sd_configs"][0]["url"], "http://u:xxxxx@h/x");
        assert_eq!(["u:hidden@p:1", "p"].map(redacted), [SECRET; 2]);
    }
}
