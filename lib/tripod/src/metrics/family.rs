//! A metric with labels: its series, and the bound on how many there are.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::exemplar::{Exemplar, Exemplars, now};
use super::snapshot::{FamilySnapshot, Kind, Labels, Series, SeriesValue};
use crate::field::{Name, Value};
use crate::redaction::Redactor;

/// Longer label values are cut.
const MAX_VALUE_BYTES: usize = 1024;

/// The label of the series that stands for all series beyond the cap.
pub(super) const OVERFLOW_LABEL: &str = "otel_metric_overflow";

/// A metric with `N` labels. Cloning is cheap and shares the series.
pub struct Family<M, const N: usize>(pub(super) Arc<SeriesSet<M>>);

impl<M: Instrument, const N: usize> Family<M, N> {
    /// The series with these label values, in the order of the label names; made when it is not there yet. Keep the
    /// handle where the same values come again and again.
    ///
    /// When the family is full, this is the overflow series, with the one label `otel_metric_overflow="true"`.
    pub fn with(&self, values: [&str; N]) -> M {
        self.0.with(&values)
    }

    /// Takes a series out of the exposition. Handles that are still bound to it count into nothing.
    pub fn remove(&self, values: [&str; N]) -> bool {
        self.0.remove(&values)
    }
}

/// What can be in a family: a counter, a gauge or a histogram.
pub trait Instrument: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    const KIND: Kind;
    #[doc(hidden)]
    fn new(options: &InstrumentOptions) -> Self;
    #[doc(hidden)]
    fn observe(&self) -> SeriesValue;
    #[doc(hidden)]
    fn exemplar(&self) -> Option<Exemplar> {
        None
    }
    #[doc(hidden)]
    fn refused(&self) -> u64 {
        0
    }
}

/// What a new series needs to know.
#[derive(Clone, Debug)]
pub struct InstrumentOptions {
    pub(super) bounds: Arc<[f64]>,
    pub(super) exemplars: Arc<Exemplars>,
}

/// What a family is, without its series.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) name: Name,
    pub(super) help: Name,
    pub(super) unit: Option<Name>,
    pub(super) labels: Vec<Name>,
    pub(super) max_series: usize,
    pub(super) redactor: Redactor,
}

/// The series of one metric.
pub(super) struct SeriesSet<M> {
    pub(super) description: Description,
    pub(super) options: InstrumentOptions,
    hasher: RandomState,
    series: RwLock<Table<M>>,
    overflow: OnceLock<(M, u64)>,
    overflowed: AtomicU64,
}

struct Table<M> {
    by_hash: HashMap<u64, Vec<Entry<M>>, BuildHasherDefault<AsIs>>,
    len: usize,
}

struct Entry<M> {
    labels: Labels,
    created: u64,
    instrument: M,
}

/// The keys of the table are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl<M: Instrument> SeriesSet<M> {
    pub(super) fn new(description: Description, options: InstrumentOptions) -> Self {
        Self {
            description,
            options,
            hasher: RandomState::new(),
            series: RwLock::new(Table { by_hash: HashMap::default(), len: 0 }),
            overflow: OnceLock::new(),
            overflowed: AtomicU64::new(0),
        }
    }

    pub(super) fn with(&self, values: &[&str]) -> M {
        let hash = self.hasher.hash_one(values);
        if let Some(instrument) = self.series.read().find(hash, values) {
            return instrument.clone();
        }
        self.with_new(values)
    }

    /// Redacts before it looks again: a value that holds a secret never becomes a key, so it comes here every time.
    #[cold]
    fn with_new(&self, values: &[&str]) -> M {
        let redacted: Vec<Box<str>> =
            self.description.labels.iter().zip(values).map(|(name, value)| self.redact(name, value)).collect();
        let values: Vec<&str> = redacted.iter().map(|value| &**value).collect();
        let hash = self.hasher.hash_one(&values[..]);
        let mut table = self.series.write();
        if let Some(instrument) = table.find(hash, &values) {
            return instrument.clone();
        }
        if table.len >= self.description.max_series {
            drop(table);
            self.overflowed.fetch_add(1, Relaxed);
            return self.overflow.get_or_init(|| (M::new(&self.options), now())).0.clone();
        }
        let labels = self.description.labels.iter().cloned().zip(redacted).collect();
        let instrument = M::new(&self.options);
        table.by_hash.entry(hash).or_default().push(Entry { labels, created: now(), instrument: instrument.clone() });
        table.len += 1;
        instrument
    }

    fn remove(&self, values: &[&str]) -> bool {
        let hash = self.hasher.hash_one(values);
        let mut table = self.series.write();
        let Some(entries) = table.by_hash.get_mut(&hash) else { return false };
        let before = entries.len();
        entries.retain(|entry| !entry.is(values));
        let removed = before - entries.len();
        if entries.is_empty() {
            table.by_hash.remove(&hash);
        }
        table.len -= removed;
        removed > 0
    }

    fn redact(&self, name: &Name, value: &str) -> Box<str> {
        let end = (0..=MAX_VALUE_BYTES.min(value.len())).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
        let mut field = Value::from(value[..end].to_owned());
        self.description.redactor.field(name, &mut field);
        match field {
            Value::Text(text) => text.into_owned().into_boxed_str(),
            _ => Box::default(),
        }
    }
}

impl<M> Table<M> {
    fn find(&self, hash: u64, values: &[&str]) -> Option<&M> {
        self.by_hash.get(&hash)?.iter().find(|entry| entry.is(values)).map(|entry| &entry.instrument)
    }
}

impl<M> Entry<M> {
    fn is(&self, values: &[&str]) -> bool {
        self.labels.iter().map(|(_, value)| &**value).eq(values.iter().copied())
    }
}

/// A family whatever it holds: what the registry keeps.
pub(super) trait AnyFamily: Send + Sync {
    fn snapshot(&self) -> FamilySnapshot;
    /// Look-ups that met the overflow series, and values that were refused.
    fn losses(&self) -> (u64, u64);
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<M: Instrument> AnyFamily for SeriesSet<M> {
    fn snapshot(&self) -> FamilySnapshot {
        let mut series: Vec<Series> = Vec::new();
        for entry in self.series.read().by_hash.values().flatten() {
            series.push(Series {
                labels: entry.labels.clone(),
                created: entry.created,
                overflow: false,
                value: entry.instrument.observe(),
                exemplar: entry.instrument.exemplar(),
            });
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        if let Some((instrument, created)) = self.overflow.get() {
            let labels = [(Name::Borrowed(OVERFLOW_LABEL), Box::from("true"))];
            series.push(Series {
                labels: Arc::new(labels),
                created: *created,
                overflow: true,
                value: instrument.observe(),
                exemplar: instrument.exemplar(),
            });
        }
        FamilySnapshot {
            name: self.description.name.clone(),
            help: self.description.help.clone(),
            unit: self.description.unit.clone(),
            kind: M::KIND,
            series,
        }
    }

    fn losses(&self) -> (u64, u64) {
        let table = self.series.read();
        let refused = table.by_hash.values().flatten().map(|entry| entry.instrument.refused()).sum::<u64>();
        let overflow = self.overflow.get().map_or(0, |(instrument, _)| instrument.refused());
        (self.overflowed.load(Relaxed), refused + overflow)
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<M, const N: usize> Clone for Family<M, N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M, const N: usize> fmt::Debug for Family<M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("name", &self.0.description.name).finish_non_exhaustive()
    }
}
