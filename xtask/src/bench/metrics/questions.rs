//! What dashboards ask: panels and alerts as the field has them for node-exporter and for a web service.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::load::exporter;

/// Over which time a question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Instant,
    Hour,
    /// All that there is, a day at most.
    Day,
}

/// A question; `$host` stands for a host.
pub(super) struct Question {
    pub(super) title: &'static str,
    pub(super) over: Over,
    pub(super) query: &'static str,
}

const fn question(title: &'static str, over: Over, query: &'static str) -> Question {
    Question { title, over, query }
}

pub(super) const QUESTIONS: [Question; 20] = [
    question(
        "CPU busy",
        Over::Instant,
        r#"100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle", instance="$host"}[5m])))"#,
    ),
    question(
        "load per core",
        Over::Instant,
        r#"scalar(node_load1{instance="$host"}) * 100 / count(count(node_cpu_seconds_total{instance="$host"}) by (cpu))"#,
    ),
    question(
        "memory used, every host",
        Over::Instant,
        "(1 - (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)) * 100",
    ),
    question(
        "filesystem used",
        Over::Instant,
        r#"100 - ((node_filesystem_avail_bytes{fstype!="tmpfs"} * 100) / node_filesystem_size_bytes{fstype!="tmpfs"})"#,
    ),
    question("uptime", Over::Instant, "node_time_seconds - node_boot_time_seconds"),
    question(
        "busiest network",
        Over::Instant,
        r#"topk(5, sum by (instance) (rate(node_network_transmit_bytes_total{device!="lo"}[5m])))"#,
    ),
    question(
        "disk full in 4 hours",
        Over::Instant,
        r#"predict_linear(node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"}[1h], 4 * 3600)"#,
    ),
    question(
        "success of commands",
        Over::Instant,
        r#"sum(rate(sixseven_commands_total{status="succeeded"}[5m])) / sum(rate(sixseven_commands_total[5m]))"#,
    ),
    question("series of a host", Over::Instant, r#"count({instance="$host"})"#),
    question(
        "CPU by mode",
        Over::Hour,
        r#"sum by (mode) (irate(node_cpu_seconds_total{instance="$host"}[5m])) / 16 * 100"#,
    ),
    question(
        "memory in use",
        Over::Hour,
        r#"node_memory_MemTotal_bytes{instance="$host"} - node_memory_MemFree_bytes{instance="$host"} - (node_memory_Cached_bytes{instance="$host"} + node_memory_Buffers_bytes{instance="$host"} + node_memory_SReclaimable_bytes{instance="$host"})"#,
    ),
    question("network traffic", Over::Hour, r#"irate(node_network_receive_bytes_total{instance="$host"}[5m]) * 8"#),
    question(
        "disk reads",
        Over::Hour,
        r#"rate(node_disk_read_bytes_total{instance="$host", device=~"nvme.*|sd[a-z]"}[5m])"#,
    ),
    question(
        "latency, 95th percentile by handler",
        Over::Hour,
        "histogram_quantile(0.95, sum(rate(http_request_duration_seconds_bucket[5m])) by (le, handler))",
    ),
    question("requests by handler", Over::Hour, "sum(rate(http_requests_total[5m])) by (handler)"),
    question(
        "error ratio",
        Over::Hour,
        r#"sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))"#,
    ),
    question(
        "CPU of every host",
        Over::Day,
        r#"sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) / 16"#,
    ),
    question("load of every host, smoothed", Over::Day, "avg_over_time(node_load5[30m])"),
    question(
        "latency, 95th percentile",
        Over::Day,
        "histogram_quantile(0.95, sum(rate(http_request_duration_seconds_bucket[5m])) by (le))",
    ),
    question(
        "filesystem used, one host",
        Over::Day,
        r#"100 * (1 - node_filesystem_avail_bytes{instance="$host"} / node_filesystem_size_bytes{instance="$host"})"#,
    ),
];

/// The time that the data covers, in seconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Covered {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) hosts: usize,
}

/// Series by their labels, without the name of the metric, each with times and values.
pub(super) type Answer = BTreeMap<String, Vec<(f64, f64)>>;

/// Asks questions.
pub(super) struct Asker {
    client: reqwest::Client,
    url: String,
    covered: Covered,
}

impl Asker {
    pub(super) fn new(url: &str, covered: Covered) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(300)).build()?;
        Ok(Self { client, url: url.to_owned(), covered })
    }

    /// Asks a question the `turn`th time: each turn is about another host and ends 15 seconds before the last, as panels
    /// that are refreshed do. Gives the time to the last byte, and the body.
    pub(super) async fn ask(&self, question: &Question, turn: usize) -> Result<(Duration, bytes::Bytes)> {
        let Covered { start, end, hosts } = self.covered;
        let query = question.query.replace("$host", &exporter::host(turn % hosts));
        let end = end - 15.0 * (turn % 40) as f64;
        let mut parameters = vec![("query", query)];
        let path = match question.over {
            Over::Instant => {
                parameters.push(("time", end.to_string()));
                "query"
            }
            Over::Hour | Over::Day => {
                let (length, step) = if question.over == Over::Hour { (3_600.0, 15.0) } else { (86_400.0, 120.0) };
                // A window at the very beginning would be half empty, which is nobody's question.
                let start = (end - length).max(start + 2_400.0);
                parameters.extend([("start", start.to_string()), ("end", end.to_string()), ("step", step.to_string())]);
                "query_range"
            }
        };
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), &parameters)?;
        let begun = Instant::now();
        let response = self.client.get(url).send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        let elapsed = begun.elapsed();
        ensure!(
            status.is_success(),
            "{:?} was answered with {status}: {}",
            question.title,
            String::from_utf8_lossy(&body[..body.len().min(300)])
        );
        Ok((elapsed, body))
    }

    /// The one number that an instant query at the end of the data gives.
    pub(super) async fn number(&self, query: &str) -> Result<u64> {
        let parameters = [("query", query), ("time", &self.covered.end.to_string())];
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/query", self.url), &parameters)?;
        let response = self.client.get(url).send().await?;
        let status = response.status();
        let body = response.text().await?;
        ensure!(status.is_success(), "{query} was answered with {status}: {body}");
        let answer: Value = serde_json::from_str(&body)?;
        let value = answer["data"]["result"][0]["value"][1].as_str().context("nothing is stored")?;
        Ok(value.parse::<f64>()? as u64)
    }
}

/// Reads the body of an answer.
pub(super) fn read(body: &[u8]) -> Result<Answer> {
    let answer: Value = serde_json::from_slice(body)?;
    let data = &answer["data"];
    let mut found = Answer::new();
    let point = |point: &Value| -> Result<(f64, f64)> {
        let value = point[1].as_str().context("a value is no text")?;
        Ok((point[0].as_f64().context("a time is no number")?, value.parse()?))
    };
    if data["resultType"] == "scalar" {
        bail!("a question has a scalar for an answer");
    }
    for series in data["result"].as_array().context("there is no result")? {
        let labels = series["metric"].as_object().context("a series has no labels")?;
        let labels: BTreeMap<_, _> = labels.iter().filter(|(name, _)| *name != "__name__").collect();
        let points = match series["values"].as_array() {
            Some(values) => values.iter().map(point).collect::<Result<_>>()?,
            None => vec![point(&series["value"])?],
        };
        found.insert(serde_json::to_string(&labels)?, points);
    }
    Ok(found)
}

/// How far an answer is from another.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Difference {
    pub(super) same_series: bool,
    pub(super) same_times: bool,
    /// Relative differences of values.
    pub(super) median: f64,
    pub(super) largest: f64,
}

/// Compares an answer with another; values beyond both's times are passed over.
pub(super) fn compare(answer: &Answer, reference: &Answer) -> Difference {
    let mut differences = Vec::new();
    let mut same_times = true;
    for (labels, expected) in reference {
        let Some(points) = answer.get(labels) else { continue };
        same_times &= points.len() == expected.len();
        let mut points = points.iter().peekable();
        for (time, value) in expected {
            while points.next_if(|(other, _)| other < time).is_some() {}
            let Some((_, other)) = points.next_if(|(other, _)| other == time) else { continue };
            let scale = value.abs().max(other.abs());
            let equal = value == other || value.is_nan() && other.is_nan();
            differences.push(if equal { 0.0 } else { (value - other).abs() / scale });
        }
    }
    differences.sort_by(f64::total_cmp);
    Difference {
        same_series: answer.keys().eq(reference.keys()),
        same_times,
        median: super::percentile(&differences, 0.5),
        largest: differences.last().copied().unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_by_labels_and_times() {
        let body = |values: &str| {
            let text = format!(
                r#"{{"data":{{"resultType":"matrix","result":[{{"metric":{{"__name__":"a","b":"c"}},"values":[{values}]}}]}}}}"#
            );
            read(text.as_bytes()).unwrap()
        };
        let reference = body(r#"[1,"2"],[2,"4"],[3,"NaN"]"#);
        let same = compare(&reference, &reference);
        assert!(same.same_series && same.same_times && same.largest == 0.0);
        let other = compare(&body(r#"[1,"2"],[2,"5"]"#), &reference);
        assert!(other.same_series && !other.same_times && (other.largest - 0.2).abs() < 1e-12, "{other:?}");
        assert!(!compare(&Answer::new(), &reference).same_series);
    }
}
