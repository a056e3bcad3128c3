use std::collections::BTreeMap;
use std::time::Duration;

use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use tripod_model::series::{Labels, LabelsBuilder};
use url::Url;

use super::config::JobConfig;
use crate::prometheus::discovery::TargetGroup;
use crate::prometheus::relabel::relabel;
use crate::prometheus::units::{format_duration, parse_duration};

/// Something to scrape.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As discovered, before relabelling.
    pub(super) discovered: Labels,
    /// What its series carry.
    pub(super) labels: Labels,
    pub(super) url: Url,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        (&self.labels, &self.url, self.interval, self.timeout)
            == (&other.labels, &other.url, other.interval, other.timeout)
    }
}

/// What became of the targets that were discovered.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub(super) active: Vec<Target>,
    /// Those that a rule dropped, as discovered.
    pub(super) dropped: Vec<Labels>,
    /// What was wrong with others.
    pub(super) mistakes: Vec<String>,
}

/// Makes targets of groups: defaults, relabelling, and what Prometheus asks of the outcome. Equal ones become one.
pub(super) fn targets(job: &JobConfig, groups: &[TargetGroup]) -> Targets {
    let mut targets = Targets::default();
    for group in groups {
        for address in &group.targets {
            let discovered = discovered(job, group, address);
            let mut labels = discovered.to_builder();
            if !relabel(&job.relabel, &mut labels) {
                targets.dropped.push(discovered);
                continue;
            }
            match target(job, discovered, labels) {
                Ok(target) if targets.active.contains(&target) => {}
                Ok(target) => targets.active.push(target),
                Err(mistake) => targets.mistakes.push(format!("target {address:?}: {mistake}")),
            }
        }
    }
    targets
}

fn discovered(job: &JobConfig, group: &TargetGroup, address: &str) -> Labels {
    let mut labels = LabelsBuilder::default();
    for (name, value) in &group.labels {
        labels.set(name, value);
    }
    labels.set("__address__", address);
    let interval = format_duration(job.interval);
    let timeout = format_duration(job.timeout);
    for (name, value) in [
        ("job", job.name.as_str()),
        ("__scrape_interval__", &interval),
        ("__scrape_timeout__", &timeout),
        ("__metrics_path__", &job.metrics_path),
        ("__scheme__", &job.scheme),
    ] {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    }
    for (name, values) in &job.params {
        if let Some(first) = values.first() {
            labels.set(&format!("__param_{name}"), first);
        }
    }
    labels.build()
}

fn target(job: &JobConfig, discovered: Labels, mut labels: LabelsBuilder) -> Result<Target, String> {
    let address = labels.get("__address__").ok_or("no address")?.to_owned();
    if address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    let duration = |name: &str| {
        let duration = parse_duration(labels.get(name).unwrap_or("")).map_err(|error| format!("{name}: {error}"))?;
        if duration.is_zero() { Err(format!("{name} cannot be 0")) } else { Ok(duration) }
    };
    let interval = duration("__scrape_interval__")?;
    let timeout = duration("__scrape_timeout__")?;
    if timeout > interval {
        return Err("scrape timeout cannot be greater than scrape interval".to_owned());
    }
    let url = url(job, &labels, &address)?;
    if labels.get("instance").is_none() {
        labels.set("instance", &address);
    }
    labels.retain(|name| !name.starts_with("__"));
    Ok(Target { discovered, labels: labels.build(), url, interval, timeout })
}

fn url(job: &JobConfig, labels: &LabelsBuilder, address: &str) -> Result<Url, String> {
    let scheme = labels.get("__scheme__").unwrap_or("http");
    if !matches!(scheme, "http" | "https") {
        return Err(format!("the scheme {scheme:?} is neither http nor https"));
    }
    let path = labels.get("__metrics_path__").unwrap_or("");
    let separator = if path.starts_with('/') { "" } else { "/" };
    let text = format!("{scheme}://{address}{separator}{path}");
    let mut url = Url::parse(&text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
    let mut params: BTreeMap<String, Vec<String>> = job.params.clone();
    for (name, value) in labels.iter() {
        if let Some(name) = name.strip_prefix("__param_") {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => *first = value.to_owned(),
                None => values.push(value.to_owned()),
            }
        }
    }
    if params.values().any(|values| !values.is_empty()) {
        let mut pairs = url.query_pairs_mut();
        for (name, values) in &params {
            for value in values {
                pairs.append_pair(name, value);
            }
        }
    }
    Ok(url)
}

impl Target {
    /// How far into each interval this target is scraped: spread over all targets, the same after a restart.
    pub(super) fn offset(&self) -> Duration {
        let mut hasher = SipHasher13::new();
        hasher.write(self.labels.as_bytes());
        hasher.write(self.url.as_str().as_bytes());
        let interval = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(hasher.finish() % interval)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::ScrapeConfiguration;
    use super::*;

    fn job(yaml: &str) -> JobConfig {
        let text = format!("scrape_configs: [{{job_name: test, {yaml}}}]");
        ScrapeConfiguration::from_yaml(&text, Path::new("/")).unwrap().jobs.remove(0)
    }

    fn group(targets: &[&str], labels: &[(&str, &str)]) -> TargetGroup {
        TargetGroup {
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn a_target_gets_its_defaults_and_keeps_what_rules_made() {
        let job = job("params: {module: [http, x], z: [1]}, metrics_path: probe, relabel_configs: [\
             {source_labels: [__address__], target_label: __param_target}, \
             {source_labels: [__param_target], target_label: instance}, \
             {target_label: __address__, replacement: 'prober:9115'}, \
             {source_labels: [zone], regex: b, action: drop}]");
        let groups =
            [group(&["a.example", "a.example"], &[("zone", "a"), ("__meta_x", "y")]), group(&["b"], &[("zone", "b")])];
        let targets = targets(&job, &groups);
        let [target] = &targets.active[..] else { panic!("{targets:?}") };
        assert_eq!(target.url.as_str(), "http://prober:9115/probe?module=http&module=x&target=a.example&z=1");
        assert_eq!(target.labels.to_string(), r#"{instance="a.example", job="test", zone="a"}"#);
        assert_eq!(target.discovered.get("__meta_x"), Some("y"));
        assert_eq!(targets.dropped.len(), 1);
        assert!(target.offset() < target.interval);
    }

    #[test]
    fn labels_set_the_schedule_and_mistakes_are_said() {
        let targets = targets(
            &job("scrape_interval: 10s"),
            &[
                group(&["a"], &[("__scrape_interval__", "5s"), ("__scrape_timeout__", "2s")]),
                group(&["b"], &[("__scrape_interval__", "5s")]),
                group(&["http://c"], &[]),
                group(&["[::1]:80"], &[("__scheme__", "https")]),
                group(&["d"], &[("__scheme__", "ftp")]),
            ],
        );
        assert_eq!(targets.active[0].interval, Duration::from_secs(5));
        assert_eq!(targets.active[1].url.as_str(), "https://[::1]:80/metrics");
        assert_eq!(targets.mistakes.len(), 3, "{targets:?}");
        assert!(targets.mistakes[0].contains("greater than"));
        assert!(targets.mistakes[1].contains("not a valid hostname"));
    }
}
