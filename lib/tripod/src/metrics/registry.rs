//! All metrics of a service, and how one is registered.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;

use super::collector::{Collection, Collector};
use super::counter::Counter;
use super::exemplar::{ExemplarSource, Exemplars, now};
use super::family::{AnyFamily, Description, Family, Instrument, InstrumentOptions, SeriesSet};
use super::gauge::Gauge;
use super::histogram::{DEFAULT_BUCKETS, Histogram};
use super::name::{self, MetricError};
use super::snapshot::{Kind, Snapshot};
use crate::field::Name;
use crate::redaction::Redactor;

/// All metrics of a service. Cloning is cheap and shares.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    namespace: String,
    max_series: usize,
    redactor: Redactor,
    exemplars: Arc<Exemplars>,
    created_lines: bool,
    families: RwLock<Families>,
    collectors: RwLock<Vec<Arc<dyn Collector>>>,
    /// Collectors that panicked, and families of collectors whose names were taken.
    collector_failures: AtomicU64,
}

#[derive(Default)]
struct Families {
    by_stem: BTreeMap<String, Arc<dyn AnyFamily>>,
    /// Each name of a sample, and the stem of the family that has it.
    claims: HashMap<String, String>,
}

/// How a registry is made.
#[derive(Debug)]
pub struct RegistryBuilder {
    namespace: String,
    max_series: usize,
    redactor: Redactor,
    exemplars: Option<ExemplarSource>,
    created_lines: bool,
}

impl Default for RegistryBuilder {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            max_series: 2000,
            redactor: Redactor::default(),
            exemplars: None,
            created_lines: false,
        }
    }
}

impl RegistryBuilder {
    /// The prefix of all names registered by the application: `sixseven` makes `commands_total` into
    /// `sixseven_commands_total`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How many series a metric may have before further label values share one. 2000 unless set, which is the default of
    /// the OpenTelemetry specification.
    pub fn max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }

    /// What redacts label values.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// What knows the running trace. Without it there are no exemplars.
    pub fn exemplars(mut self, source: ExemplarSource) -> Self {
        self.exemplars = Some(source);
        self
    }

    /// Whether OpenMetrics says since when counters and histograms count, by lines `_created`. Off unless set: Prometheus
    /// stores each as one more series.
    pub fn created_lines(mut self, on: bool) -> Self {
        self.created_lines = on;
        self
    }

    /// Makes the registry.
    ///
    /// # Errors
    /// When the namespace cannot begin a metric name.
    pub fn build(self) -> Result<Registry, MetricError> {
        let namespace = self.namespace.trim_end_matches('_').to_owned();
        if !namespace.is_empty() {
            name::check_metric(&namespace)?;
        }
        Ok(Registry(Arc::new(Inner {
            namespace,
            max_series: self.max_series,
            redactor: self.redactor,
            exemplars: Arc::new(Exemplars::new(self.exemplars)),
            created_lines: self.created_lines,
            families: RwLock::default(),
            collectors: RwLock::default(),
            collector_failures: AtomicU64::new(0),
        })))
    }
}

impl Default for Registry {
    fn default() -> Self {
        let builder = RegistryBuilder::default();
        Self(Arc::new(Inner {
            namespace: builder.namespace,
            max_series: builder.max_series,
            redactor: builder.redactor,
            exemplars: Arc::new(Exemplars::new(builder.exemplars)),
            created_lines: builder.created_lines,
            families: RwLock::default(),
            collectors: RwLock::default(),
            collector_failures: AtomicU64::new(0),
        }))
    }
}

impl Registry {
    /// A registry without namespace.
    pub fn new() -> Self {
        Self::default()
    }

    /// A registry with settings.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// A counter. In the exposition its name ends in `_total`.
    pub fn counter(&self, name: impl Into<Name>, help: impl Into<Name>) -> Builder<'_, Counter> {
        self.builder_of(name.into(), help.into())
    }

    /// A gauge.
    pub fn gauge(&self, name: impl Into<Name>, help: impl Into<Name>) -> Builder<'_, Gauge> {
        self.builder_of(name.into(), help.into())
    }

    /// A histogram with [`DEFAULT_BUCKETS`], which are meant for seconds.
    pub fn histogram(&self, name: impl Into<Name>, help: impl Into<Name>) -> Builder<'_, Histogram> {
        self.builder_of(name.into(), help.into())
    }

    fn builder_of<M: Instrument>(&self, name: Name, help: Name) -> Builder<'_, M> {
        Builder {
            registry: self,
            name,
            help,
            unit: None,
            bounds: Arc::from(DEFAULT_BUCKETS),
            max_series: self.0.max_series,
            prefixed: true,
            shape: NoLabels,
            instrument: PhantomData,
        }
    }

    /// Adds metrics whose values are looked up when they are collected.
    pub fn collect(&self, collector: impl Collector) {
        self.0.collectors.write().push(Arc::new(collector));
    }

    /// What the names of the application's metrics begin with; `""` for nothing.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// All values at this moment. Exemplars in it are those since the snapshot before, or older where no newer came.
    pub fn snapshot(&self) -> Snapshot {
        let families: Vec<(String, Arc<dyn AnyFamily>)> =
            self.0.families.read().by_stem.iter().map(|(stem, family)| (stem.clone(), family.clone())).collect();
        let mut collection = Collection::new(self.0.redactor.clone());
        let mut losses = Vec::new();
        for (_, family) in &families {
            let snapshot = family.snapshot();
            let (overflowed, refused) = family.losses();
            if overflowed + refused > 0 {
                losses.push((snapshot.exposed_name(), overflowed, refused));
            }
            collection.push(snapshot);
        }
        for collector in self.0.collectors.read().iter() {
            // A collector is the application's code: its panic must not take the exposition away.
            let mut own = Collection::new(self.0.redactor.clone());
            match catch_unwind(AssertUnwindSafe(|| collector.collect(&mut own))) {
                Ok(()) => collection.append(own),
                Err(_) => {
                    self.0.collector_failures.fetch_add(1, Relaxed);
                }
            }
        }
        losses_into(&mut collection, &losses);
        let failures = self.0.collector_failures.fetch_add(collection.conflicts(), Relaxed) + collection.conflicts();
        collection.counter(
            "tripod_self_metrics_collector_failures_total",
            "Collectors that panicked and families that they gave under names in use",
            [],
            failures as f64,
        );
        self.0.exemplars.collected();
        Snapshot { created_lines: self.0.created_lines, ..collection.finish(now()) }
    }

    /// All values in the Prometheus text format, version 0.0.4.
    pub fn prometheus_text(&self) -> String {
        super::exposition::prometheus_text(&self.snapshot())
    }

    /// All values in the OpenMetrics text format, version 1.0.0, with exemplars.
    pub fn openmetrics_text(&self) -> String {
        super::exposition::openmetrics_text(&self.snapshot())
    }

    fn register<M: Instrument>(
        &self,
        description: Description,
        bounds: Arc<[f64]>,
    ) -> Result<Arc<SeriesSet<M>>, MetricError> {
        name::check_metric(&description.name)?;
        name::check_labels(&description.name, &description.labels)?;
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]) && bounds.iter().all(|bound| bound.is_finite());
        if M::KIND == Kind::Histogram && (!ascending || bounds.len() > 1000) {
            return Err(MetricError::InvalidBuckets(description.name.into_owned()));
        }
        let stem = name::stem(&description.name, description.unit.as_deref(), M::KIND);
        let taken = |exposed: &str| MetricError::NameTaken {
            metric: description.name.to_string(),
            exposed: exposed.to_owned(),
        };
        let mut families = self.0.families.write();
        if let Some(family) = families.by_stem.get(&stem) {
            // Libraries may register what the application has registered already.
            let family = family.clone().as_any().downcast::<SeriesSet<M>>().map_err(|_| taken(&stem))?;
            let same = family.description.labels == description.labels
                && family.description.unit == description.unit
                && (M::KIND != Kind::Histogram || family.options.bounds == bounds);
            return if same { Ok(family) } else { Err(taken(&stem)) };
        }
        let claims = name::claims(&stem, M::KIND);
        if let Some(claim) = claims.iter().find(|claim| families.claims.contains_key(*claim)) {
            return Err(taken(claim));
        }
        let options = InstrumentOptions { bounds, exemplars: self.0.exemplars.clone() };
        let family = Arc::new(SeriesSet::<M>::new(description, options));
        families.claims.extend(claims.into_iter().map(|claim| (claim, stem.clone())));
        families.by_stem.insert(stem, family.clone());
        Ok(family)
    }
}

fn losses_into(collection: &mut Collection, losses: &[(String, u64, u64)]) {
    for (metric, overflowed, refused) in losses {
        let labels = || [("metric".into(), metric.as_str().into())];
        collection.counter(
            "tripod_self_metrics_overflowed_total",
            "Look-ups of series that met the overflow series because the metric had no room for more",
            labels(),
            *overflowed as f64,
        );
        collection.counter(
            "tripod_self_metrics_refused_total",
            "Values that a metric cannot take: not a number, or negative for a counter",
            labels(),
            *refused as f64,
        );
    }
}

/// A metric that is being registered.
#[must_use = "nothing is registered before `register`"]
pub struct Builder<'a, M, S = NoLabels> {
    registry: &'a Registry,
    name: Name,
    help: Name,
    unit: Option<Name>,
    bounds: Arc<[f64]>,
    max_series: usize,
    prefixed: bool,
    shape: S,
    instrument: PhantomData<fn() -> M>,
}

/// A metric without labels: registering it gives the instrument itself.
#[derive(Clone, Copy, Debug)]
pub struct NoLabels;

/// The names of a metric's labels: registering it gives a [`Family`].
#[derive(Clone, Debug)]
pub struct LabelNames<const N: usize>([Name; N]);

/// Whether a metric has labels, and what registering it gives.
pub trait Shape<M> {
    /// What registering gives.
    type Registered;
    #[doc(hidden)]
    fn names(&self) -> Vec<Name>;
    #[doc(hidden)]
    fn finish(set: Registered<M>) -> Self::Registered;
}

/// The series of a metric that was just registered.
#[doc(hidden)]
pub struct Registered<M>(Arc<SeriesSet<M>>);

impl<M: Instrument> Shape<M> for NoLabels {
    type Registered = M;

    fn names(&self) -> Vec<Name> {
        Vec::new()
    }

    fn finish(set: Registered<M>) -> M {
        set.0.with(&[])
    }
}

impl<M: Instrument, const N: usize> Shape<M> for LabelNames<N> {
    type Registered = Family<M, N>;

    fn names(&self) -> Vec<Name> {
        self.0.to_vec()
    }

    fn finish(set: Registered<M>) -> Family<M, N> {
        Family(set.0)
    }
}

impl<'a, M: Instrument> Builder<'a, M, NoLabels> {
    /// Gives the metric labels. Their number is part of its type: forgetting a value does not compile.
    pub fn labels<const N: usize>(self, names: [&'static str; N]) -> Builder<'a, M, LabelNames<N>> {
        Builder {
            registry: self.registry,
            name: self.name,
            help: self.help,
            unit: self.unit,
            bounds: self.bounds,
            max_series: self.max_series,
            prefixed: self.prefixed,
            shape: LabelNames(names.map(Name::Borrowed)),
            instrument: PhantomData,
        }
    }
}

impl<M: Instrument, S: Shape<M>> Builder<'_, M, S> {
    /// The unit (`seconds`, `bytes`, or `s`, `By` as OpenTelemetry writes them). Without it, the unit is read from the
    /// end of the name.
    pub fn unit(mut self, unit: impl Into<Name>) -> Self {
        self.unit = Some(name::unit(unit.into()));
        self
    }

    /// How many series this metric may have.
    pub fn max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }

    /// Leaves the namespace away: for names that are the same in every service.
    pub fn without_namespace(mut self) -> Self {
        self.prefixed = false;
        self
    }

    /// Registers the metric, or gives the one that was registered before with the same name, kind, labels, unit and
    /// buckets.
    ///
    /// # Errors
    /// When the name, a label or the buckets are not valid, or the name is in use for something else.
    pub fn register(self) -> Result<S::Registered, MetricError> {
        let namespace = &self.registry.0.namespace;
        let name = match self.prefixed && !namespace.is_empty() {
            true => Name::Owned(format!("{namespace}_{}", self.name)),
            false => self.name,
        };
        let labels = self.shape.names();
        let description = Description {
            unit: self.unit.or_else(|| name::unit_of(&name)),
            name,
            help: self.help,
            // The one series of a metric without labels has nothing to overflow into.
            max_series: if labels.is_empty() { self.max_series.max(1) } else { self.max_series },
            labels,
            redactor: self.registry.0.redactor.clone(),
        };
        self.registry.register(description, self.bounds).map(|set| S::finish(Registered(set)))
    }
}

impl<S: Shape<Histogram>> Builder<'_, Histogram, S> {
    /// The inclusive upper bounds of the buckets, ascending, without infinity.
    pub fn buckets(mut self, bounds: &[f64]) -> Self {
        self.bounds = Arc::from(bounds);
        self
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let families = self.0.families.read();
        f.debug_struct("Registry").field("families", &families.by_stem.keys()).finish_non_exhaustive()
    }
}

impl<M, S> fmt::Debug for Builder<'_, M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}
