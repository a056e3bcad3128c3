//! Estimates from buckets: quantiles, fractions, variance.
//!
//! Within a bucket with custom bounds, and within the one around zero, observations are taken to be spread evenly; within
//! an exponential bucket so that they would be even in every finer schema (evenly over the logarithm). The bucket around
//! zero reaches only to one side when all other buckets are on that side.

use super::sum::add_up;
use super::{Bucket, FloatHistogram};

/// A quantile, and what observations of NaN did to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileEstimate {
    /// The estimate.
    pub value: f64,
    /// Whether there are observations of NaN, which count as the largest, and what follows from it.
    pub nan: NanEffect,
}

/// What observations of NaN do to a quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanEffect {
    /// There are none.
    None,
    /// The quantile is one of them.
    Result,
    /// The quantile is higher than without them.
    SkewedHigher,
}

/// A fraction of the observations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FractionEstimate {
    /// The estimate, from 0 to 1.
    pub value: f64,
    /// There are observations of NaN, which are in no fraction.
    pub nan_excluded: bool,
}

impl FloatHistogram {
    /// The value below which a share of the observations lies. NaN without observations and for a share of NaN, infinite
    /// for a share outside of 0 to 1.
    pub fn quantile(&self, share: f64) -> QuantileEstimate {
        let plain = |value| QuantileEstimate { value, nan: NanEffect::None };
        if share < 0.0 {
            return plain(f64::NEG_INFINITY);
        }
        if share > 1.0 {
            return plain(f64::INFINITY);
        }
        if self.count == 0.0 || share.is_nan() {
            return plain(f64::NAN);
        }
        // The nearer end is more precise, but observations of NaN, in no bucket, are only passed from below.
        let upwards = self.sum.is_nan() || share < 0.5;
        let mut rank = if upwards { share * self.count } else { (1.0 - share) * self.count };
        let mut passed = 0.0;
        // Without any bucket the estimate is zero, or NaN where there is no rank to look for.
        let mut bucket = FloatHistogram::default().zero_bucket();
        let mut walk = |next: Bucket| {
            bucket = next;
            passed += next.count;
            next.count != 0.0 && passed >= rank
        };
        let _ = if upwards { self.bucket_iter().any(&mut walk) } else { self.bucket_iter().rev().any(&mut walk) };
        if self.uses_custom_buckets() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return plain(bucket.upper);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return plain(bucket.lower);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.cut_at_zero(&mut bucket);
        }
        let passed = passed.min(self.count);
        if passed < rank {
            // Beyond the last bucket: there are NaN, or rounding made it so.
            return match self.sum.is_nan() {
                true => QuantileEstimate { value: f64::NAN, nan: NanEffect::Result },
                false => plain(bucket.upper),
            };
        }
        rank = if upwards { rank - (passed - bucket.count) } else { passed - rank };
        let skewed = self.sum.is_nan() && self.bucket_iter().map(|bucket| bucket.count).sum::<f64>() < self.count;
        let nan = if skewed { NanEffect::SkewedHigher } else { NanEffect::None };
        QuantileEstimate { value: self.within(&bucket, rank / bucket.count), nan }
    }

    /// The share of the observations between two values. NaN without observations and when a border is NaN, 0 when the
    /// lower border is not below the upper one.
    pub fn fraction(&self, lower: f64, upper: f64) -> FractionEstimate {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return FractionEstimate { value: f64::NAN, nan_excluded: false };
        }
        if lower >= upper {
            return FractionEstimate { value: 0.0, nan_excluded: false };
        }
        // How many observations are below each border.
        let mut ranks: [Option<f64>; 2] = [None, None];
        let mut rank = 0.0;
        for mut bucket in self.bucket_iter() {
            let around_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if around_zero {
                self.cut_at_zero(&mut bucket);
            }
            let linear = self.uses_custom_buckets() || around_zero;
            for (border, found) in [lower, upper].into_iter().zip(&mut ranks) {
                if found.is_some() {
                    continue;
                }
                if bucket.lower >= border {
                    *found = Some(rank);
                } else if bucket.upper > border {
                    // Nothing is known of where in an endless bucket its observations are.
                    *found = Some(match bucket.lower == f64::NEG_INFINITY {
                        true => bucket.count,
                        false => rank + bucket.count * bucket.fraction_below(border, linear),
                    });
                }
            }
            if ranks.iter().all(Option::is_some) {
                break;
            }
            rank += bucket.count;
        }
        let in_buckets = match self.sum.is_nan() {
            true => self.bucket_iter().map(|bucket| bucket.count).sum(),
            false => self.count,
        };
        let [below_lower, below_upper] = ranks.map(|rank| rank.unwrap_or(in_buckets).min(in_buckets));
        FractionEstimate {
            value: (below_upper - below_lower) / self.count,
            nan_excluded: self.sum.is_nan() && in_buckets < self.count,
        }
    }

    /// The variance of the observations, each taken to be in the middle of its bucket.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let (mut squares, mut error) = (0.0, 0.0);
        for bucket in self.bucket_iter().filter(|bucket| bucket.count != 0.0) {
            let middle = if self.uses_custom_buckets() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let distance = middle - mean;
            add_up(bucket.count * distance * distance, &mut squares, &mut error);
        }
        (squares + error) / self.count
    }

    /// Cuts the bucket around zero at zero when all other buckets are on one side of it.
    fn cut_at_zero(&self, bucket: &mut Bucket) {
        match (self.negative_buckets.is_empty(), self.positive_buckets.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }

    /// The value that a share of a bucket's observations is below.
    fn within(&self, bucket: &Bucket, share: f64) -> f64 {
        if self.uses_custom_buckets() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
            return bucket.lower + (bucket.upper - bucket.lower) * share;
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * share).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - share)).exp2()
        }
    }
}

impl Bucket {
    /// The share of the bucket that is below a value within it.
    pub(super) fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, at) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::NativeSpan;

    fn histogram(schema: i32, buckets: &[f64], count: f64, sum: f64) -> FloatHistogram {
        FloatHistogram {
            schema,
            count,
            sum,
            positive_spans: vec![NativeSpan { offset: 0, length: buckets.len() as u32 }],
            positive_buckets: buckets.to_vec(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn the_middle_of_an_exponential_bucket_is_a_bound_of_the_next_finer_schema() {
        let single = histogram(0, &[1.0, 2.0, 1.0], 4.0, 5.0);
        let middle = single.quantile(0.5);
        assert!((middle.value - 2f64.sqrt()).abs() < 1e-15 && middle.nan == NanEffect::None);
        assert_eq!(single.fraction(1.0, 2.0).value, 0.5);
        assert_eq!(single.fraction(f64::NEG_INFINITY, f64::INFINITY).value, 1.0);
        assert_eq!(single.fraction(2.0, 1.0).value, 0.0);
        assert_eq!(single.quantile(1.5).value, f64::INFINITY);
        assert!(FloatHistogram::default().quantile(0.5).value.is_nan());
    }

    #[test]
    fn observations_of_nan_are_the_largest() {
        let with_nan = histogram(0, &[1.0, 2.0, 1.0], 8.0, f64::NAN);
        assert_eq!(with_nan.quantile(0.9).nan, NanEffect::Result);
        assert_eq!(with_nan.quantile(0.25).nan, NanEffect::SkewedHigher);
        assert!(with_nan.fraction(0.0, 1.0).nan_excluded);
    }

    #[test]
    fn custom_bounds_are_linear() {
        let mut custom = histogram(FloatHistogram::CUSTOM_BUCKETS, &[2.0, 2.0, 4.0], 8.0, 20.0);
        custom.custom_values = vec![5.0, 10.0];
        assert_eq!(custom.quantile(0.125).value, 2.5);
        assert_eq!(custom.quantile(0.375).value, 7.5);
        assert_eq!(custom.quantile(0.9).value, 10.0);
        assert_eq!(custom.fraction(5.0, 7.5).value, 0.125);
    }
}
