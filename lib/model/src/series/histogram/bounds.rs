use std::sync::LazyLock;

use super::FloatHistogram;

/// The finest standard schema.
pub(super) const FINEST_SCHEMA: i32 = 8;
/// The coarsest standard schema.
pub(super) const COARSEST_SCHEMA: i32 = -4;

/// Bounds of the finest standard schema between 1 (included) and 2; every coarser schema takes each 2nd, 4th, ... .
///
/// Computed schema by schema, each new bound from the one below it, with a square root of two that is a bit too small: so
/// Prometheus' table came about, and its bounds are part of its answers. They are up to 4e-16 of their value off.
static FRACTIONS: LazyLock<[f64; 1 << FINEST_SCHEMA]> = LazyLock::new(|| {
    let mut fractions = [1.0; 1 << FINEST_SCHEMA];
    for schema in 1..=FINEST_SCHEMA {
        let factor = match schema {
            1 => f64::from_bits(std::f64::consts::SQRT_2.to_bits() - 1),
            _ => 0.5f64.powi(schema).exp2(),
        };
        let step = 1 << (FINEST_SCHEMA - schema);
        for index in (0..fractions.len()).step_by(2 * step) {
            fractions[index + step] = fractions[index] * factor;
        }
    }
    fractions
});

/// The upper bound of bucket `index` of a histogram's positive side; its lower bound is that of the index before.
///
/// For custom bounds, indices outside of the list are infinite.
pub(super) fn bound(index: i32, schema: i32, custom_values: &[f64]) -> f64 {
    if schema != FloatHistogram::CUSTOM_BUCKETS {
        return exponential_bound(index, schema);
    }
    match usize::try_from(index) {
        Ok(position) => custom_values.get(position).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// `2^(index * 2^-schema)`, except that the last bucket of regular numbers ends at the largest one: infinite observations
/// have a bucket of their own after it.
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    let index = i64::from(index);
    let bound = if schema < 0 {
        power_of_two(index << schema.unsigned_abs().min(31))
    } else if schema <= FINEST_SCHEMA {
        let fraction = FRACTIONS[((index & ((1 << schema) - 1)) << (FINEST_SCHEMA - schema)) as usize];
        // The fraction is in [1, 2), so that the product rounds once at most.
        fraction * power_of_two(index >> schema)
    } else {
        (index as f64 * (-f64::from(schema)).exp2()).exp2()
    };
    let last_regular = if schema < 0 { 1024 >> schema.unsigned_abs().min(31) } else { 1024i64 << schema.min(32) };
    if index == last_regular { f64::MAX } else { bound }
}

fn power_of_two(exponent: i64) -> f64 {
    match exponent {
        1024.. => f64::INFINITY,
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        -1074..=-1023 => f64::from_bits(1 << (exponent + 1074)),
        _ => 0.0,
    }
}

/// The index in a coarser schema of the bucket that holds bucket `index`; `shift` is the difference of the schemas.
pub(super) fn coarser_index(index: i32, shift: u32) -> i32 {
    if shift == 0 { index } else { (index.wrapping_sub(1) >> shift.min(31)).wrapping_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_each_schema() {
        for schema in COARSEST_SCHEMA..=FINEST_SCHEMA {
            assert_eq!(exponential_bound(0, schema), 1.0);
            let to_two = if schema < 0 { 0.0 } else { exponential_bound(1 << schema, schema) };
            assert!(schema < 0 || to_two == 2.0);
            let last = if schema < 0 { 1024 >> -schema } else { 1024 << schema };
            assert_eq!(exponential_bound(last, schema), f64::MAX);
            assert_eq!(exponential_bound(last + 1, schema), f64::INFINITY);
            assert!(exponential_bound(last - 1, schema) < f64::MAX);
        }
        assert_eq!(exponential_bound(1, -4), 65536.0);
        assert_eq!(exponential_bound(-1, -4), 1.0 / 65536.0);
        assert_eq!(exponential_bound(1, 1).to_string(), "1.414213562373095");
        assert_eq!(exponential_bound(-1, 1).to_string(), "0.7071067811865475");
        assert_eq!(exponential_bound(1, 8).to_string(), "1.0027112750502025");
        assert_eq!(exponential_bound(-1, 8).to_string(), "0.9972960560854698");
        assert_eq!(exponential_bound(-1074, 0), 5e-324);
        assert_eq!(exponential_bound(i32::MIN, 8), 0.0);
    }

    #[test]
    fn a_coarser_schema_has_every_second_bound() {
        for schema in COARSEST_SCHEMA + 1..=FINEST_SCHEMA {
            for index in -600..600 {
                assert_eq!(exponential_bound(2 * index, schema), exponential_bound(index, schema - 1));
                assert_eq!(coarser_index(2 * index, 1), index);
                assert_eq!(coarser_index(2 * index - 1, 1), index);
            }
        }
    }
}
