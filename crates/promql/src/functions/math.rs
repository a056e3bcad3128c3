//! Numbers from numbers.

use std::f64::consts::{LN_2, PI};

pub(super) fn degrees(value: f64) -> f64 {
    value * 180.0 / PI
}

pub(super) fn radians(value: f64) -> f64 {
    value * PI / 180.0
}

/// -1, 0 or 1; NaN stays NaN and zero keeps its sign.
pub(super) fn sign(value: f64) -> f64 {
    match value {
        value if value < 0.0 => -1.0,
        value if value > 0.0 => 1.0,
        value => value,
    }
}

/// To the nearest multiple; halves go up.
pub(super) fn round(value: f64, args: &[f64]) -> Option<f64> {
    let inverse = 1.0 / args.first().copied().unwrap_or(1.0);
    Some((value * inverse + 0.5).floor() / inverse)
}

pub(super) fn clamp(value: f64, args: &[f64]) -> Option<f64> {
    let (least, most) = (args[0], args[1]);
    if most < least {
        return None;
    }
    Some(maximum(least, minimum(most, value)))
}

pub(super) fn clamp_max(value: f64, args: &[f64]) -> Option<f64> {
    Some(minimum(args[0], value))
}

pub(super) fn clamp_min(value: f64, args: &[f64]) -> Option<f64> {
    Some(maximum(args[0], value))
}

/// The greater one; NaN when one of the two is, as in Go, unless the other is infinite.
pub(super) fn maximum(left: f64, right: f64) -> f64 {
    if left == f64::INFINITY || right == f64::INFINITY {
        f64::INFINITY
    } else if left.is_nan() || right.is_nan() {
        f64::NAN
    } else {
        left.max(right)
    }
}

/// The lesser one; NaN when one of the two is, as in Go, unless the other is infinite.
pub(super) fn minimum(left: f64, right: f64) -> f64 {
    if left == f64::NEG_INFINITY || right == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if left.is_nan() || right.is_nan() {
        f64::NAN
    } else {
        left.min(right)
    }
}

/// From here on `sqrt(x² ± 1)` is `x`, and `2x` may be too large for a number.
const LARGE: f64 = (1_u64 << 28) as f64;

/// The inverse of the hyperbolic cosine.
pub(super) fn acosh(value: f64) -> f64 {
    if value > LARGE { value.ln() + LN_2 } else { value.acosh() }
}

/// The inverse of the hyperbolic sine.
pub(super) fn asinh(value: f64) -> f64 {
    if value.abs() > LARGE { (value.abs().ln() + LN_2).copysign(value) } else { value.asinh() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_not_clamped_away() {
        assert!(clamp(f64::NAN, &[0.0, 1.0]).is_some_and(f64::is_nan));
        assert!(clamp_max(1.0, &[f64::NAN]).is_some_and(f64::is_nan));
        assert_eq!(clamp_max(f64::NEG_INFINITY, &[f64::NAN]), Some(f64::NEG_INFINITY));
        assert_eq!(clamp_min(f64::INFINITY, &[f64::NAN]), Some(f64::INFINITY));
        assert_eq!(clamp(5.0, &[1.0, 0.0]), None);
        assert_eq!(clamp(-3.0, &[-2.0, 7.0]), Some(-2.0));
    }

    #[test]
    fn large_numbers_have_inverses() {
        for value in [2.5, 1e7, 1e9, 1e150] {
            assert!((acosh(value) - value.acosh()).abs() < 1e-12, "{value}");
            assert!((asinh(-value) + value.asinh()).abs() < 1e-12, "{value}");
        }
        assert!((acosh(1e308) - 709.889_355_822_726).abs() < 1e-12);
        assert!((asinh(-1e308) + 709.889_355_822_726).abs() < 1e-12);
        assert!(asinh(f64::NEG_INFINITY) == f64::NEG_INFINITY && acosh(0.0).is_nan());
    }

    #[test]
    fn halves_are_rounded_up() {
        assert_eq!(round(2.5, &[]), Some(3.0));
        assert_eq!(round(-2.5, &[]), Some(-2.0));
        assert_eq!(round(7.0, &[5.0]), Some(5.0));
        assert_eq!(round(0.25, &[0.1]), Some(0.3));
    }
}
