//! Which series have which labels: an inverted index over numbered series.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use roaring::RoaringBitmap;
use tripod_model::series::{Labels, METRIC_NAME};

use super::{LabelMatcher, MatchOp, NameCount, SeriesStatistics};

/// Series by number and by label. Numbers of removed series are given out again.
#[derive(Debug, Default)]
pub struct LabelIndex {
    ids: HashMap<Labels, u32, ahash::RandomState>,
    labels: Vec<Labels>,
    free: RoaringBitmap,
    all: RoaringBitmap,
    names: HashMap<Box<str>, Values, ahash::RandomState>,
}

/// The values of a label, each with the series that have it.
type Values = BTreeMap<Box<str>, Postings>;

/// The series with one value of one label. Most values of wide labels have one series.
#[derive(Debug)]
enum Postings {
    One(u32),
    Many(RoaringBitmap),
}

impl Postings {
    fn insert(&mut self, id: u32) {
        match self {
            Self::One(only) if *only == id => {}
            Self::One(only) => *self = Self::Many([*only, id].into_iter().collect()),
            Self::Many(many) => {
                many.insert(id);
            }
        }
    }

    /// Whether nothing is left.
    fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::One(only) => *only == id,
            Self::Many(many) => {
                many.remove(id);
                many.is_empty()
            }
        }
    }

    fn add_to(&self, ids: &mut RoaringBitmap) {
        match self {
            Self::One(only) => {
                ids.insert(*only);
            }
            Self::Many(many) => *ids |= many,
        }
    }

    fn intersects(&self, ids: &RoaringBitmap) -> bool {
        match self {
            Self::One(only) => ids.contains(*only),
            Self::Many(many) => !many.is_disjoint(ids),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }
}

impl LabelIndex {
    /// How many series there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of a series.
    pub fn id(&self, labels: &Labels) -> Option<u32> {
        self.ids.get(labels).copied()
    }

    /// The labels of a number that was given out.
    pub fn labels(&self, id: u32) -> &Labels {
        &self.labels[id as usize]
    }

    /// All numbers that are given out.
    pub fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// The number of a series, a new one if it is not there: the lowest that is free.
    pub fn insert(&mut self, labels: &Labels) -> u32 {
        if let Some(id) = self.ids.get(labels) {
            return *id;
        }
        let id = match self.free.min() {
            Some(id) => {
                self.free.remove(id);
                self.labels[id as usize] = labels.clone();
                id
            }
            None => {
                self.labels.push(labels.clone());
                (self.labels.len() - 1) as u32
            }
        };
        self.ids.insert(labels.clone(), id);
        self.all.insert(id);
        for (name, value) in labels.iter() {
            let values = match self.names.get_mut(name) {
                Some(values) => values,
                None => self.names.entry(name.into()).or_default(),
            };
            match values.get_mut(value) {
                Some(postings) => postings.insert(id),
                None => {
                    values.insert(value.into(), Postings::One(id));
                }
            }
        }
        id
    }

    /// Forgets a series.
    pub fn remove(&mut self, id: u32) {
        if !self.all.remove(id) {
            return;
        }
        let labels = std::mem::take(&mut self.labels[id as usize]);
        self.ids.remove(&labels);
        for (name, value) in labels.iter() {
            let Some(values) = self.names.get_mut(name) else { continue };
            if values.get_mut(value).is_some_and(|postings| postings.remove(id)) {
                values.remove(value);
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
        self.free.insert(id);
    }

    /// Gives back the memory of series that were removed. All numbers in use are below the one that is returned.
    pub fn shrink(&mut self) -> usize {
        let end = self.all.max().map_or(0, |id| id as usize + 1);
        self.labels.truncate(end);
        self.free.remove_range(end as u32..);
        // Twice the room is left, for growth that may follow.
        if self.labels.capacity() / 4 > end {
            self.labels.shrink_to(end * 2);
        }
        if self.ids.capacity() / 4 > self.ids.len() {
            self.ids.shrink_to(self.ids.len() * 2);
        }
        end
    }

    /// Whether any series has a label of this name with a value that begins so.
    pub fn has_prefix(&self, name: &str, prefix: &str) -> bool {
        let from: (Bound<&str>, Bound<&str>) = (Bound::Included(prefix), Bound::Unbounded);
        let values = self.names.get(name);
        values
            .and_then(|values| values.range::<str, _>(from).next())
            .is_some_and(|(value, _)| value.starts_with(prefix))
    }

    /// The series for which all matchers hold.
    pub fn select(&self, matchers: &[LabelMatcher]) -> RoaringBitmap {
        // What asks for a label to be there cuts down, the cheapest first; what an absent label satisfies takes away.
        let (optional, mut required): (Vec<_>, Vec<_>) = matchers.iter().partition(|matcher| matcher.matches_absent());
        required.sort_by_key(|matcher| match matcher.op() {
            MatchOp::Equal => 0,
            MatchOp::Regex if matcher.literals().is_some() => 1,
            MatchOp::Regex if !matcher.prefix().is_empty() => 2,
            _ => 3,
        });
        let mut found: Option<RoaringBitmap> = None;
        for matcher in required {
            if let Some(found) = &found
                && found.is_empty()
            {
                break;
            }
            found = Some(match found {
                Some(found) if self.is_cheaper_by_series(matcher, &found) => self.filter(matcher, found),
                Some(found) => found & self.with_value(matcher, |value| matcher.matches(value)),
                None => self.with_value(matcher, |value| matcher.matches(value)),
            });
        }
        let mut found = found.unwrap_or_else(|| self.all.clone());
        for matcher in optional {
            found = if self.is_cheaper_by_series(matcher, &found) {
                self.filter(matcher, found)
            } else {
                let refused = self.with_value(matcher, |value| !matcher.matches(value));
                found - refused
            };
        }
        found
    }

    /// The series for which all matchers of any set hold; all series when there is no set.
    pub fn select_any(&self, sets: &[Vec<LabelMatcher>]) -> RoaringBitmap {
        match sets {
            [] => self.all.clone(),
            sets => sets.iter().map(|set| self.select(set)).fold(RoaringBitmap::new(), |all, set| all | set),
        }
    }

    /// Few series are left and the label has many values.
    fn is_cheaper_by_series(&self, matcher: &LabelMatcher, found: &RoaringBitmap) -> bool {
        let values = self.names.get(matcher.name()).map_or(0, BTreeMap::len) as u64;
        matcher.literals().is_none_or(|_| matches!(matcher.op(), MatchOp::NotEqual | MatchOp::NotRegex))
            && found.len() < values
    }

    fn filter(&self, matcher: &LabelMatcher, found: RoaringBitmap) -> RoaringBitmap {
        found.iter().filter(|id| matcher.matches_labels(self.labels(*id))).collect()
    }

    /// The series that have the matcher's label with a value that the function accepts.
    fn with_value(&self, matcher: &LabelMatcher, accept: impl Fn(&str) -> bool) -> RoaringBitmap {
        let mut ids = RoaringBitmap::new();
        let Some(values) = self.names.get(matcher.name()) else { return ids };
        // Literals and prefixes are those of the values that are meant, or are not meant.
        let meant = matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex) != matcher.matches_absent();
        match matcher.literals() {
            Some(literals) if meant => {
                for postings in literals.iter().filter(|text| accept(text)).filter_map(|text| values.get(*text)) {
                    postings.add_to(&mut ids);
                }
            }
            _ => {
                let prefix = if meant { matcher.prefix() } else { "" };
                let from: (Bound<&str>, Bound<&str>) = (Bound::Included(prefix), Bound::Unbounded);
                for (value, postings) in values.range::<str, _>(from) {
                    if !value.starts_with(prefix) {
                        break;
                    }
                    if accept(value) {
                        postings.add_to(&mut ids);
                    }
                }
            }
        }
        ids
    }

    /// Names of labels that any of the series have, sorted.
    pub fn names(&self, ids: &RoaringBitmap) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .names
            .iter()
            .filter(|(_, values)| values.values().any(|postings| postings.intersects(ids)))
            .map(|(name, _)| &**name)
            .collect();
        names.sort_unstable();
        names
    }

    /// Values of a label that any of the series have, sorted.
    pub fn values<'a>(&'a self, name: &str, ids: &'a RoaringBitmap) -> impl Iterator<Item = &'a str> {
        let values = self.names.get(name).into_iter().flatten();
        values.filter(|(_, postings)| postings.intersects(ids)).map(|(value, _)| &**value)
    }

    /// Counts by name and value, the largest first, at most `limit` of each kind. Of [`SeriesStatistics`] those that
    /// an index knows.
    pub fn statistics(&self, limit: usize) -> SeriesStatistics {
        let top = |mut counts: Vec<NameCount>| {
            counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
            counts.truncate(limit);
            counts
        };
        let metrics = self.names.get(METRIC_NAME).into_iter().flatten();
        let by_metric = metrics.map(|(value, postings)| NameCount::new(value.to_string(), postings.len())).collect();
        let per_name = |count: &dyn Fn(&Values) -> u64| {
            self.names.iter().map(|(name, values)| NameCount::new(name.to_string(), count(values))).collect()
        };
        let pairs = self.names.iter().flat_map(|(name, values)| {
            values.iter().map(move |(value, postings)| NameCount::new(format!("{name}={value}"), postings.len()))
        });
        SeriesStatistics {
            series: self.len() as u64,
            label_pairs: self.names.values().map(|values| values.len() as u64).sum(),
            series_by_metric: top(by_metric),
            values_by_label: top(per_name(&|values| values.len() as u64)),
            bytes_by_label: top(per_name(&|values| values.keys().map(|value| value.len() as u64).sum())),
            series_by_pair: top(pairs.collect()),
            ..SeriesStatistics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Labels> {
        prop::collection::vec(("[abc]", "[xyz]{0,2}"), 0..4)
            .prop_map(|pairs| Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
    }

    fn matcher() -> impl Strategy<Value = LabelMatcher> {
        let op = prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
        let value = prop::sample::select(vec![
            "", "x", "xy", "x|y", "x|", "x.*", ".*y", ".+", ".*", "[xy]z?", "x.+", "(x|y).*",
        ]);
        ("[abcd]", op, value).prop_map(|(name, op, value)| LabelMatcher::new(name, op, value).unwrap())
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_scan_finds(
            series in prop::collection::vec(labels(), 0..30),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            matchers in prop::collection::vec(matcher(), 0..4),
        ) {
            let mut index = LabelIndex::default();
            let mut there: Vec<Labels> = Vec::new();
            for labels in &series {
                let id = index.insert(labels);
                prop_assert_eq!(index.labels(id), labels);
                if !there.contains(labels) {
                    there.push(labels.clone());
                }
            }
            for place in gone.iter().filter(|_| !series.is_empty()) {
                let labels = place.get(&series);
                if let Some(id) = index.id(labels) {
                    index.remove(id);
                    there.retain(|each| each != labels);
                }
            }
            let mut expected: Vec<_> =
                there.iter().filter(|labels| matchers.iter().all(|each| each.matches_labels(labels))).cloned().collect();
            expected.sort();
            let ids = index.select(&matchers);
            let mut found: Vec<_> = ids.iter().map(|id| index.labels(id).clone()).collect();
            found.sort();
            prop_assert_eq!(&found, &expected);
            let mut names: Vec<_> = expected.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(index.names(&ids), names);
            let mut values: Vec<_> = expected.iter().filter_map(|labels| labels.get("a")).collect();
            values.sort_unstable();
            values.dedup();
            prop_assert_eq!(index.values("a", &ids).collect::<Vec<_>>(), values);
            prop_assert_eq!(index.len(), there.len());
        }
    }

    #[test]
    fn numbers_are_used_again() {
        let mut index = LabelIndex::default();
        let first = index.insert(&Labels::from_pairs([("a", "x")]));
        index.remove(first);
        index.remove(first);
        assert!(index.is_empty());
        assert_eq!(index.insert(&Labels::from_pairs([("a", "y")])), first);
    }

    #[test]
    fn what_removed_series_took_is_given_back() {
        let mut index = LabelIndex::default();
        let series = |number: u32| Labels::from_pairs([("a", "x"), ("b", &*format!("v{number}"))]);
        for number in 0..10_000 {
            assert_eq!(index.insert(&series(number)), number);
        }
        (0..10_000).filter(|id| *id != 7 && *id != 20).for_each(|id| index.remove(id));
        assert_eq!(index.shrink(), 21);
        assert_eq!((index.labels.len(), index.ids.len(), index.free.len()), (21, 2, 19));
        assert!(index.labels.capacity() <= 84 && index.ids.capacity() <= 84, "{}", index.ids.capacity());
        assert_eq!(index.names["b"].len(), 2);
        assert_eq!((index.insert(&series(1)), index.insert(&series(7))), (0, 7));
        assert!(index.has_prefix("b", "v2") && !index.has_prefix("b", "v3") && !index.has_prefix("c", ""));
        [0, 7, 20].into_iter().for_each(|id| index.remove(id));
        assert_eq!((index.shrink(), index.names.len()), (0, 0));
        assert_eq!(index.insert(&series(3)), 0);
    }
}
