//! `init`: what the environment says, what the code says, and the start of everything.

use std::fmt;
use std::io;
use std::sync::Arc;

use tracing::Dispatch;

use crate::accounts::Accounts;
use crate::context::{self, propagation};
use crate::field::{Name, Value};
use crate::health::{Health, Service};
use crate::layer::{TripodLayer, TripodSubscriber};
use crate::logs::{ConsoleFormat, JsonFormat, Level, Levels, LogEvent, Pipeline, Processor, Verdict, report_panics};
use crate::metrics::{
    BuildInfo, Collection, Collector as _, MetricError, OwnMetrics, ProcessMetrics, Registry, RuntimeMetrics,
    sampled_span,
};
use crate::network::Network;
use crate::redaction::Redactor;
use crate::service::Tripod;
use crate::settings::{ExemplarFilter, LineFormat, Mistakes, Settings, SharedSampler, Variables};
use crate::sinks::file::FileSink;
use crate::sinks::loki::LokiSink;
use crate::sinks::otlp::{OtlpLogs, OtlpMetrics, OtlpSettings, OtlpSpans};
use crate::sinks::{ConsoleSpans, Sink, WriteSink};
use crate::traces::sampler::{Rule, Sampler};
use crate::traces::{Keep, SpanPipeline, SpanSink};

/// Starts everything as the environment says. Keep what it gives until the end of `main`.
///
/// ```no_run
/// # fn main() -> Result<(), tripod::InitError> {
/// let tripod = tripod::init("agent-api")?;
/// tracing::info!(port = 8000, "started");
/// tripod.shutdown(std::time::Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When settings are wrong, all of them at once; when the process has a subscriber already; when the system gives no
/// thread or file.
pub fn init(service: impl Into<String>) -> Result<Tripod, InitError> {
    builder(service).init()
}

/// Begins settings in code; what they leave open, the environment says.
pub fn builder(service: impl Into<String>) -> Builder {
    Builder {
        service: service.into(),
        variables: None,
        prefix: String::new(),
        change: Vec::new(),
        redactor: None,
        processors: Vec::new(),
        sinks: Vec::new(),
        span_sinks: Vec::new(),
        namespace: None,
        resource: Vec::new(),
        #[cfg(feature = "sentry")]
        sentry: Box::new(|sentry| sentry),
    }
}

/// Why [`init`] refused.
pub enum InitError {
    /// Settings are wrong.
    Settings(Mistakes),
    /// The process has a `tracing` subscriber already.
    AlreadyInitialised,
    /// A sink could not be opened.
    Sink {
        /// Which.
        sink: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// A metric could not be registered; the namespace is wrong.
    Metric(MetricError),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(mistakes) => mistakes.fmt(f),
            Self::AlreadyInitialised => f.write_str("the process has a tracing subscriber already; call init once"),
            Self::Sink { sink, cause } => write!(f, "cannot open {sink}: {cause}"),
            Self::Metric(error) => error.fmt(f),
        }
    }
}

/// As [`fmt::Display`]: `main` prints what it returns in this form, and a stranger's first error should be readable.
impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(mistakes) => Some(mistakes),
            Self::AlreadyInitialised => None,
            Self::Sink { cause, .. } => Some(cause),
            Self::Metric(error) => Some(error),
        }
    }
}

type Change = Box<dyn FnOnce(&mut Settings)>;

#[cfg(feature = "sentry")]
type ChangeSentry = Box<dyn FnOnce(crate::errors::SentrySettings) -> crate::errors::SentrySettings>;

/// Settings in code. What is set here counts before the environment.
pub struct Builder {
    service: String,
    variables: Option<Variables>,
    prefix: String,
    change: Vec<Change>,
    redactor: Option<Redactor>,
    processors: Vec<Box<dyn Processor>>,
    sinks: Vec<(Level, Arc<dyn Sink>)>,
    span_sinks: Vec<Arc<dyn SpanSink>>,
    namespace: Option<String>,
    resource: Vec<(Name, Value)>,
    #[cfg(feature = "sentry")]
    sentry: ChangeSentry,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("service", &self.service).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Builder {
    /// Looks for variables with this prefix first: with `SIXSEVEN_`, `SIXSEVEN_LOG_LEVEL` counts before `LOG_LEVEL`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Reads these variables instead of the environment.
    #[must_use]
    pub fn variables(mut self, variables: Variables) -> Self {
        self.variables = Some(variables);
        self
    }

    /// Changes any setting after the environment was read.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings) + 'static) -> Self {
        self.change.push(Box::new(change));
        self
    }

    /// The service's version, unless `SERVICE_VERSION` says another; mostly `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        let version = version.into();
        self.settings(move |settings| {
            let version = settings.service.version.get_or_insert(version).clone();
            settings.resource = std::mem::take(&mut settings.resource).with("service.version", version);
        })
    }

    /// Adds an attribute to the resource.
    #[must_use]
    pub fn resource(mut self, name: impl Into<Name>, value: impl Into<Value>) -> Self {
        self.resource.push((name.into(), value.into()));
        self
    }

    /// What the names of the service's metrics begin with: `sixseven` for `sixseven_commands_total`.
    #[must_use]
    pub fn metrics_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Redacts with this instead of the default.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Lets log lines through a processor, which may change or drop them.
    #[must_use]
    pub fn processor(mut self, processor: impl Processor + 'static) -> Self {
        self.processors.push(Box::new(processor));
        self
    }

    /// Sends log lines of this level and above to a further sink.
    #[must_use]
    pub fn sink(mut self, least: Level, sink: Arc<dyn Sink>) -> Self {
        self.sinks.push((least, sink));
        self
    }

    /// Sends spans to a further sink.
    #[must_use]
    pub fn span_sink(mut self, sink: Arc<dyn SpanSink>) -> Self {
        self.span_sinks.push(sink);
        self
    }

    /// Exports spans to a further collector.
    #[must_use]
    pub fn export_spans(self, collector: OtlpSettings) -> Self {
        self.settings(move |settings| settings.traces.otlp.push(collector))
    }

    /// Exports log lines to a further collector.
    #[must_use]
    pub fn export_logs(self, collector: OtlpSettings) -> Self {
        self.settings(move |settings| settings.logs.otlp.push(collector))
    }

    /// Exports metrics to a further collector.
    #[must_use]
    pub fn export_metrics(self, collector: OtlpSettings) -> Self {
        self.settings(move |settings| settings.metrics.otlp.push(collector))
    }

    /// Decides with this sampler which traces are recorded.
    #[must_use]
    pub fn sampler(self, sampler: impl Sampler) -> Self {
        let sampler: SharedSampler = Arc::new(sampler);
        self.settings(move |settings| settings.traces.sampler = sampler)
    }

    /// Puts a rule for a route before those that are there.
    #[must_use]
    pub fn trace_rule(self, rule: Rule) -> Self {
        self.settings(move |settings| settings.traces.rules = settings.traces.rules.clone().with(rule))
    }

    /// Keeps failed and slow requests although the sampler did not choose them.
    #[must_use]
    pub fn keep(self, keep: Keep) -> Self {
        self.settings(move |settings| settings.traces.keep = keep)
    }

    /// Changes what Sentry gets: rates, status codes, `before_send`. Without a `SENTRY_DSN` nothing is sent.
    #[cfg(feature = "sentry")]
    #[must_use]
    pub fn sentry(
        mut self,
        change: impl FnOnce(crate::errors::SentrySettings) -> crate::errors::SentrySettings + 'static,
    ) -> Self {
        let before = self.sentry;
        self.sentry = Box::new(move |sentry| change(before(sentry)));
        self
    }

    /// Starts everything, for the whole process.
    ///
    /// # Errors
    /// As [`init`].
    pub fn init(self) -> Result<Tripod, InitError> {
        // What the application sends with the functions of the `sentry` crate goes the same way.
        #[cfg(feature = "sentry")]
        let builder = self.sentry(crate::errors::SentrySettings::bind_hub);
        #[cfg(not(feature = "sentry"))]
        let builder = self;
        let tripod = builder.build()?;
        tracing::dispatcher::set_global_default(tripod.dispatch.clone()).map_err(|_| InitError::AlreadyInitialised)?;
        propagation::set(tripod.settings.propagator.clone());
        if let Some(logs) = tripod.layer.logs() {
            report_panics(logs);
        }
        Ok(tripod)
    }

    /// Starts everything without touching the process: neither the global subscriber nor the propagator nor the panic
    /// hook. For a subscriber of one's own, and for tests.
    ///
    /// # Errors
    /// As [`init`].
    pub fn build(self) -> Result<Tripod, InitError> {
        let mut variables = self.variables.unwrap_or_else(Variables::from_environment).with_prefix(&self.prefix);
        let mut settings = Settings::read(&mut variables, &self.service);
        #[cfg(feature = "sentry")]
        let sentry = sentry(&mut variables, &settings);
        variables.finish().map_err(InitError::Settings)?;
        self.change.into_iter().for_each(|change| change(&mut settings));
        let resource =
            self.resource.into_iter().fold(settings.resource, |resource, (name, value)| resource.with(name, value));
        settings.resource = resource.detect();

        let opened = |sink: &'static str| move |cause: io::Error| InitError::Sink { sink, cause };
        let accounts = Accounts::new();
        let network = Network::start().map_err(opened("the network thread"))?;
        let redactor = self.redactor.unwrap_or_default();
        let registry = registry(&settings, self.namespace.as_deref(), &redactor).map_err(InitError::Metric)?;
        collect(&registry, &settings, &accounts, &network);

        let lines = match settings.logs.format {
            LineFormat::Json => WriteSink::stdout(JsonFormat::default(), &accounts),
            LineFormat::Console => WriteSink::stdout(ConsoleFormat::for_terminal(), &accounts),
        };
        let stdout = Arc::new(lines.map_err(opened("standard output"))?);

        let mut logs = Pipeline::new(redactor.clone(), &accounts);
        for processor in self.processors {
            logs = logs.with_boxed_processor(processor);
        }
        logs = logs
            .with_processor(Limit { fields: settings.logs.max_fields, value_length: settings.logs.max_value_length });
        if settings.logs.stdout {
            logs = logs.with_sink(Level::Trace, stdout.clone());
        }
        if let Some(file) = settings.logs.file.clone() {
            let file = FileSink::open(file, JsonFormat::default(), &accounts).map_err(opened("the log file"))?;
            logs = logs.with_sink(Level::Trace, Arc::new(file));
        }
        if let Some(loki) = settings.logs.loki.clone() {
            // A fallback only where lines are not on standard output anyway.
            let fallback = (!settings.logs.stdout).then(|| stdout.clone());
            let loki = LokiSink::start(loki, JsonFormat::default(), fallback, &network, &accounts);
            logs = logs.with_sink(Level::Trace, Arc::new(loki.map_err(opened("Loki"))?));
        }
        for otlp in &settings.logs.otlp {
            let (options, resource) = (settings.logs.queue.clone(), &settings.resource);
            let sink = OtlpLogs::open(otlp.clone(), options, resource, &network, &accounts);
            logs = logs.with_sink(Level::Trace, Arc::new(sink.map_err(opened("the OTLP exporter of logs"))?));
        }
        #[cfg(feature = "sentry")]
        if let Some(sentry) = sentry {
            let sink = crate::errors::SentrySink::start((self.sentry)(sentry), &redactor, &network, &accounts);
            logs = logs.with_sink(Level::Trace, Arc::new(sink.map_err(opened("Sentry"))?));
        }
        for (least, sink) in self.sinks {
            logs = logs.with_sink(least, sink);
        }

        let traces = &settings.traces;
        let mut spans = SpanPipeline::new(redactor.clone(), &accounts)
            .with_sampler(traces.sampler.clone())
            .with_rules(traces.rules.clone())
            .with_keep(traces.keep.clone())
            .with_limits(traces.limits.clone());
        for otlp in &traces.otlp {
            let sink = OtlpSpans::open(otlp.clone(), traces.queue.clone(), &settings.resource, &network, &accounts);
            spans = spans.with_sink(Arc::new(sink.map_err(opened("the OTLP exporter of spans"))?));
        }
        if traces.console {
            spans = spans.with_sink(Arc::new(ConsoleSpans::new(stdout)));
        }
        for sink in self.span_sinks {
            spans = spans.with_sink(sink);
        }

        let mut metrics = Vec::new();
        for otlp in settings.metrics.otlp.iter().filter(|_| !settings.disabled) {
            let (interval, temporality) = (settings.metrics.interval, settings.metrics.temporality);
            let (registry, resource) = (registry.clone(), &settings.resource);
            let exporter =
                OtlpMetrics::open(otlp.clone(), interval, temporality, registry, resource, &network, &accounts);
            metrics.push(exporter.map_err(opened("the OTLP exporter of metrics"))?);
        }

        let mut layer = TripodLayer::builder(redactor.clone())
            .levels(Levels::new(settings.logs.levels.clone()))
            .span_level(traces.level);
        if !settings.disabled {
            layer = layer.logs(logs);
            if traces.enabled {
                layer = layer.spans(spans);
            }
        }
        let layer = layer.build();
        let version = settings.service.version.clone().unwrap_or_default();
        let health = Health::new(Service::new(version, settings.service.environment.clone()));
        health.expose(&registry).map_err(InitError::Metric)?;
        Ok(Tripod {
            #[cfg(feature = "http")]
            http: crate::http::HttpLayer::builder().build(&registry).map_err(InitError::Metric)?,
            dispatch: Dispatch::new(TripodSubscriber::new(layer.clone())),
            settings,
            layer,
            network,
            accounts,
            registry,
            health,
            redactor,
            metrics,
            is_down: false,
        })
    }
}

fn registry(settings: &Settings, namespace: Option<&str>, redactor: &Redactor) -> Result<Registry, MetricError> {
    let mut registry = Registry::builder().redactor(redactor.clone());
    if let Some(namespace) = namespace {
        registry = registry.namespace(namespace.to_owned());
    }
    match settings.metrics.exemplars {
        ExemplarFilter::AlwaysOn => registry.exemplars(context::current_span).build(),
        ExemplarFilter::TraceBased => registry.exemplars(sampled_span).build(),
        ExemplarFilter::AlwaysOff => registry.build(),
    }
}

/// What is measured without a word of the application: process, runtime, build, and the SDK itself.
fn collect(registry: &Registry, settings: &Settings, accounts: &Accounts, network: &Network) {
    registry.collect(ProcessMetrics::new());
    if let Some(runtime) = RuntimeMetrics::current() {
        registry.collect(runtime);
    }
    let version = settings.service.version.as_deref().unwrap_or_default();
    registry.collect(BuildInfo::new("service", &settings.service.name, version));
    let own = Arc::new(OwnMetrics::new(accounts.clone()));
    let thread = own.clone();
    network.spawn(async move { thread.count_this_thread() });
    registry.collect(move |out: &mut Collection| own.collect(out));
}

#[cfg(feature = "sentry")]
fn sentry(variables: &mut Variables, settings: &Settings) -> Option<crate::errors::SentrySettings> {
    let mut sentry = match crate::errors::SentrySettings::new(settings.sentry_dsn.as_deref()?) {
        Ok(sentry) => sentry.environment(settings.service.environment.clone()),
        Err(error) => {
            variables.mistake("SENTRY_DSN", error.to_string());
            return None;
        }
    };
    let release = ["SENTRY_RELEASE", "GIT_COMMIT_SHA"].into_iter().find_map(|name| variables.text(name));
    if let Some(release) = release.or_else(|| settings.service.version.clone()) {
        sentry = sentry.release(release);
    }
    // Both are checked to lie between 0 and 1 before they are set.
    if let Some(rate) = variables.number("SENTRY_SAMPLE_RATE", 0.0..=1.0) {
        sentry = sentry.sample_rate(rate).ok()?;
    }
    if let Some(rate) = variables.number("SENTRY_TRACES_SAMPLE_RATE", 0.0..=1.0) {
        sentry = sentry.traces_sample_rate(rate).ok()?;
    }
    if let Some(codes) = variables.list("SENTRY_FAILED_STATUS_CODES") {
        let codes: Result<Vec<u16>, _> = codes.iter().map(|code| code.trim().parse()).collect();
        match codes {
            Ok(codes) => sentry = sentry.failed_status_codes(codes),
            Err(_) => variables.mistake("SENTRY_FAILED_STATUS_CODES", "expected status codes such as 500,502,503"),
        }
    }
    Some(sentry)
}

/// Keeps lines within the limits of `OTEL_LOGRECORD_*`.
struct Limit {
    fields: usize,
    value_length: usize,
}

impl Processor for Limit {
    fn process(&self, event: &mut LogEvent) -> Verdict {
        event.fields.truncate(self.fields);
        if self.value_length != usize::MAX {
            event.fields.iter_mut().for_each(|(_, value)| value.truncate(self.value_length));
        }
        Verdict::Keep
    }
}
