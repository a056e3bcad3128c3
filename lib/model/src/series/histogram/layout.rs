use super::buckets::Indexed;
use super::{FloatHistogram, NativeSpan};

/// Spans and counts of one side being put together in ascending order of their indices.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) spans: Vec<NativeSpan>,
    pub(super) counts: Vec<f64>,
    /// What rounding took from each count; see [`super::sum`].
    pub(super) errors: Vec<f64>,
    /// The index after the last bucket.
    end: i32,
}

impl Side {
    pub(super) fn with_capacity(buckets: usize) -> Self {
        Self { counts: Vec::with_capacity(buckets), errors: Vec::with_capacity(buckets), ..Self::default() }
    }

    /// Adds a bucket at an index that is not before the last one's.
    pub(super) fn push(&mut self, index: i32, count: f64, error: f64) {
        match self.spans.last_mut() {
            Some(_) if index < self.end => {
                let last = self.counts.len() - 1;
                super::sum::add_up(count, &mut self.counts[last], &mut self.errors[last]);
                super::sum::add_up(error, &mut self.counts[last], &mut self.errors[last]);
                return;
            }
            Some(span) if index == self.end => span.length += 1,
            Some(_) => self.spans.push(NativeSpan { offset: index.wrapping_sub(self.end), length: 1 }),
            None => self.spans.push(NativeSpan { offset: index, length: 1 }),
        }
        self.counts.push(count);
        self.errors.push(error);
        self.end = index.wrapping_add(1);
    }
}

/// Leaves out empty buckets, save runs of at most `most_empty` between others; `errors` is empty or one per count, and a
/// bucket with an error is not empty.
pub(super) fn compact(spans: &mut Vec<NativeSpan>, counts: &mut Vec<f64>, errors: &mut Vec<f64>, most_empty: usize) {
    let most_empty = i64::try_from(most_empty).unwrap_or(i64::MAX);
    let tidy = counts.iter().all(|count| *count != 0.0)
        && spans.iter().all(|span| span.length > 0)
        && spans.iter().skip(1).all(|span| i64::from(span.offset) > most_empty);
    if tidy {
        return;
    }
    let mut side = Side::with_capacity(counts.len());
    for (position, (index, count)) in Indexed::new(spans, counts).enumerate() {
        let error = errors.get(position).copied().unwrap_or(0.0);
        if count == 0.0 && error == 0.0 {
            continue;
        }
        let gap = i64::from(index) - i64::from(side.end);
        if !side.spans.is_empty() && gap <= most_empty {
            for empty in side.end..index {
                side.push(empty, 0.0, 0.0);
            }
        }
        side.push(index, count, error);
    }
    *spans = side.spans;
    *counts = side.counts;
    if !errors.is_empty() {
        *errors = side.errors;
    }
}

/// Whether two sides have their buckets at the same indices, however the spans are cut.
pub(super) fn same_indices(left: (&[NativeSpan], &[f64]), right: (&[NativeSpan], &[f64])) -> bool {
    left.0 == right.0
        || Indexed::new(left.0, left.1)
            .map(|(index, _)| index)
            .eq(Indexed::new(right.0, right.1).map(|(index, _)| index))
}

impl FloatHistogram {
    /// Leaves out empty buckets, save runs of at most `most_empty` that lie between others.
    pub fn compact(&mut self, most_empty: usize) -> &mut Self {
        compact(&mut self.positive_spans, &mut self.positive_buckets, &mut Vec::new(), most_empty);
        compact(&mut self.negative_spans, &mut self.negative_buckets, &mut Vec::new(), most_empty);
        self
    }

    /// Whether two histograms hold the same data: buckets at the same indices with the same counts, empty ones included,
    /// and equal totals, floats compared by bits. The counter reset hints do not count.
    pub fn same_data(&self, other: &Self) -> bool {
        let same = |left: &[f64], right: &[f64]| {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
        };
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && (!self.uses_custom_buckets() || self.custom_values == other.custom_values)
            && same(&self.positive_buckets, &other.positive_buckets)
            && same(&self.negative_buckets, &other.negative_buckets)
            && same_indices(
                (&self.positive_spans, &self.positive_buckets),
                (&other.positive_spans, &other.positive_buckets),
            )
            && same_indices(
                (&self.negative_spans, &self.negative_buckets),
                (&other.negative_spans, &other.negative_buckets),
            )
    }
}
