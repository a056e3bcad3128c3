use super::{Bucket, FloatHistogram};

/// Which observations a trim keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// Those below the value: the operator `</`.
    KeepBelow,
    /// Those above the value: the operator `>/`.
    KeepAbove,
}

impl FloatHistogram {
    /// Keeps the observations below or above a value; of a bucket that the value cuts, the estimated part. When that takes
    /// observations away, count and sum are computed anew from the buckets.
    pub fn trim(&mut self, value: f64, trim: Trim) {
        let custom = self.uses_custom_buckets();
        let mut kept = Kept::default();
        let positive: Vec<Bucket> = self.positive_bucket_iter().collect();
        let negative: Vec<Bucket> = self.negative_bucket_iter().collect();
        for (bucket, count) in positive.iter().zip(&mut self.positive_buckets) {
            kept.take(bucket, count, trim, value, Scale { custom, positive: true });
        }
        for (bucket, count) in negative.iter().zip(&mut self.negative_buckets) {
            kept.take(bucket, count, trim, value, Scale { custom, positive: false });
        }
        if self.zero_count > 0.0 {
            let populated = |buckets: &[Bucket]| buckets.iter().any(|bucket| bucket.count != 0.0);
            let mut zero = self.zero_bucket();
            match (populated(&negative), populated(&positive)) {
                (true, false) => zero.upper = 0.0,
                (false, true) => zero.lower = 0.0,
                _ => {}
            }
            let (count, middle) = trim_zero(&zero, trim, value);
            kept.changed |= count != self.zero_count;
            self.zero_count = count;
            kept.count += count;
            kept.sum += middle * count;
        }
        if kept.changed {
            self.count = kept.count;
            self.sum = kept.sum;
            self.compact(0);
        }
    }
}

/// How the observations of a bucket are spread.
#[derive(Clone, Copy)]
struct Scale {
    /// Evenly, because the bounds are custom ones.
    custom: bool,
    positive: bool,
}

/// What is left.
#[derive(Default)]
struct Kept {
    count: f64,
    sum: f64,
    changed: bool,
}

impl Kept {
    fn take(&mut self, bucket: &Bucket, count: &mut f64, trim: Trim, value: f64, scale: Scale) {
        if bucket.count == 0.0 {
            return;
        }
        let (whole, part) = match trim {
            Trim::KeepBelow => (bucket.upper <= value, bucket.lower < value),
            Trim::KeepAbove => (bucket.lower >= value, bucket.upper > value),
        };
        let (left, middle) = if whole {
            (bucket.count, midpoint(bucket.lower, bucket.upper, scale))
        } else if part {
            trim_bucket(bucket, trim, value, scale)
        } else {
            (0.0, 0.0)
        };
        self.changed |= left != *count;
        *count = left;
        self.count += left;
        self.sum += middle * left;
    }
}

/// What is left of a bucket that holds the value, and the middle of that.
fn trim_bucket(bucket: &Bucket, trim: Trim, value: f64, scale: Scale) -> (f64, f64) {
    if bucket.lower.is_infinite() || bucket.upper.is_infinite() {
        return trim_endless(bucket, trim, value);
    }
    let below = bucket.count * bucket.fraction_below(value, scale.custom);
    match trim {
        Trim::KeepBelow => (below, midpoint(bucket.lower, value, scale)),
        Trim::KeepAbove => (bucket.count - below, midpoint(value, bucket.upper, scale)),
    }
}

/// As [`trim_bucket`] for a bucket without end on one side. Nothing is known of where its observations are; they go or stay
/// together. Only the first bucket of positive custom bounds is taken to begin at zero.
fn trim_endless(bucket: &Bucket, trim: Trim, value: f64) -> (f64, f64) {
    let begins_at_zero = bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 && bucket.upper.is_finite();
    match trim {
        Trim::KeepBelow if bucket.lower == f64::NEG_INFINITY => {
            if begins_at_zero && value > 0.0 {
                (bucket.count * value / bucket.upper, value / 2.0)
            } else if bucket.upper <= 0.0 {
                (bucket.count, value)
            } else {
                (0.0, 0.0)
            }
        }
        Trim::KeepAbove if bucket.lower == f64::NEG_INFINITY => {
            if begins_at_zero && value >= 0.0 {
                (bucket.count * (1.0 - value / bucket.upper), (value + bucket.upper) / 2.0)
            } else {
                (0.0, 0.0)
            }
        }
        Trim::KeepBelow => (0.0, 0.0),
        Trim::KeepAbove => (bucket.count, value),
    }
}

fn trim_zero(zero: &Bucket, trim: Trim, value: f64) -> (f64, f64) {
    if value.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    let (all, lower, upper) = match trim {
        Trim::KeepBelow => (value >= zero.upper && value > zero.lower, zero.lower, value),
        Trim::KeepAbove => (value <= zero.lower, value, zero.upper),
    };
    if all {
        (zero.count, (zero.lower + zero.upper) / 2.0)
    } else if upper > lower {
        (zero.count * (upper - lower) / (zero.upper - zero.lower), (lower + upper) / 2.0)
    } else {
        (0.0, 0.0)
    }
}

/// Where the observations between two bounds are on average.
fn midpoint(lower: f64, upper: f64, scale: Scale) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if scale.custom => (lower + upper) / 2.0,
        (false, false) => {
            let middle = (lower * upper).abs().sqrt();
            if scale.positive { middle } else { -middle }
        }
    }
}
