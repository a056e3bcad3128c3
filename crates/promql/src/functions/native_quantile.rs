//! Quantiles and fractions of native histograms, with remarks about observations of NaN.

use tripod_model::series::{FloatHistogram, NanEffect};

use crate::engine::{Note, Notes};

/// A quantile. Observations of NaN count as the largest.
pub(super) fn quantile(rank: f64, histogram: &FloatHistogram, position: usize, metric: &str, notes: &mut Notes) -> f64 {
    let estimate = histogram.quantile(rank);
    match estimate.nan {
        NanEffect::None => {}
        NanEffect::Result => notes.add(Note::quantile_nan_result(position, metric)),
        NanEffect::SkewedHigher => notes.add(Note::quantile_nan_skew(position, metric)),
    }
    estimate.value
}

/// The share of the observations between two values. Observations of NaN are in none.
pub(super) fn fraction(
    lower: f64,
    upper: f64,
    histogram: &FloatHistogram,
    position: usize,
    metric: &str,
    notes: &mut Notes,
) -> f64 {
    let estimate = histogram.fraction(lower, upper);
    if estimate.nan_excluded {
        notes.add(Note::fraction_nans(position, metric));
    }
    estimate.value
}
