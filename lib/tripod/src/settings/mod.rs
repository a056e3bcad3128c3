//! Settings from the environment and from code; all mistakes are reported at once.
//!
//! Names and meanings are those of the OpenTelemetry specification, of the service's own variables (`SERVICE_NAME`,
//! `LOG_LEVEL`, `OTLP_ENDPOINT`, …), and `TRIPOD_*` for what neither of them names. `docs/sdk/settings.md` lists them.

use std::sync::Arc;

use crate::context::propagation::{Format, Propagator};
use crate::logs::LevelRules;
use crate::resource::Resource;
use crate::traces::sampler::Sampler;

mod logs;
mod metrics;
mod otlp;
mod service;
mod traces;
mod variables;

pub use logs::{LineFormat, LogSettings};
pub use metrics::{ExemplarFilter, MetricSettings};
pub use service::ServiceSettings;
pub use traces::TraceSettings;
pub use variables::{Mistake, Mistakes, Variables};

/// Everything that can be set by environment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether nothing is to be recorded at all (`OTEL_SDK_DISABLED`); propagation goes on.
    pub disabled: bool,
    /// Who the service is.
    pub service: ServiceSettings,
    /// The service as attributes, with what the system knows.
    pub resource: Resource,
    /// Log lines.
    pub logs: LogSettings,
    /// Spans.
    pub traces: TraceSettings,
    /// Metrics.
    pub metrics: MetricSettings,
    /// Headers of incoming and outgoing calls (`OTEL_PROPAGATORS`, `TRIPOD_BAGGAGE_ALLOWED`).
    pub propagator: Propagator,
    /// Where errors are reported (`SENTRY_DSN`).
    pub sentry_dsn: Option<String>,
    /// Connections of the database pool (`DB_POOL_SIZE`), for the application to use.
    pub database_pool_size: Option<u32>,
}

impl Settings {
    /// Reads all settings. Mistakes are noted in the variables.
    pub fn read(variables: &mut Variables, service_name: &str) -> Self {
        let disabled =
            variables.flag("OTEL_SDK_DISABLED").unwrap_or_default() || !variables.flag("OTEL_ENABLED").unwrap_or(true);
        if variables.is_set("OTEL_CONFIG_FILE") || variables.is_set("OTEL_EXPERIMENTAL_CONFIG_FILE") {
            let message = "configuration files of OpenTelemetry are not read; use variables or the builder";
            variables.mistake("OTEL_CONFIG_FILE", message);
        }
        let (service, resource) = service::read(variables, service_name);
        let sentry_dsn = variables.text("SENTRY_DSN");
        if sentry_dsn.is_some() && !cfg!(feature = "sentry") {
            variables.mistake("SENTRY_DSN", "error tracking is not compiled in: enable the feature `sentry` of tripod");
        }
        // The SDK's own diagnostics are counters; the level is only checked.
        let words = ["none", "error", "warn", "info", "debug", "verbose", "all"].map(|word| (word, ()));
        variables.choice("OTEL_LOG_LEVEL", &words);
        Self {
            disabled,
            logs: logs::read(variables, &service),
            traces: traces::read(variables, &service),
            metrics: metrics::read(variables),
            propagator: propagator(variables),
            sentry_dsn,
            database_pool_size: variables.number("DB_POOL_SIZE", 1..=100_000),
            service,
            resource,
        }
    }
}

fn propagator(variables: &mut Variables) -> Propagator {
    let mut choices: Vec<_> = Format::ALL.iter().map(|(name, format)| (*name, Some(*format))).collect();
    choices.push(("none", None));
    let formats = match variables.choices("OTEL_PROPAGATORS", &choices) {
        Some(formats) => formats.into_iter().flatten().collect(),
        None => Propagator::default().formats().to_vec(),
    };
    Propagator::new(formats, variables.list("TRIPOD_BAGGAGE_ALLOWED").unwrap_or_default())
}

/// The level rules in a variable.
fn levels(variables: &mut Variables, name: &str) -> Option<LevelRules> {
    match variables.text(name)?.parse() {
        Ok(rules) => Some(rules),
        Err(error) => {
            let error: crate::logs::InvalidLevels = error;
            variables.mistake(name, error.to_string());
            None
        }
    }
}

/// A sampler that others can share.
pub(crate) type SharedSampler = Arc<dyn Sampler>;

#[cfg(test)]
mod tests;
