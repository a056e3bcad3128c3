use std::collections::BTreeMap;
use std::io::Write;
use std::thread::available_parallelism;
use std::time::SystemTime;

use tripod_promql::ast::{AggregateOp, BinaryOp};
use tripod_promql::functions::SIGNATURES;
use tripod_storage::series::NameCount;

use super::answer::Answer;
use super::error::ApiError;
use super::parameters::{Parameters, now, parse_int};
use super::targets::date;
use super::{Shared, json};

/// The Prometheus whose API and answers these are; clients look at it to know what they can ask for.
const PROMETHEUS_VERSION: &str = "3.14.0";

/// What `status/…` tells of the server.
#[derive(Clone, Debug)]
pub struct About {
    /// Version of the server.
    pub version: &'static str,
    /// The configuration in force, as YAML without secrets.
    pub config: String,
    /// Settings by their key.
    pub flags: BTreeMap<String, String>,
    /// How long samples are kept, for example `15d`.
    pub retention: String,
    /// When the server was started.
    pub started: SystemTime,
}

/// `status/config`
pub(super) async fn config(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    Ok(Answer::json(|out| {
        out.extend_from_slice(b"{\"yaml\":");
        json::text(out, &prometheus.about.config);
        out.push(b'}');
    }))
}

/// `status/flags`
pub(super) async fn flags(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    Ok(Answer::json(|out| {
        write_object(out, &prometheus.about.flags, |out, value| json::text(out, value));
    }))
}

/// `status/buildinfo`
pub(super) async fn build(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    let ours = format!("tripod-{}", prometheus.about.version);
    Ok(Answer::json(|out| {
        let fields = [
            ("version", PROMETHEUS_VERSION),
            ("revision", ours.as_str()),
            ("branch", ""),
            ("buildUser", "tripod"),
            ("buildDate", ""),
            ("goVersion", ""),
        ];
        write_object(out, fields, json::text);
    }))
}

/// `status/runtimeinfo`
pub(super) async fn runtime(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    let about = &prometheus.about;
    let started = about.started.duration_since(SystemTime::UNIX_EPOCH).ok();
    let started = started.and_then(|since| i64::try_from(since.as_millis()).ok());
    let directory = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let processors = available_parallelism().map_or(1, usize::from);
    Ok(Answer::json(|out| {
        let (started, now) = (date(started), date(Some(now())));
        out.extend_from_slice(b"{\"startTime\":");
        json::text(out, &started);
        for (name, value) in [
            ("CWD", directory.as_str()),
            ("hostname", host.trim()),
            ("serverTime", &now),
            ("lastConfigTime", &started),
            ("GOGC", ""),
            ("GODEBUG", ""),
            ("storageRetention", &about.retention),
        ] {
            let _ = write!(out, ",\"{name}\":");
            json::text(out, value);
        }
        let _ = write!(
            out,
            r#","reloadConfigSuccess":true,"corruptionCount":0,"goroutineCount":0,"GOMAXPROCS":{processors},"GOMEMLIMIT":0}}"#
        );
    }))
}

/// `status/tsdb`
pub(super) async fn tsdb(prometheus: Shared, parameters: Parameters) -> Result<Answer, ApiError> {
    const MOST: i64 = 10_000;
    let limit = match parameters.first("limit") {
        "" => 10,
        text => parse_int(text)
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?,
    };
    if limit > MOST {
        return Err(ApiError::bad_data(format!("limit must not exceed {MOST}")));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = prometheus.engine.store().statistics(limit).await?;
    Ok(Answer::json(|out| {
        // An empty head begins at the end of time and ends at its beginning, as in Prometheus.
        let _ = write!(
            out,
            r#"{{"headStats":{{"numSeries":{},"numLabelPairs":{},"chunkCount":{},"minTime":{},"maxTime":{}}}"#,
            found.series,
            found.label_pairs,
            found.chunks,
            found.min_time.unwrap_or(i64::MAX),
            found.max_time.unwrap_or(i64::MIN)
        );
        for (name, counts) in [
            ("seriesCountByMetricName", &found.series_by_metric),
            ("labelValueCountByLabelName", &found.values_by_label),
            ("memoryInBytesByLabelName", &found.bytes_by_label),
            ("seriesCountByLabelValuePair", &found.series_by_pair),
        ] {
            let _ = write!(out, ",\"{name}\":");
            json::list(out, counts, |out, NameCount { name, count }| {
                out.extend_from_slice(b"{\"name\":");
                json::text(out, name);
                let _ = write!(out, ",\"value\":{count}}}");
            });
        }
        out.push(b'}');
    }))
}

/// How far the log of samples was replayed on start: numbers of its segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalReplay {
    /// The first segment.
    pub min: u64,
    /// The last segment.
    pub max: u64,
    /// The segment that is being replayed, or was replayed last.
    pub current: u64,
}

impl WalReplay {
    /// The answer to `status/walreplay`.
    pub(super) fn answer(self) -> Answer {
        let Self { min, max, current } = self;
        Answer::json(|out| out.extend(format!(r#"{{"min":{min},"max":{max},"current":{current}}}"#).bytes()))
    }
}

/// `status/walreplay`
pub(super) async fn wal_replay(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    Ok(prometheus.wal_replay.answer())
}

/// `notifications`: there are none to be shown.
pub(super) async fn notifications(_: Shared, _: Parameters) -> Result<Answer, ApiError> {
    Ok(Answer::json(|out| out.extend_from_slice(b"[]")))
}

/// `features`
pub(super) async fn features(prometheus: Shared, _: Parameters) -> Result<Answer, ApiError> {
    let settings = &prometheus.settings;
    let experimental = settings.experimental_functions;
    let mut sections: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    sections.insert(
        "api",
        BTreeMap::from([
            ("admin", settings.enable_admin_api),
            ("exclude_alerts", true),
            ("label_values_match", true),
            ("lifecycle", prometheus.reload.is_some()),
            ("query_stats", true),
            ("query_warnings", true),
            ("search", false),
            ("time_range_labels", true),
            ("time_range_series", true),
        ]),
    );
    sections.insert("prometheus", BTreeMap::from([("agent_mode", false), ("server_mode", true)]));
    let mut language = BTreeMap::from([
        ("anchored", settings.extended_range_selectors),
        ("smoothed", settings.extended_range_selectors),
        ("fill", settings.fill_modifiers),
        ("fill_left", settings.fill_modifiers),
        ("fill_right", settings.fill_modifiers),
        ("delayed_name_removal", settings.delayed_name_removal),
        ("duration_expr", settings.duration_expressions),
        ("per_step_stats", true),
        ("type_and_unit_labels", false),
    ]);
    let always = [
        "at_modifier",
        "bool",
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "negative_offset",
        "offset",
        "on",
        "per_query_lookback_delta",
        "subqueries",
        "without",
    ];
    language.extend(always.map(|name| (name, true)));
    sections.insert("promql", language);
    let functions = SIGNATURES.iter().map(|function| (function.name, experimental || !function.experimental));
    sections.insert("promql_functions", functions.collect());
    let mut operators: BTreeMap<&str, bool> = BinaryOp::ALL.iter().map(|op| (op.sign(), true)).collect();
    operators.extend(["=~", "!~", "@"].map(|sign| (sign, true)));
    operators.extend(AggregateOp::ALL.iter().map(|op| (op.name(), experimental || !op.is_experimental())));
    sections.insert("promql_operators", operators);
    sections.insert("tsdb", BTreeMap::from([("exemplar_storage", true), ("native_histograms", true)]));
    Ok(Answer::json(|out| {
        write_object(out, sections, |out, section| {
            write_object(out, section, |out, on| {
                let _ = write!(out, "{on}");
            });
        });
    }))
}

fn write_object<K: AsRef<str>, V>(
    out: &mut Vec<u8>,
    fields: impl IntoIterator<Item = (K, V)>,
    mut write: impl FnMut(&mut Vec<u8>, V),
) {
    out.push(b'{');
    for (index, (name, value)) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::text(out, name.as_ref());
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}
