//! All values at one moment: what expositions and the OTLP exporter are made from.

use std::sync::Arc;

use super::exemplar::Exemplar;
use super::name;
use crate::field::Name;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution over buckets.
    Histogram,
    /// Labels that describe something; the value is always 1.
    Info,
}

/// Label names and values, in the order of the registration.
pub type Labels = Arc<[(Name, Box<str>)]>;

/// All values at one moment, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was taken: nanoseconds since the Unix epoch.
    pub time: u64,
    /// The families, sorted by [`FamilySnapshot::exposed_name`], of which each is there once.
    pub families: Vec<FamilySnapshot>,
    /// Whether OpenMetrics says since when counters and histograms count (`_created`).
    pub created_lines: bool,
}

/// One metric with all of its series.
#[derive(Clone, Debug)]
pub struct FamilySnapshot {
    /// The name as registered, with the namespace: dots included. What OTLP carries.
    pub name: Name,
    /// What it counts, in words.
    pub help: Name,
    /// The unit as Prometheus spells it (`seconds`, `bytes`, `ratio`), if it has one.
    pub unit: Option<Name>,
    /// What it is.
    pub kind: Kind,
    /// Its series.
    pub series: Vec<Series>,
}

/// One series of a metric.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Since when it counts: nanoseconds since the Unix epoch.
    pub created: u64,
    /// Whether it stands for all series beyond the cap.
    pub overflow: bool,
    /// Its value.
    pub value: SeriesValue,
    /// Of a counter, the trace behind one of its additions; a histogram has one for each bucket.
    pub exemplar: Option<Exemplar>,
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesValue {
    /// Of a counter.
    Counter(f64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram(HistogramValue),
    /// Of an info metric: its labels are all there is.
    Info,
}

/// The value of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramValue {
    /// The inclusive upper bounds, ascending, without infinity.
    pub bounds: Arc<[f64]>,
    /// One count for each bound and one above them all. Not cumulative.
    pub counts: Box<[u64]>,
    /// The sum of all values.
    pub sum: f64,
    /// For each count, the exemplar that its bucket holds.
    pub exemplars: Box<[Option<Exemplar>]>,
}

impl HistogramValue {
    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Snapshot {
    /// The family with this name, as registered or as exposed.
    pub fn family(&self, name: &str) -> Option<&FamilySnapshot> {
        self.families.iter().find(|family| family.name == name || family.exposed_name() == name)
    }

    /// The value of the series that has exactly these labels, in any order.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<&SeriesValue> {
        let same = |series: &&Series| {
            series.labels.len() == labels.len()
                && labels.iter().all(|(name, value)| series.labels.iter().any(|(n, v)| n == name && **v == **value))
        };
        self.family(name)?.series.iter().find(same).map(|series| &series.value)
    }

    /// The number in the series that has exactly these labels; of a histogram, its count.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        Some(match self.get(name, labels)? {
            SeriesValue::Counter(value) | SeriesValue::Gauge(value) => *value,
            SeriesValue::Histogram(histogram) => histogram.count() as f64,
            SeriesValue::Info => 1.0,
        })
    }
}

impl FamilySnapshot {
    /// The name in the Prometheus text format: dots become underscores, the unit is a suffix, a counter ends in
    /// `_total`, an info metric in `_info`.
    pub fn exposed_name(&self) -> String {
        name::exposed(&self.name, self.unit.as_deref(), self.kind)
    }
}
