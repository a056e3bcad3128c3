//! Metrics whose values are looked up when they are collected: of the process, the runtime, a connection pool.

use std::collections::HashMap;

use super::name;
use super::snapshot::{FamilySnapshot, Kind, Labels, Series, SeriesValue, Snapshot};
use crate::field::Name;
use crate::redaction::Redactor;

/// Gives metrics at the moment of a collection. Runs on the thread that collects: it must not block.
pub trait Collector: Send + Sync + 'static {
    /// Adds its metrics.
    fn collect(&self, collection: &mut Collection);
}

impl<F: Fn(&mut Collection) + Send + Sync + 'static> Collector for F {
    fn collect(&self, collection: &mut Collection) {
        self(collection);
    }
}

/// What is collected. The first to give a name decides what it is; later series must be of the same kind.
#[derive(Debug, Default)]
pub struct Collection {
    families: HashMap<String, FamilySnapshot>,
    /// Each name of a sample, and the stem of the family that has it.
    claims: HashMap<String, String>,
    conflicts: u64,
    created: u64,
    redactor: Redactor,
}

impl Collection {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, ..Self::default() }
    }

    /// Since when the counters that follow count: nanoseconds since the Unix epoch. The moment of the collection unless
    /// set.
    pub fn since(&mut self, nanoseconds: u64) {
        self.created = nanoseconds;
    }

    /// Adds a series of a counter.
    pub fn counter<const N: usize>(
        &mut self,
        name: impl Into<Name>,
        help: impl Into<Name>,
        labels: [(Name, String); N],
        value: f64,
    ) {
        self.add(Kind::Counter, name.into(), help.into(), labels, SeriesValue::Counter(value));
    }

    /// Adds a series of a gauge.
    pub fn gauge<const N: usize>(
        &mut self,
        name: impl Into<Name>,
        help: impl Into<Name>,
        labels: [(Name, String); N],
        value: f64,
    ) {
        self.add(Kind::Gauge, name.into(), help.into(), labels, SeriesValue::Gauge(value));
    }

    /// Adds an info metric: labels that describe something.
    pub fn info(&mut self, name: impl Into<Name>, help: impl Into<Name>, labels: Vec<(Name, String)>) {
        self.add(Kind::Info, name.into(), help.into(), labels, SeriesValue::Info);
    }

    fn add(
        &mut self,
        kind: Kind,
        name: Name,
        help: Name,
        labels: impl IntoIterator<Item = (Name, String)>,
        value: SeriesValue,
    ) {
        let redacted = |(name, value): (Name, String)| {
            let value = self.redactor.named_text(&name, &value).into();
            (name, value)
        };
        let labels: Labels = labels.into_iter().map(redacted).collect();
        let unit = name::unit_of(&name);
        let series = vec![Series { labels, created: self.created, overflow: false, value, exemplar: None }];
        self.push(FamilySnapshot { name, help, unit, kind, series });
    }

    pub(super) fn push(&mut self, family: FamilySnapshot) {
        let names: Vec<Name> =
            family.series.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name.clone())).collect();
        let named = name::check_metric(&family.name).is_ok()
            && names.iter().all(|label| name::check_labels(&family.name, std::slice::from_ref(label)).is_ok());
        if !named {
            self.conflicts += 1;
            return;
        }
        let stem = name::stem(&family.name, family.unit.as_deref(), family.kind);
        if let Some(existing) = self.families.get_mut(&stem) {
            // The same series twice would make the whole exposition unreadable.
            let fits = existing.kind == family.kind
                && family.series.iter().all(|new| existing.series.iter().all(|old| old.labels != new.labels));
            match fits {
                true => existing.series.extend(family.series),
                false => self.conflicts += 1,
            }
            return;
        }
        let claims = name::claims(&stem, family.kind);
        if claims.iter().any(|claim| self.claims.contains_key(claim)) {
            self.conflicts += 1;
            return;
        }
        self.claims.extend(claims.into_iter().map(|claim| (claim, stem.clone())));
        self.families.insert(stem, family);
    }

    pub(super) fn append(&mut self, other: Collection) {
        self.conflicts += other.conflicts;
        for family in other.families.into_values() {
            self.push(family);
        }
    }

    /// Families that were left out because their names are not valid or in use.
    pub(super) fn conflicts(&self) -> u64 {
        self.conflicts
    }

    pub(super) fn finish(self, time: u64) -> Snapshot {
        let mut families: Vec<(String, FamilySnapshot)> = self.families.into_iter().collect();
        families.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut families: Vec<FamilySnapshot> = families.into_iter().map(|(_, family)| family).collect();
        for series in families.iter_mut().flat_map(|family| &mut family.series) {
            if series.created == 0 {
                series.created = time;
            }
        }
        Snapshot { time, families, created_lines: false }
    }
}
