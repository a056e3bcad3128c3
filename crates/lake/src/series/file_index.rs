//! What a file of the table holds, kept in memory: its series and the heads of their rows.

use std::ops::Range;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use tripod_model::series::{Labels, METRIC_NAME};
use tripod_storage::series::{LabelMatcher, MatchOp, MillisRange};

use super::rows::RowHead;

/// A series of a file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) labels: Labels,
    /// The series' rows in the file.
    pub(super) rows: Range<usize>,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct FileIndex {
    pub(super) footer: ArrowReaderMetadata,
    /// In the order of the file: by metric, then by the other labels.
    pub(super) entries: Vec<Entry>,
    /// One for each row.
    pub(super) heads: Vec<RowHead>,
    /// The metrics, sorted, with the first entry of each.
    pub(super) metrics: Vec<(Box<str>, usize)>,
    pub(super) bytes: usize,
}

impl FileIndex {
    /// The entries for which all matchers of a set hold and that have rows in the range.
    pub(super) fn select(&self, matchers: &[LabelMatcher], range: MillisRange) -> Vec<usize> {
        let by_name = matchers.iter().find(|matcher| {
            matcher.name() == METRIC_NAME
                && matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex)
                && !matcher.matches_absent()
        });
        let places: Vec<Range<usize>> = match by_name.map(|matcher| (matcher, matcher.literals())) {
            Some((_, Some(names))) => names.iter().filter_map(|name| self.metric(name)).collect(),
            Some((matcher, None)) => (0..self.metrics.len())
                .filter(|metric| matcher.matches(&self.metrics[*metric].0))
                .map(|metric| self.entries_of(metric))
                .collect(),
            None => std::iter::once(0..self.entries.len()).collect(),
        };
        let matches = |entry: &usize| {
            let Entry { labels, rows } = &self.entries[*entry];
            matchers.iter().all(|matcher| matcher.matches_labels(labels))
                && self.heads[rows.clone()].iter().any(|head| range.overlaps(head.first, head.last))
        };
        places.into_iter().flatten().filter(matches).collect()
    }

    /// As [`FileIndex::select`], for any of the sets; all entries when there is no set.
    pub(super) fn select_any(&self, sets: &[Vec<LabelMatcher>], range: MillisRange) -> Vec<usize> {
        let mut found = match sets {
            [] => self.select(&[], range),
            sets => sets.iter().flat_map(|set| self.select(set, range)).collect(),
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    fn metric(&self, name: &str) -> Option<Range<usize>> {
        let metric = self.metrics.binary_search_by(|(each, _)| (**each).cmp(name)).ok()?;
        Some(self.entries_of(metric))
    }

    fn entries_of(&self, metric: usize) -> Range<usize> {
        self.metrics[metric].1..self.metrics.get(metric + 1).map_or(self.entries.len(), |(_, first)| *first)
    }
}
