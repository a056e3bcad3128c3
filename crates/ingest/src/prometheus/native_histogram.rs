//! Native histograms as they come over wires: counts as integers, each a difference to the one before, or as floats.

use tripod_model::series::{CounterResetHint, FloatHistogram, NativeSpan};

use super::protobuf::{Field, Malformed, Message, malformed, up_to, zigzag};

/// More buckets than any instrumentation makes; a histogram beyond is refused.
const MAX_BUCKETS: usize = 1 << 16;

/// The finest standard resolution that is stored.
const MAX_SCHEMA: i32 = 8;

/// The finest resolution that may come; what is finer than [`MAX_SCHEMA`] is merged down.
const MAX_RECEIVED_SCHEMA: i32 = 52;

/// One side of a histogram on the wire.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) spans: Vec<NativeSpan>,
    pub(super) deltas: Vec<i64>,
    pub(super) counts: Vec<f64>,
}

impl Side {
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }

    pub(super) fn span(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        let mut span = NativeSpan::default();
        let mut message = Message::new(field.bytes()?);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => span.offset = field.sint32()?,
                2 => span.length = field.varint()? as u32,
                _ => {}
            }
        }
        if self.spans.len() >= MAX_BUCKETS {
            return Err(malformed("a histogram has too many spans"));
        }
        self.spans.push(span);
        Ok(())
    }

    pub(super) fn deltas(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        field.extend_varints(&mut self.deltas, zigzag, up_to(MAX_BUCKETS))
    }

    pub(super) fn counts(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        field.extend_fixed64(&mut self.counts, f64::from_bits, up_to(MAX_BUCKETS))
    }

    /// The absolute counts.
    fn absolute(&self, is_float: bool) -> Vec<f64> {
        if is_float {
            return self.counts.clone();
        }
        let mut count = 0_i64;
        self.deltas
            .iter()
            .map(|delta| {
                count = count.wrapping_add(*delta);
                count as f64
            })
            .collect()
    }
}

/// A histogram on the wire, whatever its message's field numbers.
#[derive(Debug, Default)]
pub(super) struct WireHistogram {
    pub(super) is_float: bool,
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: f64,
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) positive: Side,
    pub(super) negative: Side,
    pub(super) custom_values: Vec<f64>,
    pub(super) hint: CounterResetHint,
}

impl WireHistogram {
    pub(super) fn clear(&mut self) {
        self.positive.clear();
        self.negative.clear();
        self.custom_values.clear();
        let (positive, negative) = (std::mem::take(&mut self.positive), std::mem::take(&mut self.negative));
        let custom_values = std::mem::take(&mut self.custom_values);
        *self = Self { positive, negative, custom_values, ..Self::default() };
    }

    pub(super) fn custom_values(&mut self, field: Field<'_>) -> Result<(), Malformed> {
        field.extend_fixed64(&mut self.custom_values, f64::from_bits, up_to(MAX_BUCKETS))
    }

    /// The histogram with absolute counts, checked.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn to_float(&self) -> Result<FloatHistogram, String> {
        let mut histogram = FloatHistogram {
            schema: self.schema,
            counter_reset_hint: self.hint,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans: self.positive.spans.clone(),
            positive_buckets: self.positive.absolute(self.is_float),
            negative_spans: self.negative.spans.clone(),
            negative_buckets: self.negative.absolute(self.is_float),
            custom_values: self.custom_values.clone(),
        };
        check_layout(&histogram)?;
        if histogram.schema > MAX_SCHEMA && histogram.schema <= MAX_RECEIVED_SCHEMA {
            histogram = FloatHistogram { counter_reset_hint: self.hint, ..histogram.to_schema(MAX_SCHEMA) };
        }
        histogram.validate().map_err(|error| error.to_string())?;
        Ok(histogram)
    }
}

/// That spans and buckets fit together and no index is out of range: what the operations on histograms rely on.
fn check_layout(histogram: &FloatHistogram) -> Result<(), String> {
    for (spans, buckets) in [
        (&histogram.positive_spans, &histogram.positive_buckets),
        (&histogram.negative_spans, &histogram.negative_buckets),
    ] {
        let mut index = 0_i64;
        let mut length = 0_u64;
        for (at, span) in spans.iter().enumerate() {
            if at > 0 && span.offset < 0 {
                return Err(format!("span number {} of a histogram has a negative offset", at + 1));
            }
            index += i64::from(span.offset) + i64::from(span.length);
            length += u64::from(span.length);
        }
        if length != buckets.len() as u64 {
            return Err(format!("a histogram's spans cover {length} buckets, but there are {}", buckets.len()));
        }
        if i32::try_from(index).is_err() {
            return Err("a histogram's buckets lie too far out".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: i32, length: u32) -> NativeSpan {
        NativeSpan { offset, length }
    }

    #[test]
    fn integer_differences_become_absolute_counts_and_empty_buckets_stay() {
        let wire = WireHistogram {
            schema: 1,
            count: 6.0,
            positive: Side { spans: vec![span(-2, 2), span(3, 2)], deltas: vec![1, 1, -2, 3], counts: vec![] },
            ..WireHistogram::default()
        };
        let histogram = wire.to_float().unwrap();
        assert_eq!(histogram.positive_buckets, [1.0, 2.0, 0.0, 3.0]);
        assert_eq!(histogram.positive_spans, [span(-2, 2), span(3, 2)]);
    }

    #[test]
    fn what_is_too_fine_is_merged() {
        let wire = WireHistogram {
            is_float: true,
            schema: 9,
            count: 10.0,
            // Buckets -1, 0, 1, 2, 3 at schema 9 are 0, 0, 1, 1, 2 at schema 8.
            positive: Side { spans: vec![span(-1, 5)], deltas: vec![], counts: vec![1.0, 2.0, 3.0, 4.0, 5.0] },
            ..WireHistogram::default()
        };
        let histogram = wire.to_float().unwrap();
        assert_eq!((histogram.schema, histogram.positive_buckets), (8, vec![3.0, 7.0, 5.0]));
        assert_eq!(histogram.positive_spans, [span(0, 3)]);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let side = |spans: Vec<NativeSpan>, deltas: Vec<i64>| Side { spans, deltas, counts: vec![] };
        for (what, wire) in [
            ("schema", WireHistogram { schema: 60, ..WireHistogram::default() }),
            ("cover 1", WireHistogram { positive: side(vec![span(0, 1)], vec![1, 1]), ..WireHistogram::default() }),
            (
                "negative offset",
                WireHistogram { positive: side(vec![span(0, 1), span(-1, 1)], vec![1, 1]), ..WireHistogram::default() },
            ),
            ("is negative", WireHistogram { positive: side(vec![span(0, 1)], vec![-1]), ..WireHistogram::default() }),
            (
                "too far",
                WireHistogram {
                    positive: side(vec![span(i32::MAX, 1), span(i32::MAX, 1)], vec![1, 1]),
                    ..WireHistogram::default()
                },
            ),
            (
                "too few",
                WireHistogram {
                    schema: -53,
                    custom_values: vec![1.0],
                    positive: side(vec![span(0, 3)], vec![1, 0, 0]),
                    ..WireHistogram::default()
                },
            ),
        ] {
            let error = wire.to_float().unwrap_err();
            assert!(error.contains(what), "{what}: {error}");
        }
    }
}
