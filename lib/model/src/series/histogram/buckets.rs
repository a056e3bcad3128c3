use std::fmt;
use std::iter::Peekable;

use super::bounds::{bound, coarser_index};
use super::{FloatHistogram, NativeSpan};
use crate::series::ShortFloat;

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Where it begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether an observation at the lower bound is in it.
    pub lower_inclusive: bool,
    /// Whether an observation at the upper bound is in it.
    pub upper_inclusive: bool,
    /// How many observations it holds.
    pub count: f64,
    /// The index in the schema; of no meaning for the bucket around zero.
    pub index: i32,
}

impl fmt::Display for Bucket {
    /// As Prometheus prints it: `(1,2]:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let (lower, upper, count) = (ShortFloat(self.lower), ShortFloat(self.upper), ShortFloat(self.count));
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

impl FloatHistogram {
    /// The positive buckets, from zero upwards.
    pub fn positive_bucket_iter(&self) -> impl DoubleEndedIterator<Item = Bucket> + Clone + '_ {
        Indexed::new(&self.positive_spans, &self.positive_buckets)
            .map(|(index, count)| bucket(self.schema, &self.custom_values, true, index, count))
    }

    /// The negative buckets, from zero downwards.
    pub fn negative_bucket_iter(&self) -> impl DoubleEndedIterator<Item = Bucket> + Clone + '_ {
        Indexed::new(&self.negative_spans, &self.negative_buckets)
            .map(|(index, count)| bucket(self.schema, &[], false, index, count))
    }

    /// The bucket around zero.
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        }
    }

    /// All buckets in ascending order: negative, zero (when it holds something), positive. Bounds that reach into the
    /// bucket around zero are cut at it.
    pub fn bucket_iter(&self) -> impl DoubleEndedIterator<Item = Bucket> + Clone + '_ {
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        self.negative_bucket_iter().rev().chain(zero).chain(self.positive_bucket_iter()).map(|mut bucket| {
            if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
                bucket.upper = -self.zero_threshold;
            }
            if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
                bucket.lower = self.zero_threshold;
            }
            bucket
        })
    }
}

fn bucket(schema: i32, custom_values: &[f64], positive: bool, index: i32, count: f64) -> Bucket {
    let far = bound(index, schema, custom_values);
    let near = bound(index.wrapping_sub(1), schema, custom_values);
    let (lower, upper) = if positive { (near, far) } else { (-far, -near) };
    let (lower_inclusive, upper_inclusive) = match schema {
        FloatHistogram::CUSTOM_BUCKETS => (index == 0, true),
        _ => (lower < 0.0, upper > 0.0),
    };
    Bucket { lower, upper, lower_inclusive, upper_inclusive, count, index }
}

/// Walks over spans and counts as pairs of index and count, from either end.
///
/// Of spans and counts that disagree in number (an invalid histogram) the shorter decides.
#[derive(Clone, Debug)]
pub(super) struct Indexed<'a> {
    spans: &'a [NativeSpan],
    counts: &'a [f64],
    /// Index of the bucket that comes next at the front.
    front: i32,
    /// How many buckets of the first span were given.
    front_given: u32,
    /// Index after the bucket that comes next at the back.
    back: i32,
    /// How many buckets of the last span were given.
    back_given: u32,
}

impl<'a> Indexed<'a> {
    pub(super) fn new(spans: &'a [NativeSpan], counts: &'a [f64]) -> Self {
        let held = spans.iter().map(|span| u64::from(span.length)).sum::<u64>();
        let mut surplus = held.saturating_sub(counts.len() as u64);
        let mut back_given = 0;
        let mut kept = spans;
        let mut back =
            spans.iter().fold(0i32, |end, span| end.wrapping_add(span.offset).wrapping_add(span.length as i32));
        // An invalid histogram with too few counts ends where its counts end.
        while surplus > 0
            && let Some((last, rest)) = kept.split_last()
        {
            if surplus >= u64::from(last.length) {
                surplus -= u64::from(last.length);
                back = back.wrapping_sub(last.length as i32).wrapping_sub(last.offset);
                kept = rest;
            } else {
                back_given = surplus as u32;
                back = back.wrapping_sub(back_given as i32);
                surplus = 0;
            }
        }
        let counts = &counts[..counts.len().min(usize::try_from(held).unwrap_or(usize::MAX))];
        let front = kept.first().map_or(0, |span| span.offset);
        Self { spans: kept, counts, front, front_given: 0, back, back_given }
    }
}

impl Iterator for Indexed<'_> {
    type Item = (i32, f64);

    fn next(&mut self) -> Option<(i32, f64)> {
        let (&count, counts) = self.counts.split_first()?;
        while self.front_given >= self.spans.first()?.length {
            self.spans = &self.spans[1..];
            self.front_given = 0;
            self.front = self.front.wrapping_add(self.spans.first()?.offset);
        }
        self.counts = counts;
        let index = self.front;
        self.front = self.front.wrapping_add(1);
        self.front_given += 1;
        Some((index, count))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.counts.len(), Some(self.counts.len()))
    }
}

impl DoubleEndedIterator for Indexed<'_> {
    fn next_back(&mut self) -> Option<(i32, f64)> {
        let (&count, counts) = self.counts.split_last()?;
        while self.back_given >= self.spans.last()?.length {
            let (last, rest) = self.spans.split_last()?;
            self.back = self.back.wrapping_sub(last.offset);
            self.back_given = 0;
            self.spans = rest;
        }
        self.counts = counts;
        self.back = self.back.wrapping_sub(1);
        self.back_given += 1;
        Some((self.back, count))
    }
}

/// The buckets of one side of an exponential histogram in a schema that is coarser by `shift`: buckets that become one
/// are added up.
pub(super) fn coarsened(
    buckets: impl Iterator<Item = (i32, f64)>,
    shift: u32,
) -> Merged<impl Iterator<Item = (i32, f64)>> {
    merged(buckets.map(move |(index, count)| (coarser_index(index, shift), count)))
}

/// Adds up neighbours of the same index.
pub(super) fn merged<I: Iterator<Item = (i32, f64)>>(buckets: I) -> Merged<I> {
    Merged { buckets: buckets.peekable() }
}

/// See [`merged`].
pub(super) struct Merged<I: Iterator<Item = (i32, f64)>> {
    buckets: Peekable<I>,
}

impl<I: Iterator<Item = (i32, f64)>> Iterator for Merged<I> {
    type Item = (i32, f64);

    fn next(&mut self) -> Option<(i32, f64)> {
        let (index, mut count) = self.buckets.next()?;
        while let Some((_, more)) = self.buckets.next_if(|(next, _)| *next == index) {
            count += more;
        }
        Some((index, count))
    }
}
