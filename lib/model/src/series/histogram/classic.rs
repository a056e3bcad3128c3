use std::fmt;

use super::{FloatHistogram, NativeSpan};
use crate::series::ShortFloat;

/// A classic histogram, collected from its `_bucket`, `_count` and `_sum` series, on its way to a native one with custom
/// bounds.
#[derive(Clone, Debug, Default)]
pub struct ClassicHistogram {
    /// Upper bounds with cumulative counts, ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// What keeps a classic histogram from being converted, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // the text of each says it
pub enum InvalidClassic {
    BoundIsNan,
    NegativeBucketCount { bound: f64, count: f64 },
    NegativeCount(f64),
    NotCumulative { smaller: f64, larger: f64 },
    CountMismatch { count: f64, bound: f64, last: f64 },
}

impl fmt::Display for InvalidClassic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BoundIsNan => f.write_str("bucket boundary must not be NaN"),
            Self::NegativeBucketCount { bound, count } => {
                write!(f, "bucket count must be non-negative: le={}, count={count}", ShortFloat(*bound))
            }
            Self::NegativeCount(count) => write!(f, "count must be non-negative: count={count}"),
            Self::NotCumulative { smaller, larger } => write!(f, "count is not cumulative: {smaller} < {larger}"),
            Self::CountMismatch { count, bound, last } => {
                write!(f, "count mismatch: count={count} != le={} count={last}", ShortFloat(*bound))
            }
        }
    }
}

impl std::error::Error for InvalidClassic {}

impl ClassicHistogram {
    /// Sets the cumulative count up to a bound (`le`). A bound that was set before keeps its count.
    ///
    /// # Errors
    /// When the bound is NaN, the count is negative, or counts would not grow with their bounds.
    pub fn set_bucket(&mut self, bound: f64, count: f64) -> Result<(), InvalidClassic> {
        if bound.is_nan() {
            return Err(InvalidClassic::BoundIsNan);
        }
        if count < 0.0 {
            return Err(InvalidClassic::NegativeBucketCount { bound, count });
        }
        let position = self.buckets.partition_point(|(each, _)| *each < bound);
        if self.buckets.get(position).is_some_and(|(each, _)| *each == bound) {
            return Ok(());
        }
        if let Some(&(_, before)) = position.checked_sub(1).and_then(|before| self.buckets.get(before))
            && count < before
        {
            return Err(InvalidClassic::NotCumulative { smaller: count, larger: before });
        }
        if let Some(&(_, after)) = self.buckets.get(position)
            && count > after
        {
            return Err(InvalidClassic::NotCumulative { smaller: after, larger: count });
        }
        self.buckets.insert(position, (bound, count));
        Ok(())
    }

    /// Sets the number of observations.
    ///
    /// # Errors
    /// When it is negative.
    pub fn set_count(&mut self, count: f64) -> Result<(), InvalidClassic> {
        if count < 0.0 {
            return Err(InvalidClassic::NegativeCount(count));
        }
        self.count = Some(count);
        Ok(())
    }

    /// Sets the sum of observations.
    pub fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// The native histogram with the same bounds. Without a count, that of the last bucket counts; without a bucket up
    /// to +Inf, the count makes one.
    ///
    /// # Errors
    /// When the count is not that of the last bucket.
    pub fn convert(mut self) -> Result<FloatHistogram, InvalidClassic> {
        let count = self.count.or(self.buckets.last().map(|(_, count)| *count)).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let mut histogram = FloatHistogram {
            schema: FloatHistogram::CUSTOM_BUCKETS,
            count,
            sum: self.sum,
            positive_spans: vec![NativeSpan { offset: 0, length: self.buckets.len() as u32 }],
            ..FloatHistogram::default()
        };
        for &(bound, cumulative) in &self.buckets {
            histogram.positive_buckets.push(cumulative - before);
            before = cumulative;
            if bound != f64::INFINITY {
                histogram.custom_values.push(bound);
            }
        }
        if count != before {
            return Err(InvalidClassic::CountMismatch { count, bound: f64::INFINITY, last: before });
        }
        histogram.compact(0);
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cumulative_counts_become_counts_of_buckets() {
        let mut classic = ClassicHistogram::default();
        for (bound, count) in [(1.0, 2.0), (f64::INFINITY, 9.0), (5.0, 2.0), (10.0, 7.0), (10.0, 8.0)] {
            classic.set_bucket(bound, count).unwrap();
        }
        classic.set_sum(40.0);
        let native = classic.convert().unwrap();
        assert_eq!(native.to_notation(), "{{schema:-53 count:9 sum:40 custom_values:[1 5 10] buckets:[2 0 5 2]}}");
        assert_eq!(native.validate(), Ok(()));
    }

    #[test]
    fn a_count_alone_is_a_bucket_without_bounds() {
        let mut classic = ClassicHistogram::default();
        classic.set_count(3.0).unwrap();
        let native = classic.convert().unwrap();
        assert_eq!((native.count, native.positive_buckets, native.custom_values), (3.0, vec![3.0], vec![]));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let mut classic = ClassicHistogram::default();
        assert_eq!(classic.set_bucket(f64::NAN, 1.0), Err(InvalidClassic::BoundIsNan));
        assert!(classic.set_bucket(1.0, -1.0).is_err() && classic.set_count(-1.0).is_err());
        classic.set_bucket(5.0, 4.0).unwrap();
        let error = classic.set_bucket(10.0, 3.0).unwrap_err();
        assert_eq!(error.to_string(), "count is not cumulative: 3 < 4");
        assert!(classic.set_bucket(1.0, 5.0).is_err());
        classic.set_bucket(f64::INFINITY, 6.0).unwrap();
        classic.set_count(7.0).unwrap();
        assert_eq!(classic.convert().unwrap_err().to_string(), "count mismatch: count=7 != le=+Inf count=6");
    }
}
