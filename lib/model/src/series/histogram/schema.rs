use super::buckets::{Indexed, coarsened};
use super::layout::Side;
use super::{FloatHistogram, NativeSpan};

impl FloatHistogram {
    /// A copy in a coarser or the same schema. Nothing but a copy when the schema is finer or either of the two has custom
    /// bounds: no resolution can be gained.
    pub fn to_schema(&self, schema: i32) -> Self {
        if schema >= self.schema || self.uses_custom_buckets() || schema == Self::CUSTOM_BUCKETS {
            return self.clone();
        }
        let shift = self.schema.abs_diff(schema);
        let (positive_spans, positive_buckets) = coarser_side(&self.positive_spans, &self.positive_buckets, shift);
        let (negative_spans, negative_buckets) = coarser_side(&self.negative_spans, &self.negative_buckets, shift);
        Self {
            schema,
            // Coarser buckets say nothing of a reset that was found in finer ones.
            counter_reset_hint: Default::default(),
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_values: Vec::new(),
        }
    }
}

fn coarser_side(spans: &[NativeSpan], counts: &[f64], shift: u32) -> (Vec<NativeSpan>, Vec<f64>) {
    let mut side = Side::default();
    for (index, count) in coarsened(Indexed::new(spans, counts), shift) {
        side.push(index, count, 0.0);
    }
    (side.spans, side.counts)
}
