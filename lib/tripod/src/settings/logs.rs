//! Which log lines are written, how and where.

use super::otlp::{self, LOGS};
use super::{ServiceSettings, Variables, levels};
use crate::logs::{Level, LevelRules};
use crate::network::QueueOptions;
use crate::sinks::file::FileSettings;
use crate::sinks::loki::LokiSettings;
use crate::sinks::otlp::OtlpSettings;

/// How lines are written on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// An object of JSON on each line.
    Json,
    /// For people.
    Console,
}

/// Which log lines are written, how and where.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `LOG_LEVEL` (`info,app::db=debug`); `DEBUG=true` is short for `debug`.
    pub levels: LevelRules,
    /// `LOG_FORMAT` (`json`, `console`); unset it is `console` in development and `json` elsewhere.
    pub format: LineFormat,
    /// Whether lines of JSON say module, function, file and line (`LOG_SOURCE`); lines for people always do.
    pub source: bool,
    /// Whether lines go to standard output (`LOG_STDOUT`, on unless set).
    pub stdout: bool,
    /// A rotating file (`LOG_FILE`, `LOG_ROTATION`, `LOG_RETENTION`).
    pub file: Option<FileSettings>,
    /// Loki (`LOKI_ENDPOINT`; `LOG_TO_LOKI=false` switches it off).
    pub loki: Option<LokiSettings>,
    /// Collectors.
    pub otlp: Vec<OtlpSettings>,
    /// `OTEL_BLRP_*`.
    pub queue: QueueOptions,
    /// Fields of a line at most (`OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT`).
    pub max_fields: usize,
    /// Characters of a text at most (`OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT`).
    pub max_value_length: usize,
}

pub(super) fn read(variables: &mut Variables, service: &ServiceSettings) -> LogSettings {
    let debug = variables.flag("DEBUG").unwrap_or_default();
    let default = LevelRules::at(if debug { Level::Debug } else { Level::Info });
    let words = [("json", LineFormat::Json), ("console", LineFormat::Console)];
    let by_environment = if service.is_development() { LineFormat::Console } else { LineFormat::Json };

    #[derive(Clone, Copy, PartialEq)]
    enum Exporter {
        Otlp,
        Stdout,
        None,
    }
    let exporters = [
        ("otlp", Exporter::Otlp),
        ("console", Exporter::Stdout),
        ("logging", Exporter::Stdout),
        ("none", Exporter::None),
    ];
    let wanted = match variables.choices("OTEL_LOGS_EXPORTER", &exporters) {
        Some(chosen) => chosen.contains(&Exporter::Otlp),
        None => otlp::is_wanted(variables, LOGS),
    };
    let mut exporters: Vec<_> = if wanted { otlp::read(variables, LOGS).into_iter().collect() } else { Vec::new() };
    let queue = super::traces::queue(variables, "OTEL_BLRP");
    otlp::limit_timeout(&mut exporters, Some(queue.timeout));
    let mut limit = |names: [&str; 2], default: usize| {
        let found = names.map(|name| variables.number(name, 0..=usize::MAX));
        found.into_iter().flatten().next().unwrap_or(default)
    };
    let max_fields = limit(["OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], 128);
    let max_value_length =
        limit(["OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"], usize::MAX);
    LogSettings {
        levels: levels(variables, "LOG_LEVEL").unwrap_or(default),
        format: variables.choice("LOG_FORMAT", &words).unwrap_or(by_environment),
        source: variables.flag("LOG_SOURCE").unwrap_or_default(),
        stdout: variables.flag("LOG_STDOUT").unwrap_or(true),
        file: file(variables),
        loki: loki(variables, service),
        otlp: exporters,
        queue,
        max_fields,
        max_value_length,
    }
}

fn file(variables: &mut Variables) -> Option<FileSettings> {
    let mut file = FileSettings::new(variables.text("LOG_FILE")?);
    if let Some(rotation) = variables.text("LOG_ROTATION") {
        match file.clone().rotation(&rotation) {
            Ok(changed) => file = changed,
            Err(error) => variables.mistake("LOG_ROTATION", error.to_string()),
        }
    }
    if let Some(retention) = variables.text("LOG_RETENTION") {
        match file.clone().retention(&retention) {
            Ok(changed) => file = changed,
            Err(error) => variables.mistake("LOG_RETENTION", error.to_string()),
        }
    }
    Some(file)
}

fn loki(variables: &mut Variables, service: &ServiceSettings) -> Option<LokiSettings> {
    let to_loki = variables.flag("LOG_TO_LOKI");
    let Some(endpoint) = variables.text("LOKI_ENDPOINT") else {
        if to_loki == Some(true) {
            variables.mistake("LOG_TO_LOKI", "LOKI_ENDPOINT is not set");
        }
        return None;
    };
    let settings = LokiSettings::new(&endpoint)
        .and_then(|loki| loki.label("service", service.name.clone()))
        .and_then(|loki| loki.label("environment", service.environment.clone()))
        .map_err(|error| variables.mistake("LOKI_ENDPOINT", error.to_string()))
        .ok()?;
    (to_loki != Some(false)).then_some(settings)
}
