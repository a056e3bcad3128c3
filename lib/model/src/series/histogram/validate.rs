use std::fmt;

use super::bounds::{COARSEST_SCHEMA, FINEST_SCHEMA};
use super::{FloatHistogram, NativeSpan};

/// What makes a histogram invalid, in Prometheus' words.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the text of each says it
pub enum InvalidHistogram {
    NegativeCount(f64),
    NegativeZeroCount(f64),
    NegativeBucketCount { side: &'static str, number: usize, count: f64 },
    NegativeOffset { side: &'static str, number: usize, offset: i32 },
    SpansAndBuckets { side: &'static str, needed: u64, given: usize },
    BoundIsNan,
    BoundsNotAscending { before: f64, bound: f64 },
    InfiniteBound,
    TooFewBounds { bounds: usize, length: i64 },
    CustomZeroCount,
    CustomZeroThreshold,
    CustomNegativeSpans,
    CustomNegativeBuckets,
    BoundsWithoutCustomSchema,
    Schema(i32),
}

impl fmt::Display for InvalidHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeCount(count) => {
                write!(f, "observation count is {count}: histogram's observation count is negative")
            }
            Self::NegativeZeroCount(count) => write!(
                f,
                "zero bucket has observation count of {count}: histogram has a bucket whose observation count is negative"
            ),
            Self::NegativeBucketCount { side, number, count } => write!(
                f,
                "{side}: bucket number {number} has observation count of {count}: histogram has a bucket whose observation \
                 count is negative"
            ),
            Self::NegativeOffset { side, number, offset } => write!(
                f,
                "{side}: span number {number} with offset {offset}: histogram has a span whose offset is negative"
            ),
            Self::SpansAndBuckets { side, needed, given } => write!(
                f,
                "{side}: spans need {needed} buckets, have {given} buckets: histogram spans specify different number of \
                 buckets than provided"
            ),
            Self::BoundIsNan => f.write_str("custom buckets: histogram custom bounds must not be NaN"),
            Self::BoundsNotAscending { before, bound } => write!(
                f,
                "custom buckets: previous bound is {before:.6} and current is {bound:.6}: histogram custom bounds must be in \
                 strictly increasing order"
            ),
            Self::InfiniteBound => f.write_str(
                "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite",
            ),
            Self::TooFewBounds { bounds, length } => write!(
                f,
                "custom buckets: only {bounds} custom bounds defined which is insufficient to cover total span length of \
                 {length}: histogram custom bounds are too few"
            ),
            Self::CustomZeroCount => f.write_str("custom buckets: must have zero count of 0"),
            Self::CustomZeroThreshold => f.write_str("custom buckets: must have zero threshold of 0"),
            Self::CustomNegativeSpans => f.write_str("custom buckets: must not have negative spans"),
            Self::CustomNegativeBuckets => f.write_str("custom buckets: must not have negative buckets"),
            Self::BoundsWithoutCustomSchema => {
                f.write_str("histogram with exponential schema must not have custom bounds")
            }
            Self::Schema(schema) => write!(
                f,
                "histogram has an invalid schema, which must be between {COARSEST_SCHEMA} and {FINEST_SCHEMA} for \
                 exponential buckets, or {} for custom buckets, got schema {schema}",
                FloatHistogram::CUSTOM_BUCKETS
            ),
        }
    }
}

impl std::error::Error for InvalidHistogram {}

impl FloatHistogram {
    /// Checks that spans, buckets and bounds fit together and no count is negative.
    ///
    /// That the buckets hold no more than the count is not checked: rounding can make it so.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.uses_custom_buckets() {
            check_custom(self)?;
        } else if (COARSEST_SCHEMA..=FINEST_SCHEMA).contains(&self.schema) {
            check_spans("positive side", &self.positive_spans, self.positive_buckets.len())?;
            check_spans("negative side", &self.negative_spans, self.negative_buckets.len())?;
            check_counts("negative side", &self.negative_buckets)?;
            if self.zero_count < 0.0 {
                return Err(InvalidHistogram::NegativeZeroCount(self.zero_count));
            }
            if !self.custom_values.is_empty() {
                return Err(InvalidHistogram::BoundsWithoutCustomSchema);
            }
        } else {
            return Err(InvalidHistogram::Schema(self.schema));
        }
        if self.count < 0.0 {
            return Err(InvalidHistogram::NegativeCount(self.count));
        }
        check_counts("positive side", &self.positive_buckets)
    }
}

fn check_custom(histogram: &FloatHistogram) -> Result<(), InvalidHistogram> {
    let mut before: Option<f64> = None;
    for &bound in &histogram.custom_values {
        if bound.is_nan() {
            return Err(InvalidHistogram::BoundIsNan);
        }
        if let Some(before) = before
            && bound <= before
        {
            return Err(InvalidHistogram::BoundsNotAscending { before, bound });
        }
        before = Some(bound);
    }
    if before == Some(f64::INFINITY) {
        return Err(InvalidHistogram::InfiniteBound);
    }
    let spans = &histogram.positive_spans;
    if let Some((number, span)) = spans.iter().enumerate().find(|(_, span)| span.offset < 0) {
        return Err(InvalidHistogram::NegativeOffset {
            side: "custom buckets",
            number: number + 1,
            offset: span.offset,
        });
    }
    check_spans("custom buckets", spans, histogram.positive_buckets.len())?;
    let length: i64 = spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
    let bounds = histogram.custom_values.len();
    if bounds as i64 + 1 < length {
        return Err(InvalidHistogram::TooFewBounds { bounds, length });
    }
    if histogram.zero_count != 0.0 {
        return Err(InvalidHistogram::CustomZeroCount);
    }
    if histogram.zero_threshold != 0.0 {
        return Err(InvalidHistogram::CustomZeroThreshold);
    }
    if !histogram.negative_spans.is_empty() {
        return Err(InvalidHistogram::CustomNegativeSpans);
    }
    if !histogram.negative_buckets.is_empty() {
        return Err(InvalidHistogram::CustomNegativeBuckets);
    }
    Ok(())
}

fn check_spans(side: &'static str, spans: &[NativeSpan], given: usize) -> Result<(), InvalidHistogram> {
    if let Some((number, span)) = spans.iter().enumerate().skip(1).find(|(_, span)| span.offset < 0) {
        return Err(InvalidHistogram::NegativeOffset { side, number: number + 1, offset: span.offset });
    }
    let needed = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != given as u64 {
        return Err(InvalidHistogram::SpansAndBuckets { side, needed, given });
    }
    Ok(())
}

fn check_counts(side: &'static str, counts: &[f64]) -> Result<(), InvalidHistogram> {
    match counts.iter().enumerate().find(|(_, count)| **count < 0.0) {
        Some((position, &count)) => Err(InvalidHistogram::NegativeBucketCount { side, number: position + 1, count }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut FloatHistogram)) -> String {
        let mut histogram = FloatHistogram {
            positive_spans: vec![NativeSpan { offset: -2, length: 2 }, NativeSpan { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 2.0, 3.0],
            ..FloatHistogram::default()
        };
        assert_eq!(histogram.validate(), Ok(()));
        change(&mut histogram);
        histogram.validate().unwrap_err().to_string()
    }

    fn wrong_custom(change: impl FnOnce(&mut FloatHistogram)) -> String {
        let mut histogram = FloatHistogram {
            schema: FloatHistogram::CUSTOM_BUCKETS,
            positive_spans: vec![NativeSpan { offset: 1, length: 2 }],
            positive_buckets: vec![1.0, 2.0],
            custom_values: vec![1.0, 5.0],
            ..FloatHistogram::default()
        };
        assert_eq!(histogram.validate(), Ok(()));
        change(&mut histogram);
        histogram.validate().unwrap_err().to_string()
    }

    #[test]
    fn each_flaw_is_named() {
        assert!(wrong(|histogram| histogram.count = -1.0).contains("observation count is negative"));
        assert!(wrong(|histogram| histogram.zero_count = -1.0).contains("zero bucket"));
        assert!(wrong(|histogram| histogram.positive_buckets[1] = -2.0).contains("bucket number 2"));
        assert!(wrong(|histogram| histogram.positive_spans[1].offset = -1).contains("span number 2 with offset -1"));
        assert!(wrong(|histogram| histogram.positive_spans[1].length = 9).contains("need 11 buckets, have 3"));
        assert!(wrong(|histogram| histogram.negative_buckets.push(1.0)).contains("negative side"));
        assert!(wrong(|histogram| histogram.custom_values.push(1.0)).contains("must not have custom bounds"));
        assert!(wrong(|histogram| histogram.schema = 9).ends_with("got schema 9"));
        assert!(wrong_custom(|histogram| histogram.custom_values[1] = 1.0).contains("strictly increasing"));
        assert!(wrong_custom(|histogram| histogram.custom_values[1] = f64::NAN).contains("must not be NaN"));
        assert!(wrong_custom(|histogram| histogram.custom_values[1] = f64::INFINITY).contains("must be finite"));
        assert!(wrong_custom(|histogram| histogram.positive_spans[0].offset = 2).contains("too few"));
        assert!(wrong_custom(|histogram| histogram.positive_spans[0].offset = -1).contains("offset is negative"));
        assert!(wrong_custom(|histogram| histogram.zero_count = 1.0).contains("zero count"));
        assert!(wrong_custom(|histogram| histogram.zero_threshold = 1.0).contains("zero threshold"));
        assert!(wrong_custom(|histogram| histogram.negative_buckets.push(1.0)).contains("negative buckets"));
    }
}
