//! Which spans are made and where they go.

use std::sync::Arc;
use std::time::Duration;

use super::otlp::{self, TRACES};
use super::{ServiceSettings, SharedSampler, Variables};
use crate::network::QueueOptions;
use crate::sinks::otlp::OtlpSettings;
use crate::traces::sampler::{AlwaysOff, AlwaysOn, ParentBased, Rules, TraceIdRatio};
use crate::traces::{Keep, SpanLimits};

/// Which spans are made and where they go.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// Whether spans are made at all (`ENABLE_TRACING`).
    pub enabled: bool,
    /// Spans of this level and above are made (`TRIPOD_SPAN_LEVEL`).
    pub level: tracing::Level,
    /// `OTEL_TRACES_SAMPLER` with its argument, or `TRACE_SAMPLE_RATE`.
    pub sampler: SharedSampler,
    /// Rules before the sampler (`TRIPOD_TRACE_RULES`); health checks are never recorded.
    pub rules: Rules,
    /// What is kept although the sampler did not choose it (`TRIPOD_KEEP_ERRORS`, on unless set, and
    /// `TRIPOD_KEEP_SLOW`, in milliseconds).
    pub keep: Keep,
    /// `OTEL_SPAN_*_LIMIT` and their like.
    pub limits: SpanLimits,
    /// `OTEL_BSP_*`.
    pub queue: QueueOptions,
    /// Collectors.
    pub otlp: Vec<OtlpSettings>,
    /// Whether spans are printed: `OTEL_TRACES_EXPORTER=console`, or development without a collector.
    pub console: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Exporter {
    Otlp,
    Console,
    None,
    /// With what to use instead.
    CompiledOut(&'static str, &'static str),
}

const EXPORTERS: [(&str, Exporter); 7] = [
    ("otlp", Exporter::Otlp),
    ("console", Exporter::Console),
    ("logging", Exporter::Console),
    ("none", Exporter::None),
    // The specification deprecates Zipkin's exporter and has removed Jaeger's.
    ("zipkin", Exporter::CompiledOut("zipkin", "otlp, to a Collector that exports to Zipkin")),
    ("jaeger", Exporter::CompiledOut("jaeger", "otlp, which Jaeger takes")),
    ("otlp/stdout", Exporter::CompiledOut("otlp/stdout", "console")),
];

pub(super) fn read(variables: &mut Variables, service: &ServiceSettings) -> TraceSettings {
    let mut exporters = otlp::further_traces(variables);
    let mut console = false;
    match variables.choices("OTEL_TRACES_EXPORTER", &EXPORTERS) {
        Some(chosen) => {
            for exporter in chosen {
                match exporter {
                    Exporter::Otlp => exporters.splice(..0, otlp::read(variables, TRACES)).for_each(drop),
                    Exporter::Console => console = true,
                    Exporter::None => {}
                    Exporter::CompiledOut(name, instead) => {
                        let message = format!("the exporter {name} is not compiled in; use {instead}");
                        variables.mistake("OTEL_TRACES_EXPORTER", message);
                    }
                }
            }
        }
        None if otlp::is_wanted(variables, TRACES) => {
            exporters.splice(..0, otlp::read(variables, TRACES)).for_each(drop);
        }
        None => console = exporters.is_empty() && service.is_development(),
    }
    let queue = queue(variables, "OTEL_BSP");
    otlp::limit_timeout(&mut exporters, Some(queue.timeout));
    let levels = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    TraceSettings {
        enabled: variables.flag("ENABLE_TRACING").unwrap_or(true),
        level: variables.choice("TRIPOD_SPAN_LEVEL", &levels).unwrap_or(tracing::Level::INFO),
        sampler: sampler(variables),
        rules: rules(variables),
        keep: Keep {
            errors: variables.flag("TRIPOD_KEEP_ERRORS").unwrap_or(true),
            slower_than: variables.milliseconds("TRIPOD_KEEP_SLOW"),
        },
        limits: limits(variables),
        queue,
        otlp: exporters,
        console,
    }
}

/// `PREFIX_SCHEDULE_DELAY`, `_EXPORT_TIMEOUT`, `_MAX_QUEUE_SIZE`, `_MAX_EXPORT_BATCH_SIZE`. Queues are bounded in bytes;
/// a size in items is a further bound.
pub(super) fn queue(variables: &mut Variables, prefix: &str) -> QueueOptions {
    let defaults = QueueOptions::default();
    let items = variables.number(&format!("{prefix}_MAX_QUEUE_SIZE"), 1..=usize::MAX);
    let batch_name = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
    let batch = variables.number(&batch_name, 1..=usize::MAX);
    if let (Some(items), Some(batch)) = (items, batch)
        && batch > items
    {
        variables.mistake(batch_name, format!("expected no more than the queue's size, {items}, found {batch}"));
    }
    let max_items = items.unwrap_or(defaults.max_items);
    QueueOptions {
        max_items,
        batch_items: batch.unwrap_or(defaults.batch_items).min(max_items),
        linger: variables.milliseconds(&format!("{prefix}_SCHEDULE_DELAY")).unwrap_or(defaults.linger),
        timeout: variables
            .milliseconds(&format!("{prefix}_EXPORT_TIMEOUT"))
            .filter(|time| !time.is_zero())
            .unwrap_or(Duration::from_secs(30)),
        ..defaults
    }
}

fn sampler(variables: &mut Variables) -> SharedSampler {
    #[derive(Clone, Copy)]
    enum Kind {
        On,
        Off,
        Ratio,
        CompiledOut,
    }
    let kinds = [
        ("always_on", (Kind::On, false)),
        ("always_off", (Kind::Off, false)),
        ("traceidratio", (Kind::Ratio, false)),
        ("parentbased_always_on", (Kind::On, true)),
        ("parentbased_always_off", (Kind::Off, true)),
        ("parentbased_traceidratio", (Kind::Ratio, true)),
        ("jaeger_remote", (Kind::CompiledOut, false)),
        ("parentbased_jaeger_remote", (Kind::CompiledOut, true)),
        ("xray", (Kind::CompiledOut, false)),
    ];
    let ratio = |variables: &mut Variables, name: &str| variables.number(name, 0.0..=1.0).unwrap_or(1.0);
    let Some((kind, parent)) = variables.choice("OTEL_TRACES_SAMPLER", &kinds) else {
        if variables.is_set("TRACE_SAMPLE_RATE") {
            return Arc::new(ParentBased::new(TraceIdRatio::new(ratio(variables, "TRACE_SAMPLE_RATE"))));
        }
        return Arc::new(ParentBased::default());
    };
    match (kind, parent) {
        (Kind::On, false) => Arc::new(AlwaysOn),
        (Kind::On, true) => Arc::new(ParentBased::new(AlwaysOn)),
        (Kind::Off, false) => Arc::new(AlwaysOff),
        (Kind::Off, true) => Arc::new(ParentBased::new(AlwaysOff)),
        (Kind::Ratio, false) => Arc::new(TraceIdRatio::new(ratio(variables, "OTEL_TRACES_SAMPLER_ARG"))),
        (Kind::Ratio, true) => {
            Arc::new(ParentBased::new(TraceIdRatio::new(ratio(variables, "OTEL_TRACES_SAMPLER_ARG"))))
        }
        (Kind::CompiledOut, _) => {
            variables.mistake("OTEL_TRACES_SAMPLER", "samplers that ask a server are not compiled in");
            Arc::new(ParentBased::default())
        }
    }
}

fn rules(variables: &mut Variables) -> Rules {
    match variables.text("TRIPOD_TRACE_RULES").map(|text| text.parse::<Rules>()) {
        Some(Ok(rules)) => rules.before(Rules::default()),
        Some(Err(error)) => {
            variables.mistake("TRIPOD_TRACE_RULES", error.to_string());
            Rules::default()
        }
        None => Rules::default(),
    }
}

fn limits(variables: &mut Variables) -> SpanLimits {
    let defaults = SpanLimits::default();
    let mut limit = |names: &[&str], default: usize| {
        // All are read, so that mistakes in each are found; the first that is set counts.
        let found: Vec<_> = names.iter().map(|name| variables.number(name, 0..=usize::MAX)).collect();
        found.into_iter().flatten().next().unwrap_or(default)
    };
    SpanLimits {
        attributes: limit(&["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], defaults.attributes),
        value_length: limit(
            &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
            defaults.value_length,
        ),
        events: limit(&["OTEL_SPAN_EVENT_COUNT_LIMIT"], defaults.events),
        links: limit(&["OTEL_SPAN_LINK_COUNT_LIMIT"], defaults.links),
        event_attributes: limit(
            &["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
            defaults.event_attributes,
        ),
        link_attributes: limit(
            &["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
            defaults.link_attributes,
        ),
    }
}
