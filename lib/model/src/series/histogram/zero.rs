use super::FloatHistogram;
use super::sum::{Errors, add_up};

impl FloatHistogram {
    /// Widens the bucket around zero until it is as wide as the other histogram's would be, with no populated bucket cut
    /// in either; what the other would then hold in it.
    pub(super) fn reconcile_zero_buckets(&mut self, other: &Self, errors: &mut Errors) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        // NaN thresholds are never equal; the histogram is invalid and stays as it is.
        while threshold != self.zero_threshold && !threshold.is_nan() && !self.zero_threshold.is_nan() {
            if self.zero_threshold > threshold {
                (count, threshold, _) = other.zero_count_within(self.zero_threshold, None);
            }
            if threshold > self.zero_threshold {
                (self.zero_count, self.zero_threshold, errors.zero_count) =
                    self.zero_count_within(threshold, Some(errors));
                self.empty_buckets_in_zero(errors);
            }
        }
        count
    }

    /// The count that the bucket around zero would have with a larger threshold, the threshold that does not cut a
    /// populated bucket, and the count's rounding error.
    pub(super) fn zero_count_within(&self, larger: f64, errors: Option<&Errors>) -> (f64, f64, f64) {
        let mut threshold = larger;
        let of_bucket = |errors: &[f64], position: usize| errors.get(position).copied().unwrap_or(0.0);
        let (positive_errors, negative_errors) =
            errors.map_or((&[][..], &[][..]), |errors| (&errors.positive, &errors.negative));
        if larger == self.zero_threshold {
            return (self.zero_count, larger, errors.map_or(0.0, |errors| errors.zero_count));
        }
        loop {
            let mut count = self.zero_count;
            let mut error = errors.map_or(0.0, |errors| errors.zero_count);
            for (position, bucket) in self.positive_bucket_iter().enumerate() {
                if bucket.lower >= threshold {
                    break;
                }
                add_up(bucket.count, &mut count, &mut error);
                add_up(of_bucket(positive_errors, position), &mut count, &mut error);
                if bucket.upper > threshold {
                    if bucket.count != 0.0 {
                        threshold = bucket.upper;
                    }
                    break;
                }
            }
            let mut cut = None;
            for (position, bucket) in self.negative_bucket_iter().enumerate() {
                if bucket.upper <= -threshold {
                    break;
                }
                add_up(bucket.count, &mut count, &mut error);
                add_up(of_bucket(negative_errors, position), &mut count, &mut error);
                if bucket.lower < -threshold {
                    cut = (bucket.count != 0.0).then_some(-bucket.lower);
                    break;
                }
            }
            match cut {
                // The positive side has to be looked at again with the wider threshold.
                Some(wider) => threshold = wider,
                None => return (count, threshold, error),
            }
        }
    }

    /// Takes away the buckets that lie in the bucket around zero, where they were counted.
    fn empty_buckets_in_zero(&mut self, errors: &mut Errors) {
        let positive = self.positive_bucket_iter().take_while(|bucket| bucket.lower < self.zero_threshold).count();
        let negative = self.negative_bucket_iter().take_while(|bucket| bucket.upper > -self.zero_threshold).count();
        self.positive_buckets[..positive].fill(0.0);
        self.negative_buckets[..negative].fill(0.0);
        for (errors, emptied) in [(&mut errors.positive, positive), (&mut errors.negative, negative)] {
            let emptied = emptied.min(errors.len());
            errors[..emptied].fill(0.0);
        }
        let mut taken = std::mem::take(errors);
        taken.compact(self);
        *errors = taken;
    }
}
