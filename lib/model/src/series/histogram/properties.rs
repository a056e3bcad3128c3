//! What holds for all histograms.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{FloatHistogram, HistogramMean, HistogramSum, NativeSpan, Trim};

prop_compose! {
    fn side()(
        spans in vec((0i32..5, 0u32..4), 0..5), first in -20i32..20, counts in vec(0u32..50, 20),
    ) -> (Vec<NativeSpan>, Vec<f64>) {
        let mut spans: Vec<_> = spans.into_iter().map(|(offset, length)| NativeSpan { offset, length }).collect();
        if let Some(span) = spans.first_mut() {
            span.offset = first;
        }
        let held: u32 = spans.iter().map(|span| span.length).sum();
        (spans, counts.into_iter().take(held as usize).map(f64::from).collect())
    }
}

prop_compose! {
    fn exponential()(
        schema in -4i32..=8, (positive_spans, positive_buckets) in side(), (negative_spans, negative_buckets) in side(),
        zero_count in 0u32..10, threshold in prop::sample::select(vec![0.0, 0.001, 0.5, 3.0]), sum in -1000i32..1000,
    ) -> FloatHistogram {
        let mut histogram = FloatHistogram {
            schema,
            sum: f64::from(sum),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..FloatHistogram::default()
        };
        // Widened so that no populated bucket reaches into the one around zero, as real histograms are.
        let mut zero = FloatHistogram { zero_threshold: threshold, zero_count: f64::from(zero_count), ..Default::default() };
        zero.schema = schema;
        let _ = histogram.add(&zero);
        histogram.count = total(&histogram);
        histogram
    }
}

prop_compose! {
    fn custom()(
        bounds in prop::collection::btree_set(-20i32..20, 0..8), counts in vec(0u32..50, 9),
    ) -> FloatHistogram {
        let positive_buckets: Vec<f64> = counts.into_iter().take(bounds.len() + 1).map(f64::from).collect();
        FloatHistogram {
            schema: FloatHistogram::CUSTOM_BUCKETS,
            count: positive_buckets.iter().sum(),
            positive_spans: vec![NativeSpan { offset: 0, length: positive_buckets.len() as u32 }],
            positive_buckets,
            custom_values: bounds.into_iter().map(f64::from).collect(),
            ..FloatHistogram::default()
        }
    }
}

prop_compose! {
    /// Whatever could come from outside.
    fn invalid()(
        schema in prop_oneof![any::<i32>(), -10i32..10, Just(FloatHistogram::CUSTOM_BUCKETS)],
        spans in vec((prop_oneof![any::<i32>(), -5i32..5], prop_oneof![any::<u32>(), 0u32..5]), 0..5),
        numbers in vec(prop_oneof![any::<f64>(), -5.0f64..5.0], 12), cuts in (0usize..6, 6usize..12),
        zero in (any::<f64>(), any::<f64>()), totals in (any::<f64>(), any::<f64>()),
    ) -> FloatHistogram {
        let spans: Vec<_> = spans.into_iter().map(|(offset, length)| NativeSpan { offset, length }).collect();
        let (positive, negative) = spans.split_at(spans.len() / 2);
        FloatHistogram {
            schema,
            zero_threshold: zero.0,
            zero_count: zero.1,
            count: totals.0,
            sum: totals.1,
            positive_spans: positive.to_vec(),
            negative_spans: negative.to_vec(),
            positive_buckets: numbers[..cuts.0].to_vec(),
            negative_buckets: numbers[cuts.0..cuts.1].to_vec(),
            custom_values: numbers[cuts.1..].to_vec(),
            ..FloatHistogram::default()
        }
    }
}

/// Two histograms that can be added.
fn pair() -> impl Strategy<Value = (FloatHistogram, FloatHistogram)> {
    prop_oneof![(exponential(), exponential()), (custom(), custom())]
}

fn total(histogram: &FloatHistogram) -> f64 {
    let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets);
    histogram.zero_count + buckets.sum::<f64>()
}

fn compacted(histogram: &FloatHistogram) -> FloatHistogram {
    let mut histogram = histogram.clone();
    histogram.compact(0);
    histogram
}

proptest! {
    #[test]
    fn no_histogram_is_too_odd(left in invalid(), right in invalid(), value in any::<f64>(), schema in any::<i32>()) {
        let _ = (left.validate(), left.detect_reset(&right), left.same_data(&right), left.hint_after(&right));
        let _ = (left.quantile(value), left.quantile(0.3), left.fraction(value, 1.0), left.variance());
        let _ = (left.to_string(), left.to_notation(), left.to_schema(schema), left.bucket_iter().rev().count());
        for trim in [Trim::KeepBelow, Trim::KeepAbove] {
            left.clone().trim(value, trim);
        }
        let _ = (left.clone().add(&right), left.clone().sub(&right), left.clone().compact(3).has_overflow());
        let mut mean = HistogramMean::new(&left);
        let _ = (mean.add(&right), mean.add(&left));
        mean.finish();
    }

    #[test]
    fn what_was_added_can_be_subtracted((left, right) in pair()) {
        let mut sum = left.clone();
        sum.add(&right).unwrap();
        prop_assert_eq!(sum.validate(), Ok(()));
        prop_assert_eq!(sum.count, left.count + right.count);
        prop_assert_eq!(total(&sum), total(&left) + total(&right), "no observation is lost");
        sum.sub(&right).unwrap();
        // Counts are whole numbers, so that nothing is rounded; but resolution that was lost does not come back.
        let mut coarse = left.clone();
        let mut nothing = right.clone();
        nothing.mul(0.0);
        coarse.add(&right).unwrap();
        coarse.sub(&right).unwrap();
        prop_assert!(compacted(&sum).same_data(&compacted(&coarse)));
        prop_assert_eq!(total(&sum), total(&left));
    }

    #[test]
    fn order_does_not_matter((left, right) in pair()) {
        let (mut one, mut other) = (left.clone(), right.clone());
        one.add(&right).unwrap();
        other.add(&left).unwrap();
        prop_assert!(compacted(&one).same_data(&compacted(&other)), "{}\n{}", one, other);
    }

    #[test]
    fn sums_with_and_without_care_agree_on_whole_numbers((left, right) in pair()) {
        let mut plain = left.clone();
        plain.add(&right).unwrap();
        plain.add(&left).unwrap();
        let mut careful = HistogramSum::new(&left);
        careful.add(&right).unwrap();
        careful.add(&left).unwrap();
        prop_assert!(compacted(&careful.finish()).same_data(&compacted(&plain)));
    }

    #[test]
    fn the_mean_of_equals_is_each((histogram, _) in pair(), number in 1usize..9) {
        let mut mean = HistogramMean::new(&histogram);
        for _ in 1..number {
            mean.add(&histogram).unwrap();
        }
        let mean = mean.finish();
        prop_assert!((mean.count - histogram.count).abs() < 1e-9);
        prop_assert!((total(&mean) - total(&histogram)).abs() < 1e-9);
    }

    #[test]
    fn a_coarser_schema_keeps_every_observation(histogram in exponential(), coarser in 1i32..6) {
        let coarse = histogram.to_schema((histogram.schema - coarser).max(-4));
        prop_assert_eq!(coarse.validate(), Ok(()));
        prop_assert_eq!(total(&coarse), total(&histogram));
        for bucket in histogram.positive_bucket_iter().chain(histogram.negative_bucket_iter()) {
            let holds = |wider: &super::Bucket| wider.lower <= bucket.lower && bucket.upper <= wider.upper;
            let found = coarse.positive_bucket_iter().chain(coarse.negative_bucket_iter()).any(|wider| holds(&wider));
            prop_assert!(found, "{} is in no bucket of {}", bucket, coarse);
        }
        // In two steps it is the same.
        let half = histogram.to_schema((histogram.schema - 1).max(-4)).to_schema(coarse.schema);
        prop_assert!(half.same_data(&coarse));
        prop_assert!(!coarse.detect_reset(&histogram), "coarser buckets alone are no reset");
    }

    #[test]
    fn compacting_keeps_every_populated_bucket((histogram, _) in pair(), most_empty in 0usize..5) {
        let mut compact = histogram.clone();
        compact.compact(most_empty);
        prop_assert_eq!(compact.validate(), Ok(()));
        let populated = |histogram: &FloatHistogram| -> Vec<_> {
            histogram.bucket_iter().filter(|bucket| bucket.count != 0.0).collect()
        };
        prop_assert_eq!(populated(&compact), populated(&histogram));
        let run = |counts: &[f64]| counts.split(|count| *count != 0.0).map(<[f64]>::len).max().unwrap_or(0);
        prop_assert!(run(&compact.positive_buckets) <= most_empty);
        prop_assert!(most_empty > 0 || compact.positive_spans.iter().skip(1).all(|span| span.offset > 0));
        prop_assert_eq!(compact.to_string(), histogram.to_string());
    }

    #[test]
    fn buckets_ascend_and_come_back_in_reverse((histogram, _) in pair()) {
        let ascending: Vec<_> = histogram.bucket_iter().collect();
        prop_assert!(ascending.windows(2).all(|pair| pair[0].upper <= pair[1].lower));
        let mut descending: Vec<_> = histogram.bucket_iter().rev().collect();
        descending.reverse();
        prop_assert_eq!(ascending, descending);
    }

    #[test]
    fn growth_is_no_reset_and_loss_is_one((left, right) in pair()) {
        let mut grown = left.clone();
        grown.add(&right).unwrap();
        prop_assert!(!grown.detect_reset(&left));
        if left.count > 0.0 {
            let mut less = grown.clone();
            less.mul(0.0);
            prop_assert!(less.detect_reset(&grown));
        }
    }

    #[test]
    fn a_trim_and_its_counterpart_make_the_whole((histogram, _) in pair(), value in -30.0f64..30.0) {
        let (mut below, mut above) = (histogram.clone(), histogram.clone());
        below.trim(value, Trim::KeepBelow);
        above.trim(value, Trim::KeepAbove);
        prop_assert!(below.count <= histogram.count + 1e-9 && above.count <= histogram.count + 1e-9);
        // An endless bucket with custom bounds goes or stays as a whole, on either side of the value.
        if !histogram.uses_custom_buckets() {
            prop_assert!((below.count + above.count - histogram.count).abs() < 1e-6);
        }
    }

    #[test]
    fn fractions_are_the_inverse_of_quantiles(histogram in exponential(), share in 0.01f64..0.99) {
        if histogram.count > 0.0 && histogram.zero_threshold > 0.0 {
            let value = histogram.quantile(share).value;
            let back = histogram.fraction(f64::NEG_INFINITY, value).value;
            // Several shares may lie at one bound; between them no observation is.
            let near = histogram.quantile(back).value;
            prop_assert!((back - share).abs() < 1e-6 || (near - value).abs() <= 1e-6 * value.abs(), "{share} {value} {back} {near} {histogram}");
        }
    }
}
