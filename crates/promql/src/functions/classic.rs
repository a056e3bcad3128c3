//! Classic histograms: quantiles and fractions from cumulative buckets.

/// Counts that differ by less than this share are the same but for rounding.
const TOLERANCE: f64 = 1e-12;

/// A bucket: everything up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub upper: f64,
    pub count: f64,
}

/// Where counts fell although the bound rose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forced {
    pub min_bucket: f64,
    pub max_bucket: f64,
    pub max_diff: f64,
}

/// A quantile of a histogram; linear within a bucket. NaN without a bucket up to infinity, without a second one or without
/// an observation. The buckets are put in order by this.
pub(super) fn quantile(rank: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Forced>) {
    if rank.is_nan() {
        return (f64::NAN, None);
    }
    if rank < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if rank > 1.0 {
        return (f64::INFINITY, None);
    }
    if !put_in_order(buckets) {
        return (f64::NAN, None);
    }
    let forced = make_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = rank * observations;
    // A count or rank of NaN is never reached.
    let found = buckets[..last].partition_point(|bucket| bucket.count < rank || bucket.count.is_nan() || rank.is_nan());
    let value = if found == last {
        buckets[last - 1].upper
    } else if found == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let Bucket { upper, mut count } = buckets[found];
        let mut lower = 0.0;
        if let Some(before) = found.checked_sub(1).map(|index| buckets[index]) {
            lower = before.upper;
            count -= before.count;
            rank -= before.count;
        }
        lower + (upper - lower) * (rank / count)
    };
    (value, forced)
}

/// The share of the observations between two values; linear within a bucket.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !put_in_order(buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| {
        // A lowest bucket with a positive bound begins at zero.
        let mut from = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        let mut rank = 0.0;
        for bucket in buckets.iter() {
            if from >= value {
                return rank;
            }
            if bucket.upper > value {
                // Nothing can be interpolated in a bucket without a lower end: all of it counts.
                return match from == f64::NEG_INFINITY {
                    true => bucket.count,
                    false => rank + (bucket.count - rank) * (value - from) / (bucket.upper - from),
                };
            }
            rank = bucket.count;
            from = bucket.upper;
        }
        count
    };
    let most = |rank: f64| if rank > count { count } else { rank };
    (most(below(upper)) - most(below(lower))) / count
}

/// Sorts buckets by their bounds and unites those with the same; whether the last one goes to infinity.
fn put_in_order(buckets: &mut Vec<Bucket>) -> bool {
    let by_bound =
        |left: &Bucket, right: &Bucket| left.upper.partial_cmp(&right.upper).unwrap_or(std::cmp::Ordering::Equal);
    if !buckets.is_sorted_by(|left, right| left.upper <= right.upper) {
        buckets.sort_by(by_bound);
    }
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|bucket, kept| {
        let same = bucket.upper == kept.upper;
        if same {
            kept.count += bucket.count;
        }
        same
    });
    true
}

/// Lets no count be less than the one before. Differences by rounding are taken out silently.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if almost_equal(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let none = Forced { min_bucket: f64::INFINITY, max_bucket: f64::NEG_INFINITY, max_diff: 0.0 };
            let forced = forced.get_or_insert(none);
            forced.min_bucket = forced.min_bucket.min(bucket.upper);
            forced.max_bucket = forced.max_bucket.max(bucket.upper);
            forced.max_diff = forced.max_diff.max(before - count);
        } else {
            before = count;
        }
    }
    forced
}

fn almost_equal(left: f64, right: f64) -> bool {
    if left.is_nan() && right.is_nan() || left == right {
        return true;
    }
    let (sum, difference) = (left.abs() + right.abs(), (left - right).abs());
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(list: &[(f64, f64)]) -> Vec<Bucket> {
        list.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_are_linear_within_a_bucket() {
        let list = [(f64::INFINITY, 10.0), (1.0, 4.0), (2.0, 8.0)];
        assert_eq!(quantile(0.2, &mut buckets(&list)), (0.5, None));
        assert_eq!(quantile(0.6, &mut buckets(&list)), (1.5, None));
        assert_eq!(quantile(0.9, &mut buckets(&list)), (2.0, None), "beyond the last bound");
        assert_eq!(quantile(-1.0, &mut buckets(&list)).0, f64::NEG_INFINITY);
        assert_eq!(quantile(1.5, &mut buckets(&list)).0, f64::INFINITY);
        assert!(quantile(0.5, &mut buckets(&list[1..])).0.is_nan(), "no bucket up to infinity");
        assert!(quantile(0.5, &mut buckets(&list[..1])).0.is_nan(), "one bucket alone");
        assert_eq!(quantile(0.5, &mut buckets(&[(-1.0, 4.0), (f64::INFINITY, 4.0)])).0, -1.0);
    }

    #[test]
    fn falling_counts_are_evened_out() {
        let mut falling = buckets(&[(1.0, 4.0), (2.0, 3.0), (3.0, 1.0), (f64::INFINITY, 5.0)]);
        let (_, forced) = quantile(0.5, &mut falling);
        assert_eq!(forced, Some(Forced { min_bucket: 2.0, max_bucket: 3.0, max_diff: 3.0 }));
        let mut rounded = buckets(&[(1.0, 4.0), (2.0, 4.0 - 1e-14), (f64::INFINITY, 5.0)]);
        assert_eq!(quantile(0.5, &mut rounded).1, None);
        assert_eq!(rounded[1].count, 4.0);
    }

    #[test]
    fn fractions_are_the_inverse_of_quantiles() {
        let list = [(1.0, 4.0), (2.0, 8.0), (2.0, 1.0), (f64::INFINITY, 10.0)];
        assert_eq!(fraction(f64::NEG_INFINITY, 0.5, &mut buckets(&list)), 0.2);
        assert_eq!(fraction(0.5, 1.0, &mut buckets(&list)), 0.2);
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &mut buckets(&list)), 1.0);
        assert_eq!(fraction(1.0, 1.0, &mut buckets(&list)), 0.0);
        assert!(fraction(f64::NAN, 1.0, &mut buckets(&list)).is_nan());
    }
}
